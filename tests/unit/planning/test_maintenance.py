"""A node is suspended only where that is safe, emptied by our own moves, and resumed only by us."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.model.desired import DesiredState, MaintenanceDesired
from controller.model.history import History, Intent, IntentState
from controller.model.observed import NodeState, ObservedState, VMState
from controller.model.plan import (
    Action,
    ActionKind,
    ActionReason,
    HoldReason,
    MaintenancePhase,
    Plan,
    Remains,
)
from controller.planning.absorb import absorb
from controller.planning.audit import audit
from controller.planning.make_plan import make_plan
from tests.builders import (
    NOW,
    desired,
    desired_state,
    history,
    intent,
    maintenance,
    moving,
    node,
    observed,
    policy,
    vm,
)

PAUSED = NodeState.PAUSED
SUSPEND, RESUME = ActionKind.SUSPEND_NODE, ActionKind.RESUME_NODE
HOUR = timedelta(hours=1)


def suspension(state: IntentState = IntentState.DONE, **changes: Any) -> Intent:
    """Our command to suspend n1."""
    fields: dict[str, Any] = {"key": "node:n1", "vm_id": None, "source": "n1"}
    return intent("n1", "n1", kind=SUSPEND, state=state, **(fields | changes))


OURS = history(intents=(suspension(),))


def planned(
    world: ObservedState,
    *wants: Any,
    documents: tuple[MaintenanceDesired, ...] = (maintenance("N1"),),
    past: History = history(),  # noqa: B008
    **limits: Any,
) -> Plan:
    """The plan, in which the second judge finds no fault."""
    specs = desired_state(*wants, maintenances=documents, policy=policy(**limits))
    plan = make_plan(specs, world, past, NOW)
    assert audit(plan, specs, world, past, NOW) == ()
    return plan


def does(plan: Plan) -> list[tuple[ActionKind, str, str, int]]:
    """Kind, of what, to where, and the wave of each action."""
    return [(a.kind, a.vm, a.target, a.wave) for a in plan.actions]


def cluster(*parts: Any, first: Any = None) -> ObservedState:
    """Three nodes, A on n1."""
    return observed(first or node("n1"), node("n2"), node("n3"), vm("a", "n1"), *parts)


def test_the_plan_shows_the_suspension_and_what_leaves_after_it() -> None:
    """A person who approves it approves all of it."""
    plan = planned(cluster(), desired("a", "n1", "n3"))
    assert does(plan) == [
        (SUSPEND, "n1", "n1", 0),
        (ActionKind.MOVE, "a", "n3", 1),
    ]
    assert plan.actions[1].after == (plan.actions[0].id,)
    assert plan.actions[1].reason is ActionReason.MAINTENANCE


def test_a_vm_whose_only_choice_is_the_node_goes_anywhere_possible() -> None:
    """Else no VM with one preferred owner could ever leave."""
    plan = planned(cluster(first=node("n1", state=PAUSED)), desired("a", "n1"), past=OURS)
    assert does(plan)[0][:2] == (ActionKind.MOVE, "a")


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (cluster(first=node("n1", state=PAUSED)), HoldReason.NODE_PAUSED),
        (cluster(first=node("n1", draining=True)), HoldReason.NODE_PAUSED),
        (cluster(first=node("n1", isolated=True)), HoldReason.NODE_NOT_UP),
        (cluster(node("n4", state=PAUSED)), HoldReason.NODE_AWAY),
        (cluster(node("n4", quarantined=True)), HoldReason.NODE_AWAY),
        (cluster(moving(vm("b", "n2"), "n1")), HoldReason.NODE_IN_USE),
        (observed(node("n1"), node("n2"), vm("a", "n1")), HoldReason.QUORUM_AT_RISK),
        (observed(node("n2"), node("n3"), vm("a", "n2")), HoldReason.NODE_UNKNOWN),
    ],
)
def test_what_holds_a_suspension(world: ObservedState, reason: HoldReason) -> None:
    """The node keeps its VMs, and its reason is told."""
    plan = planned(world, desired("a", "n1", "n2"))
    assert SUSPEND not in {a.kind for a in plan.actions}
    hold = plan.hold_for("node:n1")
    assert hold is not None
    assert hold.reason is reason
    assert [m.phase for m in plan.maintenances] == [MaintenancePhase.WAITS]


def test_nothing_follows_what_is_on_its_way_to_the_node() -> None:
    """Else the wait for arrivals would never end."""
    world = cluster(moving(vm("b", "n2"), "n1"), vm("c", "n3"))
    plan = planned(world, desired("c", "n1", "n3"))
    assert plan.actions == ()


def test_the_loss_of_one_more_node_must_be_borne() -> None:
    """With the node empty, as many others may fail as the policy says."""
    nodes = (node("n1", total=64), node("n2", total=64), node("n3", total=64))
    small = observed(*nodes, vm("a", "n1", memory=20), vm("b", "n2", memory=20))
    large = observed(*nodes, *(vm(n, f"n{i}", memory=30) for i, n in enumerate("abc", start=1)))
    assert does(planned(small, node_failures_tolerated=1))[0][0] is SUSPEND
    hold = planned(large, node_failures_tolerated=1).hold_for("node:n1")
    assert hold is not None
    assert hold.reason is HoldReason.NODE_FAILURES
    assert does(planned(large, node_failures_tolerated=0))[0][0] is SUSPEND


@pytest.mark.parametrize(
    ("document", "phase", "kinds"),
    [
        (maintenance("n1", start=NOW + HOUR, end=NOW + 2 * HOUR), "Planned", []),
        (maintenance("n1", start=NOW - HOUR, end=NOW + HOUR), "Suspending", [SUSPEND]),
        (maintenance("n1", start=NOW - 2 * HOUR, end=NOW), "Over", []),
        (maintenance("n1", suspended=True), "LeftAlone", []),
        (maintenance("n1", contradicts=("b.yaml:1",)), "LeftAlone", []),
    ],
)
def test_the_document_says_when(
    document: MaintenanceDesired, phase: str, kinds: list[ActionKind]
) -> None:
    """From the first second of the window to its last."""
    plan = planned(cluster(), documents=(document,))
    assert [m.phase for m in plan.maintenances] == [phase]
    assert [a.kind for a in plan.actions] == kinds


RESUMPTIONS: dict[str, tuple[ObservedState, tuple[MaintenanceDesired, ...], History, bool]] = {
    "the document is gone": (cluster(first=node("n1", state=PAUSED)), (), OURS, True),
    "the window has passed": (
        cluster(first=node("n1", state=PAUSED)),
        (maintenance("n1", start=NOW - HOUR, end=NOW),),
        OURS,
        True,
    ),
    "somebody else paused it": (cluster(first=node("n1", state=PAUSED)), (), history(), False),
    "somebody drained it since": (
        cluster(first=node("n1", state=PAUSED, draining=True)),
        (),
        OURS,
        False,
    ),
    "it lacks a volume": (
        cluster(first=node("n1", state=PAUSED, volumes_lost=("C:\\x",))),
        (),
        OURS,
        False,
    ),
    "it is down": (
        cluster(node("n4"), first=node("n1", state=NodeState.DOWN)), (), OURS, False,
    ),
    "it is still wanted empty": (
        cluster(first=node("n1", state=PAUSED)), (maintenance("n1"),), OURS, False,
    ),
    "it is to be left alone": (
        cluster(first=node("n1", state=PAUSED)),
        (maintenance("n1", suspended=True),),
        OURS,
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", RESUMPTIONS)
def test_only_what_we_suspended_is_resumed(story: str) -> None:
    """And only when its maintenance is over and the node is whole."""
    world, documents, past, resumes = RESUMPTIONS[story]
    plan = planned(world, documents=documents, past=past)
    assert (RESUME in {a.kind for a in plan.actions}) is resumes


def test_what_remains_is_told_with_its_reason() -> None:
    """So that whoever waits for an empty node knows what to do."""
    world = cluster(
        vm("off", "n1", state=VMState.OFF),
        vm("bare", "n1", clustered=False),
        vm("pinned", "n1"),
        vm("stray", "n1"),
        first=node("n1", state=PAUSED),
    )
    wants = (desired("a"), desired("off"), desired("bare"), desired("pinned", possible=("n1",)))
    (told,) = planned(world, *wants, past=OURS).maintenances
    assert {r.vm: r.why for r in told.remaining} == {
        "a": Remains.LEAVES,
        "off": Remains.OFF,
        "bare": Remains.NOT_CLUSTERED,
        "pinned": Remains.PINNED,
        "stray": Remains.NO_SPEC,
    }
    assert told.phase is MaintenancePhase.EMPTYING


def test_stay_keeps_a_vm_away_as_long_as_the_document_is_there() -> None:
    """Its preference alone brings it back to the node; without the document it does."""
    world = observed(node("n1"), node("n2"), node("n3"), vm("a", "n2"))
    over = maintenance("n1", start=NOW - HOUR, end=NOW, returns=False)
    assert planned(world, desired("a", "n1", "n2"), documents=(over,)).moves == ()
    assert len(planned(world, desired("a", "n1", "n2"), documents=()).moves) == 1


def test_our_suspension_ends_with_the_first_look_that_shows_the_node_up() -> None:
    """Whoever resumed it: what pauses it after that is somebody else's."""
    specs = desired_state(maintenances=(maintenance("n1"),))
    sent = history(intents=(suspension(IntentState.OPEN),))
    seen = absorb(sent, specs, cluster(first=node("n1", state=PAUSED)), NOW)
    assert [i.state for i in seen.intents] == [IntentState.DONE]
    later = NOW + timedelta(days=3)
    kept = absorb(seen, specs, replace(cluster(first=node("n1", state=PAUSED))), later)
    assert len(kept.intents) == 1
    assert absorb(kept, specs, cluster(), later + HOUR).intents == ()


def test_one_node_at_a_time() -> None:
    """The second waits for the first, whichever of both has the earlier name."""
    documents = (maintenance("n1"), maintenance("n2"))
    plan = planned(cluster(), documents=documents)
    assert [(a.kind, a.target) for a in plan.actions] == [(SUSPEND, "n1")]
    hold = plan.hold_for("node:n2")
    assert hold is not None
    assert hold.reason is HoldReason.NODE_AWAY


SOUND = cluster()
SPECS = desired_state(desired("a", "n1", "n3"), maintenances=(maintenance("n1"),))
RESUMED = desired_state()


def node_action(kind: ActionKind, name: str = "n1", **changes: Any) -> Action:
    """An action on a node that nobody planned."""
    fields: dict[str, Any] = {
        "id": f"{kind.value.lower()}:node:{name}", "kind": kind, "key": f"node:{name}",
        "vm": name, "vm_id": None, "source": name, "target": name,
        "reason": ActionReason.MAINTENANCE, "wave": 0,
    }  # fmt: skip
    return Action(**(fields | changes))


Seed = tuple[str, Action, DesiredState, ObservedState, History]
MISTAKES: dict[str, Callable[[], Seed]] = {
    "nobody wants it empty": lambda: (
        "maintenance", node_action(SUSPEND), RESUMED, SOUND, history()
    ),
    "another is away": lambda: (
        "one node", node_action(SUSPEND), SPECS, cluster(node("n4", state=PAUSED)), history()
    ),
    "it is paused": lambda: (
        "node", node_action(SUSPEND), SPECS, cluster(first=node("n1", state=PAUSED)), history()
    ),
    "no majority is left": lambda: (
        "quorum", node_action(SUSPEND), SPECS, observed(node("n1"), node("n2")), history()
    ),
    "a VM arrives": lambda: (
        "node in use", node_action(SUSPEND), SPECS, cluster(moving(vm("b", "n2"), "n1")), history()
    ),
    "a command to it is open": lambda: (
        "node in use", node_action(SUSPEND), SPECS, SOUND,
        history(intents=(suspension(IntentState.OPEN),)),
    ),
    "no further node may fail": lambda: (
        "node failures", node_action(SUSPEND),
        replace(SPECS, policy=policy(node_failures_tolerated=2)),
        cluster(vm("b", "n2", memory=64)), history(),
    ),
    "it is not ours to resume": lambda: (
        "resume", node_action(RESUME), RESUMED, cluster(first=node("n1", state=PAUSED)), history()
    ),
    "somebody drained it": lambda: (
        "resume", node_action(RESUME), RESUMED,
        cluster(first=node("n1", state=PAUSED, draining=True)), OURS,
    ),
    "it is wanted empty": lambda: (
        "maintenance", node_action(RESUME), SPECS, cluster(first=node("n1", state=PAUSED)), OURS
    ),
    "there is no such node": lambda: ("node", node_action(SUSPEND, "n9"), SPECS, SOUND, history()),
    "it is about a VM": lambda: (
        "node", node_action(SUSPEND, key="name:a"), SPECS, SOUND, history()
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_second_judge_finds_a_wrong_action_on_a_node(mistake: str) -> None:
    """By rules of its own, whatever the planner thought."""
    rule, action, specs, world, past = MISTAKES[mistake]()
    plan = replace(make_plan(specs, world, past, NOW), actions=(action,), holds=())
    assert rule in {finding.rule for finding in audit(plan, specs, world, past, NOW)}


def test_the_second_judge_lets_nothing_start_beside_a_suspension() -> None:
    """What the node would get in the same breath nobody could say."""
    plan = make_plan(SPECS, SOUND, history(), NOW)
    moves = tuple(replace(a, wave=0, after=()) if a.vm == "a" else a for a in plan.actions)
    found = audit(replace(plan, actions=moves), SPECS, SOUND, history(), NOW)
    assert "order" in {finding.rule for finding in found}
