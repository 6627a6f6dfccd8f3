"""Each condition that nodes check right before they act, never found untrue.

Nothing that the controller was shown spoke against these commands: the world changed in between.
Only what a node then does can be judged.
"""

from collections.abc import Mapping
from dataclasses import replace

from controller.simulator.responder_conditions import CONDITIONS
from tests.simulation.drawing import Options
from tests.simulation.faults import Gap, Kind
from tests.simulation.kills import Kill

_LATE = (Kind.DELAYED, Kind.ISOLATE)
_CONDITION_HINTS: Mapping[str, tuple[Kind, ...]] = {
    "owner": (Kind.DELAYED, Kind.FOREIGN_MOVE),
    "vmRunning": (Kind.VM_STATE_CHANGE,),
    "vmOff": (Kind.VM_STATE_CHANGE, Kind.DELAYED),
    "vmAtRest": (Kind.VM_STATE_CHANGE,),
    "roleOnline": (Kind.VM_STATE_CHANGE, Kind.DELAYED),
    "roleOffline": (Kind.VM_STATE_CHANGE, Kind.DELAYED),
    "notQueued": (Kind.FOREIGN_MOVE,),
    "notLocked": (Kind.BACKUP_LOCK,),
    "noMigration": (Kind.FOREIGN_MOVE,),
    "notBusy": (Kind.BACKUP_LOCK,),
    "targetUp": (Kind.PAUSE,),
    "targetNotDraining": (Kind.PAUSE,),
    "targetNotIsolated": _LATE,
    "targetNotQuarantined": (Kind.DELAYED, Kind.QUARANTINE),
    "targetNotAvoided": (Kind.PAUSE,),
    "targetPossible": (Kind.VM_STATE_CHANGE,),
    "notClustered": (Kind.FOREIGN_MOVE,),
    "roleNameFree": (Kind.FOREIGN_MOVE,),
    "nodeUp": (Kind.PAUSE,),
    "nameFree": (Kind.FOREIGN_MOVE,),
    "folderFree": (Kind.FOREIGN_MOVE,),
    "volumeHasRoom": (Kind.DISK_FULL,),
}
NEEDED_BY_OTHERS = frozenset({"vmHere", "roleExists", "targetExists"})
"""Later conditions use what these find: without them nothing runs at all."""
NOT_PROVOKED: Mapping[str, str] = {
    "intentNew": "a repeated call never reaches a node twice in process; tests/protocol",
    "disksFree": "folderFree is untrue whenever it is: drawn disks lie in the VM's own folder",
    "disksExist": "no drawn template names an existing disk; tests/scenarios",
    "mediaExists": "no drawn template has an ISO; tests/scenarios",
    "switchExists": "no drawn template has a switch; tests/contract",
}


def condition_kills() -> list[Kill]:
    """Each condition of the nodes never found untrue."""
    return [
        Kill(
            name=f"node condition {name}",
            patches=lambda name=name: [(CONDITIONS, name, lambda case: None)],
            kinds=hint,
            shape=_with_creations if name in _OF_CREATIONS else lambda options: options,
        )
        for name, hint in _CONDITION_HINTS.items()
    ]


_OF_CREATIONS = frozenset({"nameFree", "folderFree", "volumeHasRoom", "nodeUp", "roleNameFree"})


def _with_creations(options: Options) -> Options:
    """Several VMs to create, so that the gap before a creation is hit."""
    specs = dict(options.specs)
    for number in range(3):
        specs[f"new{number}"] = {
            "vm": {"name": f"NEW{number}"},
            "owners": {"possible": ["HV01", "HV02"]},
            "highAvailability": {"register": True},
            "template": {
                "generation": 2,
                "memory": {"startup": "1Gi"},
                "processors": {"count": 1},
                "location": "C:\\ClusterStorage\\Volume1",
                "disks": [{"path": "os.vhdx", "create": {"size": "20Gi"}}],
            },
        }
    faults = tuple(replace(fault, at_seconds=0.0, gap=Gap.BEFORE) for fault in options.faults)
    return replace(options, specs=specs, faults=faults)
