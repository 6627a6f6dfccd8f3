"""The report of a cycle: verdicts, sentences, events, and whether the cluster has converged."""

from dataclasses import replace

import pytest

from controller.model.checks import CheckVerdict
from controller.model.history import History
from controller.model.observed import NodeState, ObservedState, VMState
from controller.model.plan import ActionReason, HoldReason
from controller.model.report import ClusterReport, Outcome, OutcomeResult
from controller.planning.decide import decide
from controller.planning.identity import roster
from controller.planning.preflight import availability, surroundings
from controller.planning.sentences import HOLDS, action_sentence, hold_sentence
from controller.planning.summary import summarise
from tests.builders import (
    NOW,
    desired,
    desired_state,
    foreign_move,
    gap,
    history,
    intent,
    moving,
    node,
    observed,
    policy,
    vm,
)

N1, N2 = node("n1"), node("n2")


def report(
    world: ObservedState,
    *wants: object,
    past: History | None = None,
    outcomes: tuple[Outcome, ...] = (),
    previous: ClusterReport | None = None,
    **limits: object,
) -> ClusterReport:
    """The report on that world."""
    past = past or history()
    specs = desired_state(*(wants or (desired("a", "n1"),)), policy=policy(**limits))
    plan, findings = decide(specs, world, past, NOW)
    return summarise(
        specs, world, past, plan, findings, outcomes, cycle=1, acted=True, previous=previous
    )


SETTLED = observed(N1, N2, vm("a", "n1"))


def test_a_settled_cluster_has_converged_and_says_so_once() -> None:
    """The first report introduces the cluster; the next ones have nothing to tell."""
    first = report(SETTLED)
    assert first.converged
    assert first.events[-1] == "demo has converged."
    assert first.vms[0].sentence == "a is on n1, its first preferred owner."
    again = report(SETTLED, previous=first)
    assert again.converged
    assert again.events == ()


@pytest.mark.parametrize(
    "world",
    [
        observed(N1, N2, vm("a", "n2")),
        observed(N1, N2, moving(vm("a", "n2"), "n1")),
        observed(N1, N2, gap("n2"), vm("a", "n1")),
        observed(N1, N2, vm("a", "n2", busy="MergingDisks")),
    ],
)
def test_a_cluster_with_something_to_do_has_not_converged(world: ObservedState) -> None:
    """Due, under way, unseen, or waiting for time alone."""
    assert not report(world).converged


def test_an_open_intent_is_not_converged() -> None:
    """Its effect may still come."""
    assert not report(SETTLED, past=history(intents=(intent("a", "n1", source="n2"),))).converged


@pytest.mark.parametrize(
    ("world", "want"),
    [
        (observed(N1, N2, vm("a", "n2", state=VMState.OFF)), desired("a", "n1")),
        (observed(N1, N2, vm("a", "n2")), desired("a", "n9")),
        (observed(N1, N2, vm("a", "n2")), desired("a", "n1", suspended=True)),
        (observed(N1, N2), desired("a", "n1")),
        (observed(node("n1", free=0), N2, vm("a", "n2")), desired("a", "n1")),
        (observed(node("n1", state=NodeState.PAUSED), N2, vm("a", "n2")), desired("a", "n1")),
    ],
)
def test_what_waits_for_a_person_does_not_keep_a_cluster_from_converging(
    world: ObservedState, want: object
) -> None:
    """Nothing that this program could do is due."""
    assert report(world, want).converged


def test_a_hold_on_acting_does_not_matter_where_nothing_is_due() -> None:
    """The balancer is on and everything is in place: converged. With work to do: not."""
    assert report(replace(SETTLED, balancer_mode=2)).converged
    assert not report(observed(N1, N2, vm("a", "n2"), balancer_mode=2)).converged
    assert not report(replace(SETTLED, started_at=NOW.replace(hour=11))).converged


def test_events_tell_what_changed_since_the_last_report() -> None:
    """A move by somebody else, a silent node, a verdict: one sentence each."""
    first = report(SETTLED)
    past = history(foreign=(foreign_move("a", "n1", "n2"),))
    second = report(observed(N1, N2, vm("a", "n2")), past=past, previous=first)
    assert second.events == (
        "a was moved from n1 to n2 by somebody else.",
        second.vms[0].sentence,
    )
    assert second.vms[0].sentence == (
        "a is on n2 and belongs on n1; somebody else moved it from n1 to n2; it is left there"
        " until 12:29:00 UTC."
    )
    third = report(observed(N1, N2, gap("n2"), vm("a", "n2")), past=past, previous=second)
    assert third.events == ("n2 could not be seen (Unreachable): no answer.",)


def test_the_answer_to_a_command_is_an_event() -> None:
    """Refusals name the condition and what was found."""
    moved = report(observed(N1, N2, vm("a", "n2")))
    action = moved.plan.actions[0]
    outcome = Outcome(
        intent_id="i", action=action, result=OutcomeResult.REFUSED, condition="vmRunning", found="3"
    )
    told = report(observed(N1, N2, vm("a", "n2")), outcomes=(outcome,), previous=moved)
    why = "n2 is not among its preferred owners (vmRunning found 3)"
    assert told.events == (f"The node refused to move a from n2 to n1: {why}.",)


def test_every_hold_and_every_reason_has_its_words() -> None:
    """A new member of a closed enum needs a sentence."""
    assert set(HOLDS) == set(HoldReason)
    action = report(observed(N1, N2, vm("a", "n2"))).plan.actions[0]
    for reason in ActionReason:
        assert action_sentence(replace(action, reason=reason, because_of="b")).startswith("move a")


def test_no_sentence_has_a_hole() -> None:
    """Every placeholder is filled by the evidence that its guard gives."""
    worlds = (
        observed(N1, N2, vm("a", "n2", state=VMState.OFF)),
        observed(N1, N2, vm("a", "n2", busy="MergingDisks")),
        observed(N1, N2, vm("a", "n2", role_changes={"locked": True})),
        observed(N1, N2, moving(vm("a", "n2"), None)),
        observed(node("n1", free=0), N2, vm("a", "n2")),
        observed(N1, N2, gap("n2")),
        observed(N1, N2),
    )
    for world in worlds:
        for hold in report(world).plan.holds:
            sentence = hold_sentence(hold)
            assert "  " not in sentence
            assert not sentence.endswith((" ", ":"))


def test_the_high_availability_report_warns_as_the_wizard_does() -> None:
    """Media elsewhere warn, disks elsewhere block, and what is not known is said."""
    seen = vm(
        "a",
        "n1",
        media_paths=(r"C:\iso\ws.iso", "physical:D:"),
        disk_paths=(r"C:\ClusterStorage\Volume1\a.vhdx", r"E:\data.vhdx"),
        configuration_path="",
    )
    world = observed(N1, seen)
    around = surroundings(world, roster(world), policy(), NOW, targets={})
    checks = {c.name: c for c in availability(desired("a"), seen, around)}
    told = {n: c.verdict for n, c in checks.items() if c.verdict is not CheckVerdict.PASSES}
    assert told == {
        "configuration": CheckVerdict.CANNOT_TELL,
        "disks": CheckVerdict.BLOCKS,
        "media": CheckVerdict.WARNS,
    }
    assert "sameName" in checks
    assert checks["disks"].found == r"E:\data.vhdx"
    assert all(c.remedy for c in checks.values() if c.verdict is not CheckVerdict.PASSES)
    whole = report(SETTLED, desired("a", "n1", register=True)).vms[0].ha
    assert {c.verdict for c in whole} == {CheckVerdict.PASSES}


def test_what_still_holds_is_said_when_something_else_lets_go() -> None:
    """A log that ends with "No longer so" made people wait for moves that never came."""
    drifted = observed(N1, N2, vm("a", "n2"), balancer_mode=2)
    first = report(drifted, past=history(trusted=False))
    assert sum(event.startswith("Nothing new starts: ") for event in first.events) == 2
    freed, held = report(drifted, previous=first).events
    assert freed.startswith("No longer so: there is no journal to trust")
    assert held.startswith("Still so: the cluster's own balancer is on")


def test_vm_that_left_the_specs_is_listed_whatever_they_come_from() -> None:
    """A folder knows no history: the journal does, while the VM is there and no spec names it."""
    world = observed(N1, N2, vm("a", "n1"), vm("b", "n2"), vm("stranger", "n2"))
    ids = {seen.name: seen.id for seen in world.vms}
    past = history(bound={"name:a": ids["a"], "name:b": ids["b"], "name:gone": "vm-gone"})
    before = report(world, desired("a", "n1"), desired("b", "n2"), past=past)
    assert before.undeclared == ()
    after = report(world, past=past, previous=before)
    assert [left.vm for left in after.undeclared] == ["b"]
    assert after.events == ("b is no longer declared; nothing is done about it.",)
    assert report(world, past=past, previous=after).events == ()
    by_id = desired("other", "n2", id=ids["b"])
    assert report(world, desired("a", "n1"), by_id, past=past).undeclared == ()
