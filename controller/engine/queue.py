"""The turn of one cluster: its cycles, strictly one after another, while the process lives.

Here is the one broad `except Exception`: a programming error ends the cycle of its cluster, is
logged with all there is to know, and is tried again later and later; other clusters never notice.
The watch over the specs takes turns in the same way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from controller.ports import TurnWatch

log = logging.getLogger(__name__)

# An error that comes back each cycle should fill neither the log nor the nodes' time.
BACK_OFF_FIRST_SECONDS = 5.0
BACK_OFF_MAX_SECONDS = 300.0


class Turn:
    """Calls `cycle` for ever; `cycle` returns the seconds until it wants to be called again."""

    def __init__(
        self, name: str, cycle: Callable[[], Awaitable[float]], watch: TurnWatch | None = None
    ) -> None:
        self._name = name
        self._cycle = cycle
        self._watch = watch or _Nobody()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Let the next cycle begin at once; during a cycle, right after it."""
        if not self._wake.is_set():
            self._watch.due(self._name)
        self._wake.set()

    async def serve(self) -> None:
        """Run cycles until cancelled, which is safe at any point: see `Executor.run`."""
        failures = 0
        while True:
            self._wake.clear()
            self._watch.began(self._name)
            try:
                pause_seconds = await self._cycle()
                failures = 0
            except Exception:
                pause_seconds = back_off_seconds(failures)
                failures += 1
                log.exception(
                    "A cycle ended in a programming error; please report it",
                    extra={"turn": self._name, "retry_seconds": pause_seconds},
                )
            self._watch.ended(self._name, failed=failures > 0)
            await self._pause(pause_seconds)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            self._watch.due(self._name)


class _Nobody:
    """Where nobody watches."""

    def due(self, turn: str) -> None: ...
    def began(self, turn: str) -> None: ...
    def ended(self, turn: str, *, failed: bool) -> None: ...


def back_off_seconds(failures_before: int) -> float:
    """How long to wait after another failure: doubled each time, up to a bound."""
    return min(BACK_OFF_FIRST_SECONDS * 2.0 ** min(failures_before, 16), BACK_OFF_MAX_SECONDS)
