"""The loop that tests run on: what it must promise for a simulated hour to mean anything."""

import asyncio

import pytest

from tests.support.virtual_time import NothingToWaitFor, VirtualClock, run_virtual


def test_an_hour_passes_at_once_and_exactly() -> None:
    """Sleeping costs nothing and ends at the instant that was asked for."""

    async def main() -> float:
        before = VirtualClock().now()
        await asyncio.sleep(3600.25)
        return (VirtualClock().now() - before).total_seconds()

    assert run_virtual(main()) == 3600.25


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    """Across tasks, whatever the order in which they were started."""
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(name)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name, seconds in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
                group.create_task(sleeper(name, seconds))

    run_virtual(main())
    assert woken == ["a", "b", "c"]


def test_a_deadlock_is_reported_not_waited_for() -> None:
    """A test that would hang for ever fails at once."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingToWaitFor):
        run_virtual(main())


def test_work_for_an_executor_is_done_inline() -> None:
    """No thread: the order of effects is the order of the code."""

    async def main() -> str:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: "done")

    assert run_virtual(main()) == "done"
