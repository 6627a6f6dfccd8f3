"""Watches the simulator's truth: tells what really happened, and cries out where it must not.

It knows nothing of the controller's memory. What it holds against the controller are the invariants
of safe action: one open change a VM, limits, no guest that notices, nothing without a durable
intent, nothing on a VM that no spec names.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from controller.model.names import fold
from controller.model.plan import Action
from controller.simulator.inventory import Migration, Node
from controller.simulator.states import Cause, NodeFlag, NodeState, Stage, VmState
from controller.simulator.world import VmTruth, World
from tests.scenarios.narrator import Narrator

# The only cmdlets with which the controller may change anything.
CHANGING = frozenset(
    {
        "Move-ClusterVirtualMachineRole",
        "Add-ClusterVirtualMachineRole",
        "Start-ClusterGroup",
        "Set-ClusterOwnerNode",
        "Set-ClusterGroup.Property",
        "Suspend-ClusterNode",
        "Resume-ClusterNode",
        "Set-ClusterParameter",
        "New-VM",
        "Set-VM",
        "Set-VMMemory",
        "Set-VMProcessor",
        "New-VHD",
        "Add-VMHardDiskDrive",
        "Add-VMDvdDrive",
        "Set-VMDvdDrive",
        "Set-VMNetworkAdapterVlan",
        "Set-VMFirmware",
        "Set-VMHost",
    }
)


class Witness:
    """One run's eye on the truth."""

    def __init__(
        self, world: World, narrator: Narrator, *, per_node: int, per_cluster: int
    ) -> None:
        self._world = world
        self._narrator = narrator
        self._per_node = per_node
        self._per_cluster = per_cluster
        self._vms: dict[str, VmTruth] = {}
        self._nodes: dict[str, str] = {}
        self._flights: dict[str, Migration] = {}
        self._commands = 0
        self._has_looked = False
        self._disturbed: set[str] = set()
        """Ids of VMs that somebody else stopped or that lost their node."""
        self._managed: dict[str, frozenset[str]] = {}
        """Folded name or id in a spec -> the VMs that bore it when it was first seen."""
        self.orders: list[tuple[str, str]] = []
        """(kind, VM) of every command that was given."""
        self.look()

    def manage(self, names: Iterable[str]) -> None:
        """These VMs are named by the specs from now on, and no others."""
        kept = {fold(name): self._managed.get(fold(name), frozenset()) for name in names}
        self._managed = kept
        self._bind()

    def _bind(self) -> None:
        """A name means the VMs that bear it when first seen, however they are called later."""
        for name, ids in self._managed.items():
            if not ids:
                self._managed[name] = frozenset(
                    vm.id for vm in self._world.truth() if name in (fold(vm.name), vm.id)
                )

    def disturb(self, vm: str) -> None:
        """Somebody else does something to this VM that its guest may notice."""
        self._disturbed.add(self._world.truth_of(vm).id)

    def command_leaves(self, action: Action, intent_id: str, journal: Path) -> None:
        """Check a command at the moment at which it leaves the controller."""
        self.orders.append((action.kind.value, action.vm))
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as reader:
            row = reader.execute(
                "SELECT 1 FROM entries WHERE kind = 'intent' AND key = ?", (intent_id,)
            ).fetchone()
        assert row is not None, f"{action.kind} {action.vm} left without a durable intent"
        if action.vm_id is not None:
            self._bind()
            meant = frozenset().union(*self._managed.values())
            assert action.vm_id in meant, f"{action.vm} is named by no spec"

    def look(self) -> None:
        """Tell what changed since the last look, and judge it."""
        self._look_at_commands()
        self._look_at_nodes()
        self._look_at_flights()
        self._look_at_vms()
        self._judge_limits()

    def _look_at_commands(self) -> None:
        for command in self._world.commands[self._commands :]:
            assert command.cmdlet in CHANGING, f"{command.cmdlet} is no verb of ours"
        self._commands = len(self._world.commands)

    def _look_at_nodes(self) -> None:
        for node in self._world.cluster.nodes.values():
            text = _state(node)
            if self._nodes.get(node.name, "Up") != text:
                self._say(f"node {node.name} is {text}")
            self._nodes[node.name] = text
            if not node.powered or node.cut_off_at is not None:
                self._disturbed.update(
                    vm.id for vm in self._world.cluster.vms.values() if vm.node == node.name
                )

    def _look_at_flights(self) -> None:
        flights = dict(self._world.cluster.migrations)
        for vm_id, flight in flights.items():
            if self._flights.get(vm_id) is not flight:
                queued = ", queued" if flight.stage is Stage.QUEUED else ""
                self._say(
                    f"{self._name(vm_id)} starts to migrate {flight.source} -> {flight.target}"
                    f" for {flight.cause.value}{queued}"
                )
        for vm_id, flight in self._flights.items():
            vm = self._world.cluster.vms.get(vm_id)
            if flights.get(vm_id) is not flight and vm is not None and vm.node != flight.target:
                self._say(f"{vm.name} stays on {vm.node}: its migration failed")
        self._flights = flights

    def _look_at_vms(self) -> None:
        for vm in self._world.truth():
            before = self._vms.get(vm.id)
            if before is None:
                if self._has_looked:
                    self._say(f"{vm.name} exists on {vm.owner_node}, {vm.state.name}")
                continue
            for move in vm.migrations[len(before.migrations) :]:
                how = "live" if move.live else "not live"
                self._say(f"{vm.name} is now on {move.target}, {how}, for {move.cause.value}")
                assert move.live or move.cause is not Cause.CONTROLLER, "a guest noticed our move"
            if vm.is_clustered and not before.is_clustered:
                self._say(f"{vm.name} is highly available")
            if vm.state is not before.state:
                self._say(f"{vm.name} is {vm.state.name}")
            self._judge_uptime(vm, before)
        self._vms = {vm.id: vm for vm in self._world.truth()}
        self._has_looked = True

    def _judge_uptime(self, vm: VmTruth, before: VmTruth) -> None:
        if before.state is VmState.Running and vm.uptime_seconds < before.uptime_seconds:
            assert vm.id in self._disturbed, f"the guest of {vm.name} was restarted or stopped"

    def _judge_limits(self) -> None:
        ours = [f for f in self._flights.values() if f.cause is Cause.CONTROLLER]
        assert len(ours) <= self._per_cluster, f"{len(ours)} moves of ours at once"
        for node in self._world.cluster.nodes.values():
            here = [f for f in ours if node.name in (f.source, f.target)]
            assert len(here) <= self._per_node, f"{len(here)} moves of ours at {node.name}"
            if node.powered:
                free = self._world.memory_free_bytes(node.name)
                assert free >= 0, f"{node.name} lacks {-free} bytes of memory"

    def _name(self, vm_id: str) -> str:
        return self._world.truth_of(vm_id).name

    def _say(self, sentence: str) -> None:
        self._narrator.say("cluster", sentence)


def _state(node: Node) -> str:
    flags = ", ".join(
        flag.name or ""
        for flag in (NodeFlag.Isolated, NodeFlag.Quarantined, NodeFlag.AvoidPlacement)
        if flag in node.flags
    )
    state = NodeState(node.state).name
    return f"{state} ({flags})" if flags else state
