"""How a long-running command ends: a first signal asks, a second one insists."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from controller.model.plan import HoldReason
from controller.model.report import ClusterReport

INSISTED = 130
"""Exit status after a second signal, as of a shell after Ctrl-C."""
END_SECONDS_MAX = 9.5
"""After a first signal. A thread that hangs in a node's answer may not hold up the end: what it
waits for is in the journal as not known, and the next process finds out by looking."""


def run_until_stopped(work: Coroutine[Any, Any, int | None], *, when_stopped: int = 0) -> int:
    """Run the work; SIGINT and SIGTERM cancel it, which ends it with status `when_stopped`."""
    return asyncio.run(_guarded(work, when_stopped))


async def _guarded(work: Coroutine[Any, Any, int | None], when_stopped: int) -> int:
    task = asyncio.ensure_future(work)
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(INSISTED)
        asked = True
        last = threading.Timer(END_SECONDS_MAX, os._exit, [when_stopped])
        last.daemon = True
        last.start()
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        return await task or 0
    return when_stopped


class Latest:
    """A StatusSink that lets others wait for a report of one kind."""

    def __init__(self) -> None:
        self.report: ClusterReport | None = None
        self._news = asyncio.Condition()

    async def show(self, report: ClusterReport) -> None:
        """Take the report of one cycle."""
        async with self._news:
            self.report = report
            self._news.notify_all()

    async def first(self, fits: Callable[[ClusterReport], bool]) -> ClusterReport:
        """The last report if it fits, else the next one that does."""
        async with self._news:
            while self.report is None or not fits(self.report):
                await self._news.wait()
            return self.report


HOPELESS = frozenset(
    {
        HoldReason.CLUSTER_CHANGED,
        HoldReason.NOT_FIT,
        HoldReason.BALANCER_ON,
        HoldReason.JOURNAL_BROKEN,
        HoldReason.STOPPED,
        HoldReason.SUPERSEDED,
    }
)
"""Holds on everything that no waiting ends."""


def is_over(report: ClusterReport) -> bool:
    """Whether the cluster is as declared, or will not be before a person does something."""
    return (
        report.converged
        or bool(report.audit)
        or any(hold.reason in HOPELESS for hold in report.cluster_holds)
    )
