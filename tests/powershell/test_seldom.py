"""What is read seldom is kept and read anew by the engine's agent as by the simulator's."""

from collections.abc import Callable
from typing import Any

import pytest
from engine_node import NODE, EngineNode
from stories import CLUSTER

from controller.simulator.config import load_world
from controller.simulator.responder import respond
from controller.simulator.world import World

pytestmark = pytest.mark.engine
SLOW_SECONDS = 300
Look = Callable[[int], Any]


def looks(agent: EngineNode) -> tuple[tuple[World, Look], tuple[World, Look]]:
    """Two equal worlds, and how each is looked at by its own agent."""
    ours, theirs = load_world(CLUSTER), load_world(CLUSTER)

    def by_engine(seconds: int) -> Any:
        agent.world = ours
        return agent.call("observe", clusterWide=False, slowSeconds=seconds)["data"]

    def by_simulator(seconds: int) -> Any:
        arguments = {"clusterWide": False, "slowSeconds": seconds}
        return respond(theirs, NODE, "observe", arguments)["data"]

    return (ours, by_engine), (theirs, by_simulator)


def test_facts_that_are_young_enough_are_kept_the_same(agent: EngineNode) -> None:
    """An ISO that shows nowhere else is not seen before its time; a new name is, at once."""
    both = looks(agent)
    begin = [look(0) for _, look in both]  # whatever the agent kept of other tests is read anew
    for world, _ in both:
        world.advance_to(world.now + 100)
        world.insert_iso("sql", "D:\\unseen.iso")
        world.rename_vm("web", "renamed")
    kept = [look(SLOW_SECONDS) for _, look in both]
    for world, _ in both:
        world.advance_to(world.now + 200)
    anew = [look(SLOW_SECONDS) for _, look in both]

    for ours, theirs in (begin, kept, anew):
        assert {**ours, "jobs": []} == {**theirs, "jobs": []}
    ages = [{vm["name"]: vm["equipment"]["ageSeconds"] for vm in d[0]["vms"]} for d in (kept, anew)]
    assert (ages[0]["sql"], ages[0]["renamed"]) == (100, 0)
    assert (ages[1]["sql"], ages[1]["renamed"]) == (0, 200)
    assert [d[0]["self"]["hardware"]["ageSeconds"] for d in (begin, kept, anew)] == [0, 100, 0]
    media = [media_of(data[0], "sql") for data in (begin, kept, anew)]
    assert media[0] == media[1]
    assert media[2] == [{"path": "D:\\unseen.iso", "type": 1}]


def media_of(data: Any, name: str) -> Any:
    """What is in the drives of the VM of that name."""
    return next(vm for vm in data["vms"] if vm["name"] == name)["equipment"]["media"]
