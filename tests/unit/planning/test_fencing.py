"""Who may act on a cluster, by what its database shows; and when the cluster is claimed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.model.checkup import Check, CheckName, CheckResult
from controller.model.control import Fence
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import HoldReason
from controller.model.policy import Mode
from controller.planning.absorb import absorb
from controller.planning.decide import claim_due, decide, may_act
from tests.builders import NOW, desired, desired_state, gap, history, node, observed, vm

OURS, THEIRS = "aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"
WORLD = observed(node("n1"), node("n2"), vm("a", "n2"))
WANT = desired_state(desired("a", "n1"))


def showing(
    epoch: int | None, holder: str | None = None, world: ObservedState = WORLD
) -> ObservedState:
    return replace(world, epoch=epoch, epoch_holder=holder)


def claimed(epoch: int | None) -> History:
    return replace(history(), epoch=epoch, holder=OURS)


def holds(world: ObservedState, past: History) -> list[HoldReason]:
    """What holds the whole cluster after this look."""
    plan, _ = decide(WANT, world, absorb(past, WANT, world, NOW), NOW)
    return [hold.reason for hold in plan.holds if hold.key == ""]


@pytest.mark.parametrize(
    ("epoch", "world", "expected"),
    [
        (7, showing(7, OURS), []),
        (7, showing(7, OURS.upper()), []),
        (None, showing(7, OURS), [HoldReason.EPOCH_NOT_CLAIMED]),
        (None, showing(7, THEIRS), [HoldReason.EPOCH_NOT_CLAIMED]),
        (7, showing(None), [HoldReason.EPOCH_NOT_CLAIMED]),
        (7, showing(6, THEIRS), [HoldReason.EPOCH_NOT_CLAIMED]),
        (7, showing(6, OURS), [HoldReason.EPOCH_NOT_CLAIMED]),
        (7, showing(8, THEIRS), [HoldReason.SUPERSEDED]),
        (7, showing(7, THEIRS), [HoldReason.SUPERSEDED]),
    ],
)
def test_only_who_the_cluster_shows_acts(
    epoch: int | None, world: ObservedState, expected: list[HoldReason]
) -> None:
    """Its own epoch and its own name, both; a claim above it, or beside it, ends its acting."""
    assert holds(world, claimed(epoch)) == expected


def test_a_superseded_process_never_acts_again() -> None:
    """Not even when the newer claim is gone: only a restart claims."""
    past = absorb(claimed(7), WANT, showing(8, THEIRS), NOW)
    assert past.superseded
    later = NOW + timedelta(seconds=15)
    world = replace(showing(7, OURS), started_at=later, completed_at=later)
    after = absorb(past, WANT, world, later)
    plan, findings = decide(WANT, world, after, later)
    assert not may_act(WANT, after, findings, plan)
    assert claim_due(past, WANT, showing(None), NOW) is None


def test_a_claim_is_above_all_that_is_known() -> None:
    """Above what the cluster shows, and above what this process claimed before."""
    assert claim_due(claimed(None), WANT, showing(None), NOW) == Fence(epoch=1, holder=OURS)
    assert claim_due(claimed(None), WANT, showing(41, THEIRS), NOW) == Fence(epoch=42, holder=OURS)
    # The database was restored, or our claim was lost or broken off after the holder's name.
    assert claim_due(claimed(7), WANT, showing(3, THEIRS), NOW) == Fence(epoch=8, holder=OURS)
    assert claim_due(claimed(7), WANT, showing(6, OURS), NOW) == Fence(epoch=8, holder=OURS)
    assert claim_due(claimed(7), WANT, showing(7, OURS), NOW) is None


def test_nothing_is_claimed_that_could_not_be_acted_on() -> None:
    """No complete view, no past to trust, no permission, or a person's stop: not a word written."""
    past, world = claimed(None), showing(None)
    assert claim_due(past, WANT, world, NOW) is not None
    observe = replace(WANT, policy=replace(WANT.policy, mode=Mode.OBSERVE))
    check = Check(node="n1", name=CheckName.QUOTAS, result=CheckResult.FAIL, found="low")
    refused = {
        "Observe": claim_due(past, observe, world, NOW),
        "a gap": claim_due(past, WANT, observed(node("n1"), node("n2"), gap("n2")), NOW),
        "no trust": claim_due(replace(past, trusted=False, quiet_cycles=0), WANT, world, NOW),
        "the flag": claim_due(past, WANT, replace(world, stop_flag="freeze"), NOW),
        "old": claim_due(past, WANT, world, NOW + timedelta(seconds=3600)),
        "a failed check": claim_due(replace(past, unfit=(check,)), WANT, world, NOW),
    }
    assert refused == dict.fromkeys(refused)


def test_the_flag_in_the_cluster_holds_everything_and_tells_its_text() -> None:
    """In every mode, so that whoever only looks sees it too."""
    world = replace(showing(7, OURS), stop_flag="change freeze")
    plan, findings = decide(WANT, world, claimed(7), NOW)
    (hold,) = (h for h in plan.holds if h.key == "")
    assert (hold.reason, hold.evidence["reason"]) == (HoldReason.STOPPED, "change freeze")
    assert not may_act(WANT, claimed(7), findings, plan)


def test_a_missing_claim_is_no_news_while_something_else_forbids_acting() -> None:
    """The claim then waits for that, and not the other way round."""
    world = replace(showing(None), balancer_mode=2)
    assert holds(world, claimed(None)) == [HoldReason.BALANCER_ON]
