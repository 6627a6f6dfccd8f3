"""Bring history forward by one snapshot: what was seen, and nothing that was only hoped for.

An open intent ends by what is seen: its effect, or two complete observations at least
`settle_seconds` apart that show it neither done nor queued nor under way. A reply never ends one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from controller.model.desired import DesiredState, VMDesired
from controller.model.history import ForeignMove, History, Intent, IntentState, OwnMove, Sighting
from controller.model.names import same_name
from controller.model.observed import (
    JobState,
    NodeState,
    ObservedState,
    RoleState,
    VMObserved,
    VMState,
)
from controller.model.plan import ActionKind
from controller.model.setting import Setting
from controller.planning.approvals import note_given
from controller.planning.cost import standing_cost
from controller.planning.fencing import is_superseded
from controller.planning.folders import are_set
from controller.planning.identity import Match, Roster, identify, roster
from controller.planning.native import is_set, may_be_set, settings_due
from controller.planning.tally import (
    KEPT,
    after_clock,
    last_results,
    nodes_that_came_back,
    refused_in_a_row,
    spec_marks,
)
from controller.planning.view import is_moving, under_way


def absorb(
    history: History, desired: DesiredState, observed: ObservedState, now: datetime
) -> History:
    """Settle intents, bind ids, notice moves and absences, count complete and quiet looks.

    What another cluster shows under the same name is evidence of nothing.
    """
    if history.cluster_id is not None and observed.cluster_id != history.cluster_id:
        return _nothing_seen(history)
    history = after_clock(history, desired.policy, now)
    look = _Look(
        observed=observed,
        vms=roster(observed),
        running_jobs=frozenset(j.intent for j in observed.jobs if j.state is JobState.RUNNING),
        created={vm.creation_mark: vm for vm in observed.vms if vm.creation_mark is not None},
        settle_seconds=desired.policy.settle_seconds,
        now=now,
    )
    intents = tuple(_settled(intent, look) for intent in history.intents)
    bound = _bindings(history.bound, desired, intents, look)
    matches = {w.key: identify(w, bound.get(w.key), look.vms) for w in desired.vms}
    sightings, foreign = _sightings(history, matches, intents, look)
    absent_cycles, absent_since = _absences(history, desired.vms, matches, look)
    complete = observed.is_complete
    quiet = complete and not _busy(intents, look)
    quiet_cycles = history.quiet_cycles + 1 if quiet else 0
    nodes_away, node_up_since = nodes_that_came_back(history, observed, now)
    complying = frozenset(
        w.key for w in desired.vms if _complies(w, matches[w.key], desired, observed)
    )
    specs = spec_marks(history, desired, complying, now)
    return replace(
        history,
        cluster_id=history.cluster_id or (observed.cluster_id if complete else None) or None,
        superseded=history.superseded or is_superseded(history, observed),
        approvals=note_given(history),
        bound=bound,
        intents=_still_needed(intents, matches, look),
        sightings=sightings,
        foreign=tuple(f for f in (*history.foreign, *foreign) if now - f.seen_at < KEPT),
        moves=_own_moves(history, intents, now),
        absent_since=absent_since,
        absent_cycles=absent_cycles,
        specs=specs,
        nodes_away=nodes_away,
        node_up_since=node_up_since,
        results=last_results(history, intents, now),
        refusals=refused_in_a_row(history, intents, specs, now),
        last_look_at=now,
        complete_cycles=history.complete_cycles + 1 if complete else 0,
        quiet_cycles=quiet_cycles,
        # Once enough quiet looks were had there is nothing left that the lost journal could know.
        trusted=history.trusted or quiet_cycles >= desired.policy.complete_cycles_before_acting,
    )


def _nothing_seen(history: History) -> History:
    """The same past, and every run of successive looks ended."""
    nothing: Mapping[str, Any] = MappingProxyType({})
    return replace(
        history,
        absent_since=nothing,
        absent_cycles=nothing,
        complete_cycles=0,
        quiet_cycles=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    observed: ObservedState
    vms: Roster
    running_jobs: frozenset[str]
    created: Mapping[str, VMObserved]
    """Creation mark -> VM."""
    settle_seconds: float
    now: datetime

    @property
    def at(self) -> datetime:
        return self.observed.started_at

    @property
    def sees_all(self) -> bool:
        return self.observed.is_complete and all(n.answered for n in self.observed.nodes)


class _Progress(Enum):
    DONE = auto()
    ACTIVE = auto()
    QUIET = auto()


def _settled(intent: Intent, look: _Look) -> Intent:
    if intent.state is not IntentState.OPEN or look.at < intent.opened_at:
        return intent
    progress = _progress(intent, look)
    if progress is _Progress.DONE:
        return replace(intent, state=IntentState.DONE, closed_at=look.now)
    if progress is _Progress.ACTIVE:
        return replace(intent, last_active_at=look.at, first_quiet_at=None)
    if not look.observed.is_complete:
        return intent
    first = intent.first_quiet_at or look.at
    if (look.at - first).total_seconds() >= look.settle_seconds:
        why = intent.detail or "neither its effect nor anything under way was seen"
        return replace(intent, state=IntentState.NOT_DONE, closed_at=look.now, detail=why)
    return replace(intent, first_quiet_at=first)


def _progress(intent: Intent, look: _Look) -> _Progress:
    vm = look.vms.by_id.get(intent.vm_id or "")
    if intent.id in look.running_jobs:
        return _Progress.ACTIVE
    match ActionKind(intent.kind):
        case ActionKind.SUSPEND_NODE:
            return _node_progress(intent, NodeState.PAUSED, look)
        case ActionKind.RESUME_NODE:
            return _node_progress(intent, NodeState.UP, look)
        case ActionKind.CONFIGURE_NODE:
            assert intent.change is not None, "a setting is written by a change"
            node = look.observed.node(intent.target)
            return _Progress.DONE if are_set(node, intent.change) else _Progress.QUIET
        case ActionKind.CREATE:
            return _Progress.DONE if f"{intent.id}:created" in look.created else _Progress.QUIET
        case _ if vm is None:
            return _Progress.QUIET
        case ActionKind.REGISTER:
            return _Progress.DONE if vm.role is not None else _Progress.QUIET
        case ActionKind.START:
            return _start_progress(vm)
        case ActionKind.MOVE:
            return _move_progress(vm, intent.target)
        case ActionKind.CONFIGURE:
            assert intent.change is not None, "a setting is written by a change"
            return _Progress.DONE if is_set(vm, intent.change) else _Progress.QUIET


def _node_progress(intent: Intent, wanted: NodeState, look: _Look) -> _Progress:
    node = look.observed.node(intent.target)
    return _Progress.DONE if node is not None and node.state is wanted else _Progress.QUIET


def _start_progress(vm: VMObserved) -> _Progress:
    role = vm.role.state if vm.role is not None else None
    if vm.state is VMState.RUNNING and role is RoleState.ONLINE:
        return _Progress.DONE
    if vm.state is VMState.STARTING or role is RoleState.PENDING:
        return _Progress.ACTIVE
    return _Progress.QUIET


def _move_progress(vm: VMObserved, target: str) -> _Progress:
    # Between two nodes a VM may be listed on both or on none, and the role names either.
    pending = vm.role is not None and vm.role.state is RoleState.PENDING
    if pending or not _rests(vm):
        return _Progress.ACTIVE
    return _Progress.DONE if same_name(vm.owner, target) else _Progress.QUIET


def _rests(vm: VMObserved) -> bool:
    return not is_moving(vm) and same_name(vm.host, vm.owner)


def _bindings(
    bound: Mapping[str, str], desired: DesiredState, intents: Iterable[Intent], look: _Look
) -> Mapping[str, str]:
    """Bind each spec to the VM it means, at the first complete look at it."""
    found: dict[str, str] = {}
    for intent in intents:
        vm = look.created.get(f"{intent.id}:created")
        # The mark says that it is ours: it takes the place of an id that is gone.
        gone = bound.get(intent.key) not in look.vms.by_id
        if intent.kind == ActionKind.CREATE and vm is not None and gone:
            found[intent.key] = vm.id
    if look.sees_all:
        for want in desired.vms:
            if want.key not in bound and want.key not in found:
                match = identify(want, None, look.vms)
                if match.vm is not None:
                    found[want.key] = match.vm.id
    return MappingProxyType({**bound, **found}) if found else bound


def _sightings(
    history: History, matches: Mapping[str, Match], intents: Iterable[Intent], look: _Look
) -> tuple[Mapping[str, Sighting], tuple[ForeignMove, ...]]:
    """Where each declared VM rests, and which of them others moved.

    A sighting keeps the time since when the VM is there, so that an idle cluster changes nothing.
    """
    ordered: dict[str, list[Intent]] = {}
    for intent in intents:
        if intent.kind == ActionKind.MOVE and intent.vm_id is not None:
            ordered.setdefault(intent.vm_id, []).append(intent)
    fresh: dict[str, Sighting] = {}
    foreign: list[ForeignMove] = []
    for match in matches.values():
        vm = match.vm
        if vm is None or vm.owner is None or not _rests(vm):
            continue
        before = history.sightings.get(vm.id)
        if before is not None and same_name(before.owner, vm.owner):
            continue
        fresh[vm.id] = Sighting(vm_id=vm.id, owner=vm.owner, at=look.at)
        if before is not None and not _was_ours(before, vm, ordered.get(vm.id, ())):
            foreign.append(_foreign(before, vm.owner, look))
    if not fresh:
        return history.sightings, ()
    return MappingProxyType({**history.sightings, **fresh}), tuple(foreign)


def _was_ours(before: Sighting, vm: VMObserved, ordered: Iterable[Intent]) -> bool:
    """Whether we ordered it, also if we had given the order up: it may have come through late."""
    return any(same_name(i.target, vm.owner) and i.opened_at >= before.at for i in ordered)


def _foreign(before: Sighting, owner: str, look: _Look) -> ForeignMove:
    origin = look.observed.node(before.owner)
    # A paused or draining node is an administrator's doing and is respected.
    failover = (
        origin is None
        or not origin.answered
        or origin.isolated
        or origin.quarantined
        or origin.state not in (NodeState.UP, NodeState.PAUSED)
    )
    return ForeignMove(
        vm_id=before.vm_id, source=before.owner, target=owner, seen_at=look.now, failover=failover
    )


def _absences(
    history: History,
    wants: Iterable[VMDesired],
    matches: Mapping[str, Match],
    look: _Look,
) -> tuple[Mapping[str, int], Mapping[str, datetime]]:
    """Count successive looks at the whole cluster without the VM; any other look ends the run."""
    cycles: dict[str, int] = {}
    since: dict[str, datetime] = {}
    if look.sees_all:
        for want in wants:
            match = matches[want.key]
            if match.vm is None and match.unclear is None:
                cycles[want.key] = history.absent_cycles.get(want.key, 0) + 1
                since[want.key] = history.absent_since.get(want.key, look.at)
    return MappingProxyType(cycles), MappingProxyType(since)


def _busy(intents: Iterable[Intent], look: _Look) -> bool:
    return (
        bool(look.running_jobs)
        or any(i.state is IntentState.OPEN for i in intents)
        or bool(under_way(look.observed))
    )


def _own_moves(history: History, intents: Iterable[Intent], now: datetime) -> tuple[OwnMove, ...]:
    known = {i.id for i in history.intents if i.state is not IntentState.OPEN}
    done = (
        OwnMove(
            vm_id=i.vm_id,
            source=i.source or "",
            target=i.target,
            started_at=i.opened_at,
            seen_at=now,
            hop=i.hop,
            revision=i.revision,
        )
        for i in intents
        if i.kind == ActionKind.MOVE and i.state is IntentState.DONE and i.id not in known
        if i.vm_id is not None
    )
    return tuple(m for m in (*history.moves, *done) if now - m.seen_at < KEPT)


def _complies(
    want: VMDesired, match: Match, desired: DesiredState, observed: ObservedState
) -> bool:
    """Whether nothing that the spec asks for is due."""
    vm = match.vm
    if vm is None or not _rests(vm) or (want.register and vm.role is None):
        return False
    home = vm.owner or ""
    rests_right = standing_cost(want, desired.policy, home=home, node=home) == 0
    due = settings_due(want, vm, observed, desired.policy)
    return rests_right and not any(may_be_set(change, vm) for change in due)


def _still_needed(
    intents: tuple[Intent, ...], matches: Mapping[str, Match], look: _Look
) -> tuple[Intent, ...]:
    """Open intents, and the last settled one of each kind, VM and setting that a rule looks at."""
    last = {_slot(i): i.id for i in intents}
    return tuple(
        i
        for i in intents
        if i.state is IntentState.OPEN
        or (last[_slot(i)] == i.id and not _is_spent(i, matches.get(i.key), look))
    )


def _slot(intent: Intent) -> tuple[str, str, Setting | None]:
    return intent.key, intent.kind, intent.change.setting if intent.change is not None else None


def _is_spent(intent: Intent, match: Match | None, look: _Look) -> bool:
    """Whether no rule looks at a settled intent any more."""
    now = look.now
    if intent.closed_at == now:
        return False  # kept once more, so that the journal learns how it ended
    if intent.kind == ActionKind.SUSPEND_NODE and intent.state is IntentState.DONE:
        # Whoever resumed it: what pauses it after that is not our suspension any more.
        node = look.observed.node(intent.target)
        return node is not None and node.state is NodeState.UP
    old = intent.closed_at is not None and now - intent.closed_at >= KEPT
    vm = match.vm if match is not None else None
    if intent.kind == ActionKind.CREATE and intent.state is IntentState.NOT_DONE:
        # While a VM stands there that it may have left, it must not be taken for another's.
        return old and (vm is None or vm.role is not None)
    once = intent.kind not in (ActionKind.MOVE, ActionKind.CONFIGURE)
    starts_once = once and intent.state is IntentState.DONE
    if not starts_once or match is None:
        return old
    # A role that has been online had its one start: whoever stops it later wants it stopped.
    role = match.vm.role if match.vm is not None else None
    return role is not None and role.state is RoleState.ONLINE
