"""Nothing moves in a converged world, whatever the memory of its VMs does."""

import random
from dataclasses import replace

import pytest

from controller.model.observed import ObservedState
from controller.model.policy import GIB
from controller.planning.absorb import absorb
from controller.planning.decide import decide
from tests.builders import NOW, desired, desired_state, history, node, observed, vm

CYCLES = 1_000


@pytest.mark.parametrize("seed", range(3))
def test_a_converged_cluster_plans_nothing_for_a_thousand_cycles(seed: int) -> None:
    """Dynamic memory breathes, nodes run over their reserve and back: no action, ever."""
    chance = random.Random(seed)
    names = [f"n{i}" for i in range(4)]
    homes = [chance.choice(names) for _ in range(16)]
    specs = desired_state(
        *(
            desired(f"v{i}", *chance.choice(((home,), (home, *names), ())))
            for i, home in enumerate(homes)
        )
    )
    world = observed(
        *(node(name, total=48) for name in names),
        *(vm(f"v{i}", home, memory=8) for i, home in enumerate(homes)),
    )
    past = history()
    for _ in range(CYCLES):
        world = breathing(world, chance)
        past = absorb(past, specs, world, NOW)
        plan, findings = decide(specs, world, past, NOW)
        assert findings == ()
        assert plan.actions == ()
        assert plan.holds == ()


def breathing(world: ObservedState, chance: random.Random) -> ObservedState:
    """The same cluster with every VM's memory, and so every node's, a little otherwise."""
    vms = tuple(
        replace(v, memory_assigned_bytes=int(chance.uniform(2, 16) * GIB)) for v in world.vms
    )
    nodes = tuple(
        replace(
            n,
            memory_available_bytes=max(
                0,
                (n.memory_total_bytes or 0)
                - sum(v.memory_assigned_bytes for v in vms if v.host == n.name),
            ),
        )
        for n in world.nodes
    )
    return replace(world, vms=vms, nodes=nodes)
