"""One node as the event loop sees it: calls in turn, each in a thread, each back in time.

The thread is pywinrm's and may hang; the loop never does. A call that is given up here is cut off
at its socket, and the next one waits until its thread has come back.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from controller.adapters.winrm.calling import READ_ONLY, STARTS_A_JOB
from controller.adapters.winrm.endpoints import Endpoint
from controller.adapters.winrm.failures import FAILURES, sentence_of
from controller.adapters.winrm.session import Call, NodeSession, Span
from controller.errors import (
    Busy,
    LogonRefused,
    OutcomeUnknown,
    ProtocolBroken,
    RemoteFailed,
    Unreachable,
)

T = TypeVar("T")

QUEUE_MAX = 32
"""Calls waiting for one node: an observation and a wave of moves, with room; beyond it, Busy."""
GRACE_SECONDS = 2.0
"""What the thread has beyond the caller's time to come back by itself, before it is cut off."""
PROBE_SECONDS = 2.0
CLOSE_SECONDS = 3.0
BACKOFF_SECONDS_MIN = 0.5
BACKOFF_SECONDS_MAX = 30.0


class Breaker:
    """Leaves a node that did not answer alone for a while: longer each time, and never in step."""

    def __init__(self, seed: str, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._random = random.Random(seed)
        self._seconds = seconds
        self._failures = 0
        self._closed_at = 0.0
        self._why = ""

    def check(self, node: str) -> None:
        """Raise Unreachable while the node is left alone."""
        left = self._closed_at - self._seconds()
        if left > 0:
            raise Unreachable(f"{node} is left alone for {left:.1f} s more: {self._why}")

    def failed(self, why: str) -> None:
        """Count a failure."""
        pause = min(BACKOFF_SECONDS_MIN * 2**self._failures, BACKOFF_SECONDS_MAX)
        self._failures = min(self._failures + 1, 16)
        self._closed_at = self._seconds() + pause * (0.5 + self._random.random() / 2)
        self._why = why

    def answered(self) -> None:
        """The node is there."""
        self._failures = 0
        self._closed_at = 0.0


class NodeAgent:
    """The calls to one node, one after another."""

    def __init__(self, endpoint: Endpoint, session: NodeSession, threads: Executor) -> None:
        self._endpoint = endpoint
        self._session = session
        self._threads = threads
        self._lock = asyncio.Lock()
        self._breaker = Breaker(endpoint.node)
        self._waiting = 0
        self._under_way: tuple[asyncio.Future[Any], Span] | None = None
        self._jobs_running = False
        self._closed = False

    async def call(
        self, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        """As NodeCaller.call, for this node."""
        node = self._endpoint.node
        self._check_open()
        self._breaker.check(node)
        if self._waiting >= QUEUE_MAX:
            raise Busy(f"{self._waiting} calls are waiting for {node}")
        span = Span(timeout_seconds)
        await self._take_turn(timeout_seconds)
        try:
            data = await self._call_now(span, operation, arguments)
        except (Unreachable, OutcomeUnknown) as failure:
            self._breaker.failed(str(failure))
            raise
        except (RemoteFailed, ProtocolBroken, Busy, LogonRefused):
            self._breaker.answered()
            raise
        finally:
            self._lock.release()
        self._breaker.answered()
        self._remember_jobs(operation, data)
        return data

    async def quotas(self, *, timeout_seconds: float) -> Mapping[str, int]:
        """The limits of its WinRM service. Raises LogonRefused or Unreachable."""
        span = Span(timeout_seconds)
        await self._take_turn(timeout_seconds)
        try:
            return await self._in_thread(span, partial(self._session.quotas, span))
        except FAILURES as failure:
            if isinstance(failure, LogonRefused):
                raise
            raise Unreachable(f"{self._endpoint.node}: {failure}") from failure
        except OutcomeUnknown as failure:
            raise Unreachable(str(failure)) from failure
        finally:
            self._lock.release()

    async def close(self) -> None:
        """End the agent and its thread; a job that still runs keeps its agent. Never raises."""
        if self._closed:
            return
        self._closed = True
        if self._under_way is not None:
            self._session.cut(self._under_way[1])
        try:
            await self._take_turn(CLOSE_SECONDS)
            span = Span(CLOSE_SECONDS)
            work = partial(self._session.close, span, keep_agent=self._jobs_running)
            await self._in_thread(span, work)
        except (Unreachable, OutcomeUnknown):
            return  # the thread is in a connect, or in a node that hangs; both end by themselves

    async def _take_turn(self, timeout_seconds: float) -> None:
        """Hold the lock, with no thread of an abandoned call still at work."""
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._lock.acquire()
                try:
                    if self._under_way is not None:
                        await asyncio.wait([self._under_way[0]])
                        self._under_way = None
                except BaseException:
                    self._lock.release()
                    raise
        except TimeoutError as error:
            raise Unreachable(f"{self._endpoint.node} was busy with earlier calls") from error
        finally:
            self._waiting -= 1

    async def _call_now(
        self, span: Span, operation: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if not self._session.is_open:
            await self._probe()
        self._check_open()
        work = partial(
            self._session.call,
            span,
            Call(
                id=str(uuid.uuid4()),
                operation=operation,
                arguments=arguments,
                repeatable=operation in READ_ONLY,
            ),
            may_recycle=not self._jobs_running,
        )
        if operation in STARTS_A_JOB:
            self._jobs_running = True  # until an observation says otherwise
        return await self._in_thread(span, work)

    def _check_open(self) -> None:
        if self._closed:
            raise Unreachable(f"the connection to {self._endpoint.node} is closed")

    async def _probe(self) -> None:
        """See that somebody listens, before a thread is spent on finding out."""
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        except (OSError, TimeoutError, UnicodeError) as error:  # UnicodeError: no name for DNS
            raise Unreachable(
                f"{endpoint.node} at {endpoint.host}:{endpoint.port} cannot be connected to:"
                f" {sentence_of(error)}"
            ) from error
        writer.close()

    async def _in_thread(self, span: Span, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(lambda f: f.cancelled() or f.exception())
        self._under_way = (future, span)
        try:
            async with asyncio.timeout(max(0.0, span.deadline - time.monotonic()) + GRACE_SECONDS):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise OutcomeUnknown(f"{self._endpoint.node} did not answer in time") from error
        finally:
            if future.done():
                self._under_way = None
            else:  # given up or cancelled: the thread must not wait for what nobody wants
                self._session.cut(span)

    def _remember_jobs(self, operation: str, data: Mapping[str, Any]) -> None:
        if operation == "observe" and isinstance(jobs := data.get("jobs"), list):
            states = (job.get("state") for job in jobs if isinstance(job, dict))
            self._jobs_running = "Running" in states
