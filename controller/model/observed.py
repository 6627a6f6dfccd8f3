"""What a cluster said at one moment, and what it did not say.

Unknown, absent and stopped are three things. A node that did not answer is a `Gap`; a VM that no
node reports is unknown while there is a gap, and absent only without one.
Sizes are bytes; times are aware UTC. VM ids are lower-case GUIDs. Node names are the cluster's own.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.model.names import fold, same_name


class NodeState(StrEnum):
    """ClusterNodeState (FailoverClusters module)."""

    UP = "Up"
    DOWN = "Down"
    PAUSED = "Paused"
    JOINING = "Joining"
    UNKNOWN = "Unknown"


class VMState(StrEnum):
    """VMState of Get-VM, folded to what placement distinguishes; `OTHER` is never acted on."""

    RUNNING = "Running"
    OFF = "Off"
    SAVED = "Saved"
    PAUSED = "Paused"
    STARTING = "Starting"
    STOPPING = "Stopping"
    CRITICAL = "Critical"
    OTHER = "Other"


class RoleState(StrEnum):
    """ClusterGroupState (FailoverClusters module)."""

    ONLINE = "Online"
    OFFLINE = "Offline"
    FAILED = "Failed"
    PARTIAL_ONLINE = "PartialOnline"
    PENDING = "Pending"
    UNKNOWN = "Unknown"


class MigrationPhase(StrEnum):
    """Where a migration is: queued at the cluster's limit, or in MigrationState 1 to 3."""

    QUEUED = "Queued"
    PREPARING = "Preparing"
    TRANSFERRING = "Transferring"
    SWITCHING = "Switching"
    UNKNOWN = "Unknown"
    """Something moves (the VM or the role says so) and the node gives no stage."""


class GapReason(StrEnum):
    """Why a node's part of a snapshot is missing."""

    UNREACHABLE = "Unreachable"
    LOGON_REFUSED = "LogonRefused"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    DISAGREES = "Disagrees"
    """Two nodes gave different cluster-wide lists: neither is evidence."""
    NOT_A_MEMBER = "NotAMember"
    """A seed that answers for another cluster, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What could not be seen, and why; `node` is empty for the cluster-wide lists."""

    node: str
    reason: GapReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A cluster shared volume: its mount path without trailing backslash, sizes in bytes."""

    path: str
    size_bytes: int
    free_bytes: int


class AffinityKind(StrEnum):
    """What a native affinity rule asks of its roles."""

    SAME_FAULT_DOMAIN = "SameFaultDomain"
    SAME_NODE = "SameNode"
    DIFFERENT_FAULT_DOMAIN = "DifferentFaultDomain"
    DIFFERENT_NODE = "DifferentNode"

    @property
    def together(self) -> bool:
        """Whether it keeps them together: moving one of them moves all."""
        return self in (AffinityKind.SAME_FAULT_DOMAIN, AffinityKind.SAME_NODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityRule:
    """An enabled affinity rule of the cluster, and the names of its roles."""

    name: str
    kind: AffinityKind
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeObserved:
    """A cluster node; the figures of its own answer are None when only its peers spoke."""

    name: str
    state: NodeState
    draining: bool = False
    isolated: bool = False
    quarantined: bool = False
    placement_avoided: bool = False
    failback_in_progress: bool = False
    """It was resumed, and the cluster returns to it what was drained from it."""
    answered: bool = True
    model: str | None = None
    """Win32_ComputerSystem.Model, which tells the simulator from real machines."""
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    hardware_at: datetime | None = None
    """When the node read what follows: seldom, and kept in between. None: never yet."""
    build: int | None = None
    """Windows' build number: 26100 is Server 2025."""
    processor_vendor: str | None = None
    """Win32_Processor.Manufacturer."""
    processor_family: str | None = None
    """Win32_Processor.Caption, such as `Intel64 Family 6 Model 106 Stepping 6`."""
    processors_logical: int | None = None
    vm_versions: tuple[str, ...] = ()
    """Configuration versions that it runs."""
    switches: tuple[str, ...] = ()
    switches_inner: tuple[str, ...] = ()
    """Those of them that reach no other node: internal and private ones."""
    domain_joined: bool | None = None
    """Whether it is of an Active Directory domain; None where it did not tell."""
    scvmm_agent: bool = False
    """Whether System Center Virtual Machine Manager has its agent there, which may move VMs."""
    vm_folder: str | None = None
    """Where it puts new VMs, where nobody names another folder; None where it did not tell."""
    disk_folder: str | None = None
    """The same of new virtual disks."""
    volumes_lost: tuple[str, ...] = ()
    """Mounts of cluster shared volumes that it can't use now."""
    volumes_redirected: tuple[str, ...] = ()
    """Those that it reaches only by way of another node, though it could reach them itself."""
    observed_at: datetime | None = None
    """Start of the node's own read; None when only its peers spoke of it."""

    @property
    def is_target(self) -> bool:
        """Whether the cluster itself would take a VM here now (hyperv facts a.1)."""
        return (
            self.state is NodeState.UP
            and self.answered
            and not (self.draining or self.isolated or self.quarantined or self.placement_avoided)
            and not self.failback_in_progress
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A move under way, whoever began it."""

    phase: MigrationPhase
    source: str
    target: str | None
    """None where the node does not tell."""
    progress_percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The cluster group of a clustered VM."""

    name: str
    state: RoleState
    owner: str | None
    """None for a moment during failover."""
    preferred_owners: tuple[str, ...] = ()
    possible_owners: tuple[str, ...] = ()
    """Nodes allowed by both of the VM's resources."""
    owners_differ: bool = False
    """Whether one of the two allows a node that the other does not."""
    priority: int = 2000
    persistent_online: bool = True
    """False: somebody stopped it on purpose."""
    queued: bool = False
    locked: bool = False
    failback: bool = False
    unmonitored: bool = False
    """Its node is out of contact with the cluster."""
    anti_affinity: tuple[str, ...] = ()
    """AntiAffinityClassNames: roles of one class are to be on different nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VMObserved:
    """One virtual machine as its host and the cluster report it."""

    id: str
    name: str
    host: str | None
    """Where Hyper-V runs it; None when no answering node lists it (only the cluster knows it)."""
    state: VMState
    role: Role | None
    memory_assigned_bytes: int = 0
    memory_startup_bytes: int = 0
    migration: Migration | None = None
    busy: str | None = None
    """Operational status that forbids a move: BackingUpVirtualMachine, MergingDisks, ..."""
    equipment_at: datetime | None = None
    """When its node read what follows: seldom, and kept in between. None: never yet."""
    version: str | None = None
    processors: int | None = None
    processor_compatibility: bool | None = None
    """CompatibilityForMigrationEnabled: it runs on other models of its processor's vendor."""
    disk_paths: tuple[str, ...] = ()
    configuration_path: str = ""
    media_paths: tuple[str, ...] = ()
    """ISO files; a physical drive reads `physical:<drive>`."""
    pass_through: bool = False
    shared_disks: tuple[str, ...] = ()
    """Virtual disks that guests of several VMs use at once."""
    checkpoint_path: str = ""
    paging_path: str = ""
    assigned_devices: int = 0
    gpu_partitions: int = 0
    fibre_channel: int = 0
    """Virtual host bus adapters."""
    tpm: bool = False
    shielded: bool = False
    replica: bool = False
    """The replica of a VM that runs elsewhere (Hyper-V Replica)."""
    switches: tuple[str, ...] = ()
    creation_mark: str | None = None
    """What our own creation left in Notes: `<intent id>:creating` or `<intent id>:created`."""

    @property
    def owner(self) -> str | None:
        """The owner node: the role's where there is one, else the host."""
        return self.role.owner if self.role is not None else self.host

    @property
    def memory_bytes(self) -> int:
        """Memory that it takes on a node: assigned while it runs, start-up memory when off."""
        return self.memory_assigned_bytes or self.memory_startup_bytes


class JobState(StrEnum):
    """How far a registration or creation of ours got, by the word of the node's agent."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A registration or creation that a node's agent started. A lost agent forgets its jobs."""

    intent: str
    node: str
    kind: str
    """The operation of docs/protocol.md: `registerVm` or `createVm`."""
    state: JobState
    step: str | None = None
    """The step under way or failed; None before the first and where there are none."""
    vm_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedState:
    """One snapshot. Times bracket the reads; evidence counts from `started_at`."""

    cluster: str
    cluster_id: str
    started_at: datetime
    completed_at: datetime
    nodes: tuple[NodeObserved, ...]
    vms: tuple[VMObserved, ...]
    volumes: tuple[Volume, ...] = ()
    gaps: tuple[Gap, ...] = ()
    jobs: tuple[Job, ...] = ()
    """Registrations and creations known to the agents that answered, sorted by intent."""
    migrations_parallel_max: int | None = None
    """MaximumParallelMigrations, or the smallest node limit where the cluster has none."""
    balancer_mode: int | None = None
    balancer_level: int | None = None
    anti_affinity_enforced: bool = False
    """ClusterEnforcedAntiAffinity: the second role of a class on a node stays offline."""
    affinity_rules: tuple[AffinityRule, ...] = ()
    """The enabled ones, by name."""
    move_type_threshold: int | None = None
    """MoveTypeThreshold of the VM resource type: where the cluster itself moves VMs, it saves those
    whose role has a lower priority."""
    functional_level: int | None = None
    epoch: int | None = None
    """The fencing epoch in the cluster database; None where no controller ever claimed one."""
    epoch_holder: str | None = None
    stop_flag: str | None = None
    """Text of the stop flag in the cluster database, set by an administrator."""

    @property
    def is_complete(self) -> bool:
        """Whether every node that is Up answered and the cluster-wide lists agree."""
        return not self.gaps

    def node(self, name: str | None) -> NodeObserved | None:
        """The node of that name, without regard to case."""
        return next((n for n in self.nodes if same_name(n.name, name)), None)

    def vm(self, vm_id: str | None) -> VMObserved | None:
        """The VM of that id."""
        return next((v for v in self.vms if v.id == vm_id), None)

    def named(self, name: str) -> tuple[VMObserved, ...]:
        """Every VM of that name: Hyper-V names are not unique."""
        key = fold(name)
        return tuple(v for v in self.vms if fold(v.name) == key)
