"""The one table of preflight checks. docs/preflight.md is written from it, and a test holds it so.

A check is a rule, the facts that it rests on, and what its finding means for each kind of action.
What can't be told holds only where Windows' own preflight would not leave the VM unharmed on its
source: a live migration that Windows refuses does no harm, a registration that only warns does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.model.checks import CheckName, CheckVerdict
from controller.model.plan import ActionKind
from controller.planning.preflight import machine, place
from controller.planning.preflight.ask import Ask, Facts, Finding

_BLOCKS: Final = CheckVerdict.BLOCKS
_WARNS: Final = CheckVerdict.WARNS
_MOVE, _REGISTER = ActionKind.MOVE, ActionKind.REGISTER
_CREATE, _START = ActionKind.CREATE, ActionKind.START
_REFUSES: Final = "Windows refuses such a move and leaves the VM on its source"
_LEARN: Final = "https://learn.microsoft.com/en-us/"
_ADD_ROLE: Final = _LEARN + "powershell/module/failoverclusters/add-clustervirtualmachinerole"
_COMPATIBILITY: Final = (
    _LEARN + "windows-server/virtualization/hyper-v/manage/dynamic-processor-compatibility-mode"
)
_LIVE: Final = _LEARN + "windows-server/virtualization/hyper-v/manage/live-migration-overview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One named check."""

    name: CheckName
    asks: str
    """What must be so, for people."""
    rule: Callable[[Ask], Finding]
    needs: tuple[Facts, ...]
    on: Mapping[ActionKind, CheckVerdict]
    """What a finding means for which kind of action; it is not asked for the others."""
    holds_untold: frozenset[ActionKind] = frozenset()
    """The kinds of action that wait where it can't be told."""
    untold: str
    """Why it waits or goes on then."""
    remedy: str
    """For a person; may name {vm} and {node}."""
    source: str
    lasts: bool = True
    """Whether a finding lasts until a person changes something."""
    again: str | None = None
    """The condition of docs/protocol.md by which the node asks again right before it acts."""


OF_PLACE: Final[tuple[Check, ...]] = (
    Check(
        name=CheckName.POSSIBLE,
        asks="The node is among the possible owners of the spec.",
        rule=place.possible,
        needs=(),
        on={_MOVE: _BLOCKS, _CREATE: _BLOCKS},
        untold="it is always known",
        remedy="add {node} to spec.owners.possible of {vm}",
        source="docs/guards.md",
    ),
    Check(
        name=CheckName.CLUSTER_POSSIBLE,
        asks="The node is a possible owner of both resources of the role.",
        rule=place.cluster_possible,
        needs=(Facts.CLUSTER,),
        on={_MOVE: _BLOCKS},
        untold="the cluster refuses the move (0x80071398)",
        remedy="add {node} to the possible owners of both resources of {vm} (Set-ClusterOwnerNode)",
        source=_LEARN + "powershell/module/failoverclusters/set-clusterownernode",
        again="targetPossible",
    ),
    Check(
        name=CheckName.TARGET_STATE,
        asks="The node is Up, answers, and is not draining, isolated, quarantined, to be avoided"
        " or taking back what was drained from it.",
        rule=place.target_state,
        needs=(Facts.CLUSTER,),
        on={_MOVE: _BLOCKS, _CREATE: _BLOCKS},
        untold="a node that nobody tells of is no target",
        remedy="bring {node} back",
        source=_LEARN + "powershell/module/failoverclusters/get-clusternode",
        lasts=False,
        again="targetUp",
    ),
    Check(
        name=CheckName.MEMORY,
        asks="The VM is not larger than the node less the reserve.",
        rule=place.memory,
        needs=(Facts.NODE,),
        on={_MOVE: _BLOCKS, _CREATE: _BLOCKS},
        holds_untold=frozenset({_MOVE, _CREATE}),
        untold="room can't be planned on a node without a figure",
        remedy="give {vm} less memory, or another owner than {node}",
        source=_LIVE,
    ),
    Check(
        name=CheckName.SWITCH,
        asks="The node has a virtual switch of the same name for each of the VM's adapters.",
        rule=place.switch,
        needs=(Facts.EQUIPMENT, Facts.HARDWARE),
        on={_MOVE: _BLOCKS, _CREATE: _BLOCKS},
        untold=_REFUSES,
        remedy="create the virtual switch on {node}",
        source="https://mskb.pkisolutions.com/en-us/help/2956020",
    ),
    Check(
        name=CheckName.PROCESSOR_VENDOR,
        asks="The node's processors are of the same vendor as those that the VM runs on.",
        rule=place.processor_vendor,
        needs=(Facts.HARDWARE,),
        on={_MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="shut {vm} down and start it on {node}, or leave {node} out of its owners",
        source=_COMPATIBILITY,
    ),
    Check(
        name=CheckName.PROCESSOR_MODEL,
        asks="The node's processors are of the same family and model, or the VM is set to run on"
        " several (processor compatibility).",
        rule=place.processor_model,
        needs=(Facts.EQUIPMENT, Facts.HARDWARE),
        on={_MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="when {vm} is off: Set-VMProcessor -CompatibilityForMigrationEnabled $true",
        source=_COMPATIBILITY,
    ),
    Check(
        name=CheckName.PROCESSOR_COUNT,
        asks="The VM has no more virtual processors than the node has logical ones.",
        rule=place.processor_count,
        needs=(Facts.EQUIPMENT, Facts.HARDWARE),
        on={_MOVE: _BLOCKS, _CREATE: _BLOCKS},
        untold=_REFUSES,
        remedy="give {vm} fewer processors while it is off, or another owner than {node}",
        source=_LIVE,
    ),
    Check(
        name=CheckName.VERSION,
        asks="The node runs the VM's configuration version.",
        rule=place.version,
        needs=(Facts.EQUIPMENT, Facts.HARDWARE),
        on={_MOVE: _BLOCKS},
        untold=_REFUSES + " (event 10698)",
        remedy="upgrade {node}, or leave it out of the owners of {vm}",
        source=_LEARN + "windows-server/virtualization/hyper-v/deploy/"
        "upgrade-virtual-machine-version-in-hyper-v-on-windows-or-windows-server",
    ),
    Check(
        name=CheckName.VOLUME,
        asks="The node can use the cluster shared volumes that the VM is on.",
        rule=place.volume,
        needs=(Facts.CLUSTER, Facts.EQUIPMENT),
        on={_MOVE: _BLOCKS, _CREATE: _BLOCKS},
        untold=_REFUSES,
        remedy="mend the way of {node} to its storage (Get-ClusterSharedVolumeState)",
        source=_LEARN + "powershell/module/failoverclusters/get-clustersharedvolumestate",
        lasts=False,
    ),
    Check(
        name=CheckName.GPU_PARTITION,
        asks="A VM with a GPU partition has one only, and both nodes are Windows Server 2025.",
        rule=place.gpu_partition,
        needs=(Facts.EQUIPMENT, Facts.HARDWARE),
        on={_MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="remove the GPU partition of {vm}, or upgrade the nodes",
        source=_LEARN + "windows-server/virtualization/hyper-v/gpu-partitioning",
    ),
    Check(
        name=CheckName.ANTI_AFFINITY,
        asks="Where the cluster enforces anti-affinity (ClusterEnforcedAntiAffinity), no VM of one"
        " of its classes is on the node or on its way there.",
        rule=place.anti_affinity,
        needs=(Facts.CLUSTER,),
        on={_MOVE: _BLOCKS},
        untold="roles and their classes are read in every cycle",
        remedy="move the other VM of the class away from {node}, or change AntiAffinityClassNames",
        source=_LEARN + "windows-server/failover-clustering/cluster-affinity",
        lasts=False,
    ),
    Check(
        name=CheckName.AFFINITY_RULE,
        asks="No VM that an affinity rule of the cluster keeps apart from it (DifferentNode,"
        " DifferentFaultDomain) is on the node or on its way there.",
        rule=place.affinity_rule,
        needs=(Facts.CLUSTER,),
        on={_MOVE: _BLOCKS},
        untold="rules are read in every cycle",
        remedy="move the other VM of the rule away from {node}, or disable the rule",
        source=_LEARN + "windows-server/failover-clustering/cluster-affinity",
        lasts=False,
    ),
)
"""Asked of each node that might take a VM."""

OF_VM: Final[tuple[Check, ...]] = (
    Check(
        name=CheckName.CONFIGURATION,
        asks="The VM's configuration is on a cluster shared volume or an SMB share.",
        rule=machine.configuration,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _BLOCKS, _MOVE: _BLOCKS},
        holds_untold=frozenset({_REGISTER}),
        untold="registration only warns, and the VM is lost with its node; " + _REFUSES,
        remedy="move the VM's storage to a cluster shared volume (Move-VMStorage)",
        source=_ADD_ROLE,
        again="storageShared",
    ),
    Check(
        name=CheckName.DISKS,
        asks="Every virtual disk is on a cluster shared volume or an SMB share.",
        rule=machine.disks,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _BLOCKS, _MOVE: _BLOCKS},
        holds_untold=frozenset({_REGISTER}),
        untold="registration only warns, and the VM is lost with its node; " + _REFUSES,
        remedy="move these disks to a cluster shared volume (Move-VMStorage)",
        source=_ADD_ROLE,
        again="storageShared",
    ),
    Check(
        name=CheckName.CHECKPOINTS,
        asks="The folder of its checkpoints is on a cluster shared volume or an SMB share.",
        rule=machine.checkpoints,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _BLOCKS},
        holds_untold=frozenset({_REGISTER}),
        untold="registration only warns, and the VM is lost with its node",
        remedy="Move-VMStorage -SnapshotFilePath, to a folder on a cluster shared volume",
        source=_ADD_ROLE,
        again="storageShared",
    ),
    Check(
        name=CheckName.SMART_PAGING,
        asks="The folder of its smart paging file is on a cluster shared volume or an SMB share.",
        rule=machine.smart_paging,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _BLOCKS},
        holds_untold=frozenset({_REGISTER}),
        untold="registration only warns, and the VM is lost with its node",
        remedy="Move-VMStorage -SmartPagingFilePath, to a folder on a cluster shared volume",
        source=_ADD_ROLE,
        again="storageShared",
    ),
    Check(
        name=CheckName.REDIRECTED,
        asks="No node reaches the volumes that it is on only by way of another node.",
        rule=machine.redirected,
        needs=(Facts.CLUSTER, Facts.EQUIPMENT),
        on={_REGISTER: _WARNS},
        untold="such a volume is slow, and not lost",
        remedy="mend the way of the node to its storage, or end the redirection"
        " (Get-ClusterSharedVolumeState, Resume-ClusterResource)",
        source=_LEARN + "windows-server/failover-clustering/failover-cluster-csvs",
        lasts=False,
    ),
    Check(
        name=CheckName.MEDIA,
        asks="Nothing is in the DVD drives but ISO files that every node reaches.",
        rule=machine.media,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold=_REFUSES + " (0xC03A0014)",
        remedy="eject it (Set-VMDvdDrive -Path $null), or put the ISO on a cluster shared volume",
        source=_LEARN + "troubleshoot/windows-server/virtualization/"
        "troubleshoot-live-migration-issues",
        again="mediaShared",
    ),
    Check(
        name=CheckName.PHYSICAL_DISK,
        asks="No disk of the node itself is passed through to the VM.",
        rule=machine.pass_through,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="replace it by a virtual disk on a cluster shared volume",
        source=_LEARN + "powershell/module/hyper-v/add-vmharddiskdrive",
    ),
    Check(
        name=CheckName.SHARED_DISK,
        asks="It uses no virtual disk together with other VMs.",
        rule=machine.shared_disk,
        needs=(Facts.EQUIPMENT,),
        on={_MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="shut {vm} down and start it elsewhere: it can't be moved while it runs",
        source=_LEARN + "windows-server/virtualization/hyper-v/manage/create-vhdset-file",
    ),
    Check(
        name=CheckName.ASSIGNED_DEVICE,
        asks="No device of the node is assigned to it.",
        rule=machine.assigned_device,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="take the device out of {vm} (Remove-VMAssignableDevice)",
        source="https://techcommunity.microsoft.com/t5/windows-os-platform-blog/"
        "use-gpus-with-clustered-vms-through-direct-device-assignment/ba-p/4172009",
    ),
    Check(
        name=CheckName.FIBRE_CHANNEL,
        asks="It has no virtual fibre channel adapter.",
        rule=machine.fibre_channel,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="have both sets of its WWNs zoned for every node, and move {vm} by hand",
        source=_LEARN + "powershell/module/hyper-v/add-vmfibrechannelhba",
    ),
    Check(
        name=CheckName.INNER_SWITCH,
        asks="None of its adapters is on an internal or private switch of its node.",
        rule=machine.inner_switch,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold=_REFUSES,
        remedy="connect {vm} to an external switch",
        source=_ADD_ROLE,
    ),
    Check(
        name=CheckName.TPM,
        asks="It has no virtual TPM, whose certificates every node would need.",
        rule=machine.tpm,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold=_REFUSES + " (the key protector could not be unwrapped)",
        remedy="export the shielded VM certificates of its node and import them on every other",
        source=_LEARN + "windows-server/virtualization/hyper-v/learn-more/"
        "generation-2-virtual-machine-security-settings-for-hyper-v",
    ),
    Check(
        name=CheckName.REPLICA,
        asks="It is no replica of a VM that runs elsewhere.",
        rule=machine.replica,
        needs=(Facts.EQUIPMENT,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS, _START: _BLOCKS},
        untold=_REFUSES,
        remedy="leave {vm} to Hyper-V Replica, or fail over to it there",
        source=_LEARN + "windows-server/virtualization/hyper-v/manage/set-up-hyper-v-replica",
    ),
    Check(
        name=CheckName.MOVE_TYPE,
        asks="Where the cluster itself moves it (a drain), it moves it live: its role's priority is"
        " not below MoveTypeThreshold.",
        rule=machine.move_type,
        needs=(Facts.CLUSTER,),
        on={_REGISTER: _WARNS},
        untold="roles are read in every cycle, and the default counts for a threshold that is not"
        " told",
        remedy="give the role of {vm} a higher priority, or Get-ClusterResourceType"
        " 'Virtual Machine' | Set-ClusterParameter MoveTypeThreshold 1000",
        source="https://techcommunity.microsoft.com/t5/failover-clustering/"
        "configuring-how-vms-are-moved-when-a-node-is-drained/ba-p/371848",
    ),
    Check(
        name=CheckName.SAME_NAME,
        asks="No VM that is no role of the cluster bears its name on any node.",
        rule=machine.same_name,
        needs=(Facts.CLUSTER,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold="what no node shows can't be told apart anyway",
        remedy="rename or remove the other VM of this name",
        source=_ADD_ROLE,
    ),
    Check(
        name=CheckName.AFFINITY,
        asks="No affinity rule of the cluster moves other VMs with it (SameNode, SameFaultDomain).",
        rule=machine.affinity,
        needs=(Facts.CLUSTER,),
        on={_MOVE: _BLOCKS},
        untold="rules are read in every cycle",
        remedy="move all VMs of the rule by hand, or disable it (Set-ClusterAffinityRule)",
        source=_LEARN + "windows-server/failover-clustering/cluster-affinity",
    ),
    Check(
        name=CheckName.UNMONITORED,
        asks="The cluster monitors its role.",
        rule=machine.unmonitored,
        needs=(Facts.CLUSTER,),
        on={_MOVE: _BLOCKS},
        untold="roles are read in every cycle",
        remedy="bring its node back into contact with the cluster",
        source=_LEARN + "windows-server/failover-clustering/system-events",
        lasts=False,
    ),
)
"""Asked of a VM as it is, wherever it would go."""

CHECKS: Final[tuple[Check, ...]] = (*OF_PLACE, *OF_VM)
BY_NAME: Final[Mapping[CheckName, Check]] = {check.name: check for check in CHECKS}
