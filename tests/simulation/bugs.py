"""Bugs of the kinds that controllers had: stale views, half-known outcomes, forgotten memory.

Each is put in by replacing one function or table entry of the product for a while. Sources of the
kinds: Sieve (OSDI'22), fixed bugs of pve-ha-manager, and published outages.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from controller.adapters.local.journal import SqliteJournal
from controller.adapters.winrm import actuator as actuator_module
from controller.adapters.winrm.actuator import ClusterActuator
from controller.adapters.winrm.observer import ClusterObserver
from controller.engine import memory as memory_module
from controller.engine.executor import Executor
from controller.engine.memory import Memory
from controller.model.checks import CheckName
from controller.model.desired import VMDesired
from controller.model.history import History
from controller.model.observed import NodeObserved, ObservedState
from controller.model.report import OutcomeResult
from controller.planning import absorb as absorb_module
from controller.planning import decide as decide_module
from controller.planning import guards as guards_module
from controller.planning import lifecycle as lifecycle_module
from controller.planning import standing as standing_module
from controller.planning import view as view_module
from controller.planning.guards import vm_state as vm_state_module
from controller.planning.preflight import judge as judge_module
from tests.simulation.faults import Kind
from tests.simulation.kills import Kill, Patch

_NO_AUDIT: Patch = (decide_module, "audit", lambda *_: ())


def seeded_bugs() -> list[Kill]:
    """All of them."""
    return [
        Kill(name=name, patches=patches, kinds=kinds)
        for name, patches, kinds in (
            ("a stale snapshot is used", _stale_snapshot, (Kind.FOREIGN_MOVE, Kind.NODE_CRASH)),
            ("an unknown outcome counts as not done", _unknown_is_not_done, _LOST),
            ("a command is sent again after a time-out", _sent_twice, _LOST),
            ("a command leaves before its intent is durable", _intent_after, None),
            ("an intent is not written down", _intent_nowhere, None),
            ("a command leaves though its intent could not be written", _broken_is_fine, _JOURNAL),
            ("the executor does not look at the age of its evidence", _ageless, _SLOW),
            ("one quiet look settles an intent", _settled_at_once, _LOST),
            ("an incomplete look settles an intent", _settled_in_the_dark, _LOST_AND_DARK),
            ("a restart forgets open intents", _forget_intents, _CRASH),
            ("a restart forgets own moves", _forget_moves, _CRASH),
            ("a restart forgets the moves of others", _forget_foreign, _FOREIGN_CRASH),
            ("an empty journal is trusted", _trusted_at_once, _JOURNAL),
            ("a move of others counts as ours", _foreign_is_ours, (Kind.FOREIGN_MOVE,)),
            ("a move of ours counts as another's", _ours_is_foreign, None),
            ("moves of others take no slot", _foreign_takes_no_slot, (Kind.BALANCER_WAVE,)),
            ("memory in flight counts on one end", _one_end, None),
            ("the reserve is forgotten", _no_reserve, None),
            ("the limit of a node is forgotten", _no_node_limit, None),
            ("the limit of the cluster is forgotten", _no_cluster_limit, None),
            ("owners are compared with case", _cased, None),
            ("missing means create while a node is dark", _create_in_the_dark, _DARK),
            ("a silent node is no gap", _no_gaps, _DARK),
            ("a suspended VM is not left alone", _no_suspend, None),
            ("twins are told apart by luck", _lucky_twin, None),
            ("the cluster's possible owners are ignored", _any_owner, None),
            ("a draining node takes VMs", _drains_welcome, (Kind.PAUSE,)),
            ("storage is not looked at before registering", _any_storage, None),
            ("a move is asked of its target", _wrong_node, None),
            ("what is under way counts as at rest", _never_moving, (Kind.FOREIGN_MOVE,)),
            ("whoever is stopped gets started", _restarter, (Kind.VM_STATE_CHANGE,)),
            ("a disagreement on the owner is decided by the host", _host_rules, _SLOW_MOVES),
        )
    ]


_LOST = (Kind.REPLY_LOST, Kind.DELAYED)
_LOST_AND_DARK = (Kind.DELAYED, Kind.ONE_WAY_PARTITION, Kind.HANG)
_CRASH = (Kind.CONTROLLER_CRASH, Kind.DELAYED)
_FOREIGN_CRASH = (Kind.CONTROLLER_CRASH, Kind.FOREIGN_MOVE)
_JOURNAL = (Kind.JOURNAL_ERROR, Kind.CONTROLLER_CRASH)
_DARK = (Kind.ONE_WAY_PARTITION, Kind.HANG)
_SLOW = (Kind.FREEZE, Kind.DRIP)
_SLOW_MOVES = (Kind.FOREIGN_MOVE, Kind.PAUSE)


# ---- what is seen


def _stale_snapshot() -> Sequence[Patch]:
    """Every look but each fourth is an old one with a new date."""
    observe = ClusterObserver.observe
    kept: dict[int, tuple[int, ObservedState]] = {}

    async def stale(self: ClusterObserver) -> ObservedState:
        count, seen = kept.get(id(self), (0, None))
        if seen is None or count % 4 == 0:
            seen = await observe(self)
            kept.clear()
        kept[id(self)] = count + 1, seen
        now = self._clock.now()
        return replace(seen, started_at=now, completed_at=now)

    return [(ClusterObserver, "observe", stale)]


def _no_gaps() -> Sequence[Patch]:
    observe = ClusterObserver.observe

    async def blind(self: ClusterObserver) -> ObservedState:
        seen = await observe(self)
        nodes = tuple(replace(node, answered=True) for node in seen.nodes)
        return replace(seen, gaps=(), nodes=nodes)

    return [(ClusterObserver, "observe", blind), _NO_AUDIT]


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

    async def twice(self: ClusterActuator, action: Any, intent_id: str) -> Any:
        outcome = await submit(self, action, intent_id)
        if outcome.result is OutcomeResult.UNKNOWN:
            return await submit(self, action, intent_id)
        return outcome

    return [(ClusterActuator, "submit", twice)]


def _intent_after() -> Sequence[Patch]:
    async def give(self: Executor, action: Any, plan: Any, desired: Any, observed: Any) -> Any:
        from controller.engine.executor import _intent

        intent = _intent(action, plan, self._clock.now())
        outcome = await self._actuator.submit(action, intent.id)
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
    off = tuple(g for g in guards_module.CLUSTER_GUARDS if g.__name__ != "_evidence_old")
    return [
        (Executor, "_unsendable", lambda self, *_: None),
        (guards_module, "CLUSTER_GUARDS", off),
    ]


def _settled_at_once() -> Sequence[Patch]:
    settled = absorb_module._settled

    def hasty(intent: Any, look: Any) -> Any:
        return settled(intent, replace(look, settle_seconds=0.0))

    return [(absorb_module, "_settled", hasty)]


def _settled_in_the_dark() -> Sequence[Patch]:
    settled = absorb_module._settled

    def hasty(intent: Any, look: Any) -> Any:
        whole = replace(look.observed, gaps=())
        return settled(intent, replace(look, observed=whole, settle_seconds=0.0))

    return [(absorb_module, "_settled", hasty)]


def _wrong_node() -> Sequence[Patch]:
    command = actuator_module.command_for

    def wrong(action: Any, intent_id: str) -> Any:
        node, operation, arguments = command(action, intent_id)
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

    return [(view_module, "_flights", ours), _NO_AUDIT]


def _one_end() -> Sequence[Patch]:
    rooms = view_module._rooms
    return [
        (view_module, "_rooms", lambda desired, nodes, flights: rooms(desired, nodes, ())),
        (view_module, "_reserve_for_starts", lambda *_: None),
        _NO_AUDIT,
    ]


def _no_reserve() -> Sequence[Patch]:
    from controller.model.policy import Policy

    return [(Policy, "reserve_bytes", lambda self, node_memory_bytes: 0), _NO_AUDIT]


def _no_node_limit() -> Sequence[Patch]:
    return [(view_module.View, "node_limit", property(lambda self: 99)), _NO_AUDIT]


def _no_cluster_limit() -> Sequence[Patch]:
    return [(view_module.View, "cluster_limit", property(lambda self: 99)), _NO_AUDIT]


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
        (guards_module, "CLUSTER_GUARDS", ()),
        _NO_AUDIT,
    ]


def _asked_without(name: str) -> Patch:
    questions = tuple(q for q in standing_module._QUESTIONS if q.__name__ != name)
    return standing_module, "_QUESTIONS", questions


def _no_suspend() -> Sequence[Patch]:
    return [_asked_without("_suspended"), _NO_AUDIT]


def _lucky_twin() -> Sequence[Patch]:
    from controller.planning import identity as identity_module

    def first(want: Any, bound: Any, vms: Any) -> Any:
        named = vms.by_name.get((want.name or "").lower(), ())
        known = vms.by_id.get(bound or want.id or "") or (named[0] if named else None)
        return identity_module.Match(known)

    return [
        (view_module, "identify", first),
        (absorb_module, "identify", first),
        _NO_AUDIT,
    ]


def _any_owner() -> Sequence[Patch]:
    return [_without(CheckName.CLUSTER_POSSIBLE), _NO_AUDIT]


def _without(name: CheckName) -> Patch:
    return judge_module, "OF_PLACE", tuple(c for c in judge_module.OF_PLACE if c.name is not name)


def _drains_welcome() -> Sequence[Patch]:
    return [(NodeObserved, "is_target", property(lambda self: self.answered))]


def _any_storage() -> Sequence[Patch]:
    return [(vm_state_module, "in_the_way", lambda kind, want, seen, around: None), _NO_AUDIT]


def _never_moving() -> Sequence[Patch]:
    def rests(vm: Any) -> bool:
        return False

    return [
        (standing_module, "is_moving", rests),
        (view_module, "is_moving", rests),
        _asked_without("_owner_unclear"),
        _NO_AUDIT,
    ]


def _restarter() -> Sequence[Patch]:
    return [(standing_module, "start_is_due", lambda intents, key: True), _NO_AUDIT]


def _host_rules() -> Sequence[Patch]:
    return [_asked_without("_owner_unclear"), _asked_without("_moving"), _NO_AUDIT]
