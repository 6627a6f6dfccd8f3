"""Mode Suggest: what waits, what a yes covers, and what ends it."""

from dataclasses import replace
from datetime import timedelta

from controller.model.control import Approval, Stop, StopScope, StopSource
from controller.model.history import IntentState
from controller.model.observed import ObservedState, VMState
from controller.model.plan import ActionKind, HoldReason, Plan
from controller.model.policy import Mode
from controller.planning.approvals import LASTS, approve, ended, note_given, waiting_plan
from controller.planning.decide import decide, may_act
from tests.builders import (
    NOW,
    created,
    desired,
    desired_state,
    history,
    intent,
    node,
    observed,
    policy,
    vm,
    vm_id,
)

SPECS = desired_state(desired("A", "n1"), desired("B", "n1"), policy=policy(mode=Mode.SUGGEST))
NODES = node("n1"), node("n2"), node("n3")


def world(a: str = "n2", b: str = "n2", other: str = "n3") -> ObservedState:
    return observed(*NODES, vm("A", a), vm("B", b), vm("OTHER", other))


def suggested(seen: ObservedState, *approvals: Approval, **past: object) -> tuple[Plan, bool]:
    """The plan, and whether its commands may leave."""
    known = history(approvals=approvals, **past)
    plan, findings = decide(SPECS, seen, known, NOW)
    return plan, may_act(SPECS, known, findings, plan)


def yes_to(seen: ObservedState) -> Approval:
    plan, _ = suggested(seen)
    return approve(plan, owner="anna", reason="looks right", at=NOW - timedelta(seconds=20))


def test_a_plan_waits_and_names_its_digest() -> None:
    """The plan is the one that Enforce would carry out; one hold on everything says what is due."""
    plan, acts = suggested(world())
    assert not acts
    assert len(plan.ready()) == 2
    (hold,) = plan.holds
    assert hold.reason is HoldReason.SUGGESTED
    assert hold.evidence == {"digest": plan.digest, "waiting_since": NOW.isoformat()}


def test_nothing_waits_where_nothing_is_due() -> None:
    """A cluster as declared asks nobody."""
    plan, _ = suggested(world("n1", "n1"))
    assert plan.holds == ()


def test_the_approved_plan_goes_on_the_approved_state_only() -> None:
    """A VM of no spec that moved in between makes it another state: somebody has to look again."""
    approval = yes_to(world())
    assert suggested(world(), approval)[1]
    plan, acts = suggested(world(other="n2"), approval)
    assert not acts
    assert ended(history(approvals=(approval,)), plan, NOW) == (approval,)


def test_the_rest_of_the_plan_needs_no_second_yes() -> None:
    """A was moved on it; the state is another by our own doing, and B may follow."""
    given = intent("A", "n1", source="n2", state=IntentState.DONE)
    (approval,) = note_given(history(approvals=(yes_to(world()),), intents=(given,)))
    plan, acts = suggested(world(a="n1"), approval)
    assert acts
    assert [action.vm for action in plan.ready()] == ["B"]
    assert ended(history(approvals=(approval,)), plan, NOW) == ()


def test_no_action_goes_out_twice_on_one_yes() -> None:
    """The node refused, or an administrator moved it back: both are surprises."""
    given = intent("A", "n1", source="n2", state=IntentState.NOT_DONE)
    (approval,) = note_given(history(approvals=(yes_to(world()),), intents=(given,)))
    plan, acts = suggested(world(), approval)
    assert not acts
    assert ended(history(approvals=(approval,)), plan, NOW) == (approval,)


def test_other_specs_need_another_yes() -> None:
    """Even if what is left to do is part of what was approved."""
    given = intent("A", "n1", source="n2", state=IntentState.DONE)
    (approval,) = note_given(history(approvals=(yes_to(world()),), intents=(given,)))
    other = replace(SPECS, revision="rev-2")
    known = history(approvals=(approval,))
    plan, findings = decide(other, world(a="n1"), known, NOW)
    assert not may_act(other, known, findings, plan)


def test_a_command_that_perhaps_left_before_a_crash_counts_as_given() -> None:
    """All that the next process knows is an open intent."""
    lost = intent("A", "n1", source="n2", unknown=True)
    (approval,) = note_given(history(approvals=(yes_to(world()),), intents=(lost,)))
    assert len(approval.given) == 1


def test_what_was_given_before_the_yes_does_not_use_it_up() -> None:
    """An earlier approval's command, or one of mode Enforce."""
    before = intent("A", "n1", source="n2", opened_at=NOW - timedelta(hours=1))
    assert note_given(history(approvals=(yes_to(world()),), intents=(before,)))[0].given == ()


def test_a_yes_ends_with_its_plan_and_with_the_day() -> None:
    """Nobody's yes waits in a drawer for a cluster to look the same again."""
    approval = yes_to(world())
    plan, _ = suggested(world(), approval)
    past = history(approvals=(approval,))
    assert ended(past, plan, NOW) == ()
    assert ended(past, plan, approval.at + LASTS) == (approval,)
    done, _ = suggested(world("n1", "n1"))
    assert ended(past, done, NOW) == (approval,)


def test_a_stop_in_between_does_not_end_a_yes() -> None:
    """It holds everything and leaves the plan as it is."""
    stop = Stop(
        id="s1",
        scope=StopScope.CLUSTER,
        name="",
        source=StopSource.API,
        owner="bert",
        reason="fire drill",
        since=NOW,
    )
    approval = yes_to(world())
    plan, acts = suggested(world(), approval, stops=(stop,))
    assert (acts, [hold.reason for hold in plan.holds]) == (False, [HoldReason.STOPPED])
    assert ended(history(approvals=(approval,)), plan, NOW) == ()


def test_a_yes_to_a_creation_covers_the_vm_that_was_made_on_it_and_no_other() -> None:
    """An administrator may have made a VM of that name first: nobody approved to register that."""
    want, nodes = created("NEW", "n1"), (node("n1"), node("n2"))
    specs = desired_state(want, policy=policy(mode=Mode.SUGGEST))
    absent = {"absent_cycles": {want.key: 5}}
    plan, _ = decide(specs, observed(*nodes), history(**absent), NOW)
    yes = approve(plan, owner="anna", reason="r", at=NOW - timedelta(seconds=60))
    sent = intent("NEW", "n1", kind=ActionKind.CREATE)
    (yes,) = note_given(history(approvals=(yes,), intents=(sent,)))
    seen = observed(*nodes, vm("NEW", "n1", state=VMState.OFF, clustered=False))
    for state, acts in ((IntentState.DONE, True), (IntentState.NOT_DONE, False)):
        ended_so = replace(sent, state=state, closed_at=NOW)
        past = history(approvals=(yes,), intents=(ended_so,), bound={want.key: vm_id("NEW")})
        plan, findings = decide(specs, seen, past, NOW)
        assert {a.kind for a in plan.actions} == {ActionKind.REGISTER, ActionKind.START}
        assert may_act(specs, past, findings, plan) is acts
        assert ended(past, plan, NOW) == (() if acts else (yes,))
        registering = intent("NEW", "n1", kind=ActionKind.REGISTER, source="n1")
        (noted,) = note_given(replace(past, intents=(ended_so, registering)))
        assert (len(noted.given) == 2) is acts


def test_a_waiting_plan_keeps_its_time_and_names_what_it_supersedes() -> None:
    """Since when a plan waits is kept with the past, so that a restart changes nothing."""
    plan, _ = suggested(world())
    waiting = waiting_plan(SPECS.policy, history(), plan, NOW - timedelta(hours=1))
    assert waiting is not None
    again, _ = suggested(world(), waiting=waiting)
    assert again.holds[0].evidence["waiting_since"] == waiting.since.isoformat()
    moved, _ = suggested(world("n2", "n2", "n1"), waiting=waiting)
    assert moved.holds[0].evidence["supersedes"] == plan.digest
    assert moved.holds[0].evidence["because"] == "the cluster is not as it was"
    fewer, _ = suggested(world("n1", "n2"), waiting=waiting)
    assert fewer.holds[0].evidence["because"] == "other changes are due"
