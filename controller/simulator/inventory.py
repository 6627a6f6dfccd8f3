"""What a failover cluster consists of: plain mutable records, with no behaviour of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.model.names import fold
from controller.simulator.states import Cause as Cause
from controller.simulator.states import (
    ControllerType,
    DrainStatus,
    DvdMediaType,
    FailbackStatus,
    MigrationState,
    NodeFlag,
    NodeState,
    ReplicationMode,
    Stage,
    StopAction,
    SwitchType,
    VhdType,
    VmOperationalStatus,
    VmState,
)

GIB = 1024**3


@dataclass(slots=True, kw_only=True)
class File:
    """A file or folder; `virtual_size_bytes` is what a VHD offers its guest."""

    path: str
    size_bytes: int = 0
    is_folder: bool = False
    vhd_type: VhdType | None = None
    virtual_size_bytes: int = 0
    parent_path: str = ""


@dataclass(slots=True, kw_only=True)
class Switch:
    name: str
    id: str
    kind: SwitchType = SwitchType.External


@dataclass(slots=True, kw_only=True)
class Node:
    """A node as it truly is (`powered`, `boot_at`) and as the cluster holds it to be (`state`)."""

    name: str
    number: int
    memory_bytes: int
    reserve_bytes: int  # what the parent partition itself uses
    logical_processors: int
    processor_vendor: str = "GenuineIntel"
    processor_family: str = "Intel64 Family 6 Model 106 Stepping 6"
    manufacturer: str = "ownernode"
    model: str = "ownernode simulator"
    build: int = 26100
    vm_versions: tuple[str, ...] = ("9.0", "10.0", "11.0", "12.0")
    vm_path: str = "C:\\ProgramData\\Microsoft\\Windows\\Hyper-V"
    vhd_path: str = "C:\\Users\\Public\\Documents\\Hyper-V\\Virtual Hard Disks"
    migrations_max: int = 1
    dvd_drives: tuple[str, ...] = ("D:",)
    services: tuple[str, ...] = ()
    """Names of services beside those of Windows itself, as their keys in the registry bear them."""
    switches: list[Switch] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    volumes_lost: set[str] = field(default_factory=set)  # folded mounts that it can't use
    volumes_redirected: dict[str, str] = field(default_factory=dict)
    """Folded mounts that it reaches only through another node, and why (`RedirectCause`, Block)."""
    local_disk_bytes: int = 500 * GIB
    powered: bool = True
    boot_at: float = 0.0
    cut_off_at: float | None = None  # powered, but without contact to the majority since then
    lost_at: float | None = None  # crashed or cut off then, and not Up since
    state: NodeState = NodeState.Up
    drain: DrainStatus = DrainStatus.NotInitiated
    drain_target: str | None = None
    failback: FailbackStatus = FailbackStatus.NotInitiated
    flags: NodeFlag = NodeFlag.Normal
    bad_leaves: list[float] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Volume:
    """A cluster shared volume. Its files and `other_bytes` use its space."""

    name: str
    mount: str  # C:\\ClusterStorage\\Volume1, no trailing backslash
    id: str
    size_bytes: int
    other_bytes: int
    owner: str
    file_bytes: int = 0
    online: bool = True


@dataclass(slots=True, kw_only=True)
class Disk:
    path: str
    controller: ControllerType = ControllerType.SCSI
    number: int = 0
    location: int = 0
    physical_disk: int | None = None  # pass-through
    shared: bool = False  # persistent reservations: guests of several VMs use it


@dataclass(slots=True, kw_only=True)
class Dvd:
    path: str | None
    media: DvdMediaType = DvdMediaType.None_
    controller: ControllerType = ControllerType.SCSI
    number: int = 0
    location: int = 1


@dataclass(slots=True, kw_only=True)
class NetworkAdapter:
    name: str
    mac: str
    switch: str | None = None
    vlan: int | None = None
    legacy: bool = False


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    id: str
    name: str
    created_at: float


@dataclass(slots=True, kw_only=True)
class VirtualMachine:
    """A VM as its hypervisor holds it. `node` is where it is registered and runs."""

    id: str
    name: str
    node: str
    path: str
    checkpoint_path: str
    paging_path: str
    state: VmState = VmState.Off
    generation: int = 2
    version: str = "10.0"
    processors: int = 1
    processor_compatibility: bool = False
    memory_startup_bytes: int = 512 * 1024**2
    memory_dynamic: bool = False
    memory_minimum_bytes: int = 512 * 1024**2
    memory_maximum_bytes: int = 1024 * GIB
    memory_demand_bytes: int = 0  # what dynamic memory would give it; static memory ignores it
    notes: str = ""
    secure_boot: bool = True
    secure_boot_template: str = "MicrosoftWindows"
    stop_action: StopAction = StopAction.Save
    boots_from_network: bool = False
    disks: list[Disk] = field(default_factory=list)
    dvds: list[Dvd] = field(default_factory=list)
    adapters: list[NetworkAdapter] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    assigned_devices: int = 0
    gpu_partitions: int = 0
    fibre_channel: int = 0  # virtual host bus adapters
    tpm: bool = False
    shielded: bool = False
    busy: VmOperationalStatus | None = None
    replication: ReplicationMode = ReplicationMode.None_
    created_at: float = 0.0
    starting_at: float | None = None
    running_since: float | None = None
    ran_at_crash: bool = False
    unlisted_until: float | None = None  # no node lists it: failed_migration_leaves_vm nowhere

    @property
    def memory_held_bytes(self) -> int:
        """Memory that the node has given it; 0 when it is off or saved."""
        if self.state in (VmState.Off, VmState.Saved, VmState.OffCritical, VmState.SavedCritical):
            return 0
        return self.memory_needed_bytes

    @property
    def memory_needed_bytes(self) -> int:
        """Memory that it has or, when off, would have once it runs."""
        if not self.memory_dynamic or not self.memory_demand_bytes or self.running_since is None:
            return self.memory_startup_bytes
        return min(
            max(self.memory_demand_bytes, self.memory_minimum_bytes), self.memory_maximum_bytes
        )


@dataclass(slots=True, kw_only=True)
class Role:
    """The group of a clustered VM with its two resources.

    Owner lists hold node names; `possible_configuration` belongs to the configuration resource.
    The migration properties are private properties of the VM resource and stay after the end.
    """

    id: str
    name: str
    vm_id: str
    owner: str
    vm_resource: str
    configuration_resource: str
    vm_resource_id: str
    configuration_resource_id: str
    possible: list[str] = field(default_factory=list)
    possible_configuration: list[str] = field(default_factory=list)
    preferred: list[str] = field(default_factory=list)
    priority: int = 2000
    auto_failback: bool = False
    balancer_excluded: bool = False
    persistent: bool = True  # the cluster keeps it online
    locked: bool = False
    failed: bool = False
    failing_over: bool = False
    waiting_for_memory: bool = False
    anti_affinity: list[str] = field(default_factory=list)  # class names
    unmonitored: bool = False  # its node is out of contact: the cluster goes on calling it Online
    drained_from: str | None = None
    next_target: str | None = None  # second_move: queued
    migration_state: MigrationState = MigrationState.Nothing
    migration_progress: int = 0
    migration_failure: int = 0


@dataclass(slots=True, kw_only=True)
class Migration:
    """A move under way; from set-up on `memory_bytes` are held on the target as well."""

    vm_id: str
    source: str
    target: str
    cause: Cause
    number: int
    quick: bool = False
    stage: Stage = Stage.QUEUED
    stage_at: float = 0.0
    stage_seconds: float = 0.0
    memory_bytes: int = 0
    state_before: VmState = VmState.Running  # what a quick migration restores


@dataclass(slots=True, kw_only=True)
class MigrationFault:
    """What is to go wrong with the next migration of a VM; `stalls` means it never ends."""

    stage: Stage
    hresult: int = 0
    stalls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent:
    """An entry of a node's event log."""

    node: str
    log: str
    id: int
    at: float
    values: tuple[str, ...]
    text: str


AFFINITY_TYPES = ("SameFaultDomain", "SameNode", "DifferentFaultDomain", "DifferentNode")
"""Names of the types 1 to 4."""


@dataclass(slots=True, kw_only=True)
class AffinityRule:
    """What keeps roles on one node or fault domain, or apart (Windows Server 2022)."""

    name: str
    type: int
    """SameFaultDomain 1, SameNode 2, DifferentFaultDomain 3, DifferentNode 4."""
    groups: tuple[str, ...]
    enabled: bool


@dataclass(slots=True, kw_only=True)
class Cluster:
    """Everything that the cluster and its hypervisors hold; copied whole for a stale view."""

    name: str
    id: str
    domain: str
    workgroup: bool
    """Without Active Directory; `domain` is the DNS suffix of its nodes all the same."""
    functional_level: int = 12
    migrations_max: int | None = 1  # MaximumParallelMigrations; absent before the 2022-09 update
    balancer_mode: int = 0
    balancer_level: int = 1
    anti_affinity_enforced: bool = False
    affinity_rules: list[AffinityRule] = field(default_factory=list)
    move_type_threshold: int = 2000
    witness: bool = True
    resiliency_seconds: float = 240.0
    quarantine_threshold: int = 3
    quarantine_seconds: float = 7200.0
    second_hop: bool = False
    parameters: dict[str, tuple[str, int | str]] = field(default_factory=dict)  # by folded name
    nodes: dict[str, Node] = field(default_factory=dict)
    volumes: list[Volume] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    vms: dict[str, VirtualMachine] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)  # by VM id
    vm_of: dict[str, str] = field(default_factory=dict)  # VM id by id of its group or resource
    migrations: dict[str, Migration] = field(default_factory=dict)  # by VM id
    events: list[NodeEvent] = field(default_factory=list)  # of all nodes, oldest first

    def node(self, name: str) -> Node | None:
        return self.nodes.get(fold(name))

    def memory_free_bytes(self) -> dict[str, int]:
        """Free memory by folded node name: a VM in flight is charged to both of its nodes."""
        free = {key: node.memory_bytes - node.reserve_bytes for key, node in self.nodes.items()}
        for vm in self.vms.values():
            free[fold(vm.node)] -= vm.memory_held_bytes
        for migration in self.migrations.values():
            free[fold(migration.target)] -= migration.memory_bytes
        return free
