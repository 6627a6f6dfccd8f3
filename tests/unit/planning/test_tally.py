"""What brakes count: changed and vanished specs, nodes that were away, results, the clock."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.model.control import Approval
from controller.model.desired import DesiredState
from controller.model.history import History, Intent, IntentState, SpecMark
from controller.model.observed import NodeState, ObservedState
from controller.model.plan import ActionKind
from controller.model.policy import Mode
from controller.planning.absorb import absorb
from controller.planning.tally import changed, declaration_digest, refused_in_a_row, vanished
from tests.builders import (
    NOW,
    desired,
    desired_state,
    history,
    intent,
    node,
    observed,
    own_move,
    policy,
    vm,
)

N1, N2 = node("n1"), node("n2")
NAMES = [f"v{i}" for i in range(12)]
WORLD = observed(N1, N2, *(vm(name, "n1", memory=1) for name in NAMES))


def declared(target: str, names: list[str], **changes: object) -> DesiredState:
    return desired_state(*(desired(name, target) for name in names), **changes)


def absorbed(
    past: History, specs: DesiredState, world: ObservedState = WORLD, seconds: float = 0
) -> History:
    now = NOW + timedelta(seconds=seconds)
    return absorb(past, specs, replace(world, started_at=now), now)


def test_the_first_look_accepts_what_is_declared() -> None:
    """Also for VMs that are elsewhere: whoever enforced, enforced this."""
    assert changed(absorbed(history(), declared("n2", NAMES))) == frozenset()


def test_a_changed_spec_counts_until_its_vm_complies() -> None:
    """However many commits come in between."""
    past = absorbed(history(), declared("n1", NAMES))
    past = absorbed(past, declared("n2", NAMES, revision="rev-2"), seconds=15)
    past = absorbed(past, declared("n2", NAMES, revision="rev-3"), seconds=30)
    assert len(changed(past)) == len(NAMES)
    arrived = observed(N1, N2, vm("v0", "n2"), *(vm(name, "n1", memory=1) for name in NAMES[1:]))
    past = absorbed(past, declared("n2", NAMES), arrived, seconds=45)
    assert changed(past) == {f"name:{name}" for name in NAMES[1:]}


def test_nothing_is_a_change_while_nothing_is_enforced() -> None:
    """Specs are written and rewritten in mode Observe; the switch to Enforce accepts them."""
    watching = policy(mode=Mode.OBSERVE)
    past = absorbed(history(), declared("n1", NAMES, policy=watching))
    past = absorbed(past, declared("n2", NAMES, policy=watching), seconds=15)
    assert changed(absorbed(past, declared("n2", NAMES), seconds=30)) == frozenset()


def test_an_approval_accepts_exactly_what_was_declared() -> None:
    """And not what is declared next."""
    past = absorbed(history(), declared("n1", NAMES))
    specs = declared("n2", NAMES)
    yes = Approval(digest=declaration_digest(specs), owner="ann", reason="meant so", at=NOW)
    past = absorbed(replace(past, approvals=(yes,)), specs, seconds=15)
    assert changed(past) == frozenset()
    past = absorbed(past, declared("n1", NAMES[:6]), seconds=30)
    assert len(vanished(past, declared("n1", NAMES[:6]))) == 6


@pytest.mark.parametrize(("left", "missed"), [(12, 0), (10, 0), (9, 3), (0, 12)])
def test_few_specs_may_vanish_and_many_are_missed(left: int, missed: int) -> None:
    """Two of twelve may."""
    past = absorbed(history(), declared("n1", NAMES))
    specs = declared("n1", NAMES[:left])
    assert len(vanished(absorbed(past, specs, seconds=15), specs)) == missed


def test_a_node_always_seen_up_is_steady_and_one_that_was_away_is_not() -> None:
    """Also when it was away before a restart, which the journal tells."""
    specs = declared("n1", NAMES)
    past = absorbed(history(), specs)
    assert past.node_up_since == {}
    for change in ({"state": NodeState.PAUSED}, {"draining": True}, {"isolated": True}):
        gone = absorbed(past, specs, observed(N1, node("n2", **change)), seconds=15)
        assert gone.nodes_away == {"n2"}
        back = absorbed(gone, specs, seconds=30)
        assert back.node_up_since == {"n2": NOW + timedelta(seconds=30)}
        again = absorbed(back, specs, seconds=60)
        assert again.node_up_since == back.node_up_since


def test_a_node_of_unknown_state_is_neither_away_nor_back() -> None:
    """Nothing was learned of it."""
    specs = declared("n1", NAMES)
    past = absorbed(history(nodes_away=frozenset({"n2"})), specs)
    unknown = observed(N1, node("n2", state=NodeState.UNKNOWN))
    assert absorbed(past, specs, unknown, seconds=15).node_up_since == past.node_up_since


def test_only_commands_that_left_and_had_no_effect_count_as_failed() -> None:
    """A refusal says that the world had changed, which is no failure."""
    quiet = NOW - timedelta(seconds=70)
    given_up = intent("v0", "n2", opened_at=quiet, first_quiet_at=quiet)
    refused = intent("v1", "n2", state=IntentState.NOT_DONE, closed_at=NOW)
    done = intent("v2", "n1", opened_at=quiet)
    past = absorbed(history(intents=(given_up, refused, done)), declared("n1", NAMES))
    assert [(r.vm, r.failed) for r in past.results] == [("v0", True), ("v2", False)]
    assert absorbed(past, declared("n1", NAMES), seconds=15).results == past.results


@pytest.mark.parametrize("back_seconds", [3600, 10 * 365 * 86400])
def test_a_clock_set_back_starts_what_it_counts_anew_and_waits_for_no_future(
    back_seconds: float,
) -> None:
    """A cooldown that began at a wrong time in the future must not last until then."""
    specs = declared("n1", NAMES)
    past = absorbed(history(moves=(own_move("v0", "n2", "n1"),)), specs)
    jumped = absorbed(past, specs, seconds=-back_seconds)
    now = NOW - timedelta(seconds=back_seconds)
    assert jumped.clock_jumped_at == now
    assert jumped.moves[0].seen_at == now
    assert jumped.last_look_at == now
    # One jump is one jump.
    assert absorbed(jumped, specs, seconds=15 - back_seconds).clock_jumped_at == now


def test_a_long_time_without_a_look_is_a_jump_and_a_slow_cycle_is_none() -> None:
    """Ten intervals, and two minutes at least; the first look of a process has none before it."""
    specs = declared("n1", NAMES)
    past = absorbed(history(), specs)
    assert past.clock_jumped_at is None
    assert absorbed(past, specs, seconds=149).clock_jumped_at is None
    assert absorbed(past, specs, seconds=151).clock_jumped_at == NOW + timedelta(seconds=151)


def test_after_a_jump_a_half_given_up_command_is_watched_anew() -> None:
    """One quiet look from before and one from after the jump are no two looks a settle apart."""
    specs = declared("n1", NAMES)
    open_one = intent("v0", "n2")
    past = absorbed(history(intents=(open_one,), last_look_at=NOW), specs)
    assert past.open_intents[0].first_quiet_at == NOW
    jumped = absorbed(past, specs, seconds=3600)
    assert jumped.open_intents[0].first_quiet_at == NOW + timedelta(seconds=3600)


def closed(kind: ActionKind, number: int, seconds_ago: float, **changes: object) -> Intent:
    """A command on `a` that a node refused, unless said otherwise."""
    fields: dict[str, Any] = {
        "id": f"i{number}",
        "state": IntentState.NOT_DONE,
        "refused": True,
        "detail": "notBusy: x",
        "closed_at": NOW - timedelta(seconds=seconds_ago),
    }
    return intent("a", "n2", kind=kind, **(fields | changes))


def test_refusals_are_counted_in_a_row_and_each_once() -> None:
    """However often the same past is looked at; a done command begins anew."""
    past, move = history(), ActionKind.MOVE
    for number in (1, 2, 2):
        intents = (closed(move, number, 100 - number),)
        past = replace(past, refusals=refused_in_a_row(past, intents, {}, NOW))
    assert [(r.kind, r.count) for r in past.refusals] == [("Move", 2)]
    done = closed(move, 3, 10, state=IntentState.DONE, refused=False)
    assert refused_in_a_row(past, (done,), {}, NOW) == ()
    not_sent = closed(move, 3, 10, refused=False)
    assert refused_in_a_row(past, (not_sent,), {}, NOW) == past.refusals


def test_another_spec_or_a_day_forgets_refusals() -> None:
    """What was refused of the old spec says nothing of the new one."""
    intents = (closed(ActionKind.CREATE, 1, 100),)
    refusals = refused_in_a_row(history(), intents, {}, NOW)
    past = history(refusals=refusals)
    mark = SpecMark(key="name:a", digest="d", accepted="d", since=NOW - timedelta(seconds=50))
    assert refused_in_a_row(past, intents, {"name:a": mark}, NOW) == ()
    assert refused_in_a_row(past, intents, {}, NOW + timedelta(days=1)) == ()
