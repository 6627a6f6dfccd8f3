"""Laws of the planner over random small worlds, judged without it.

Each law has a small share here and its full count under the marker `campaign`.
"""

import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.model.desired import Enforcement
from controller.model.json_documents import write_document
from controller.model.names import fold
from controller.model.plan import Action, HoldReason, Plan
from controller.model.policy import GIB
from controller.planning.audit import audit
from controller.planning.cost import HARD
from controller.planning.make_plan import make_plan
from tests.builders import NOW, desired, desired_state, history, node, observed, vm
from tests.properties.closed_loop import Loop
from tests.properties.worlds import World, cheapest, cost_of, declared_vms, worlds

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
SHARE = settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
FULL = settings(max_examples=20_000, deadline=None, suppress_health_check=QUIET)
CHANCE = st.randoms(use_true_random=False)


def plan_for(world: World) -> Plan:
    """The plan of that world with a past that lets everything go."""
    return make_plan(world.desired, world.observed, history(), NOW)


def knows_a_locked_knot(plan: Plan) -> bool:
    """Whether the plan says that full nodes can't swap for want of a third."""
    return any(hold.reason is HoldReason.NO_HOP for hold in plan.holds)


def check_least_cost(world: World) -> None:
    """No end is cheaper; only ends that full nodes lock away may be missed, and then it says so."""
    plan = plan_for(world)
    least, reachable = cheapest(world)
    cost = cost_of(world, plan)
    assert least <= cost
    assert cost <= reachable or knows_a_locked_knot(plan)


def check_every_instant(world: World, chance: random.Random) -> None:
    """Start and finish the plan's actions in any order that `after` allows; memory always holds."""
    plan = plan_for(world)
    free = {fold(n.name): n.memory_available_bytes or 0 for n in world.observed.nodes}
    waiting = list(plan.moves)
    running: list[Action] = []
    done: set[str] = set()
    while waiting or running:
        able = [a for a in waiting if done.issuperset(a.after)]
        if able and (not running or chance.random() < 0.6):
            action = chance.choice(able)
            waiting.remove(action)
            running.append(action)
            free[fold(action.target)] -= action.memory_bytes
            assert free[fold(action.target)] >= 4 * GIB
        else:
            action = running.pop(chance.randrange(len(running)))
            done.add(action.id)
            free[fold(action.source or "")] += action.memory_bytes


def check_nothing_left(world: World) -> None:
    """When a plan without locked knots has been carried out, the next plan is empty."""
    plan = plan_for(world)
    after = world.after(plan)
    if not knows_a_locked_knot(plan):
        assert plan_for(after).actions == ()


def check_the_loop(world: World, chance: random.Random) -> None:
    """Cycle by cycle, with replies in any order and memory counted either way: legal, and done."""
    loop = Loop(world, chance)
    last = loop.run()
    if not knows_a_locked_knot(last):
        assert plan_for(World(world.desired, loop.truth)).actions == ()


def check_order(world: World, chance: random.Random) -> None:
    """The order of specs, VMs and nodes changes no byte of the plan."""
    wants, vms, nodes = (
        list(world.desired.vms),
        list(world.observed.vms),
        list(world.observed.nodes),
    )
    for items in (wants, vms, nodes):
        chance.shuffle(items)
    shuffled = World(
        replace(world.desired, vms=tuple(wants)),
        replace(world.observed, vms=tuple(vms), nodes=tuple(nodes)),
    )
    assert write_document(plan_for(shuffled)) == write_document(plan_for(world))


def check_fewer_rules(world: World, chance: random.Random) -> None:
    """A rule less breaks no more hard rules; one more possible node costs nothing."""
    if not world.desired.vms:
        return
    want = chance.choice(world.desired.vms)
    everywhere = replace(want, possible=None)
    freed = chance.choice(
        (
            everywhere,
            replace(want, enforcement=Enforcement.PREFERRED),
            replace(want, preferred=()),
        )
    )
    vms = tuple(freed if v is want else v for v in world.desired.vms)
    fewer = World(replace(world.desired, vms=vms), world.observed)
    before, after = cost_of(world, plan_for(world)), cost_of(fewer, plan_for(fewer))
    if knows_a_locked_knot(plan_for(fewer)):
        return
    assert after // HARD <= before // HARD
    home = next(seen.host for _want, seen in declared_vms(world) if _want is want)
    if freed is everywhere and want.allows(home or ""):
        assert after <= before or cheapest(fewer)[0] < cheapest(fewer)[1]


def check_audit(world: World) -> None:
    """The audit finds no fault in any plan of the planner."""
    plan = plan_for(world)
    assert audit(plan, world.desired, world.observed, history(), NOW) == ()


LAWS: tuple[Callable[[World, random.Random], None], ...] = (
    lambda world, chance: check_least_cost(world),
    check_every_instant,
    lambda world, chance: check_nothing_left(world),
    check_the_loop,
    check_order,
    check_fewer_rules,
    lambda world, chance: check_audit(world),
)
NAMES = (
    "least cost",
    "no illegal instant",
    "a plan applied leaves an empty plan",
    "the closed loop is legal and ends",
    "order is irrelevant",
    "a rule less is never worse",
    "the audit agrees",
)


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_law(law: Callable[[World, random.Random], None]) -> None:
    """Each law of this file over a share of random worlds."""

    @given(worlds(limits=True), CHANCE)
    @SHARE
    def holds(world: World, chance: random.Random) -> None:
        law(world, chance)

    holds()


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_law_at_length(law: Callable[[World, random.Random], None]) -> None:
    """Each law of this file over the full count of worlds."""

    @given(worlds(limits=True), CHANCE)
    @FULL
    def holds(world: World, chance: random.Random) -> None:
        law(world, chance)

    holds()


@pytest.mark.parametrize("memory", [8, 60, 120])
def test_two_full_nodes_swap_over_one_hop(memory: float) -> None:
    """A third node with room: exactly one hop, three moves, and the swap is done."""
    swap = World(
        desired_state(desired("a", "n2"), desired("b", "n1")),
        observed(
            node("n1", total=memory + 4),
            node("n2", total=memory + 4),
            node("n3", total=memory + 4),
            vm("a", "n1", memory=memory),
            vm("b", "n2", memory=memory),
        ),
    )
    plan = plan_for(swap)
    assert plan.certificate.hops == 1
    assert len(plan.moves) == 3
    assert {v.name: v.host for v in swap.after(plan).observed.vms} == {"a": "n2", "b": "n1"}


def test_two_full_nodes_without_a_third_stay_and_say_so() -> None:
    """No hop: nothing of the knot moves, both VMs name it, and the rest of the plan goes on."""
    knot = World(
        desired_state(
            desired("a", "n2", possible=("n1", "n2")),
            desired("b", "n1", possible=("n1", "n2")),
            desired("c", "n4"),
        ),
        observed(
            node("n1", total=64),
            node("n2", total=64),
            node("n3", total=128),
            node("n4", total=64),
            vm("a", "n1", memory=58),
            vm("b", "n2", memory=58),
            vm("c", "n3", memory=8),
        ),
    )
    plan = plan_for(knot)
    assert [action.vm for action in plan.actions] == ["c"]
    for key in ("name:a", "name:b"):
        hold = plan.hold_for(key)
        assert hold is not None
        assert hold.reason is HoldReason.NO_HOP
        assert hold.evidence["knot"] == "a, b"


@pytest.mark.parametrize("length", [2, 3, 5, 6])
def test_a_ring_of_full_nodes_turns_with_one_hop(length: int) -> None:
    """However long the ring, one node with a hole is enough, and one hop."""
    names = [f"n{i}" for i in range(length)]
    wants = [desired(f"v{i}", names[(i + 1) % length]) for i in range(length)]
    vms = [vm(f"v{i}", name, memory=28) for i, name in enumerate(names)]
    nodes = [node(name, total=32) for name in (*names, "spare")]
    world = World(desired_state(*wants), observed(*nodes, *vms))
    plan = plan_for(world)
    assert plan.certificate.hops == 1
    assert len(plan.moves) == length + 1
    assert plan_for(world.after(plan)).actions == ()


def test_the_hash_seed_changes_no_byte_of_a_plan() -> None:
    """Sets and dicts are ordered by hash seed; no such order reaches a plan."""
    script = (
        "from controller.model.json_documents import write_document\n"
        "from tests.properties.test_planner_laws import a_busy_plan\n"
        "print(write_document(a_busy_plan()))\n"
    )
    plans = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in map(str, range(10))
    }
    assert len(plans) == 1


def a_busy_plan() -> Plan:
    """Swaps, evictions, ties, creations and impossible wishes, all at once."""
    names = [f"n{i}" for i in range(6)]
    nodes = [node(name, total=64) for name in names]
    vms = [vm(f"v{i:02}", names[i % 6], memory=(4, 8, 12, 16)[i % 4]) for i in range(30)]
    wants = [
        desired(
            f"v{i:02}",
            *(names[(i * 5 + j) % 6] for j in range(i % 4)),
            possible=None if i % 5 else (names[(i * 7) % 6],),
            required=i % 3 == 0,
        )
        for i in range(28)
    ]
    return plan_for(World(desired_state(*wants, desired("gone", "n9")), observed(*nodes, *vms)))
