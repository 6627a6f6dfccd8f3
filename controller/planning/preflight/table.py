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
_MOVE, _REGISTER, _CREATE = ActionKind.MOVE, ActionKind.REGISTER, ActionKind.CREATE
_REFUSES: Final = "Windows refuses such a move and leaves the VM on its source"
_LEARN: Final = "https://learn.microsoft.com/en-us/"
_ADD_ROLE: Final = _LEARN + "powershell/module/failoverclusters/add-clustervirtualmachinerole"
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
        name=CheckName.SAME_NAME,
        asks="No VM that is no role of the cluster bears its name on any node.",
        rule=machine.same_name,
        needs=(Facts.CLUSTER,),
        on={_REGISTER: _WARNS, _MOVE: _BLOCKS},
        untold="what no node shows can't be told apart anyway",
        remedy="rename or remove the other VM of this name",
        source=_ADD_ROLE,
    ),
)
"""Asked of a VM as it is, wherever it would go."""

CHECKS: Final[tuple[Check, ...]] = (*OF_PLACE, *OF_VM)
BY_NAME: Final[Mapping[CheckName, Check]] = {check.name: check for check in CHECKS}
