"""History is brought forward by what is seen, and by nothing else."""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.model.history import History, IntentState
from controller.model.observed import (
    Job,
    JobState,
    NodeState,
    ObservedState,
    Role,
    RoleState,
    VMObserved,
    VMState,
)
from controller.model.plan import ActionKind
from controller.planning.absorb import absorb
from tests.builders import (
    NOW,
    created,
    desired,
    desired_state,
    foreign_move,
    gap,
    history,
    intent,
    moving,
    node,
    observed,
    own_move,
    sighting,
    vm,
    vm_id,
)

NODES = (node("n1"), node("n2"))
SPECS = desired_state(desired("a", "n1"))


def world(*vms: VMObserved, at_seconds: float = 0, **changes: object) -> ObservedState:
    """Two nodes and these VMs, seen so many seconds after NOW."""
    return observed(*NODES, *vms, at=NOW + timedelta(seconds=at_seconds), **changes)


def absorbed(past: History, *worlds: ObservedState) -> History:
    """The past after these looks."""
    for seen in worlds:
        past = absorb(past, SPECS, seen, seen.completed_at)
    return past


def only_intent(past: History) -> IntentState:
    """The state of the one intent there is."""
    (found,) = past.intents
    return found.state


SENT = intent("a", "n1", source="n2")


def test_a_move_is_done_when_its_effect_is_seen() -> None:
    """Owner and host agree on the target, and nothing is under way."""
    past = absorbed(history(intents=(SENT,)), world(vm("a", "n1")))
    assert only_intent(past) is IntentState.DONE
    (move,) = past.moves
    assert (move.source, move.target, move.vm_id) == ("n2", "n1", vm_id("a"))


def test_a_move_under_way_stays_open_however_long() -> None:
    """Migrating, queued, pending, or seen on two nodes at once: not over."""
    seen = vm("a", "n2")
    assert seen.role is not None
    states = (
        moving(seen, "n1"),
        replace(seen, role=replace(seen.role, queued=True)),
        replace(seen, role=replace(seen.role, state=RoleState.PENDING)),
        replace(seen, host="n1"),
        replace(seen, host=None),
    )
    for state in states:
        past = absorbed(history(intents=(SENT,)), world(state), world(state, at_seconds=500))
        assert only_intent(past) is IntentState.OPEN


def test_a_lost_command_is_given_up_after_two_quiet_looks() -> None:
    """At least `settle_seconds` apart, both complete; a fresh snapshot alone is not enough."""
    past = absorbed(history(intents=(SENT,)), world(vm("a", "n2")))
    assert only_intent(past) is IntentState.OPEN
    past = absorbed(past, world(vm("a", "n2"), at_seconds=59))
    assert only_intent(past) is IntentState.OPEN
    past = absorbed(past, world(vm("a", "n2"), at_seconds=60))
    assert only_intent(past) is IntentState.NOT_DONE
    assert past.moves == ()


def test_movement_between_two_quiet_looks_starts_the_count_anew() -> None:
    """A queued move may start late: quiet, then moving, then quiet is not lost."""
    quiet = vm("a", "n2")
    past = absorbed(
        history(intents=(SENT,)),
        world(quiet),
        world(moving(quiet, "n1"), at_seconds=40),
        world(quiet, at_seconds=80),
    )
    assert only_intent(past) is IntentState.OPEN
    assert only_intent(absorbed(past, world(quiet, at_seconds=140))) is IntentState.NOT_DONE


def test_an_incomplete_look_settles_nothing() -> None:
    """The VM may be where nobody answers."""
    past = history(intents=(SENT,))
    for at in (0, 100, 200):
        past = absorbed(past, world(vm("a", "n2"), gap("n1"), at_seconds=at))
    assert only_intent(past) is IntentState.OPEN


def test_a_look_older_than_the_command_says_nothing_of_it() -> None:
    """It began before the command left, so it can't show its effect."""
    late = replace(SENT, opened_at=NOW + timedelta(seconds=1))
    past = absorbed(history(intents=(late,)), world(vm("a", "n1")))
    assert only_intent(past) is IntentState.OPEN


def test_registration_is_done_when_the_role_is_there() -> None:
    """And the one start of an offline role stays due until it is seen online."""
    sent = intent("a", "n1", kind=ActionKind.REGISTER)
    off = vm("a", "n1", state=VMState.OFF)
    past = absorbed(history(intents=(sent,)), world(off))
    assert only_intent(past) is IntentState.DONE
    assert absorbed(past, world(vm("a", "n1"), at_seconds=10)).intents == ()


def test_a_registration_whose_job_runs_is_under_way() -> None:
    """The agent says so; nothing else shows it."""
    sent = intent("a", "n1", kind=ActionKind.REGISTER)
    job = Job(intent=sent.id, node="n1", kind="registerVm", state=JobState.RUNNING)
    bare = vm("a", "n1", clustered=False)
    past = absorbed(
        history(intents=(sent,)),
        world(bare, jobs=(job,)),
        world(bare, jobs=(job,), at_seconds=200),
    )
    assert only_intent(past) is IntentState.OPEN
    gone = absorbed(past, world(bare, at_seconds=210), world(bare, at_seconds=271))
    assert only_intent(gone) is IntentState.NOT_DONE


def test_a_creation_is_done_by_its_mark_and_binds_the_new_id() -> None:
    """The id that the spec meant is gone; the mark says that the new one is ours."""
    specs = desired_state(created("a", "n1"))
    sent = intent("a", "n1", kind=ActionKind.CREATE)
    past = history(intents=(sent,), bound={"name:a": vm_id("old")})
    half = vm("a", "n1", state=VMState.OFF, clustered=False, creation_mark=f"{sent.id}:creating")
    seen = world(half)
    past = absorb(past, specs, seen, seen.completed_at)
    assert only_intent(past) is IntentState.OPEN
    assert past.bound["name:a"] == vm_id("old")
    seen = world(replace(half, creation_mark=f"{sent.id}:created"), at_seconds=5)
    past = absorb(past, specs, seen, seen.completed_at)
    assert only_intent(past) is IntentState.DONE
    assert past.bound["name:a"] == vm_id("a")


def test_a_start_is_done_when_the_role_is_online_and_the_vm_runs() -> None:
    """The journal learns that it is done; then every trace of the one start goes."""
    sent = intent("a", "n1", kind=ActionKind.START)
    off = vm("a", "n1", state=VMState.OFF)
    past = absorbed(history(intents=(sent,)), world(off))
    assert only_intent(past) is IntentState.OPEN
    past = absorbed(past, world(vm("a", "n1"), at_seconds=5))
    assert only_intent(past) is IntentState.DONE
    assert absorbed(past, world(vm("a", "n1"), at_seconds=10)).intents == ()


def test_a_change_of_owner_without_an_order_of_ours_is_a_foreign_move() -> None:
    """Seen once, with its time; the place where the VM rests now is remembered."""
    past = history(sightings={vm_id("a"): sighting("a", "n1")})
    past = absorbed(past, world(vm("a", "n2")), world(vm("a", "n2"), at_seconds=20))
    (move,) = past.foreign
    assert (move.source, move.target, move.failover) == ("n1", "n2", False)
    assert move.seen_at == NOW + timedelta(seconds=1)
    assert past.sightings[vm_id("a")].owner == "n2"


def test_our_own_move_is_not_foreign_even_if_it_comes_late() -> None:
    """We had given the order up; the cluster carried it out after all."""
    seen_before = sighting("a", "n2", NOW - timedelta(hours=1))
    for state in (IntentState.OPEN, IntentState.NOT_DONE):
        sent = replace(SENT, state=state, closed_at=None if state == "Open" else NOW)
        past = history(sightings={vm_id("a"): seen_before}, intents=(sent,))
        assert absorbed(past, world(vm("a", "n1"))).foreign == ()


def test_a_failover_is_told_from_a_wish() -> None:
    """The node that the VM left is down, or silent; a paused one is an administrator's doing."""
    for left, failover in (
        (node("n1", state=NodeState.DOWN), True),
        (node("n1", answered=False), True),
        (node("n1", state=NodeState.PAUSED), False),
        (node("n1", draining=True), False),
    ):
        past = history(sightings={vm_id("a"): sighting("a", "n1")})
        seen = observed(left, node("n2"), vm("a", "n2"))
        (move,) = absorb(past, SPECS, seen, seen.completed_at).foreign
        assert move.failover is failover


def test_a_vm_is_bound_at_the_first_look_at_everything() -> None:
    """Not while a node is silent: a twin may be there."""
    assert absorbed(history(), world(vm("A", "n1"), gap("n2"))).bound == {}
    past = absorbed(history(), world(vm("A", "n1")))
    assert past.bound == {"name:a": vm_id("a")}
    twins = world(vm("a", "n1"), replace(vm("a", "n2"), id=vm_id("twin")))
    assert absorbed(history(), twins).bound == {}


def test_absence_is_counted_over_looks_at_everything_in_a_row() -> None:
    """A silent node breaks the run, whether it is up or down."""
    past = absorbed(history(), world(), world(at_seconds=20))
    assert past.absent_cycles == {"name:a": 2}
    assert past.absent_since == {"name:a": NOW}
    assert absorbed(past, world(gap("n1"))).absent_cycles == {}
    down = observed(node("n1"), node("n2", state=NodeState.DOWN))
    assert absorbed(past, down).absent_cycles == {}
    assert absorbed(past, world(vm("a", "n1"))).absent_cycles == {}


def test_a_lost_journal_is_made_up_for_by_quiet_looks() -> None:
    """Two complete ones in a row that show nothing in flight; then it stays trusted."""
    new = History(cluster="demo")
    past = absorbed(new, world(vm("a", "n1")), world(moving(vm("a", "n1"), "n2")))
    assert (past.trusted, past.complete_cycles, past.quiet_cycles) == (False, 2, 0)
    past = absorbed(past, world(vm("a", "n1")), world(vm("a", "n1")))
    assert (past.trusted, past.quiet_cycles) == (True, 2)
    assert absorbed(past, world(moving(vm("a", "n1"), "n2"))).trusted


def test_an_idle_cluster_changes_nothing_that_is_written_down() -> None:
    """A thousand looks at a settled cluster cost no write: only counters differ."""
    past = absorbed(history(), world(vm("a", "n1")))
    later = absorbed(past, world(vm("a", "n1"), at_seconds=3600))
    assert (later.bound, later.intents, later.sightings) == (
        past.bound,
        past.intents,
        past.sightings,
    )
    assert (later.foreign, later.moves) == (past.foreign, past.moves)


def test_what_no_rule_looks_at_any_more_is_forgotten() -> None:
    """A day later settled intents, moves and foreign moves are gone."""
    past = absorbed(history(intents=(SENT,)), world(vm("a", "n1")))
    past = absorbed(past, world(vm("a", "n2"), at_seconds=100))
    assert len(past.moves) == len(past.foreign) == len(past.intents) == 1
    day: datetime = NOW + timedelta(days=1, seconds=200)
    seen = replace(world(vm("a", "n2")), started_at=day, completed_at=day)
    past = absorbed(past, seen)
    assert past.moves == past.foreign == past.intents == ()


def test_a_role_without_an_owner_is_nowhere_for_a_moment() -> None:
    """In mid-failover the cluster names nobody: no sighting, no foreign move."""
    past = history(sightings={vm_id("a"): sighting("a", "n1")})
    nobody = replace(vm("a", None), role=Role(name="a", state=RoleState.PENDING, owner=None))
    past = absorbed(past, world(nobody))
    assert past.foreign == ()
    assert past.sightings[vm_id("a")].owner == "n1"


def test_a_clock_that_was_set_back_keeps_no_intent_open() -> None:
    """Set back by a day, a lost command kept its VM for a day: no look was after it."""
    sent = intent("a", "n1", source="n2", opened_at=NOW + timedelta(days=1))
    late = foreign_move("a", "n1", "n2", ago_seconds=-86_400)
    past = history(
        intents=(sent,), foreign=(late,), moves=(own_move("a", "n1", "n2", ago_seconds=-86_400),)
    )
    past = absorbed(past, world(vm("a", "n2")))
    assert past.foreign[0].seen_at == past.moves[0].seen_at == NOW + timedelta(seconds=1)
    assert only_intent(absorbed(past, world(vm("a", "n2"), at_seconds=1))) is IntentState.OPEN
    assert only_intent(absorbed(past, *_quiet_looks())) is IntentState.NOT_DONE


def _quiet_looks() -> tuple[ObservedState, ...]:
    return tuple(world(vm("a", "n2"), at_seconds=seconds) for seconds in (2, 40, 70))


def test_the_first_whole_look_says_which_cluster_the_past_is_of() -> None:
    """A look with gaps may be at a seed that is no longer of the cluster."""
    part = absorbed(history(), world(gap("n2")))
    assert part.cluster_id is None
    assert absorbed(part, world()).cluster_id == world().cluster_id


def test_what_another_cluster_shows_changes_no_past() -> None:
    """It binds no spec, settles no intent, and proves no absence."""
    past = history(cluster_id="other", intents=(SENT,), absent_cycles={"name:a": 1})
    after = absorbed(past, *(world(vm("a", "n1"), at_seconds=s) for s in (30, 90, 150)))
    assert after.intents == past.intents
    assert (after.bound, after.sightings, after.absent_cycles) == ({}, {}, {})
    assert (after.cluster_id, after.quiet_cycles) == ("other", 0)
