"""Computing aside: planning and auditing run off the event loop, which they would hold up.

One thread for all clusters: the work is pure Python, so a second thread would not make it faster,
and with one the order of plans is the order in which they were asked for.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """Calls a pure function in a thread of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Take no more work; what runs is let go, since it can change nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)
