"""One indexed look at everything that planning rests on.

Node names are folded in here and everywhere in planning; `View.title` gives the cluster's spelling.

Memory is counted on the safe side. `room_now` is what a node measures as available, less the
reserve, less all that is on its way in: whether Windows has taken that memory already when a
migration starts is documented nowhere, so it may count twice for a while, never not at all.
`room_later` adds what moves under way will free on their sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.model.desired import DesiredState, VMDesired
from controller.model.history import ForeignMove, History, Intent, OwnMove
from controller.model.names import fold
from controller.model.observed import (
    Job,
    JobState,
    NodeObserved,
    ObservedState,
    RoleState,
    VMObserved,
    VMState,
)
from controller.model.plan import ActionKind
from controller.planning.identity import Match, Roster, claimed_twice, identify, roster
from controller.planning.preflight import Surroundings, surroundings
from controller.planning.windows import Opening, opening

NO_ROOM: Final = -(1 << 62)
"""Room of a node that gave no figure: no departure makes it enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A move under way, whoever began it, and whether or not it left already."""

    vm: VMObserved
    source: str
    targets: tuple[str, ...]
    """One, or every node that it might go to where nobody tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Desired, observed, history and now, each by key."""

    desired: DesiredState
    observed: ObservedState
    history: History
    now: datetime
    nodes: Mapping[str, NodeObserved]
    """By folded name, in order of it."""
    vms: Roster
    matches: Mapping[str, Match]
    """VMDesired key -> the VM meant."""
    claimed_twice: frozenset[str]
    open_intents: Mapping[str, Intent]
    """By VMDesired key."""
    running_jobs: Mapping[str, Job]
    """By intent id."""
    flights: tuple[Flight, ...]
    slots_used: Mapping[str, int]
    """Moves under way that a node takes part in."""
    room_now: Mapping[str, int]
    """Bytes that may still come in. A node that gave no figure has none."""
    room_later: Mapping[str, int]
    inbound: Mapping[str, int]
    """Bytes on their way in, taken off both rooms; the node may have counted them already."""
    last_foreign: Mapping[str, ForeignMove]
    own_moves: Mapping[str, tuple[OwnMove, ...]]
    """By VM id, oldest first."""
    around: Surroundings
    """For preflight."""
    opening: Opening
    """What the change windows say now."""
    sees_all: bool
    """Whether every node answered, also those that are down: only then is a VM absent."""
    vacated: frozenset[str] = frozenset()
    """Nodes that VMs leave for maintenance; the specs in `desired` do without them."""
    otherwise: frozenset[str] = frozenset()
    """Keys of VMs whose specs in `desired` are not as they are written, for a maintenance."""

    @property
    def node_limit(self) -> int:
        """Moves that a node may take part in, in and out counted together."""
        own = self.desired.policy.moves_per_node_max
        # Windows applies MaximumParallelMigrations to each node (Get-Cluster; KB5017381).
        cluster = self.observed.migrations_parallel_max
        return own if cluster is None else min(own, cluster)

    @property
    def cluster_limit(self) -> int:
        """Moves that may be under way in the cluster."""
        return self.desired.policy.moves_per_cluster_max

    def title(self, node: str) -> str:
        """The node's name as the cluster spells it."""
        return self.nodes[node].name if node in self.nodes else node

    def on_hop(self, vm_id: str) -> bool:
        """Whether our last move of the VM was a hop, so that its return belongs to it."""
        hops = 0
        for move in reversed(self.own_moves.get(vm_id, ())):
            if not move.hop:
                break
            hops += 1
        return hops % 2 == 1


def look(desired: DesiredState, observed: ObservedState, history: History, now: datetime) -> View:
    """Index everything once."""
    nodes = {fold(n.name): n for n in sorted(observed.nodes, key=lambda n: fold(n.name))}
    vms = roster(observed)
    matches = {w.key: identify(w, history.bound.get(w.key), vms) for w in desired.vms}
    intents = {i.key: i for i in history.open_intents}
    flights = _flights(observed, vms, nodes, intents)
    room_now, room_later, inbound = _rooms(desired, nodes, flights)
    _reserve_for_starts(desired, vms, intents, room_now, room_later)
    own_moves: dict[str, tuple[OwnMove, ...]] = {}
    for move in history.moves:
        own_moves[move.vm_id] = (*own_moves.get(move.vm_id, ()), move)
    return View(
        desired=desired,
        observed=observed,
        history=history,
        now=now,
        nodes=nodes,
        vms=vms,
        matches=matches,
        claimed_twice=claimed_twice((w, matches[w.key]) for w in desired.vms),
        open_intents=intents,
        running_jobs={j.intent: j for j in observed.jobs if j.state is JobState.RUNNING},
        flights=flights,
        slots_used=_slots(flights),
        room_now=room_now,
        room_later=room_later,
        inbound=inbound,
        last_foreign={f.vm_id: f for f in history.foreign},
        own_moves=own_moves,
        around=surroundings(
            observed, vms, desired.policy, now, targets={f.vm.id: f.targets for f in flights}
        ),
        opening=opening(desired.policy.windows, now),
        sees_all=observed.is_complete and all(n.answered for n in observed.nodes),
    )


def is_moving(vm: VMObserved) -> bool:
    """Whether the VM is under way or queued to be, whoever wants it."""
    return vm.migration is not None or (vm.role is not None and vm.role.queued)


def under_way(observed: ObservedState) -> tuple[VMObserved, ...]:
    """Every VM that moves or is queued to, and every one whose role is online on no node.

    Whether Hyper-V lists a VM while it moves is doubtful (docs/windows.md). One that its owner node
    answers without is between two nodes, whoever moves it.
    """
    nodes = {fold(node.name): node for node in observed.nodes}

    def is_between_nodes(vm: VMObserved) -> bool:
        owner = nodes.get(fold(vm.owner or ""))
        online = vm.role is not None and vm.role.state is RoleState.ONLINE
        return online and vm.host is None and owner is not None and owner.answered

    return tuple(vm for vm in observed.vms if is_moving(vm) or is_between_nodes(vm))


def _flights(
    observed: ObservedState,
    vms: Roster,
    nodes: Mapping[str, NodeObserved],
    intents: Mapping[str, Intent],
) -> tuple[Flight, ...]:
    """Every move that shows, and every one of ours that may yet start."""
    ours = {
        i.vm_id: i for i in intents.values() if i.kind == ActionKind.MOVE and i.vm_id is not None
    }
    moving = {vm.id: vm for vm in under_way(observed)}
    for vm_id in ours:
        if vm_id in vms.by_id:
            moving[vm_id] = vms.by_id[vm_id]
    flights = []
    for vm_id in sorted(moving):
        vm, intent = moving[vm_id], ours.get(vm_id)
        told = vm.migration.source if vm.migration is not None else None
        # Our own word first: in the switch-over both host and owner may be the target already.
        source = fold((intent.source if intent else None) or told or vm.owner or "")
        targets = {fold(t) for t in (vm.migration and vm.migration.target,) if t}
        targets |= {fold(intent.target)} if intent is not None else set()
        if not targets:
            targets = {name for name, node in nodes.items() if node.is_target and name != source}
        flights.append(Flight(vm=vm, source=source, targets=tuple(sorted(targets))))
    return tuple(flights)


def _slots(flights: tuple[Flight, ...]) -> dict[str, int]:
    used: dict[str, int] = {}
    for flight in flights:
        for node in {flight.source, *flight.targets}:
            used[node] = used.get(node, 0) + 1
    return used


def _rooms(
    desired: DesiredState, nodes: Mapping[str, NodeObserved], flights: tuple[Flight, ...]
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    measured: dict[str, int] = {}
    for name, node in nodes.items():
        if node.memory_available_bytes is None or node.memory_total_bytes is None:
            measured[name] = NO_ROOM
            continue
        reserve = desired.policy.reserve_bytes(node.memory_total_bytes)
        measured[name] = node.memory_available_bytes - reserve
    inbound: dict[str, int] = {}
    freed: dict[str, int] = {}
    for flight in flights:
        host = fold(flight.vm.host or "")
        for target in flight.targets:
            if target != host:
                inbound[target] = inbound.get(target, 0) + flight.vm.memory_bytes
        if flight.source == host:
            freed[host] = freed.get(host, 0) + flight.vm.memory_bytes
    now = {name: room - inbound.get(name, 0) for name, room in measured.items()}
    return now, {name: room + freed.get(name, 0) for name, room in now.items()}, inbound


def _reserve_for_starts(
    desired: DesiredState,
    vms: Roster,
    intents: Mapping[str, Intent],
    *rooms: dict[str, int],
) -> None:
    """A VM that we are creating or starting takes its start-up memory soon."""
    wants: Mapping[str, VMDesired] = {w.key: w for w in desired.vms}
    for key, intent in intents.items():
        vm, want, memory = vms.by_id.get(intent.vm_id or ""), wants.get(key), 0
        if intent.kind == ActionKind.START and vm is not None:
            memory = 0 if vm.state is VMState.RUNNING else vm.memory_startup_bytes
        elif intent.kind == ActionKind.CREATE and want is not None and want.template is not None:
            memory = want.template.memory_startup_bytes
        for room in rooms:
            if fold(intent.target) in room:
                room[fold(intent.target)] -= memory
