"""Disks of others, creations that broke off, and attempts that a node has refused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.model.desired import DiskTemplate, VMDesired
from controller.model.history import History, IntentState
from controller.model.observed import VMState
from controller.model.plan import ActionKind, HoldReason, Verdict
from controller.planning.absorb import absorb
from controller.planning.audit import audit
from controller.planning.sentences import hold_sentence
from tests.builders import (
    NOW,
    VOLUME,
    created,
    desired,
    desired_state,
    history,
    intent,
    moving,
    node,
    observed,
    refused,
    role,
    template,
    vm,
)
from tests.unit.planning.planned import hold, kinds, moves, plan_for, verdict

N1, N2 = node("n1"), node("n2")
OS = rf"{VOLUME}\NEW\os.vhdx"
ABSENT = history(absent_cycles={"name:new": 2, "name:new2": 2})
CREATE, REGISTER, START = ActionKind.CREATE, ActionKind.REGISTER, ActionKind.START


def with_disk(name: str, path: str, size: int | None = None) -> VMDesired:
    return created(name, template=template(disks=(DiskTemplate(path=path, create_bytes=size),)))


def broken_off(seconds: float = 75, detail: str = "nothing was seen") -> History:
    """A creation that ended without its effect, so long after it was sent."""
    sent = intent("new", "n1", kind=CREATE, state=IntentState.NOT_DONE, detail=detail)
    return history(
        intents=(replace(sent, closed_at=sent.opened_at + timedelta(seconds=seconds)),),
        absent_cycles={"name:new": 2},
    )


@pytest.mark.parametrize("size", [None, 1024**3])
@pytest.mark.parametrize("path", [rf"{VOLUME}\OLD01\OS.vhdx", rf"{VOLUME}\x\..\old01\.\os.vhdx"])
def test_a_disk_of_another_vm_is_never_attached(path: str, size: int | None) -> None:
    """A spec names the disk of a VM that no spec names: to boot from it would destroy it."""
    world = observed(N1, N2, vm("OLD01", "n2"))
    thief = with_disk("new", path, size)
    plan = plan_for(world, thief, past=ABSENT)
    assert plan.actions == ()
    assert hold(plan, "new").reason is HoldReason.DISK_IN_USE
    assert hold(plan, "new").evidence == {"disk": path, "in_use_by": "OLD01 on n2"}
    honest = plan_for(observed(N1, N2), thief, past=ABSENT)
    assert kinds(honest) == [CREATE, REGISTER, START]
    findings = audit(honest, desired_state(thief), world, ABSENT, NOW)
    assert "disk in use" in {finding.rule for finding in findings}


def test_two_templates_with_one_disk_are_both_held() -> None:
    """Which one is meant nobody can tell; a third goes on."""
    shared = rf"{VOLUME}\images\base.vhdx"
    wants = (with_disk("new", shared), with_disk("new2", shared.upper()))
    plan = plan_for(observed(N1), *wants, past=ABSENT)
    assert plan.actions == ()
    assert hold(plan, "new").evidence["in_use_by"] == "new2"
    assert hold(plan, "new2").evidence["in_use_by"] == "new"
    lone = with_disk("new2", rf"{VOLUME}\images\other.vhdx")
    assert len(plan_for(observed(N1), wants[0], lone, past=ABSENT).ready()) == 2


def test_a_template_waits_for_a_creation_under_way_with_its_disk() -> None:
    """The disk is not attached yet, and is promised."""
    wants = (with_disk("new", OS), with_disk("new2", OS))
    sent = history(intents=(intent("new2", "n1", kind=CREATE),), absent_cycles={"name:new": 2})
    assert hold(plan_for(observed(N1), *wants, past=sent), "new").reason is HoldReason.DISK_IN_USE


def test_disks_that_nobody_tells_hold_a_creation() -> None:
    """A VM in mid-failover is known to the cluster alone: the disk may be its own."""
    nowhere = replace(vm("x", "n2"), host=None, role=role("x", None), disk_paths=())
    plan = plan_for(observed(N1, N2, nowhere), with_disk("new", OS), past=ABSENT)
    assert plan.actions == ()
    assert hold(plan, "new").reason is HoldReason.VIEW_INCOMPLETE


def test_a_vm_without_a_mark_after_our_creation_is_not_registered() -> None:
    """The job died between New-VM and its mark: an empty shell was registered and started."""
    shell = vm("new", "n1", clustered=False, state=VMState.OFF, disk_paths=())
    plan = plan_for(observed(N1, shell), with_disk("new", OS), past=broken_off())
    assert plan.actions == ()
    assert verdict(plan, "new") is Verdict.MISSING
    assert hold(plan, "new").reason is HoldReason.HALF_CREATED


def test_whose_an_unmarked_vm_is_a_person_says() -> None:
    """By making it highly available; and where our creation was refused, it was never ours."""
    want = created("new")
    theirs = vm("new", "n1", clustered=False, state=VMState.OFF)
    plan = plan_for(observed(N1, theirs), want, past=broken_off())
    assert hold(plan, "new").reason is HoldReason.HALF_CREATED
    assert plan_for(observed(N1, vm("new", "n1")), want, past=broken_off()).holds == ()
    refused = broken_off(seconds=1, detail="nameFree: 1")
    assert kinds(plan_for(observed(N1, theirs), want, past=refused)) == [REGISTER, START]


def test_a_creation_that_broke_off_is_remembered_while_its_shell_stands() -> None:
    """A day later the shell would be taken for an administrator's."""
    specs, later = desired_state(created("new")), NOW + timedelta(days=2)
    shell = observed(N1, vm("new", "n1", clustered=False), at=later)
    assert len(absorb(broken_off(), specs, shell, later).intents) == 1
    assert absorb(broken_off(), specs, observed(N1, at=later), later).intents == ()


@pytest.mark.parametrize("clustered", [True, False])
def test_a_vm_of_our_making_that_lacks_a_disk_is_not_finished(clustered: bool) -> None:
    """Neither registered nor started, even with the mark of a finished creation."""
    made = history(intents=(intent("new", "n1", kind=CREATE, state=IntentState.DONE),))
    want, mark = with_disk("new", OS), "intent-create-new:created"
    fields = {"clustered": clustered, "state": VMState.OFF, "creation_mark": mark}
    plan = plan_for(observed(N1, vm("new", "n1", disk_paths=(), **fields)), want, past=made)
    assert plan.actions == ()
    assert hold(plan, "new").reason is HoldReason.HALF_CREATED
    whole = vm("new", "n1", disk_paths=(OS.lower(),), **fields)
    assert kinds(plan_for(observed(N1, whole), want, past=made))[-1] is START


@pytest.mark.parametrize("kind", [CREATE, REGISTER])
def test_what_no_look_shows_is_asked_again_after_a_rest(kind: ActionKind) -> None:
    """A refused creation was sent again at every look, for ever."""
    last = refused("new", kind, 1, "roleNameFree: NEW")
    past = history(refusals=(last,), absent_cycles={"name:new": 2})
    parts = () if kind is CREATE else (vm("new", "n1", clustered=False),)
    plan = plan_for(observed(N1, *parts), created("new"), past=past)
    held = hold(plan, "new")
    assert plan.actions == ()
    assert (held.reason, held.until) == (HoldReason.REFUSED, NOW + timedelta(seconds=600))
    assert hold_sentence(held).startswith("a node refused it (roleNameFree: NEW); it is asked")
    later = NOW + timedelta(seconds=600)
    again = plan_for(observed(N1, *parts, at=later), created("new"), past=past, now=later)
    assert kinds(again)[0] is kind
    seen = replace(past, refusals=(replace(last, detail="nodeUp: 2"),))
    assert kinds(plan_for(observed(N1, *parts), created("new"), past=seen))[0] is kind


def test_moves_to_and_from_a_node_wait_for_its_failback() -> None:
    """The cluster returns to it what was drained: two movers of one VM would meet."""
    returning = node("n2", failback_in_progress=True)
    away = plan_for(observed(N1, returning, vm("a", "n2")), desired("a", "n1"))
    assert away.actions == ()
    assert hold(away, "a").reason is HoldReason.FAILBACK_UNDER_WAY
    thither = plan_for(observed(N1, returning, vm("a", "n1")), desired("a", "n2"))
    assert thither.actions == ()
    assert moves(plan_for(observed(N1, N2, vm("a", "n2")), desired("a", "n1"))) == ["a n2>n1"]


@pytest.mark.parametrize("flag", ["isolated", "quarantined", "placement_avoided"])
def test_nothing_is_registered_or_started_where_the_cluster_takes_no_vm(flag: str) -> None:
    """The node would refuse it at every look."""
    world = observed(node("n1", **{flag: True}), N2, vm("a", "n1", clustered=False))
    plan = plan_for(world, desired("a", register=True))
    assert plan.actions == ()
    assert hold(plan, "a").reason is HoldReason.TARGET_UNFIT


def test_a_move_without_a_told_end_is_told_without_one() -> None:
    """It read: somebody else is moving it to not told."""
    plan = plan_for(observed(N1, N2, moving(vm("a", "n2"), None)), desired("a", "n1"))
    assert hold_sentence(hold(plan, "a")) == "somebody else is moving it"
    plan = plan_for(observed(N1, N2, node("n3"), moving(vm("a", "n2"), "n3")), desired("a", "n1"))
    assert hold_sentence(hold(plan, "a")) == "somebody else is moving it to n3"
