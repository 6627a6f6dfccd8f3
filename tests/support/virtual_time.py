"""Virtual time: an asyncio loop whose clock jumps to the next timer instead of waiting.

No selector, no threads, no real clock: the order of everything that happens is a function of the
code and of nothing else, so a run is the same run every time. Work for an executor is done inline.
A loop that has nothing left to wait for is a deadlock, and says so.
"""

import asyncio
from asyncio import base_events
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
"""Monday morning: the moment at which every simulation begins."""


class NothingToWaitFor(Exception):
    """No task can ever run again: somebody awaits what nobody will do."""


class _Leap:
    """Stands where the selector would: advances the clock by what the loop wanted to wait."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise NothingToWaitFor(f"at {self._loop.time():.3f} s of virtual time")
        if timeout > 0:
            self._loop.leap(timeout)
        return []


class VirtualLoop(base_events.BaseEventLoop):
    """An event loop in which a second costs nothing."""

    def __init__(self, start_seconds: float = 0.0) -> None:
        super().__init__()
        self._seconds = start_seconds
        self._selector = _Leap(self)
        # BaseEventLoop takes a timer for due when it lies within the clock's resolution.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Seconds since `EPOCH`."""
        return self._seconds

    def leap(self, seconds: float) -> None:
        """Jump; rounded to microseconds, so that instants compare as written."""
        self._seconds = round(self._seconds + max(seconds, 1e-6), 6)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do the work at once, here."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        """There is no other thread."""
        return self.call_soon(callback, *args, context=context)

    def _process_events(self, event_list: list[Any]) -> None:
        """There is no I/O."""

    def _write_to_self(self) -> None:
        """There is nobody to wake."""


class VirtualClock:
    """The engine's Clock on a virtual loop."""

    def now(self) -> datetime:
        """Aware UTC."""
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        """Wait, which takes no time."""
        await asyncio.sleep(seconds)


def run_virtual(main: Coroutine[Any, Any, T], *, start_seconds: float = 0.0) -> T:
    """Run to the end, as asyncio.run does; tasks left over are cancelled, as after a kill."""
    loop = VirtualLoop(start_seconds)
    try:
        return loop.run_until_complete(main)
    finally:
        abandon(loop)


def abandon(loop: VirtualLoop) -> None:
    """Cancel what is left and close the loop."""
    # all_tasks() is a set: sorted by name, so that the order of the cancellations is no chance.
    left = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
