"""Bugs of the kinds that controllers had: stale views, half-known outcomes, forgotten memory.

Each is put in by replacing one function or table entry of the product for a while. Sources of the
kinds: Sieve (OSDI'22), fixed bugs of pve-ha-manager, and published outages.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from types import MappingProxyType
from typing import Any

from controller.adapters.local.journal import SqliteJournal
from controller.adapters.specs.directory import DirectorySource
from controller.adapters.winrm import actuator as actuator_module
from controller.adapters.winrm.actuator import ClusterActuator
from controller.adapters.winrm.observer import ClusterObserver
from controller.engine import memory as memory_module
from controller.engine.executor import Executor, _intent
from controller.engine.memory import Memory
from controller.engine.orders import Orders
from controller.model.checks import CheckName
from controller.model.desired import VMDesired
from controller.model.history import History
from controller.model.observed import NodeObserved, ObservedState
from controller.model.policy import Policy
from controller.model.report import OutcomeResult
from controller.planning import absorb as absorb_module
from controller.planning import approvals as approvals_module
from controller.planning import guards as guards_module
from controller.planning import identity as identity_module
from controller.planning import lifecycle as lifecycle_module
from controller.planning import schedule as schedule_module
from controller.planning import standing as standing_module
from controller.planning import view as view_module
from controller.planning import windows as windows_module
from controller.planning.guards import pace as pace_module
from controller.planning.guards import vm_state as vm_state_module
from controller.planning.preflight import judge as judge_module
from tests.simulation import hazards_bugs as runs
from tests.simulation import hazards_cluster, hazards_vm
from tests.simulation.guard_kills import AGE
from tests.simulation.kills import NO_AUDIT, Kill, Patch
from tests.simulation.stage import Story


def seeded_bugs() -> list[Kill]:
    """All of them, each with the run that it would spoil."""
    return [Kill(name=name, patches=patches, story=story) for name, patches, story in _BUGS]


# ---- what is seen


def _stale_snapshot() -> Sequence[Patch]:
    """What was seen is kept for a while, and given again with a new date."""
    observe = ClusterObserver.observe
    kept: dict[int, ObservedState] = {}

    async def stale(self: ClusterObserver) -> ObservedState:
        now = self._clock.now()
        seen = kept.get(id(self))
        if seen is None or now - seen.started_at > timedelta(seconds=100):
            kept.clear()
            seen = kept[id(self)] = await observe(self)
        return replace(seen, started_at=now, completed_at=now)

    return [(ClusterObserver, "observe", stale)]


def _no_gaps() -> Sequence[Patch]:
    observe = ClusterObserver.observe

    async def blind(self: ClusterObserver) -> ObservedState:
        seen = await observe(self)
        nodes = tuple(replace(node, answered=True) for node in seen.nodes)
        return replace(seen, gaps=(), nodes=nodes)

    return [(ClusterObserver, "observe", blind), NO_AUDIT]


# ---- commands and their outcomes


def _unknown_is_not_done() -> Sequence[Patch]:
    after = memory_module._after

    def hasty(intent: Any, outcome: Any, now: Any) -> Any:
        if outcome.result is OutcomeResult.UNKNOWN:
            outcome = replace(outcome, result=OutcomeResult.NOT_SENT)
        return after(intent, outcome, now)

    return [(memory_module, "_after", hasty)]


def _sent_twice() -> Sequence[Patch]:
    submit = ClusterActuator.submit

    async def twice(self: ClusterActuator, action: Any, intent_id: str, fence: Any) -> Any:
        outcome = await submit(self, action, intent_id, fence)
        if outcome.result is OutcomeResult.UNKNOWN:
            return await submit(self, action, intent_id, fence)
        return outcome

    return [(ClusterActuator, "submit", twice)]


def _intent_after() -> Sequence[Patch]:
    async def give(self: Executor, action: Any, plan: Any, desired: Any, observed: Any) -> Any:
        intent, fence = _intent(action, plan, self._clock.now()), self._memory.fence(plan.cluster)
        assert fence is not None
        outcome = await self._actuator.submit(action, intent.id, fence)
        await self._memory.open(plan.cluster, intent)
        await self._memory.record(plan.cluster, outcome, self._clock.now())
        return outcome

    return [(Executor, "_give", give)]


def _intent_nowhere() -> Sequence[Patch]:
    def open_(self: Memory, cluster: str, intent: Any) -> None:
        history = self._histories[cluster]
        self._histories[cluster] = replace(history, intents=(*history.intents, intent))

    return [(Memory, "_open", open_)]


def _broken_is_fine() -> Sequence[Patch]:
    open_ = Memory._open

    def brave(self: Memory, cluster: str, intent: Any) -> None:
        try:
            open_(self, cluster, intent)
        except Exception:
            history = self._histories[cluster]
            self._histories[cluster] = replace(history, intents=(*history.intents, intent))
        self.broken = None

    return [(Memory, "_open", brave), (Memory, "_break", lambda self, error: None)]


def _ageless() -> Sequence[Patch]:
    """The barrier behind the guard, which is asked at the last moment."""
    return AGE.patches()


def _stopped_too_late() -> Sequence[Patch]:
    return [(Orders, "forbid", lambda *_: None)]


def _settled_at_once() -> Sequence[Patch]:
    settled = absorb_module._settled

    def hasty(intent: Any, look: Any) -> Any:
        return settled(intent, replace(look, settle_seconds=0.0))

    return [(absorb_module, "_settled", hasty)]


def _settled_in_the_dark() -> Sequence[Patch]:
    settled = absorb_module._settled

    def hasty(intent: Any, look: Any) -> Any:
        return settled(intent, replace(look, observed=replace(look.observed, gaps=())))

    return [(absorb_module, "_settled", hasty)]


def _wrong_node() -> Sequence[Patch]:
    command = actuator_module.command_for

    def wrong(action: Any, intent_id: str, fence: Any) -> Any:
        node, operation, arguments = command(action, intent_id, fence)
        return arguments.get("target", node), operation, arguments

    return [(actuator_module, "command_for", wrong)]


# ---- memory


def _loading(**without: Any) -> Sequence[Patch]:
    load = SqliteJournal.load

    def forgetful(self: SqliteJournal, cluster: str) -> History:
        return replace(load(self, cluster), **without)

    return [(SqliteJournal, "load", forgetful)]


def _forget_intents() -> Sequence[Patch]:
    return _loading(intents=())


def _forget_moves() -> Sequence[Patch]:
    return _loading(moves=())


def _forget_foreign() -> Sequence[Patch]:
    return _loading(foreign=(), sightings=MappingProxyType({}))


def _trusted_at_once() -> Sequence[Patch]:
    return _loading(trusted=True)


def _forget_stops() -> Sequence[Patch]:
    return _loading(stops=())


def _forget_results() -> Sequence[Patch]:
    return _loading(results=())


def _forget_nodes() -> Sequence[Patch]:
    return _loading(nodes_away=frozenset(), node_up_since=MappingProxyType({}))


def _forget_specs() -> Sequence[Patch]:
    return _loading(specs=MappingProxyType({}))


def _foreign_is_ours() -> Sequence[Patch]:
    return [(absorb_module, "_was_ours", lambda *_: True)]


def _ours_is_foreign() -> Sequence[Patch]:
    return [(absorb_module, "_was_ours", lambda *_: False)]


# ---- planning


def _foreign_takes_no_slot() -> Sequence[Patch]:
    flights = view_module._flights

    def ours(observed: Any, vms: Any, nodes: Any, intents: Any) -> Any:
        own = {intent.vm_id for intent in intents.values()}
        return tuple(f for f in flights(observed, vms, nodes, intents) if f.vm.id in own)

    return [(view_module, "_flights", ours), NO_AUDIT]


def _one_end() -> Sequence[Patch]:
    rooms = view_module._rooms
    return [
        (view_module, "_rooms", lambda desired, nodes, flights: rooms(desired, nodes, ())),
        (view_module, "_reserve_for_starts", lambda *_: None),
        NO_AUDIT,
    ]


def _no_reserve() -> Sequence[Patch]:
    return [(Policy, "reserve_bytes", lambda self, node_memory_bytes: 0), NO_AUDIT]


def _no_node_limit() -> Sequence[Patch]:
    return [(view_module.View, "node_limit", property(lambda self: 99)), NO_AUDIT]


def _no_cluster_limit() -> Sequence[Patch]:
    return [(view_module.View, "cluster_limit", property(lambda self: 99)), NO_AUDIT]


def _cased() -> Sequence[Patch]:
    def allows(self: VMDesired, node: str) -> bool:
        return self.possible is None or node in self.possible

    def rank(self: VMDesired, node: str) -> int:
        return self.preferred.index(node) if node in self.preferred else len(self.preferred)

    return [(VMDesired, "allows", allows), (VMDesired, "rank", rank)]


def _create_in_the_dark() -> Sequence[Patch]:
    return [
        (view_module.View, "sees_all", property(lambda self: True, lambda self, value: None)),
        (lifecycle_module, "create_hold", lambda view, want: None),
        NO_AUDIT,
    ]


def _asked_without(*names: str) -> Patch:
    questions = tuple(q for q in standing_module._QUESTIONS if q.__name__ not in names)
    return standing_module, "_QUESTIONS", questions


def _no_suspend() -> Sequence[Patch]:
    return [_asked_without("_suspended"), NO_AUDIT]


def _lucky_twin() -> Sequence[Patch]:
    def first(want: Any, bound: Any, vms: Any) -> Any:
        named = vms.by_name.get((want.name or "").lower(), ())
        known = vms.by_id.get(bound or want.id or "") or (named[0] if named else None)
        return identity_module.Match(known)

    return [
        (view_module, "identify", first),
        (absorb_module, "identify", first),
        # Preflight would tell of the twin, too.
        (vm_state_module, "in_the_way", lambda kind, want, seen, around: None),
        NO_AUDIT,
    ]


def _any_owner() -> Sequence[Patch]:
    checks = tuple(c for c in judge_module.OF_PLACE if c.name is not CheckName.CLUSTER_POSSIBLE)
    return [(judge_module, "OF_PLACE", checks), NO_AUDIT]


def _drains_welcome() -> Sequence[Patch]:
    return [(NodeObserved, "is_target", property(lambda self: self.answered))]


def _any_storage() -> Sequence[Patch]:
    return [(vm_state_module, "in_the_way", lambda kind, want, seen, around: None), NO_AUDIT]


def _never_moving() -> Sequence[Patch]:
    def rests(vm: Any) -> bool:
        return False

    return [
        (standing_module, "is_moving", rests),
        (view_module, "is_moving", rests),
        _asked_without("_owner_unclear"),
        NO_AUDIT,
    ]


def _restarter() -> Sequence[Patch]:
    return [(standing_module, "start_is_due", lambda intents, key: True), NO_AUDIT]


def _host_rules() -> Sequence[Patch]:
    return [_asked_without("_owner_unclear", "_moving"), NO_AUDIT]


def _any_spec_of_two() -> Sequence[Patch]:
    return [_asked_without("_conflict"), NO_AUDIT]


def _no_open_intents() -> Sequence[Patch]:
    return [_asked_without("_under_way_by_us"), NO_AUDIT]


def _by_name_alone() -> Sequence[Patch]:
    def by_name(want: Any, bound: Any, vms: Any) -> Any:
        return identity_module.identify(want, None, vms)

    return [
        (view_module, "identify", by_name),
        (absorb_module, "identify", by_name),
        NO_AUDIT,
    ]


def _all_memory_is_free() -> Sequence[Patch]:
    rooms = view_module._rooms

    def total(desired: Any, nodes: Any, flights: Any) -> Any:
        empty = {
            name: replace(node, memory_available_bytes=node.memory_total_bytes)
            for name, node in nodes.items()
        }
        return rooms(desired, empty, flights)

    return [(view_module, "_rooms", total), NO_AUDIT]


def _half_is_whole() -> Sequence[Patch]:
    lacking = [
        (guards_module, table, tuple(g for g in getattr(guards_module, table) if g is not half))
        for table, half in (
            ("REGISTER_GUARDS", vm_state_module.half_created),
            ("START_GUARDS", vm_state_module.half_created),
        )
    ]
    return [_asked_without("_half_created"), *lacking, NO_AUDIT]


def _endless_tries() -> Sequence[Patch]:
    return [(pace_module, "_IN_A_ROW", 1_000_000)]


def _any_revision() -> Sequence[Patch]:
    width = schedule_module.canary_width

    def lax(view: Any, due_moves: int) -> Any:
        revision = view.desired.revision
        moves = tuple(replace(move, revision=revision) for move in view.history.moves)
        return width(replace(view, history=replace(view.history, moves=moves)), due_moves)

    return [(schedule_module, "canary_width", lax)]


# ---- people and time


def _any_approval() -> Sequence[Patch]:
    return [(approvals_module, "covers", lambda *_: True)]


def _outbid() -> Sequence[Patch]:
    return [(absorb_module, "is_superseded", lambda history, observed: False)]


def _all_zones_are_utc() -> Sequence[Patch]:
    def instant(wall: Any, window: Any) -> Any:
        return wall.replace(tzinfo=UTC)

    return [(windows_module, "_instant", instant)]


def _old_specs() -> Sequence[Patch]:
    """The cache of the specs is never told of a change (Sieve: a stale informer)."""
    read = DirectorySource.read
    kept: dict[int, Any] = {}

    async def cached(self: DirectorySource) -> Any:
        if id(self) not in kept:
            kept.clear()
            kept[id(self)] = await read(self)
        return kept[id(self)]

    return [(DirectorySource, "read", cached)]


_Bug = tuple[str, Callable[[], Sequence[Patch]], Callable[[int], Story]]
_BUGS: tuple[_Bug, ...] = (
    ("a stale snapshot is used", _stale_snapshot, runs.slow_looks),
    ("an unknown outcome counts as not done", _unknown_is_not_done, runs.delayed),
    ("a command is sent again after a time-out", _sent_twice, runs.delayed),
    ("a command leaves before its intent is durable", _intent_after, runs.plain),
    ("an intent is not written down", _intent_nowhere, runs.plain),
    ("a command leaves though its intent could not be written", _broken_is_fine, runs.full_disk),
    ("the age of the evidence is not asked again before sending", _ageless,
     runs.frozen_after_the_plan),
    ("a stop is not asked for again before sending", _stopped_too_late,
     runs.stopped_after_the_plan),
    ("one quiet look settles an intent", _settled_at_once, runs.delayed),
    ("an incomplete look settles an intent", _settled_in_the_dark, runs.delayed_in_the_dark),
    ("an open intent does not keep its VM from another", _no_open_intents, runs.delayed),
    ("a restart forgets open intents", _forget_intents, runs.delayed_across_a_restart),
    ("a restart forgets own moves", _forget_moves, runs.moved_back_across_a_restart),
    ("a restart forgets the moves of others", _forget_foreign, runs.respected_across_a_restart),
    ("a restart forgets stops", _forget_stops, hazards_cluster.stopped),
    ("a restart forgets failures", _forget_results, hazards_cluster.failures),
    ("a restart forgets that a node was away", _forget_nodes, runs.unstable_across_a_restart),
    ("a restart accepts whatever specs it finds", _forget_specs, runs.big_change_across_a_restart),
    ("an empty journal is trusted", _trusted_at_once, hazards_cluster.first_cycles),
    ("a move of others counts as ours", _foreign_is_ours, hazards_vm.MOVE["foreign_move"]),
    ("a move of ours counts as another's", _ours_is_foreign, runs.plain),
    ("moves of others take no slot", _foreign_takes_no_slot, runs.anothers_slot),
    ("memory in flight counts on one end", _one_end, runs.anothers_room),
    ("the reserve is forgotten", _no_reserve, runs.into_the_reserve),
    ("all memory of a node counts as free", _all_memory_is_free, runs.full_node),
    ("the limit of a node is forgotten", _no_node_limit, runs.all_at_once),
    ("the limit of the cluster is forgotten", _no_cluster_limit, runs.all_at_once),
    ("owners are compared with case", _cased, runs.other_case),
    ("missing means create while a node is dark", _create_in_the_dark, runs.unseen),
    ("a silent node is no gap", _no_gaps, runs.unseen),
    ("a suspended VM is not left alone", _no_suspend, runs.suspended),
    ("a change of the specs is not noticed", _old_specs, runs.suspended_at_last),
    ("twins are told apart by luck", _lucky_twin, runs.twins),
    ("whoever bears the name is meant", _by_name_alone, runs.other_bearer),
    ("the first of two specs for a VM wins", _any_spec_of_two, runs.two_specs),
    ("the cluster's possible owners are ignored", _any_owner, runs.impossible_owner),
    ("a draining node takes VMs", _drains_welcome, runs.draining),
    ("storage is not looked at before registering", _any_storage,
     hazards_vm.REGISTER["high_availability_blocked"]),
    ("a creation that broke off counts as whole", _half_is_whole, runs.broken_off),
    ("a move is asked of its target", _wrong_node, runs.plain),
    ("what is under way counts as at rest", _never_moving, runs.under_way),
    ("whoever is stopped gets started", _restarter, runs.switched_off),
    ("a disagreement on the owner is decided by the host", _host_rules, runs.two_owners),
    ("what fails is tried without end", _endless_tries, hazards_vm.MOVE["keeps_failing"]),
    ("any change proves any other", _any_revision, runs.proved_by_another_change),
    ("a yes to one plan is a yes to every plan", _any_approval, runs.old_approval),
    ("the newer controller is outbid", _outbid, hazards_cluster.superseded),
    ("a window's time zone is forgotten", _all_zones_are_utc, runs.window_elsewhere),
)  # fmt: skip
