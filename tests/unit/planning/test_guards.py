"""Every brake: what it holds, what it does not, and when it lets go."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from controller.model.control import Stop, StopScope, StopSource
from controller.model.desired import DesiredState, Failback
from controller.model.history import Result, SpecMark
from controller.model.observed import NodeState
from controller.model.plan import ActionKind, HoldReason, Plan, Verdict
from controller.model.window import ChangeWindow, WindowEffect, parse_cron
from controller.planning.decide import decide, may_act
from controller.planning.sentences import hold_sentence
from controller.planning.tally import spec_digest
from tests.builders import (
    NOW,
    created,
    desired,
    desired_state,
    history,
    intent,
    moving,
    node,
    observed,
    own_move,
    policy,
    refused,
    vm,
    vm_id,
)
from tests.unit.planning.planned import hold, moves, plan_for, verdict

N1, N2, N3 = node("n1"), node("n2"), node("n3")
MANY = [f"v{i}" for i in range(8)]


def cluster_holds(plan: Plan) -> list[HoldReason]:
    return [h.reason for h in plan.holds if h.key == ""]


def stop(scope: StopScope, name: str = "", **changes: Any) -> Stop:
    fields = {"id": "s1", "source": StopSource.API, "owner": "ann", "reason": "demonstration"}
    return Stop(scope=scope, name=name, since=NOW, **(fields | changes))


def all_to_n2(**changes: Any) -> DesiredState:
    """Eight VMs on n1 that belong on n2."""
    return desired_state(*(desired(name, "n2") for name in MANY), **changes)


ALL_ON_N1 = observed(N1, N2, *(vm(name, "n1", memory=1) for name in MANY))


# Stops and pauses


def test_a_stop_holds_everything_new_until_it_ends() -> None:
    """By its own time, or until somebody resumes."""
    world, want = observed(N1, N2, vm("a", "n2")), desired("a", "n1")
    until = NOW + timedelta(minutes=5)
    for scope in (StopScope.CLUSTER, StopScope.EVERYTHING):
        past = history(stops=(stop(scope, until=until),))
        plan = plan_for(world, want, past=past)
        (held,) = (h for h in plan.holds if h.key == "")
        assert (held.reason, held.until) == (HoldReason.STOPPED, until)
        assert held.evidence["owner"] == "ann"
        assert not may_act(desired_state(want), past, (), plan)
        assert (
            cluster_holds(plan_for(replace(world, started_at=until), want, past=past, now=until))
            == []
        )


@pytest.mark.parametrize("name", ["A", vm_id("a")])
def test_a_paused_vm_is_left_alone_and_the_others_are_not(name: str) -> None:
    """By name, in any case, or by id."""
    world = observed(N1, N2, vm("a", "n2"), vm("b", "n2"))
    past = history(stops=(stop(StopScope.VM, name),))
    plan = plan_for(world, desired("a", "n1"), desired("b", "n1"), past=past)
    assert hold(plan, "a").reason is HoldReason.PAUSED
    assert moves(plan) == ["b n2>n1"]


def test_a_paused_node_is_neither_left_nor_gone_to() -> None:
    """A VM that belongs there waits: elsewhere it would move twice."""
    world = observed(N1, N2, N3, vm("a", "n2"), vm("b", "n3"))
    past = history(stops=(stop(StopScope.NODE, "N2"),))
    plan = plan_for(world, desired("a", "n1"), desired("b", "n2", "n1"), past=past)
    assert plan.actions == ()
    assert {h.vm: h.reason for h in plan.holds} == dict.fromkeys("ab", HoldReason.PAUSED)


def test_a_paused_vm_is_not_created_either() -> None:
    """Nor registered, nor started."""
    want, seen = created("a", "n1"), observed(N1, N2)
    past = history(stops=(stop(StopScope.VM, "a"),), absent_cycles={want.key: 5})
    assert hold(plan_for(seen, want, past=past), "a").reason is HoldReason.PAUSED
    seen = observed(N1, N2, vm("a", "n1", clustered=False))
    assert hold(plan_for(seen, want, past=past), "a").reason is HoldReason.PAUSED


# Pace


def test_a_node_that_came_back_takes_nothing_for_ten_minutes() -> None:
    """The VM waits for it, and does not go to its second choice meanwhile."""
    world, want = observed(N1, N2, N3, vm("a", "n3")), desired("a", "n1", "n2")
    past = history(node_up_since={"n1": NOW - timedelta(minutes=4)})
    held = hold(plan_for(world, want, past=past), "a")
    assert (held.reason, held.until) == (HoldReason.NODE_NOT_STABLE, NOW + timedelta(minutes=6))
    past = history(node_up_since={"n1": NOW - timedelta(minutes=10)})
    assert moves(plan_for(world, want, past=past)) == ["a n3>n1"]


def test_nothing_is_created_on_a_node_that_came_back() -> None:
    """As with moves."""
    want = created("a", "n1")
    past = history(node_up_since={"n1": NOW}, absent_cycles={want.key: 5})
    plan = plan_for(observed(N1, N2), want, past=past)
    assert (plan.actions, hold(plan, "a").reason) == ((), HoldReason.NODE_NOT_STABLE)


def test_registration_does_not_wait_for_the_target_of_a_later_move() -> None:
    """Only the move does."""
    want = desired("a", "n1", register=True)
    world = observed(N1, N2, vm("a", "n2", clustered=False))
    plan = plan_for(world, want, past=history(node_up_since={"n1": NOW}))
    assert [a.kind.value for a in plan.actions] == ["Register"]


MOVES = tuple(own_move("a", "n2", "n1", ago_seconds=3600 * h) for h in (9, 6, 3))


def test_a_vm_moved_three_times_in_a_day_is_contested() -> None:
    """Until the first of the moves is a day old."""
    world, want = observed(N1, N2, vm("a", "n2")), desired("a", "n1")
    held = hold(plan_for(world, want, past=history(moves=MOVES)), "a")
    assert (held.reason, held.until) == (HoldReason.CONTESTED, NOW + timedelta(hours=15))
    assert moves(plan_for(world, want, past=history(moves=MOVES[1:]))) == ["a n2>n1"]


def test_moves_count_at_an_unchanged_spec_only() -> None:
    """Whoever changes the spec wants it moved."""
    world, want = observed(N1, N2, vm("a", "n2")), desired("a", "n1")
    changed = SpecMark(key=want.key, digest="d", accepted="d", since=NOW - timedelta(hours=5))
    past = history(moves=MOVES, specs={want.key: changed})
    assert moves(plan_for(world, want, past=past)) == ["a n2>n1"]


def test_a_hop_and_its_return_count_once_and_a_return_is_always_made() -> None:
    """Else a VM would be stranded on a stop of ours."""
    world, want = observed(N1, N2, vm("a", "n2")), desired("a", "n1")
    pair = [own_move("a", "n1", "n2", ago_seconds=3600 * h, hop=True) for h in (9, 6)]
    assert moves(plan_for(world, want, past=history(moves=(*pair, MOVES[2])))) == ["a n2>n1"]
    stranded = (*MOVES, own_move("a", "n1", "n2", hop=True))
    assert moves(plan_for(world, want, past=history(moves=stranded))) == ["a n2>n1"]


def test_three_unknown_outcomes_stop_everything_new() -> None:
    """Two do not."""
    lost = [intent(name, "n2", unknown=True) for name in MANY[:3]]
    for count, reasons in ((2, []), (3, [HoldReason.OUTCOMES_UNKNOWN])):
        plan = plan_for(ALL_ON_N1, specs=all_to_n2(), past=history(intents=tuple(lost[:count])))
        assert cluster_holds(plan) == reasons


def results(*ends: tuple[str, bool, float]) -> tuple[Result, ...]:
    """VM, whether it failed, minutes ago."""
    return tuple(
        Result(
            intent=f"i{n}",
            key=f"name:{name}",
            vm=name,
            failed=failed,
            at=NOW - timedelta(minutes=minutes),
        )
        for n, (name, failed, minutes) in enumerate(ends)
    )


THREE = (("v0", True, 44.0), ("v1", True, 43.0), ("v2", True, 42.0))


def test_three_failures_stop_everything_for_half_an_hour() -> None:
    """From the last of them."""
    failed = results(*((name, bad, minutes - 30) for name, bad, minutes in THREE))
    plan = plan_for(ALL_ON_N1, specs=all_to_n2(), past=history(results=failed))
    (held,) = (h for h in plan.holds if h.key == "")
    assert (held.reason, held.until) == (HoldReason.FAILURES, NOW + timedelta(minutes=18))


def test_after_the_pause_one_command_is_tried_of_another_vm() -> None:
    """None more while it is open; it is the proof, and the rest follows."""
    past = history(results=results(*THREE))
    plan = plan_for(ALL_ON_N1, specs=all_to_n2(), past=past)
    assert (moves(plan), cluster_holds(plan)) == (["v3 n1>n2"], [])
    assert hold(plan, "v4").reason is HoldReason.FAILURES
    open_one = replace(past, intents=(intent("v3", "n2"),))
    assert plan_for(ALL_ON_N1, specs=all_to_n2(), past=open_one).actions == ()
    proved = replace(past, results=results(*THREE, ("v3", False, 1.0)))
    assert len(moves(plan_for(ALL_ON_N1, specs=all_to_n2(), past=proved))) == 8


def test_what_ended_well_during_the_pause_is_no_probe() -> None:
    """It left before the failures were known."""
    past = history(results=results(*THREE, ("v3", False, 30.0)))
    assert len(moves(plan_for(ALL_ON_N1, specs=all_to_n2(), past=past))) == 1


def test_a_vm_that_keeps_failing_waits_ever_longer_and_holds_up_no_other() -> None:
    """One failure is chance; after two 4 minutes, after three 8, and 30 at most."""
    world = observed(N1, N2, vm("a", "n1"), vm("b", "n1"))
    wants = (desired("a", "n2"), desired("b", "n2"))
    for failures, minutes in ((1, 0), (2, 4), (3, 8), (6, 30)):
        failed = results(*[("a", True, 0.0)] * failures)
        plan = plan_for(world, *wants, past=history(results=failed))
        assert "b n1>n2" in moves(plan)
        assert cluster_holds(plan) == []
        if minutes:
            held = hold(plan, "a")
            assert held.reason is HoldReason.FAILURES
            assert held.until == NOW + timedelta(minutes=minutes)
        else:
            assert "a n1>n2" in moves(plan)


@pytest.mark.parametrize(("count", "minutes"), [(1, 0), (2, 4), (3, 8), (4, 16), (5, 30), (9, 30)])
def test_what_nodes_refuse_in_a_row_is_asked_again_ever_later(count: int, minutes: int) -> None:
    """Once is chance, for the next look shows why; and no other VM waits."""
    world = observed(N1, N2, vm("a", "n1"), vm("b", "n1"))
    past = history(refusals=(refused("a", ActionKind.MOVE, count, "notBusy: BackingUp"),))
    plan = plan_for(world, desired("a", "n2"), desired("b", "n2"), past=past)
    assert "b n1>n2" in moves(plan)
    assert ("a n1>n2" in moves(plan)) == (minutes == 0)
    for held in plan.holds:
        assert (held.vm, held.reason) == ("a", HoldReason.REFUSED)
        assert held.until == NOW + timedelta(minutes=minutes)
        assert f"{count} times in a row (notBusy: BackingUp)" in hold_sentence(held)


# Big changes


def marks(count: int) -> Mapping[str, SpecMark]:
    """So many of the VMs were last settled under another spec."""
    found = {}
    for number, want in enumerate(all_to_n2().vms):
        digest = spec_digest(want)
        accepted = "another" if number < count else digest
        found[want.key] = SpecMark(key=want.key, digest=digest, accepted=accepted, since=NOW)
    return found


def test_a_change_of_many_vms_waits_for_approval_and_the_rest_goes_on() -> None:
    """Five of eight may be changed unasked, six not; what drifted is nobody's change."""
    plan = plan_for(ALL_ON_N1, specs=all_to_n2(), past=history(specs=marks(5)))
    assert len(moves(plan)) == 8
    plan = plan_for(ALL_ON_N1, specs=all_to_n2(), past=history(specs=marks(6)))
    assert len(moves(plan)) == 2
    held = hold(plan, "v0")
    assert (held.reason, held.until) == (HoldReason.APPROVAL_NEEDED, None)
    assert (held.evidence["changed_vms"], held.evidence["allowed"]) == ("6", "5")
    assert verdict(plan, "v0") is Verdict.MISPLACED


def test_creations_of_one_change_are_counted_too() -> None:
    """A bad merge may make VMs as well as move them."""
    wants = [created(f"new{i}", "n1", memory=1) for i in range(7)]
    found = {
        w.key: SpecMark(key=w.key, digest=spec_digest(w), accepted="", since=NOW) for w in wants
    }
    past = history(specs=found, absent_cycles={w.key: 5 for w in wants})
    plan = plan_for(observed(N1, N2), *wants, past=past)
    assert plan.actions == ()
    assert {h.reason for h in plan.holds} == {HoldReason.APPROVAL_NEEDED}


def test_vanished_specs_hold_everything_new() -> None:
    """Names and number are told."""
    gone = SpecMark(key="name:gone", digest="d", accepted="d", since=NOW)
    past = history(specs={**marks(0), "name:gone": gone})
    plan = plan_for(ALL_ON_N1, specs=all_to_n2(), past=past)
    assert cluster_holds(plan) == [HoldReason.SPECS_SHRANK]
    assert plan.holds[0].evidence["vanished"] == "gone"


@pytest.mark.parametrize(
    ("done", "open_ones", "starts"),
    [(0, 0, 1), (0, 1, 0), (1, 0, 2), (1, 1, 1), (2, 0, 2), (3, 0, 99)],
)
def test_a_big_change_begins_with_one_move_then_two(done: int, open_ones: int, starts: int) -> None:
    """Each of them seen done before more start; the plan shows all the same."""
    past = history(
        moves=tuple(own_move(f"w{i}", "n1", "n2") for i in range(done)),
        intents=tuple(intent(name, "n2", source="n1") for name in MANY[:open_ones]),
    )
    plan = plan_for(ALL_ON_N1, specs=all_to_n2(policy=policy(canary_free_moves=3)), past=past)
    assert len(plan.moves) == 8 - open_ones
    assert len(plan.ready()) == min(starts, len(plan.moves))
    held = [h for h in plan.holds if h.reason is HoldReason.CANARY]
    assert len(held) == len(plan.moves) - len(plan.ready())


def test_three_moves_are_no_big_change() -> None:
    """And moves under another revision prove nothing of this one."""
    few = desired_state(*(desired(n, "n2") for n in MANY[:3]), policy=policy(canary_free_moves=3))
    assert len(plan_for(ALL_ON_N1, specs=few).ready()) == 3
    specs = all_to_n2(policy=policy(canary_free_moves=3), revision="rev-2")
    past = history(moves=tuple(own_move(f"w{i}", "n1", "n2") for i in range(5)))
    assert len(plan_for(ALL_ON_N1, specs=specs, past=past).ready()) == 1


# Fault domains

RACKS = {"n1": "rack-a", "n2": "rack-a", "n3": "rack-b"}


def test_vms_of_one_fault_domain_move_at_a_time() -> None:
    """Whoever moves them; where no domain is declared every node is for itself, or none is."""
    nodes = [node(name) for name in ("n1", "n2", "n3", "n4", "n5")]
    world = observed(*nodes, *(vm(f"v{i}", f"n{i}") for i in range(1, 5)))
    wants = [desired(f"v{i}", "n5") for i in range(1, 5)]
    specs = desired_state(*wants, policy=policy(fault_domains=RACKS))
    plan = plan_for(world, specs=specs)
    waves = [sorted(a.vm for a in plan.moves if a.wave == wave) for wave in range(3)]
    assert sorted(waves) == [["v1", "v2"], ["v3"], ["v4"]]
    held = {h.vm: h.reason for h in plan.holds}
    assert held == {a.vm: HoldReason.FAULT_DOMAIN for a in plan.moves if a.wave}
    by_others = observed(*nodes, moving(vm("x", "n3"), "n4"), *(v for v in world.vms))
    assert [a.vm for a in plan_for(by_others, specs=specs).ready()] == ["v3"]
    assert len(plan_for(world, *wants).ready()) == 4


# Windows


def nightly(
    schedule: str = "0 22 * * *", effect: WindowEffect = WindowEffect.ALLOW
) -> ChangeWindow:
    return ChangeWindow(
        effect=effect, cron=parse_cron(schedule), duration_seconds=3600, zone=ZoneInfo("UTC")
    )


def test_outside_its_windows_nothing_new_starts() -> None:
    """It is noon; the hold says when the window opens."""
    specs = all_to_n2(policy=policy(windows=(nightly(),)))
    plan = plan_for(ALL_ON_N1, specs=specs)
    (held,) = (h for h in plan.holds if h.key == "")
    assert (held.reason, held.until) == (HoldReason.OUTSIDE_WINDOW, NOW.replace(hour=22))


def test_a_move_that_would_outlast_the_window_does_not_start_and_a_short_one_does() -> None:
    """The window ends at 12:00:30; 64 GiB take 68 seconds, 1 GiB takes 5."""
    begun = NOW - timedelta(seconds=3570)
    window = replace(nightly(f"{begun.minute} {begun.hour} * * *"), duration_seconds=3600)
    now = begun.replace(second=0) + timedelta(seconds=3570)
    world = observed(N1, N2, vm("a", "n1", memory=64), vm("b", "n1", memory=1), at=now)
    specs = desired_state(desired("a", "n2"), desired("b", "n2"), policy=policy(windows=(window,)))
    plan = plan_for(world, specs=specs, now=now)
    assert hold(plan, "a").reason is HoldReason.WINDOW_ENDS
    assert moves(plan) == ["b n1>n2"]


def test_failback_in_window_waits_for_an_allow_window_and_a_broken_rule_does_not() -> None:
    """Without any Allow window it is never due."""
    world = observed(N1, N2, N3, vm("a", "n2"))
    later = desired("a", "n1", "n2", failback=Failback.IN_WINDOW)
    closed = nightly(effect=WindowEffect.DENY)
    plan = plan_for(world, specs=desired_state(later, policy=policy(windows=(closed,))))
    assert hold(plan, "a").reason is HoldReason.FAILBACK_WINDOW
    noon = nightly("30 11 * * *")
    plan = plan_for(world, specs=desired_state(later, policy=policy(windows=(noon,))))
    assert moves(plan) == ["a n2>n1"]
    wrong = desired("a", "n1", "n3", failback=Failback.IN_WINDOW)
    assert moves(plan_for(world, wrong)) == ["a n2>n1"]


# Losses


def test_a_move_that_leaves_no_room_for_a_failure_is_held() -> None:
    """If n3 fails, its 40 GiB find room on n2 only, and not once 30 GiB more are there."""
    world = observed(
        *(node(name, total=64) for name in ("n1", "n2", "n3")),
        vm("big", "n3", memory=40),
        vm("base", "n1", memory=20),
        vm("a", "n1", memory=28),
        vm("b", "n1", memory=4),
    )
    wants = (desired("a", "n2"), desired("b", "n2"))
    careful = desired_state(*wants, policy=policy(node_failures_tolerated=1))
    plan = plan_for(world, specs=careful)
    assert hold(plan, "a").reason is HoldReason.NODE_FAILURES
    assert hold(plan, "a").evidence["nodes"] == "n3"
    assert moves(plan) == ["b n1>n2"]
    assert len(moves(plan_for(world, *wants))) == 2


def test_a_creation_must_leave_room_for_a_failure() -> None:
    """Two nodes of 32 GiB: what both run together must fit on one."""
    want = created("new", "n1", memory=12)
    world = observed(node("n1", total=32), node("n2", total=32), vm("a", "n2", memory=20))
    specs = desired_state(want, policy=policy(node_failures_tolerated=1))
    past = history(absent_cycles={want.key: 5})
    plan = plan_for(world, specs=specs, past=past)
    assert hold(plan, "new").reason is HoldReason.NODE_FAILURES
    assert plan_for(world, want, past=past).actions != ()


@pytest.mark.parametrize(
    ("third", "risky"),
    [
        (node("n3"), False),
        (node("n3", state=NodeState.PAUSED), False),
        (node("n3", state=NodeState.JOINING), True),
        (node("n3", isolated=True), True),
        (node("n3", quarantined=True), True),
    ],
)
def test_two_votes_of_three_are_a_risk(third: Any, risky: bool) -> None:
    """A paused node votes; one that joins, or was isolated, does not."""
    world, specs = observed(N1, N2, third, vm("a", "n2")), desired_state(desired("a", "n1"))
    plan, findings = decide(specs, world, history(), NOW)
    assert findings == ()
    assert cluster_holds(plan) == ([HoldReason.QUORUM_AT_RISK] if risky else [])


def test_four_nodes_bear_the_loss_of_one() -> None:
    """Three votes are left, and Windows counts them anew."""
    world = observed(N1, N2, N3, node("n4", state=NodeState.JOINING), vm("a", "n2"))
    assert cluster_holds(plan_for(world, desired("a", "n1"))) == []


def test_after_a_jump_of_the_clock_one_settle_passes() -> None:
    """Then it lets go by itself."""
    world, want = observed(N1, N2, vm("a", "n2")), desired("a", "n1")
    for ago, reasons in ((59, [HoldReason.CLOCK_JUMPED]), (60, [])):
        past = history(clock_jumped_at=NOW - timedelta(seconds=ago))
        assert cluster_holds(plan_for(world, want, past=past)) == reasons
