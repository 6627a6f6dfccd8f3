"""The audit's second look at the pace: how much may start at once, and which VMs must rest.

Only what would start now is asked: what comes later is planned anew before it starts.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import takewhile

from controller.model.desired import Failback, VMDesired
from controller.model.history import OwnMove, Result
from controller.model.names import fold
from controller.model.observed import VMState
from controller.model.plan import Action, ActionKind, AuditFinding
from controller.model.policy import Policy
from controller.model.window import WindowEffect
from controller.planning.audit_memory import room
from controller.planning.audit_windows import is_open, stays_open
from controller.planning.audit_world import World, fault
from controller.planning.cost import hard_broken

DAY = timedelta(days=1)
FOUND_BY_THE_NODE_ALONE = (
    "roleNameFree",
    "folderFree",
    "disksFree",
    "disksExist",
    "mediaExists",
    "volumeHasRoom",
    "folderExists",
)
"""Conditions of docs/protocol.md on what no look shows: files, folders, names of roles, space."""
CANARIES = 3
"""One move, then two more: after these the rest of a big change goes."""


def check_canary(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Of a big change one move is seen done before two start, and two before the rest."""
    revision, policy = w.desired.revision, w.desired.policy
    proved = sum(1 for m in w.history.moves if m.revision == revision and not m.hop)
    going = sum(
        1 for i in w.history.open_intents if i.kind == ActionKind.MOVE and i.revision == revision
    )
    starts = [a for a in w.plan.ready() if a.kind is ActionKind.MOVE]
    whole = len({a.key for a in w.plan.moves}) + going + proved
    stage = 2 if proved else 1
    is_big = proved < CANARIES and whole > policy.canary_free_moves
    if starts and is_big and going + len(starts) > stage:
        detail = f"{going + len(starts)} of {whole} moves at once, and {proved} are proved"
        yield fault("canary", starts[-1], detail)


def check_change(w: World, now: datetime) -> Iterator[AuditFinding]:
    """No change of the specs that is too big starts unasked, in whole or in part."""
    policy = w.desired.policy
    marks = w.history.specs
    touched = {a.key for a in w.plan.actions if a.key in marks}
    due = [key for key in sorted(touched) if marks[key].accepted != marks[key].digest]
    share = int(policy.changes_per_commit_share * len(w.desired.vms))
    allowed = max(policy.changes_per_commit_min, share)
    if len(due) > allowed:
        for action in w.plan.ready():
            if action.key in due:
                detail = f"the change is of {len(due)} VMs, and {allowed} may change unasked"
                yield fault("changes", action, detail)


def check_rest(w: World, now: datetime) -> Iterator[AuditFinding]:
    """What moved too often, failed, or would go to a node that just came back, rests."""
    policy = w.desired.policy
    for action in w.plan.ready():
        want = w.wants.get(action.key)
        failed = [*takewhile(lambda r: r.failed, _results_of(w, action.key))]
        if len(failed) > 1:
            wait = min(policy.settle_seconds * 2 ** len(failed), policy.failure_pause_seconds)
            if now < failed[0].at + timedelta(seconds=wait):
                yield fault("failing", action, f"{action.vm} failed {len(failed)} times")
        yield from _refused(w, action, now)
        up_since = w.history.node_up_since.get(fold(action.target), now - DAY)
        stable = now - up_since >= timedelta(seconds=policy.node_stable_seconds)
        if not stable and action.kind in (ActionKind.MOVE, ActionKind.CREATE):
            yield fault("node stable", action, f"{action.target} just came back")
        if action.kind is not ActionKind.MOVE or want is None:
            continue
        times = _fights(w, action, now)
        if times >= policy.moves_per_vm_per_day_max:
            yield fault("contested", action, f"we moved {action.vm} {times} times in a day")
        yield from _calendar(w, want, action, now)


def _refused(w: World, action: Action, now: datetime) -> Iterator[AuditFinding]:
    """What nodes refused in a row rests ever longer; from the first on where no look shows why."""
    policy = w.desired.policy
    for past in w.history.refusals:
        if (past.key, past.kind) != (action.key, action.kind):
            continue
        longest = max(policy.cooldown_seconds, policy.failure_pause_seconds)
        if past.detail.partition(":")[0] in FOUND_BY_THE_NODE_ALONE:
            rest = policy.cooldown_seconds * 2 ** (past.count - 1)
        else:
            rest = policy.settle_seconds * 2**past.count if past.count > 1 else 0.0
        if now < past.at + timedelta(seconds=min(rest, longest)):
            yield fault("refused", action, f"refused {past.count} times: {past.detail}")


def _results_of(w: World, key: str) -> Iterator[Result]:
    """The last one first."""
    return (r for r in reversed(w.history.results) if r.key == key)


def _fights(w: World, action: Action, now: datetime) -> int:
    """How often we moved it in a day at this spec; 0 for what only goes on from a stop of ours."""
    own = [m for m in w.history.moves if m.vm_id == action.vm_id]
    if _is_half_way(own):
        return 0
    mark = w.history.specs.get(action.key)
    times, half = 0, False
    for move in own:
        if now - move.seen_at >= DAY or (mark is not None and move.started_at < mark.since):
            continue
        # Of a hop and its return only the first of the two counts.
        times += 0 if move.hop and half else 1
        half = move.hop and not half if move.hop else half
    return times


def _is_half_way(own: list[OwnMove]) -> bool:
    return sum(1 for _ in takewhile(lambda m: m.hop, reversed(own))) % 2 == 1


def _calendar(w: World, want: VMDesired, action: Action, now: datetime) -> Iterator[AuditFinding]:
    """A move ends before changes are disallowed, and a failback may need a window of its own."""
    policy = w.desired.policy
    vm = w.vms.get(action.vm_id or "")
    if vm is None:
        return
    seconds = policy.move_overhead_seconds + vm.memory_bytes / policy.bandwidth_bytes_per_second
    opens = is_open(policy.windows, now)
    if opens and not stays_open(policy.windows, now, now + timedelta(seconds=seconds)):
        yield fault("overrun", action, f"{action.vm} would outlast the window")
    in_window = want.failback is Failback.IN_WINDOW and not hard_broken(want, vm.owner or "")
    allowing = any(window.effect is WindowEffect.ALLOW for window in policy.windows)
    if in_window and not (allowing and opens):
        yield fault("failback window", action, f"{action.vm} fails back in a window only")


def check_failures(w: World, now: datetime) -> Iterator[AuditFinding]:
    """After too many failures nothing starts for a while, then one command alone."""
    policy = w.desired.policy
    failed = _unproved_failures(w.history.results, policy)
    if not failed:
        return
    pause = timedelta(seconds=policy.failure_pause_seconds)
    if now < failed[-1].at + pause and w.starting:
        yield fault("failures", w.starting[0], f"{len(failed)} of the last commands failed")
    tried = {a.key for a in w.plan.ready()}
    if len(tried) > 1 or (tried and w.history.open_intents):
        detail = "after so many failures one command is tried alone"
        yield fault("probe", w.plan.ready()[-1], detail)


def _unproved_failures(results: tuple[Result, ...], policy: Policy) -> tuple[Result, ...]:
    """The failures since the last proof, where they are too many and not of one VM alone.

    A proof is a command that was done after the pause that the failures before it brought about.
    """
    pause = timedelta(seconds=policy.failure_pause_seconds)
    start = 0
    for end, result in enumerate(results):
        before = _failures(results[start:end])
        if (
            not result.failed
            and _are_too_many(before, policy)
            and before[-1].at + pause <= result.at
        ):
            start = end + 1
    failed = _failures(results[start:])
    return failed if _are_too_many(failed, policy) else ()


def _failures(results: tuple[Result, ...]) -> tuple[Result, ...]:
    return tuple(r for r in results if r.failed)


def _are_too_many(failed: tuple[Result, ...], policy: Policy) -> bool:
    return len(failed) >= policy.failures_max and len({r.key for r in failed}) > 1


def check_node_failures(w: World, now: datetime) -> Iterator[AuditFinding]:
    """What starts now makes no loss of nodes unbearable that could be borne before.

    That is asked of the state when all of it is done: what else is planned is judged again before
    it starts. A VM counts where the cluster says that it is.
    """
    tolerated = w.desired.policy.node_failures_tolerated
    taking = (ActionKind.MOVE, ActionKind.CREATE, ActionKind.START)
    starts = [a for a in w.plan.ready() if a.kind in taking]
    if not tolerated or not starts:
        return
    free = {name: max(room(w, name, later=True), 0) for name in w.nodes}
    guests: dict[str, list[int]] = {name: [] for name in w.nodes}
    for vm in w.observed.vms:
        if vm.state is VMState.RUNNING and fold(vm.owner or "") in guests:
            guests[fold(vm.owner or "")].append(vm.memory_bytes)
    before = _unbearable(free, guests, tolerated)
    for action in starts:
        memory, source = action.memory_bytes, fold(action.source or "")
        if action.template is not None:
            memory = action.template.memory_startup_bytes
        if action.kind is ActionKind.MOVE and memory in guests.get(source, ()):
            guests[source].remove(memory)
            free[source] += memory
        if fold(action.target) in guests:
            guests[fold(action.target)].append(memory)
            free[fold(action.target)] -= memory
    after = _unbearable(free, guests, tolerated)
    adds = any(a.kind is not ActionKind.MOVE for a in starts)
    worse = after if adds else after - before
    if worse:
        detail = f"the loss of {', '.join(sorted(worse))} could not be borne"
        yield fault("node failures", starts[-1], detail)


def _unbearable(
    free: Mapping[str, int], guests: Mapping[str, list[int]], tolerated: int
) -> set[str]:
    """Nodes whose largest VM would find no room, and whether the largest nodes find none in all."""
    lost = set()
    whole = sorted((free[n] + sum(guests[n]) for n in free), reverse=True)
    # VMs of the lost fit into the rest exactly if the lost are not larger than all that is free.
    if sum(whole[:tolerated]) > sum(free.values()):
        lost.add("the largest nodes together")
    for name, sizes in guests.items():
        others = sorted(free[n] for n in free if n != name)
        rooms = others[: len(others) - (tolerated - 1)]
        if sizes and max(sizes) > (rooms[-1] if rooms else 0):
            lost.add(name)
    return lost
