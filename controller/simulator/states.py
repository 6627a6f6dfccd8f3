"""The state words of the two modules, spelt and numbered as their .NET enums are.

Numbers: the reflected FailoverClusters and Hyper-V modules (dsccommunity test stubs).
"""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag, auto
from functools import lru_cache

from controller.simulator.values import EnumValue


class NodeState(IntEnum):
    Unknown = -1
    Up = 0
    Down = 1
    Paused = 2
    Joining = 3


class DrainStatus(IntEnum):
    NotInitiated = 0
    InProgress = 1
    Completed = 2
    Failed = 3


class FailbackStatus(IntEnum):
    NotInitiated = 0
    InProgress = 1
    Completed = 2
    Failed = 3


class NodeFlag(IntFlag):
    Normal = 0
    Isolated = 1
    Quarantined = 2
    DrainInProgress = 4
    DrainCompleted = 8
    DrainFailed = 16
    AvoidPlacement = 32


class GroupState(IntEnum):
    Unknown = -1
    Online = 0
    Offline = 1
    Failed = 2
    PartialOnline = 3
    Pending = 4


class GroupFlag(IntFlag):
    Locked = 1
    Preempted = 2
    Queued = 4
    PhysicalResourcesLacking = 8
    WaitingToStart = 16
    EmbeddedFailure = 32
    OfflineAntiAffinityConflict = 64
    NetworkFailure = 128
    Unmonitored = 256
    WaitingForDependencies = 4096


class ResourceState(IntEnum):
    Unknown = -1
    Online = 2
    Offline = 3
    Failed = 4
    Pending = 128
    OnlinePending = 129
    OfflinePending = 130


class GroupType(IntEnum):
    Cluster = 1
    AvailableStorage = 2
    VirtualMachine = 111


class VmState(IntEnum):
    Other = 1
    Running = 2
    Off = 3
    Stopping = 4
    Saved = 6
    Paused = 9
    Starting = 10
    Saving = 32773
    Pausing = 32776
    Resuming = 32777
    RunningCritical = 32785
    OffCritical = 32786
    SavedCritical = 32788
    PausedCritical = 32789


class VmOperationalStatus(IntEnum):
    Ok = 2
    InService = 11
    CreatingSnapshot = 32768
    DeletingSnapshot = 32770
    WaitingToStart = 32771
    MergingDisks = 32772
    ExportingVirtualMachine = 32773
    MigratingVirtualMachine = 32774
    BackingUpVirtualMachine = 32776
    ModifyingUpVirtualMachine = 32777
    StorageMigrationPhaseOne = 32778
    StorageMigrationPhaseTwo = 32779


class ControllerType(IntEnum):
    IDE = 0
    SCSI = 1


class DvdMediaType(IntEnum):
    None_ = 0
    ISO = 1
    PassThrough = 2


class StopAction(IntEnum):
    TurnOff = 2
    Save = 3
    ShutDown = 4


class SwitchType(IntEnum):
    Private = 0
    Internal = 1
    External = 2


class VlanMode(IntEnum):
    Untagged = 0
    Access = 1


class OnOffState(IntEnum):
    On = 0
    Off = 1


class VhdFormat(IntEnum):
    VHD = 2
    VHDX = 3


class VhdType(IntEnum):
    Fixed = 2
    Dynamic = 3
    Differencing = 4


class RedirectCause(IntFlag):
    """Why a node's files on a volume go through another node."""

    NotFileSystemRedirected = 0
    UserRequest = 1
    FileSystemReFs = 32


class VolumeState(IntEnum):
    Unavailable = 0
    Paused = 1
    Direct = 2
    FileSystemRedirected = 3
    BlockRedirected = 4


class ReplicationMode(IntEnum):
    None_ = 0
    Primary = 1
    Replica = 2


class VmType(IntEnum):
    RealizedVirtualMachine = 3


class SnapshotType(IntEnum):
    Standard = 0
    Recovery = 1


class MigrationState(IntEnum):
    """Private property of a "Virtual Machine" resource (Microsoft docs, virtual-machines-*)."""

    Nothing = 0
    SetUp = 1
    Transfer = 2
    MovingGroup = 3
    Cancelled = 4
    Failed = 5


class Stage(Enum):
    """Where a migration stands; `QUEUED` waits at the cluster for a free slot on both nodes."""

    QUEUED = auto()
    SET_UP = auto()
    TRANSFER = auto()
    SWITCH_OVER = auto()


class Cause(Enum):
    """Who changed an owner: the truth that tests judge by."""

    CONTROLLER = "controller"
    CLUSTER = "cluster"
    ADMIN = "admin"


_CLUSTER = "Microsoft.FailoverClusters.PowerShell."
_HYPER_V = "Microsoft.HyperV.PowerShell."
_TYPE_NAMES: dict[type[Enum], str] = {
    NodeState: _CLUSTER + "ClusterNodeState",
    DrainStatus: _CLUSTER + "ClusterNodeDrainStatus",
    FailbackStatus: _CLUSTER + "ClusterNodeFailbackStatus",
    NodeFlag: _CLUSTER + "ClusterNodeStatusInformation",
    GroupState: _CLUSTER + "ClusterGroupState",
    GroupFlag: _CLUSTER + "ClusterApplicationStatusInformation",
    ResourceState: _CLUSTER + "ClusterResourceState",
    VolumeState: _CLUSTER + "ClusterSharedVolumeState",
    RedirectCause: _CLUSTER + "ClusterSharedVolumeFileSystemRedirectedIOReasons",
    GroupType: _CLUSTER + "GroupType",
    VmState: _HYPER_V + "VMState",
    VmOperationalStatus: _HYPER_V + "VMOperationalStatus",
    ControllerType: _HYPER_V + "ControllerType",
    StopAction: _HYPER_V + "StopAction",
    DvdMediaType: _HYPER_V + "DvdMediaType",
    SwitchType: _HYPER_V + "VMSwitchType",
    VlanMode: _HYPER_V + "VMNetworkAdapterVlanMode",
    OnOffState: _HYPER_V + "OnOffState",
    VhdFormat: "Microsoft.Vhd.PowerShell.VhdFormat",
    VhdType: "Microsoft.Vhd.PowerShell.VhdType",
    ReplicationMode: _HYPER_V + "VMReplicationMode",
    VmType: _HYPER_V + "VirtualMachineType",
    SnapshotType: _HYPER_V + "SnapshotType",
}


@lru_cache(maxsize=None, typed=True)  # typed: members of two enums with one number are equal
def powershell(member: IntEnum | IntFlag) -> EnumValue:
    """The member as PowerShell sees it; flags are joined by commas, and no flag set is "0"."""
    if isinstance(member, IntFlag):
        names = [flag.name for flag in type(member) if flag.value and flag in member]
        zero = type(member)(0).name or "0"
        text = ", ".join(name for name in names if name) or zero
        return EnumValue(_TYPE_NAMES[type(member)], text, int(member))
    return EnumValue(_TYPE_NAMES[type(member)], member.name.rstrip("_"), int(member))
