"""What preflight finds: one result for each named check, for people and for the planner alike."""

from dataclasses import dataclass
from enum import StrEnum


class CheckVerdict(StrEnum):
    """Verdict of one named check."""

    PASSES = "Passes"
    WARNS = "Warns"
    BLOCKS = "Blocks"
    CANNOT_TELL = "CannotTell"
    """A fact that it needs was not read, or too long ago."""


class CheckName(StrEnum):
    """Every check there is; docs/preflight.md says what each asks, why, and what mends it."""

    # of a node as the place for a VM
    NODE_EXISTS = "nodeExists"
    POSSIBLE = "possible"
    CLUSTER_POSSIBLE = "clusterPossible"
    TARGET_STATE = "targetState"
    MEMORY = "memory"
    SWITCH = "switch"
    PROCESSOR_VENDOR = "processorVendor"
    PROCESSOR_MODEL = "processorModel"
    PROCESSOR_COUNT = "processorCount"
    VERSION = "version"
    VOLUME = "volume"
    GPU_PARTITION = "gpuPartition"
    ANTI_AFFINITY = "antiAffinity"
    AFFINITY_RULE = "affinityRule"
    # of a VM, wherever it would go
    CONFIGURATION = "configuration"
    DISKS = "disks"
    CHECKPOINTS = "checkpoints"
    SMART_PAGING = "smartPaging"
    REDIRECTED = "redirected"
    MEDIA = "media"
    PHYSICAL_DISK = "physicalDisk"
    SHARED_DISK = "sharedDisk"
    ASSIGNED_DEVICE = "assignedDevice"
    FIBRE_CHANNEL = "fibreChannel"
    INNER_SWITCH = "innerSwitch"
    TPM = "tpm"
    REPLICA = "replica"
    MOVE_TYPE = "moveType"
    SAME_NAME = "sameName"
    AFFINITY = "affinity"
    UNMONITORED = "unmonitored"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found about one VM, on one node or wherever it goes."""

    name: CheckName
    verdict: CheckVerdict
    found: str
    remedy: str = ""
    holds: bool = False
    """Whether what was to be done waits for it."""
