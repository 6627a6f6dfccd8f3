"""The one simulated failover cluster: what an administrator, chance and time do to it.

Cmdlets go through `invoke`; the methods here are the hands of others (administrators, backup,
faults) and the eyes of tests: `truth()` tells what is, whatever the cluster says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from controller.model.names import fold
from controller.simulator import drain, failover, migration, roles
from controller.simulator.cmdlet_errors import BUSY, INVALID_STATE, Refusal
from controller.simulator.doubts import Doubts, Timing
from controller.simulator.inventory import (
    Checkpoint,
    Cluster,
    Dvd,
    File,
    MigrationFault,
    Role,
    VirtualMachine,
)
from controller.simulator.jobs import JobBook
from controller.simulator.simulation import Moved, Simulation
from controller.simulator.states import (
    Cause,
    DvdMediaType,
    NodeFlag,
    Stage,
    VmOperationalStatus,
    VmState,
)
from controller.simulator.storage import configuration_file, create_file, delete_file, find_file

STOP_FLAG = "OwnernodeStop"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmTruth:
    """One VM as it is. `uptime_seconds` is 0 when it is not on; it starts anew with each start."""

    id: str
    name: str
    owner_node: str
    state: VmState
    uptime_seconds: float
    is_clustered: bool
    in_flight: bool
    migrations: tuple[Moved, ...]


class World(Simulation):
    """Names are compared without case; a VM is named by its id, or by its name if that is unique.

    Methods raise `Refusal` where Windows would refuse, and `KeyError` for what does not exist.
    """

    jobs: JobBook

    def __init__(
        self,
        cluster: Cluster,
        *,
        timing: Timing | None = None,
        doubts: Doubts | None = None,
        started: datetime,
    ) -> None:
        super().__init__(cluster, timing=timing, doubts=doubts, started=started)
        self.jobs = JobBook()

    # ---- what is

    def truth(self) -> tuple[VmTruth, ...]:
        """Every VM, sorted by name and id."""
        vms = sorted(self.cluster.vms.values(), key=lambda vm: (fold(vm.name), vm.id))
        return tuple(self.truth_of(vm.id) for vm in vms)

    def truth_of(self, vm_name: str) -> VmTruth:
        vm = self.vm(vm_name)
        return VmTruth(
            id=vm.id,
            name=vm.name,
            owner_node=vm.node,
            state=vm.state,
            uptime_seconds=0.0 if vm.running_since is None else self.now - vm.running_since,
            is_clustered=vm.id in self.cluster.roles,
            in_flight=vm.id in self.cluster.migrations,
            migrations=tuple(self.moves.get(vm.id, ())),
        )

    def memory_free_bytes(self, node: str) -> int:
        """What the node has left, with all that is on its way in."""
        return self.cluster.memory_free_bytes()[fold(node)]

    # ---- VMs and roles

    def move_live(self, vm: str, target: str) -> None:
        """An administrator live-migrates a role."""
        migration.request_move(self, self.role(vm), self.node(target), Cause.ADMIN)

    def cancel_move(self, vm: str) -> None:
        migration.cancel_move(self, self.role(vm))

    def move_offline(self, vm: str, target: str) -> None:
        """An administrator moves a role whose VM is off or saved."""
        migration.move_offline(self, self.role(vm), self.node(target), Cause.ADMIN)

    def start_vm(self, vm: str) -> None:
        found = self.vm(vm)
        if found.id in self.cluster.roles:
            failover.start_role(self, self.cluster.roles[found.id])
        elif found.state in (VmState.Off, VmState.Saved):
            failover.start_vm(self, found)

    def stop_vm(self, vm: str) -> None:
        """Shut a VM down at once; the cluster does not bring it back."""
        self._rest(vm, VmState.Off)

    def save_vm(self, vm: str) -> None:
        """Write a guest's memory to disk: there has to be one."""
        if self.vm(vm).state is VmState.Off:
            raise Refusal(INVALID_STATE, f"'{vm}' is off.")
        self._rest(vm, VmState.Saved)

    def pause_vm(self, vm: str) -> None:
        """Freeze a running guest; its role stays Online."""
        self._in_state(vm, VmState.Running).state = VmState.Paused

    def resume_vm(self, vm: str) -> None:
        self._in_state(vm, VmState.Paused).state = VmState.Running

    def rename_vm(self, vm: str, name: str) -> None:
        """Rename a VM; its role keeps its own name."""
        self.vm(vm).name = name

    def rename_role(self, vm: str, name: str) -> None:
        self.role(vm).name = name

    def set_memory_demand(self, vm: str, demand_bytes: int) -> None:
        """What a VM with dynamic memory would like to have from now on."""
        self.vm(vm).memory_demand_bytes = demand_bytes

    def register(self, vm: str, role_name: str | None = None) -> None:
        roles.register_role(self, self.vm(vm), role_name)

    def unregister(self, vm: str) -> None:
        """Take the role away; the VM stays in Hyper-V."""
        role = self._at_rest(vm)
        for id_ in (role.id, role.vm_resource_id, role.configuration_resource_id):
            del self.cluster.vm_of[id_]
        del self.cluster.roles[role.vm_id]

    def delete_vm(self, vm: str) -> None:
        """Remove a VM and its role; its disks stay."""
        found = self.vm(vm)
        if found.id in self.cluster.roles:
            self.unregister(found.id)
        del self.cluster.vms[found.id]

    def import_again(self, vm: str) -> str:
        """An administrator removes a VM and imports it from its files; gives its id from now on."""
        found = self.vm(vm)
        if self.doubts.id_after_import == "kept":
            return found.id
        role_name = self.role(vm).name if found.id in self.cluster.roles else None
        self.delete_vm(found.id)
        found.id = self.new_id()
        self.cluster.vms[found.id] = found
        if role_name is not None:
            roles.register_role(self, found, role_name)
        return found.id

    def add_vm(self, name: str, node: str, *, memory_bytes: int, running: bool = True) -> str:
        """Somebody makes a VM without disks on a node, not clustered; gives its id."""
        home = self.node(node)
        folder = f"{home.vm_path}\\{name}"
        vm = VirtualMachine(
            id=self.new_id(),
            name=name,
            node=home.name,
            path=folder,
            checkpoint_path=folder,
            paging_path=folder,
            memory_startup_bytes=memory_bytes,
            state=VmState.Running if running else VmState.Off,
            running_since=self.now if running else None,
            created_at=self.now,
        )
        create_file(self.cluster, home, configuration_file(folder, vm.id))
        self.cluster.vms[vm.id] = vm
        return vm.id

    def lock_role(self, vm: str) -> None:
        self.role(vm).locked = True

    def unlock_role(self, vm: str) -> None:
        self.role(vm).locked = False

    def set_preferred_owners(
        self, vm: str, nodes: Sequence[str], *, failback: bool = False
    ) -> None:
        role = self.role(vm)
        roles.set_preferred_owners(self, role, list(nodes))
        role.auto_failback = failback

    def set_possible_owners(self, vm: str, nodes: Sequence[str]) -> None:
        """Set both resources of a role, as the console does."""
        for configuration in (False, True):
            roles.set_possible_owners(self, self.role(vm), list(nodes), configuration=configuration)

    # ---- work on a VM that keeps it where it is

    def begin_backup(self, vm: str) -> None:
        """A backup begins: the VM is busy and its role locked."""
        self.begin_work(vm, VmOperationalStatus.BackingUpVirtualMachine)
        self.role(vm).locked = True

    def end_backup(self, vm: str) -> None:
        role = self.role(vm)
        self.end_work(vm)
        if self.doubts.backup_lock_lifted == "with_backup":
            role.locked = False
        else:
            self.after(self.timing.lock_lag_seconds, lambda: setattr(role, "locked", False))

    def begin_work(self, vm: str, work: VmOperationalStatus) -> None:
        """Merging, checkpointing, storage migration and the like begin."""
        found = self.vm(vm)
        if found.busy is not None:
            raise Refusal(BUSY, f"'{found.name}' is busy already.")
        found.busy = work

    def end_work(self, vm: str) -> None:
        self.vm(vm).busy = None

    def checkpoint(self, vm: str, name: str) -> None:
        found = self.vm(vm)
        found.checkpoints.append(Checkpoint(id=self.new_id(), name=name, created_at=self.now))

    def break_next_migration(
        self,
        vm: str,
        *,
        hresult: int = 0x80004005,
        stage: Stage = Stage.TRANSFER,
        stalls: bool = False,
    ) -> None:
        """Let the next migration of a VM fail half-way through a stage, or never end it."""
        found = self.vm(vm)
        self.faults[found.id] = MigrationFault(stage=stage, hresult=hresult, stalls=stalls)

    # ---- nodes

    def pause_node(self, node: str, *, drain_roles: bool = True, target: str | None = None) -> None:
        chosen = None if target is None else self.node(target)
        drain.suspend_node(self, self.node(node), drain=drain_roles, target=chosen)

    def resume_node(
        self, node: str, failback: Literal["NoFailback", "Immediate", "Policy"] = "NoFailback"
    ) -> None:
        drain.resume_node(self, self.node(node), failback)

    def crash_node(self, node: str) -> None:
        """The node loses power, and what its agents were doing ends."""
        failover.crash_node(self, self.node(node))
        self.jobs.end_all(node)

    def boot_node(self, node: str) -> None:
        failover.join_again(self, self.node(node))

    def cut_off(self, *nodes: str) -> None:
        """Separate the smaller part of the nodes from the others; they still answer us."""
        failover.cut_off(self, tuple(self.node(name) for name in nodes))

    def heal(self, *nodes: str) -> None:
        for name in nodes:
            failover.join_again(self, self.node(name))

    def avoid_node(self, node: str, *, avoid: bool = True) -> None:
        """Set or lift the AvoidPlacement flag."""
        found = self.node(node)
        found.flags = (
            found.flags | NodeFlag.AvoidPlacement
            if avoid
            else found.flags & ~NodeFlag.AvoidPlacement
        )

    def stop_controllers(self, text: str) -> None:
        """An administrator forbids every controller to act: Set-ClusterParameter OwnernodeStop."""
        self.cluster.parameters[fold(STOP_FLAG)] = (STOP_FLAG, text)

    def allow_controllers(self) -> None:
        """An administrator takes the flag away again."""
        self.cluster.parameters.pop(fold(STOP_FLAG), None)

    def remove_switch(self, node: str, switch: str) -> None:
        found = self.node(node)
        found.switches = [s for s in found.switches if fold(s.name) != fold(switch)]

    def use_memory(self, node: str, reserve_bytes: int) -> None:
        """What the node itself takes from now on."""
        self.node(node).reserve_bytes = reserve_bytes

    def set_volume(self, mount: str, *, online: bool) -> None:
        volume = next(v for v in self.cluster.volumes if fold(v.mount) == fold(mount))
        volume.online = online

    def eject_media(self, vm: str) -> None:
        """Nothing is in its DVD drives any more."""
        for dvd in self.vm(vm).dvds:
            dvd.path, dvd.media = None, DvdMediaType.None_

    def insert_iso(self, vm: str, path: str) -> None:
        """An ISO file that only the VM's node has, unless the path is on a shared volume."""
        found = self.vm(vm)
        create_file(self.cluster, self.node(found.node), File(path=path, size_bytes=4 * 1024**3))
        found.dvds = [Dvd(path=path, media=DvdMediaType.ISO, location=len(found.disks))]

    def move_disk(self, vm: str, path: str) -> None:
        """Its first disk is another file from now on (Move-VMStorage)."""
        found = self.vm(vm)
        disk, node = found.disks[0], self.node(found.node)
        file = find_file(self.cluster, node, disk.path)
        assert file is not None, "a VM's disk is there"
        create_file(self.cluster, node, replace(file, path=path))
        delete_file(self.cluster, node, disk.path)
        disk.path = path

    def delete_file(self, node: str, path: str) -> None:
        delete_file(self.cluster, self.node(node), path)

    # ---- helpers

    def _in_state(self, vm: str, state: VmState) -> VirtualMachine:
        found = self.vm(vm)
        if found.state is not state or found.id in self.cluster.migrations:
            raise Refusal(INVALID_STATE, f"'{found.name}' is {found.state.name}.")
        return found

    def _at_rest(self, vm: str) -> Role:
        role = self.role(vm)
        if role.vm_id in self.cluster.migrations:
            raise Refusal(INVALID_STATE, f"'{role.name}' is being migrated.")
        return role

    def _rest(self, vm: str, state: VmState) -> None:
        found = self.vm(vm)
        if found.id in self.cluster.migrations:
            raise Refusal(INVALID_STATE, f"'{found.name}' is being migrated.")
        found.state = state
        found.running_since = None
        role = self.cluster.roles.get(found.id)
        if role is not None:
            role.persistent = False
