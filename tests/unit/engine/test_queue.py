"""Cycles of a cluster follow one another; an error costs that cluster time and nothing else."""

import asyncio

from controller.engine.queue import Turn, back_off_seconds
from tests.support.virtual_time import run_virtual


def test_a_wake_begins_the_next_cycle_at_once() -> None:
    """A change of the specs does not wait for the interval."""
    began: list[float] = []

    async def cycle() -> float:
        began.append(asyncio.get_running_loop().time())
        return 15.0

    async def main() -> None:
        turn = Turn("demo", cycle)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(turn.serve())
            await asyncio.sleep(4)
            turn.wake()
            await asyncio.sleep(16)
            serving.cancel()

    run_virtual(main())
    assert began == [0, 4, 19]


def test_a_wake_during_a_cycle_is_not_lost() -> None:
    """The specs changed after this cycle had read them: look again when it ends."""
    began: list[float] = []

    async def cycle() -> float:
        began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(2)
        return 15.0

    async def main() -> None:
        turn = Turn("demo", cycle)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(turn.serve())
            await asyncio.sleep(1)
            turn.wake()
            await asyncio.sleep(5)
            serving.cancel()

    run_virtual(main())
    assert began == [0, 2]


def test_a_programming_error_backs_off_and_leaves_the_neighbour_alone() -> None:
    """One cluster's cycles fail from the start; the other keeps its rhythm."""
    failed: list[float] = []
    sound: list[float] = []

    async def broken() -> float:
        failed.append(asyncio.get_running_loop().time())
        raise ZeroDivisionError

    async def well() -> float:
        sound.append(asyncio.get_running_loop().time())
        return 10.0

    async def main() -> None:
        turns = [Turn("broken", broken), Turn("well", well)]
        async with asyncio.TaskGroup() as group:
            serving = [group.create_task(turn.serve()) for turn in turns]
            await asyncio.sleep(39)
            for task in serving:
                task.cancel()

    run_virtual(main())
    assert failed == [0, 5, 15, 35]
    assert sound == [0, 10, 20, 30]


def test_back_off_has_a_bound() -> None:
    """After a weekend of errors it still tries every five minutes."""
    assert back_off_seconds(100_000) == 300.0
