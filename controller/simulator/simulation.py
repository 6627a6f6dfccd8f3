"""The world's clock, its records and the questions that all of its parts ask.

Time is virtual and moves only in `advance_to`; what is to happen later is an event in one queue,
ordered by time and then by when it was planned, so that a world repeats itself exactly.
"""

from __future__ import annotations

import copy
import heapq
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import (
    NO_ENDPOINT,
    NO_QUORUM,
    NODE_NOT_FOUND,
    NodeHangs,
    NodeUnreachable,
    Refusal,
)
from controller.simulator.doubts import Doubts, Timing
from controller.simulator.inventory import Cluster, MigrationFault, Node, Role, VirtualMachine
from controller.simulator.states import Cause, GroupState, NodeFlag, NodeState, Stage, VmState
from controller.simulator.values import CmdletError, Value

_ONLINE_STATES = frozenset({VmState.Running, VmState.Paused, VmState.Pausing, VmState.Resuming})
_OFFLINE_STATES = frozenset({VmState.Off, VmState.Saved})
_NO_PLACE = NodeFlag.Isolated | NodeFlag.Quarantined | NodeFlag.AvoidPlacement


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One changing cmdlet call as it reached a node; `error` is None when it was accepted."""

    at_seconds: float
    node: str
    cmdlet: str
    parameters: Mapping[str, Value]
    error: CmdletError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One change of a VM's node that truly took place; `live` is False if the guest noticed."""

    at_seconds: float
    source: str
    target: str
    cause: Cause
    live: bool


class Simulation:
    """Records, clock and look-ups; what happens in the world is in the modules above this one."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        timing: Timing | None = None,
        doubts: Doubts | None = None,
        started: datetime,
    ) -> None:
        assert started.tzinfo is not None, "the world's start needs a time zone"
        self.cluster = cluster
        self.timing = timing or Timing()
        self.doubts = doubts or Doubts()
        self.now = 0.0
        self.commands: list[Command] = []
        self.moves: dict[str, list[Moved]] = {}
        self.faults: dict[str, MigrationFault] = {}
        self._started = started
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._ids = 0
        self._old_views: dict[str, Cluster] = {}

    # ---- time

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen later; the action itself checks whether it still applies."""
        self._planned += 1
        heapq.heappush(self._events, (self.now + max(seconds, 0.0), self._planned, action))

    def next_event_at(self) -> float | None:
        """When something is next due to happen by itself, or None."""
        return self._events[0][0] if self._events else None

    def advance_to(self, seconds: float) -> None:
        """Let the world run to this moment, counted from its start; a past moment does nothing."""
        while self._events and self._events[0][0] <= seconds:
            at, _, action = heapq.heappop(self._events)
            self.now = max(self.now, at)
            action()
        self.now = max(self.now, seconds)

    def date_of(self, seconds: float) -> datetime:
        """A moment of the world as an aware date."""
        return self._started + timedelta(seconds=seconds)

    def new_id(self) -> str:
        """The next GUID of this world; the same in each repetition."""
        self._ids += 1
        return str(uuid.uuid5(uuid.UUID(self.cluster.id), str(self._ids)))

    def new_number(self) -> int:
        """A number greater than all before, to keep queues in order."""
        self._planned += 1
        return self._planned

    # ---- look-ups

    def node(self, name: str) -> Node:
        node = self.cluster.node(name)
        if node is None:
            raise Refusal(NODE_NOT_FOUND, f"The cluster node '{name}' was not found.")
        return node

    def vm(self, name_or_id: str) -> VirtualMachine:
        """The one VM of this id or name; `KeyError` when there is none, or more than one."""
        found = self.cluster.vms.get(name_or_id.lower())
        if found is not None:
            return found
        named = [vm for vm in self.cluster.vms.values() if same_name(vm.name, name_or_id)]
        if len(named) != 1:
            raise KeyError(f"{len(named)} VMs are called {name_or_id!r}")
        return named[0]

    def role(self, name_or_id: str) -> Role:
        """The role of this VM; `KeyError` when it is not clustered."""
        return self.cluster.roles[self.vm(name_or_id).id]

    def vms_listed_on(self, node: Node) -> list[VirtualMachine]:
        """The VMs that this node's hypervisor lists, in order of their names."""
        listed = [vm for vm in self.cluster.vms.values() if self.lists(node, vm)]
        return sorted(listed, key=lambda vm: (fold(vm.name), vm.id))

    def lists(self, node: Node, vm: VirtualMachine) -> bool:
        """Whether this node's hypervisor lists that VM."""
        if vm.unlisted_until is not None and self.now < vm.unlisted_until:
            return False
        here = same_name(vm.node, node.name)
        migration = self.cluster.migrations.get(vm.id)
        if migration is None or migration.stage not in (Stage.TRANSFER, Stage.SWITCH_OVER):
            return here
        match self.doubts.vm_in_flight_listed:
            case "on_source":
                return here
            case "on_both":
                return here or same_name(migration.target, node.name)
            case "on_none":
                return False

    # ---- the cluster as such

    def group_state(self, cluster: Cluster, role: Role) -> GroupState:
        """What the cluster says about a role: its own view, which may lag behind the hypervisor."""
        if role.failing_over:
            return GroupState.Pending
        if role.unmonitored:
            return GroupState.Online
        if role.failed:
            return GroupState.Failed
        migration = cluster.migrations.get(role.vm_id)
        if migration is not None and migration.stage is Stage.SWITCH_OVER:
            return GroupState.Pending
        if migration is not None and migration.stage is Stage.TRANSFER:
            return GroupState[self.doubts.group_state_in_transfer]
        state = cluster.vms[role.vm_id].state
        if state in _ONLINE_STATES:
            return GroupState.Online
        return GroupState.Offline if state in _OFFLINE_STATES else GroupState.Pending

    def has_quorum(self) -> bool:
        """Whether the nodes that see each other hold most of the votes, the witness being one."""
        members = [n for n in self.cluster.nodes.values() if n.powered and n.cut_off_at is None]
        witness = 1 if self.cluster.witness else 0
        return 2 * (len(members) + witness) > len(self.cluster.nodes) + witness

    def in_contact(self, name: str) -> bool:
        """Whether the node truly runs and hears the others, known or not."""
        node = self.node(name)
        return node.powered and node.cut_off_at is None

    def is_usable(self, node: Node) -> bool:
        """Whether the cluster itself would place a role there."""
        return (
            node.state is NodeState.Up
            and self.in_contact(node.name)
            and not node.drain
            and not node.flags & _NO_PLACE
        )

    def reachable(self, name: str) -> Node:
        """The node if it answers at all."""
        node = self.cluster.node(name)
        if node is None or not node.powered:
            raise NodeUnreachable(f"node {name} does not answer")
        return node

    def view_from(self, node: Node) -> Cluster:
        """The cluster as this node's cluster service holds it, for reading only."""
        if node.cut_off_at is not None:
            noticed_at = node.cut_off_at + self.doubts.cut_off_noticed_seconds
            if self.now < noticed_at and self.doubts.cut_off_node_answers == "old":
                return self._old_views[fold(node.name)]
            if self.now < noticed_at and self.doubts.cut_off_node_answers == "hang":
                raise NodeHangs(f"node {node.name} does not answer", noticed_at)
        serves = node.state in (NodeState.Up, NodeState.Paused) and node.cut_off_at is None
        if not serves or not self.has_quorum():
            raise Refusal(NO_ENDPOINT, f"The cluster service is not running on '{node.name}'.")
        return self.cluster

    def require_quorum(self, node: Node) -> None:
        """Refuse a change from a node whose side of the cluster may change nothing."""
        if self.view_from(node) is not self.cluster:
            raise Refusal(NO_QUORUM, "The cluster does not have quorum.")

    def keep_old_view(self, node: Node) -> None:
        """Freeze what this node knows: from now on it hears nothing of the others."""
        self._old_views[fold(node.name)] = copy.deepcopy(self.cluster)

    def record_move(self, vm: VirtualMachine, source: str, cause: Cause, *, live: bool) -> None:
        """Write down that the VM truly changed its node; call it once it has."""
        moved = Moved(at_seconds=self.now, source=source, target=vm.node, cause=cause, live=live)
        self.moves.setdefault(vm.id, []).append(moved)
