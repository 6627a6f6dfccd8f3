"""The numbers of Windows' enumerations, and what each means here; an unknown one is never guessed.

Numbers: the reflected FailoverClusters and Hyper-V modules (dsccommunity test stubs); migration
states: Microsoft docs, virtual-machines-migrationstate.
"""

from collections.abc import Mapping

from controller.model.observed import MigrationPhase, NodeState, RoleState, VMState

NODE_STATES: Mapping[int, NodeState] = {
    -1: NodeState.UNKNOWN,
    0: NodeState.UP,
    1: NodeState.DOWN,
    2: NodeState.PAUSED,
    3: NodeState.JOINING,
}
NODE_ISOLATED, NODE_QUARANTINED, NODE_AVOIDED = 1, 2, 32
"""Flags of a node's StatusInformation."""
FAILBACK_IN_PROGRESS = 1
"""ClusterNodeFailbackStatus: a node that was resumed gets back what was drained from it."""

ROLE_STATES: Mapping[int, RoleState] = {
    -1: RoleState.UNKNOWN,
    0: RoleState.ONLINE,
    1: RoleState.OFFLINE,
    2: RoleState.FAILED,
    3: RoleState.PARTIAL_ONLINE,
    4: RoleState.PENDING,
}
ROLE_LOCKED, ROLE_QUEUED, ROLE_UNMONITORED = 1, 4, 256
"""Flags of a group's StatusInformation."""

VM_STATES: Mapping[int, VMState] = {
    2: VMState.RUNNING,
    3: VMState.OFF,
    4: VMState.STOPPING,
    6: VMState.SAVED,
    9: VMState.PAUSED,
    10: VMState.STARTING,
    32779: VMState.SAVED,  # FastSaved
    32781: VMState.STOPPING,  # ForceShutdown
    32783: VMState.SAVED,  # Hibernated
    **dict.fromkeys(range(32785, 32797), VMState.CRITICAL),
}

MIGRATION_PHASES: Mapping[int | None, MigrationPhase] = {
    1: MigrationPhase.PREPARING,
    2: MigrationPhase.TRANSFERRING,
    3: MigrationPhase.SWITCHING,
}
"""MigrationState while something moves; 4 and 5 are of an earlier migration."""

STATUS_AT_REST = frozenset({2, 11})
"""OperationalStatus Ok and InService."""
STATUS_MIGRATING = 32774
STATUS_ARRIVING = 32780
"""MigratingPlannedVm: the half of a migration that the target shows."""
STATUS_NAMES: Mapping[int, str] = {
    3: "Degraded",
    23769: "ApplyingSnapshot",
    32768: "CreatingSnapshot",
    32770: "DeletingSnapshot",
    32771: "WaitingToStart",
    32772: "MergingDisks",
    32773: "ExportingVirtualMachine",
    32776: "BackingUpVirtualMachine",
    32777: "ModifyingUpVirtualMachine",
    32778: "StorageMigrationPhaseOne",
    32779: "StorageMigrationPhaseTwo",
    32781: "CheckingCompatibility",
    32783: "CommunicationTimedOut",
    32784: "CommunicationFailed",
    32785: "NoIommu",
    32795: "CriticalIoError",
}

DVD_PHYSICAL = 2
"""DvdMediaType PassThrough."""
SWITCH_EXTERNAL = 2
"""VMSwitchType: 0 private, 1 internal."""
REPLICATION_REPLICA = frozenset({2, 4})
"""VMReplicationMode Replica and ExtendedReplica."""
VOLUME_LOST = frozenset({0, 1})
VOLUME_FILES_REDIRECTED, VOLUME_BLOCKS_REDIRECTED = 3, 4
REDIRECTED_BY_REFS = 32
"""ClusterSharedVolumeState Unavailable and Paused."""


def busy_name(status: tuple[int, ...]) -> str | None:
    """What keeps a VM from being touched: its first status that is neither rest nor migration."""
    for number in status:
        if number not in STATUS_AT_REST and number not in (STATUS_MIGRATING, STATUS_ARRIVING):
            return STATUS_NAMES.get(number, f"Status{number}")
    return None
