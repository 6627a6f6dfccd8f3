"""Registration, creation and start; and which VM a spec means."""

from dataclasses import replace

import pytest

from controller.model.checks import CheckName, CheckVerdict
from controller.model.desired import Conflict, StartPolicy
from controller.model.history import IntentState
from controller.model.observed import (
    Job,
    JobState,
    NodeState,
    ObservedState,
    VMObserved,
    VMState,
)
from controller.model.plan import ActionKind, ActionReason, HoldReason, Verdict
from tests.builders import (
    created,
    desired,
    desired_state,
    gap,
    history,
    intent,
    node,
    observed,
    template,
    vm,
    vm_id,
)
from tests.unit.planning.planned import hold, kinds, moves, plan_for, verdict

N1, N2 = node("n1"), node("n2")
ABSENT = history(absent_cycles={"name:new": 2})
REGISTER, CREATE, START, MOVE = (
    ActionKind.REGISTER,
    ActionKind.CREATE,
    ActionKind.START,
    ActionKind.MOVE,
)


def test_an_unregistered_vm_is_registered_where_it_runs_and_moved_after() -> None:
    """Even when misplaced: first the safety net, then the move, which names what it waits for."""
    world = observed(N1, N2, vm("a", "n2", clustered=False))
    plan = plan_for(world, desired("a", "n1", register=True))
    register, move = plan.actions
    assert (register.kind, register.target, register.wave) == (REGISTER, "n2", 0)
    assert (move.kind, move.target, move.wave, move.after) == (MOVE, "n1", 1, (register.id,))
    assert verdict(plan, "a") is Verdict.UNREGISTERED
    assert plan.holds == ()


def test_a_vm_that_is_off_is_registered_and_then_started_once() -> None:
    """The whole chain is shown."""
    world = observed(N1, vm("a", "n1", clustered=False, state=VMState.OFF))
    want = desired("a", "n1", register=True, start=StartPolicy.AFTER_REGISTRATION)
    plan = plan_for(world, want)
    assert kinds(plan) == [REGISTER, START]
    assert plan.actions[1].after == (plan.actions[0].id,)
    assert kinds(plan_for(world, desired("a", "n1", register=True))) == [REGISTER]


@pytest.mark.parametrize(
    "changes",
    [
        {"configuration_path": r"C:\VMs\a"},
        {"configuration_path": ""},
        {"disk_paths": (r"C:\ClusterStorage\Volume10\a.vhdx",)},
    ],
)
def test_a_vm_off_the_shared_volumes_is_not_registered(changes: dict[str, object]) -> None:
    """The cluster would only warn, and the VM not start elsewhere; Volume10 is not Volume1."""
    world = observed(N1, N2, vm("a", "n2", clustered=False, **changes))
    plan = plan_for(world, desired("a", "n1", register=True))
    assert plan.actions == ()
    assert hold(plan, "a").reason is HoldReason.HA_BLOCKED
    assert hold(plan, "a").evidence["remedy"]


@pytest.mark.parametrize(
    "changes",
    [
        {"media_paths": (r"C:\iso\ws.iso",)},
        {"pass_through": True},
        {"disk_paths": (r"\\files\vms\a.vhdx",)},
    ],
)
def test_what_the_wizard_warns_of_does_not_stop_registration(changes: dict[str, object]) -> None:
    """The report warns of media and devices as it does; an SMB share is reached by every node."""
    world = observed(N1, vm("a", "n1", clustered=False, **changes))
    assert kinds(plan_for(world, desired("a", "n1", register=True))) == [REGISTER]


def test_a_start_is_ours_once_after_our_own_registration() -> None:
    """Not for a role that somebody else made, nor again after a start of ours."""
    world = observed(N1, vm("a", "n1", state=VMState.OFF))
    want = desired("a", "n1", register=True, start=StartPolicy.AFTER_REGISTRATION)
    registered = intent("a", "n1", kind=REGISTER, state=IntentState.DONE)
    started = intent("a", "n1", kind=START, state=IntentState.DONE)
    plan = plan_for(world, want, past=history(intents=(registered,)))
    assert kinds(plan) == [START]
    assert plan.actions[0].reason is ActionReason.REGISTERED_BY_US
    assert verdict(plan, "a") is Verdict.NOT_STARTED
    assert plan_for(world, want, past=history(intents=(registered, started))).actions == ()
    assert plan_for(world, want).actions == ()
    lost = replace(started, state=IntentState.NOT_DONE)
    assert kinds(plan_for(world, want, past=history(intents=(registered, lost)))) == [START]


def test_a_start_needs_room_on_its_node() -> None:
    """And what it takes is not there for a move."""
    registered = history(intents=(intent("a", "n1", kind=REGISTER, state=IntentState.DONE),))
    want = desired("a", register=True, start=StartPolicy.AFTER_REGISTRATION)
    off = vm("a", "n1", state=VMState.OFF, memory=8)
    full = plan_for(observed(node("n1", free=11), off), want, past=registered)
    assert hold(full, "a").reason is HoldReason.NO_ROOM
    world = observed(node("n1", free=14), N2, off, vm("b", "n2", memory=8))
    plan = plan_for(world, want, desired("b", "n1"), past=registered)
    assert kinds(plan) == [START]
    assert hold(plan, "b").reason is HoldReason.NO_ROOM


def test_a_vm_is_created_after_two_looks_without_it() -> None:
    """On its best node, then registered, then started; each step names the one before."""
    plan = plan_for(observed(N1, N2), created("new", "n2", "n1"), past=ABSENT)
    assert kinds(plan) == [CREATE, REGISTER, START]
    assert [a.wave for a in plan.actions] == [0, 1, 2]
    assert {a.target for a in plan.actions} == {"n2"}
    assert plan.actions[0].template == template()
    assert plan.actions[0].vm_id is None
    assert verdict(plan, "new") is Verdict.MISSING


@pytest.mark.parametrize(
    ("world", "past", "reason"),
    [
        (observed(N1), history(absent_cycles={"name:new": 1}), HoldReason.ABSENCE_UNCONFIRMED),
        (observed(N1, gap("n2")), ABSENT, HoldReason.VIEW_INCOMPLETE),
        (observed(N1, node("n2", state=NodeState.DOWN)), ABSENT, HoldReason.VIEW_INCOMPLETE),
        (observed(node("n1", free=11)), ABSENT, HoldReason.NO_ROOM),
        (observed(node("n1", state=NodeState.PAUSED)), ABSENT, HoldReason.TARGET_UNFIT),
        (observed(node("n1", switches=())), ABSENT, HoldReason.TARGET_UNFIT),
        (observed(N2), ABSENT, HoldReason.NODE_UNKNOWN),
        (observed(N1, volumes=()), ABSENT, HoldReason.HA_BLOCKED),
    ],
)
def test_a_creation_that_is_not_safe_waits(
    world: ObservedState, past: object, reason: HoldReason
) -> None:
    """Unconfirmed, hidden perhaps, no room, no fit node, no shared volume."""
    plan = plan_for(world, created("new", "n1"), past=past)
    assert plan.actions == ()
    assert hold(plan, "new").reason is reason


def test_what_is_absent_without_a_template_is_only_reported() -> None:
    """Missing, and why nothing is done."""
    plan = plan_for(observed(N1), desired("new", "n1"), past=ABSENT)
    assert verdict(plan, "new") is Verdict.MISSING
    assert hold(plan, "new").reason is HoldReason.NO_TEMPLATE


def test_a_half_made_vm_is_left_to_a_person() -> None:
    """Unless its job still runs; and nothing else is ever created over it."""
    half = vm("new", "n1", state=VMState.OFF, clustered=False, creation_mark="i1:creating")
    plan = plan_for(observed(N1, half), created("new", "n1"), past=ABSENT)
    assert plan.actions == ()
    assert hold(plan, "new").reason is HoldReason.HALF_CREATED
    job = Job(intent="i1", node="n1", kind="createVm", state=JobState.RUNNING)
    running = plan_for(observed(N1, half, jobs=(job,)), created("new", "n1"), past=ABSENT)
    assert verdict(running, "new") is Verdict.CREATING
    assert running.actions == running.holds == ()


def test_twins_freeze_whoever_of_them_is_bound() -> None:
    """An orphan of the same name on another node: nothing is done to either."""
    twin = replace(vm("a", "n1", clustered=False), id=vm_id("twin"))
    world = observed(N1, N2, vm("a", "n2"), twin)
    for past in (history(), history(bound={"name:a": vm_id("a")})):
        plan = plan_for(world, desired("a", "n1"), past=past)
        assert plan.actions == ()
        assert verdict(plan, "a") is Verdict.CONFLICT
        assert hold(plan, "a").reason is HoldReason.NAME_AMBIGUOUS
    by_id = replace(desired("a", "n1"), key=f"id:{vm_id('a')}", name=None, id=vm_id("a"))
    plan = plan_for(world, by_id)
    assert plan.actions == ()
    assert hold(plan, "a").evidence["check"] == "sameName"


def test_another_vm_of_the_name_is_not_the_one_that_was_meant() -> None:
    """Deleted and made anew by hand: the id differs, so a person decides."""
    past = history(bound={"name:a": vm_id("old")})
    plan = plan_for(observed(N1, N2, vm("a", "n2")), desired("a", "n1"), past=past)
    assert plan.actions == ()
    assert hold(plan, "a").reason is HoldReason.NAME_TAKEN_BY_ANOTHER


def test_a_renamed_vm_keeps_its_identity() -> None:
    """The id was bound; the name was only a search key. No second VM is created."""
    renamed: VMObserved = replace(vm("a", "n2"), name="a-old")
    past = history(bound={"name:a": vm_id("a")})
    plan = plan_for(observed(N1, N2, renamed), created("a", "n1"), past=past)
    assert moves(plan) == ["a n2>n1"]


def test_two_specs_for_one_vm_freeze_both_and_stop_nothing_else() -> None:
    """By name and by id, or twice by name: the other VM goes on."""
    world = observed(N1, N2, vm("a", "n2"), vm("b", "n2"))
    by_id = replace(desired("a2", "n2"), key=f"id:{vm_id('a')}", name=None, id=vm_id("a"))
    plan = plan_for(world, desired("a", "n1"), by_id, desired("b", "n1"))
    assert moves(plan) == ["b n2>n1"]
    assert verdict(plan, "a") is verdict(plan, "a2") is Verdict.CONFLICT
    assert hold(plan, "a").reason is HoldReason.SPEC_CONFLICT
    twice = Conflict(key="name:a", vms=(desired("a", "n1"), desired("a", "n2")))
    specs = desired_state(desired("b", "n1"), conflicts=(twice,))
    plan = plan_for(world, specs=specs)
    assert moves(plan) == ["b n2>n1"]
    assert verdict(plan, "a") is Verdict.CONFLICT


def test_a_vm_seen_nowhere_is_unknown_while_a_node_is_silent() -> None:
    """Not missing: it may be there."""
    plan = plan_for(observed(N1, N2, gap("n2")), desired("a", "n1"))
    assert verdict(plan, "a") is Verdict.UNKNOWN
    assert hold(plan, "a").evidence["not_seen"] == "n2"


def test_a_vm_known_to_the_cluster_alone_is_unknown() -> None:
    """Its node does not answer, so what it does there is not known."""
    seen = replace(vm("a", "n2"), host=None)
    world = observed(N1, node("n2", answered=False), gap("n2"), seen)
    plan = plan_for(world, desired("a", "n1"))
    assert verdict(plan, "a") is Verdict.UNKNOWN
    assert plan.actions == ()


def test_a_suspended_vm_is_left_alone() -> None:
    """Whatever is wrong with it."""
    plan = plan_for(observed(N1, N2, vm("a", "n2")), desired("a", "n1", suspended=True))
    assert plan.actions == ()
    assert verdict(plan, "a") is Verdict.SUSPENDED


def test_a_saved_vm_is_not_started() -> None:
    """It would be resumed, not started; whoever saved it resumes it."""
    registered = history(intents=(intent("a", "n1", kind=REGISTER, state=IntentState.DONE),))
    want = desired("a", "n1", register=True, start=StartPolicy.AFTER_REGISTRATION)
    plan = plan_for(observed(N1, vm("a", "n1", state=VMState.SAVED)), want, past=registered)
    assert plan.actions == ()
    assert hold(plan, "a").reason is HoldReason.BUSY


def test_a_spec_by_id_creates_nothing() -> None:
    """Hyper-V draws the id of a new VM, so what is made could never be what is meant."""
    by_id = replace(created("new", "n1"), key=f"id:{vm_id('x')}", name=None, id=vm_id("x"))
    past = history(absent_cycles={by_id.key: 2})
    plan = plan_for(observed(N1), by_id, past=past)
    assert plan.actions == ()
    assert plan.holds[0].reason is HoldReason.NO_TEMPLATE


def test_a_registration_carries_its_report() -> None:
    """The plan shows each check with result and remedy before anything happens."""
    iso = vm("a", "n1", clustered=False, media_paths=(r"C:\iso\ws.iso",))
    (action,) = plan_for(observed(N1, iso), desired("a", "n1", register=True)).actions
    warned = [check for check in action.checks if check.verdict is CheckVerdict.WARNS]
    assert [check.name for check in warned] == [CheckName.MEDIA]
    assert warned[0].remedy
    assert len(action.checks) > 10
