"""What the controller was shown, and what was true at the moment at which it was shown.

Everything here comes from the replies on the wire and from the world; a guard of the controller
that is missing shows as a command that leaves although a reply had spoken against it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.simulator.inventory import Migration
from controller.simulator.world import World
from tests.simulation.wire import Reply

UP, DOWN, JOINING, UNKNOWN = 0, 1, 3, -1
"""ClusterNodeState."""
RUNNING, OFF = 2, 3
"""VMState."""
ONLINE, OFFLINE, PENDING = 0, 1, 4
"""ClusterGroupState."""
AT_REST = frozenset({2, 11})
"""OperationalStatus Ok and InService."""
MIGRATING = frozenset({32774, 32780})
LOCKED, QUEUED = 1, 4
"""Flags of a group."""
NO_TARGET = 1 | 2 | 32
"""Flags of a node: isolated, quarantined, to be avoided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The truth at the moment of a look."""

    free_bytes: Mapping[str, int]
    flights: Mapping[str, Migration]
    holding: frozenset[str]
    """VMs in flight whose memory is held on the target already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One reply that reached the controller."""

    asked_seconds: float
    made_seconds: float
    data: Mapping[str, Any]
    note: Note
    stale: bool

    def vm(self, vm_id: str | None) -> Mapping[str, Any] | None:
        """The VM as this node lists it."""
        return next((vm for vm in self.data["vms"] if vm["id"] == vm_id), None)

    def role(self, vm_id: str | None) -> Mapping[str, Any] | None:
        """The role of a VM as this node, its owner, shows it."""
        return next((role for role in self.data["roles"] if role["vmId"] == vm_id), None)

    def names(self) -> set[str]:
        """Folded names of the VMs that this node lists."""
        return {vm["name"].lower() for vm in self.data["vms"]}


@dataclass(slots=True)
class Evidence:
    """All that was shown since the controller started, the last two replies of each node."""

    world: World
    shown: dict[str, list[Shown]] = field(default_factory=dict)
    """Folded node -> oldest first."""
    asked: dict[str, float] = field(default_factory=dict)
    """Folded node -> when it was last asked."""
    away: dict[str, float] = field(default_factory=dict)
    """Folded node -> when a report was last made of a look that showed it down or joining."""

    def forget(self) -> None:
        """The controller has ended, and its memory with it."""
        self.shown.clear()
        self.asked.clear()

    def note(self) -> Note:
        """The truth now."""
        flights = self.world.cluster.migrations
        return Note(
            free_bytes=self.world.cluster.memory_free_bytes(),
            flights=dict(flights),
            holding=frozenset(vm for vm, flight in flights.items() if flight.memory_bytes),
        )

    def asks(self, node: str, at_seconds: float) -> None:
        """The controller asks a node."""
        self.asked[node.lower()] = at_seconds

    def add(self, asked_seconds: float, reply: Reply, *, stale: bool) -> None:
        """A reply has come."""
        kept = self.shown.setdefault(reply.node.lower(), [])
        kept.append(
            Shown(
                asked_seconds=asked_seconds,
                made_seconds=reply.made_seconds,
                data=reply.data,
                note=reply.truth,
                stale=stale,
            )
        )
        del kept[:-2]

    def last(self, node: str | None) -> Shown | None:
        """The node's last reply, if it answered when it was last asked."""
        kept = self.shown.get((node or "").lower())
        if not kept or kept[-1].asked_seconds != self.asked.get((node or "").lower()):
            return None
        return kept[-1]

    def current(self) -> Iterator[Shown]:
        """The last reply of each node that answered."""
        for node in sorted(self.shown):
            found = self.last(node)
            if found is not None:
                yield found

    def view_of(self, node: str) -> Mapping[str, Any] | None:
        """How the freshest reply shows a node's state in the cluster."""
        freshest = max(self.current(), key=lambda shown: shown.made_seconds, default=None)
        if freshest is None:
            return None
        return next((n for n in freshest.data["nodes"] if n["name"].lower() == node.lower()), None)

    def dark(self) -> list[str]:
        """Nodes that did not answer, or that the others call down."""
        silent = []
        for node in self.world.cluster.nodes.values():
            view = self.view_of(node.name)
            bad = view is None or view["state"] in (DOWN, UNKNOWN)
            if bad or self.last(node.name) is None:
                silent.append(node.name)
        return silent

    def is_complete(self) -> bool:
        """Whether every node answered that the others do not call down or joining."""
        for node in self.world.cluster.nodes:
            view = self.view_of(node)
            away = view is not None and view["state"] in (DOWN, JOINING)
            if self.last(node) is None and not away:
                return False
        return True

    def shows_move(self, vm_id: str | None) -> bool:
        """Whether any reply shows the VM under way, queued, pending or on two nodes.

        A role that is Online on a node that does not list its VM, as no node does, shows it too.
        """
        for shown in self.current():
            vm, role = shown.vm(vm_id), shown.role(vm_id)
            if role is not None and role["state"] == ONLINE and not self.hosts(vm_id):
                return True
            if vm is not None and MIGRATING & set(vm["status"]):
                return True
            if role is not None and role["status"] & QUEUED:
                return True
            # Pending and on no node may as well be a role that fails over (see KNOWN_GAPS).
            if role is not None and role["state"] == PENDING and self.hosts(vm_id):
                return True
        return len(self.hosts(vm_id)) > 1

    def hosts(self, vm_id: str | None) -> list[str]:
        """The nodes that list the VM."""
        return [shown.data["node"] for shown in self.current() if shown.vm(vm_id) is not None]
