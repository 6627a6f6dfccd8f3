"""A cluster, and for every condition of docs/protocol.md what makes it untrue there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from controller.simulator.states import (
    DrainStatus,
    DvdMediaType,
    MigrationState,
    NodeFlag,
    NodeState,
    VmOperationalStatus,
    VmState,
)
from controller.simulator.world import World

CLUSTER = r"""
cluster:
  migrationsParallelMax: 1
  parameters: {OwnernodeEpoch: 7, ownernodeHolder: AAAAAAAA-0000-4000-8000-000000000007}
nodes:
- {name: HV01, memory: 256Gi, switches: [Prod, "Lab [1]"]}
- {name: HV02, memory: 256Gi}
- {name: hv03, memory: 256Gi}
volumes: [{name: Volume1, size: 1Ti}, {name: Volume10, size: 100Gi, used: 60Gi}]
vms:
- {name: sql, node: HV01, preferredOwners: [hv03, HV01], iso: 'C:\ClusterStorage\Volume1\iso\a.iso'}
- {name: web, node: HV01, priority: 3000, failback: true, generation: 1}
- {name: halted, node: HV01, state: 'Off'}
- {name: bare, node: HV01, clustered: false, switch: null}
- {name: elsewhere, node: HV02, possibleOwners: [HV02, hv03]}
files: [{path: 'C:\ClusterStorage\Volume1\images\base.vhdx'}]
"""
CSV = "C:\\ClusterStorage\\Volume1"
GIB = 2**30
FOLDERS = [
    "C:\\ProgramData\\Microsoft\\Windows\\Hyper-V",
    "C:\\Users\\Public\\Documents\\Hyper-V\\Virtual Hard Disks",
]
"""Where a node puts new VMs and new disks, out of the box."""
FENCE = {"epoch": 7, "holder": "aaaaaaaa-0000-4000-8000-000000000007"}
"""What whoever holds that cluster sends with each change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One call on that cluster after something was done to it, and the condition that fails."""

    operation: str
    untrue: str
    prepare: Callable[[World], object] = lambda _: None
    vm: str = ""
    changes: tuple[tuple[str, Any], ...] = ()
    template: tuple[tuple[str, Any], ...] = ()

    def arguments(self, intent: str) -> Callable[[World], dict[str, Any]]:
        """The call's arguments; VM ids are known to the world only."""

        def make(world: World) -> dict[str, Any]:
            if self.operation == "claimEpoch":
                return {**FENCE, "epoch": 8} | dict(self.changes)
            plain: dict[str, Any] = {"intent": intent, **FENCE}
            match self.operation:
                case "moveRole":
                    plain |= {"vmId": _id(world, self.vm or "sql"), "source": "hv01"}
                    plain |= {"target": "hv02"}
                case "setRole":
                    plain |= {"vmId": _id(world, self.vm or "sql"), "node": "hv01"}
                    plain |= {"setting": "PossibleOwners", "after": ["HV01", "HV02"]}
                    plain |= {"before": ["HV01", "HV02", "hv03"]}
                case "setProcessor":
                    plain |= {"vmId": _id(world, self.vm or "halted"), "node": "HV01"}
                case "startRole":
                    plain |= {"vmId": _id(world, self.vm or "halted"), "node": "HV01"}
                case "registerVm":
                    plain |= {"vmId": _id(world, self.vm or "bare"), "node": "HV01"}
                case "suspendNode" | "resumeNode":
                    plain |= {"node": "hv01"}
                case "setFolders":
                    plain |= {"node": "hv01", "before": FOLDERS, "folder": f"{CSV}\\images"}
                case _:
                    template = {**template_of("new"), **dict(self.template)}
                    plain |= {"node": "HV01", "name": "new", "template": template}
            return plain | dict(self.changes)

        return make


def disk(path: str, create_bytes: int | None) -> dict[str, Any]:
    """A disk of a template, at the SCSI controller."""
    return {"path": path, "createBytes": create_bytes, "controller": "SCSI"}


def template_of(name: str) -> dict[str, Any]:
    """A small generation 2 VM with a new disk."""
    return {
        "generation": 2,
        "memoryStartupBytes": 2 * GIB,
        "memoryMinimumBytes": None,
        "memoryMaximumBytes": None,
        "processors": 2,
        "processorCompatibility": False,
        "location": CSV,
        "disks": [disk(f"{CSV}\\{name}\\os.vhdx", 40 * GIB)],
        "secureBootTemplate": None,
        "physicalDrive": None,
        "networkBoot": False,
        "stopAction": None,
        "switch": "prod",
        "vlan": None,
        "iso": None,
    }


def _id(world: World, vm: str) -> str:
    return vm if "-" in vm else world.vm(vm).id


def _role(of: str = "sql", **fields: Any) -> Callable[[World], None]:
    return lambda world: _set(world.role(of), fields)


def _vm(name: str, **fields: Any) -> Callable[[World], None]:
    return lambda world: _set(world.vm(name), fields)


def _node(name: str, **fields: Any) -> Callable[[World], None]:
    return lambda world: _set(world.node(name), fields)


def _set(record: Any, fields: dict[str, Any]) -> None:
    for field, value in fields.items():
        setattr(record, field, value)


def _queue_behind_another(world: World) -> None:
    world.move_live("web", "HV02")
    world.move_live("sql", "HV02")


def _parameter(name: str, value: int | str | None) -> Callable[[World], None]:
    def write(world: World) -> None:
        world.cluster.parameters.pop(name.lower(), None)
        if value is not None:
            world.cluster.parameters[name.lower()] = (name, value)

    return write


def _queue_and_halt(world: World) -> None:
    _queue_behind_another(world)
    _set(world.vm("sql"), {"state": VmState.Off, "running_since": None})
    _set(world.role("sql"), {"persistent": False})


def _own_drive(world: World) -> None:
    _set(world.vm("sql").dvds[0], {"path": "D:", "media": DvdMediaType.PassThrough})


def _disk(path: str) -> Callable[[World], None]:
    return lambda world: _set(world.vm("bare").disks[0], {"path": path})


def _drained(world: World) -> None:
    _set(world.node("HV01"), {"state": NodeState.Paused, "drain": DrainStatus.Completed})


NOWHERE = "11111111-2222-4333-8444-555555555555"
M, S, R, C = "moveRole", "startRole", "registerVm", "createVm"
ROLE, PROCESSOR = "setRole", "setProcessor"
CLAIM = "claimEpoch"
SUSPEND, RESUME = "suspendNode", "resumeNode"
SET_FOLDERS = "setFolders"
BACKUP, MIGRATING = (
    VmOperationalStatus.BackingUpVirtualMachine,
    VmOperationalStatus.MigratingVirtualMachine,
)
FENCED = tuple(
    story
    for operation in (M, S, ROLE, PROCESSOR, R, C, SUSPEND, RESUME, SET_FOLDERS)
    for story in (
        Story(
            operation=operation, untrue="notStopped", prepare=lambda w: w.stop_controllers("CAB")
        ),
        Story(operation=operation, untrue="epochCurrent", changes=(("epoch", 6),)),
        Story(operation=operation, untrue="epochCurrent", changes=(("epoch", 8),)),
        Story(operation=operation, untrue="epochCurrent", changes=(("holder", NOWHERE),)),
        Story(
            operation=operation, untrue="epochCurrent", prepare=_parameter("OwnernodeEpoch", None)
        ),
        Story(
            operation=operation, untrue="epochCurrent", prepare=_parameter("OwnernodeHolder", "")
        ),
    )
)
NO_PLACE = (
    _node("HV01", state=NodeState.Paused),
    _node("HV01", drain=DrainStatus.Completed),
    _node("HV01", flags=NodeFlag.Isolated),
    _node("HV01", flags=NodeFlag.Quarantined),
    _node("HV01", flags=NodeFlag.AvoidPlacement),
)
ELSEWHERE: tuple[Callable[[World], None], ...] = (
    _disk("D:\\bare\\os.vhdx"),
    _disk(f"{CSV}0x\\os.vhdx"),
    _disk(f"\\\\?\\{CSV}\\os.vhdx"),
    _vm("bare", path="C:\\ClusterStorage\\Volume2\\bare"),
    _vm("bare", checkpoint_path="D:\\checkpoints"),
    _vm("bare", paging_path="D:\\paging"),
)
"""Storage of a VM that other nodes don't reach."""
BACKSLASH: dict[str, Any] = {"default_folder_shown": "with_backslash"}
NOT_SHARED = (
    "D:\\VMs",
    CSV,
    f"{CSV}\\",
    f"{CSV}2\\images",
    "C:\\ClusterStorage\\images",
    f"{CSV}\\..\\..\\images",
    f"{CSV}\\.\\images",
    f"\\\\?\\{CSV}\\images",
)
"""Folders on no cluster shared volume, or at the root of one, or that could lead out of it."""
STORIES = (
    *FENCED,
    Story(operation=CLAIM, untrue="notStopped", prepare=_parameter("ownernodestop", 1)),
    Story(operation=CLAIM, untrue="epochOlder", changes=(("epoch", 7),)),
    Story(operation=CLAIM, untrue="epochOlder", changes=(("epoch", 0), ("holder", NOWHERE))),
    Story(operation=M, untrue="vmHere", vm="elsewhere"),
    Story(operation=M, untrue="vmHere", vm=NOWHERE),
    Story(operation=M, untrue="roleExists", vm="bare"),
    Story(operation=M, untrue="owner", changes=(("source", "HV02"),)),
    Story(operation=M, untrue="owner", prepare=_role(owner="HV02"), changes=(("source", "HV02"),)),
    Story(operation=M, untrue="owner", prepare=_role(failing_over=True)),
    Story(operation=M, untrue="vmRunning", prepare=lambda w: w.pause_vm("sql")),
    Story(operation=M, untrue="vmRunning", prepare=_vm("sql", state=VmState.RunningCritical)),
    Story(operation=M, untrue="roleOnline", prepare=_role(failed=True)),
    Story(operation=M, untrue="notQueued", prepare=_queue_behind_another),
    Story(operation=M, untrue="notLocked", prepare=lambda w: w.lock_role("sql")),
    Story(operation=M, untrue="noMigration", prepare=lambda w: w.move_live("sql", "hv03")),
    Story(operation=M, untrue="noMigration", prepare=_role(migration_state=MigrationState.SetUp)),
    Story(operation=M, untrue="notBusy", prepare=_vm("sql", busy=BACKUP)),
    Story(operation=M, untrue="targetExists", changes=(("target", "HV09"),)),
    Story(operation=M, untrue="targetUp", prepare=lambda w: w.pause_node("HV02")),
    Story(operation=M, untrue="targetUp", prepare=_node("HV02", state=NodeState.Down)),
    Story(operation=M, untrue="targetNotDraining", prepare=_node("HV02", drain=DrainStatus.Failed)),
    Story(operation=M, untrue="targetNotIsolated", prepare=_node("HV02", flags=NodeFlag.Isolated)),
    Story(
        operation=M,
        untrue="targetNotQuarantined",
        prepare=_node("HV02", flags=NodeFlag.Quarantined),
    ),
    Story(operation=M, untrue="targetNotAvoided", prepare=lambda w: w.avoid_node("HV02")),
    Story(operation=M, untrue="targetPossible", prepare=_role(possible=["HV01"])),
    Story(operation=M, untrue="targetPossible", prepare=_role(possible_configuration=["HV01"])),
    Story(
        operation=M,
        untrue="mediaShared",
        prepare=lambda w: w.insert_iso("sql", "D:\\iso\\a.iso"),
    ),
    Story(operation=M, untrue="mediaShared", prepare=_own_drive),
    Story(operation=S, untrue="vmHere", vm="elsewhere"),
    Story(operation=S, untrue="roleExists", vm="bare"),
    Story(operation=S, untrue="owner", changes=(("node", "HV02"),)),
    Story(operation=S, untrue="vmOff", vm="sql"),
    Story(operation=S, untrue="vmOff", prepare=_vm("halted", state=VmState.Saved)),
    Story(operation=S, untrue="roleOffline", prepare=_role(of="halted", failed=True)),
    Story(operation=S, untrue="notQueued", vm="sql", prepare=_queue_and_halt),
    Story(operation=S, untrue="notLocked", prepare=lambda w: w.lock_role("halted")),
    Story(operation=S, untrue="noMigration", prepare=_vm("halted", busy=MIGRATING)),
    Story(
        operation=S,
        untrue="noMigration",
        prepare=_role(of="halted", migration_state=MigrationState.Transfer),
    ),
    Story(operation=S, untrue="notBusy", prepare=_vm("halted", busy=BACKUP)),
    *(Story(operation=S, untrue="nodeUp", prepare=p) for p in NO_PLACE),
    Story(operation=ROLE, untrue="vmHere", vm="elsewhere"),
    Story(operation=ROLE, untrue="roleExists", vm="bare"),
    Story(operation=ROLE, untrue="owner", changes=(("node", "HV02"),)),
    Story(operation=ROLE, untrue="notQueued", prepare=_queue_behind_another),
    Story(operation=ROLE, untrue="notLocked", prepare=lambda w: w.lock_role("sql")),
    Story(operation=ROLE, untrue="noMigration", prepare=lambda w: w.move_live("sql", "hv03")),
    Story(operation=ROLE, untrue="notBusy", prepare=_vm("sql", busy=BACKUP)),
    Story(operation=ROLE, untrue="settingUnchanged", prepare=_role(possible=["HV01", "HV02"])),
    Story(
        operation=ROLE,
        untrue="settingUnchanged",
        prepare=_role(possible_configuration=["HV01"]),
    ),
    Story(operation=ROLE, untrue="settingUnchanged", changes=(("before", []),)),
    Story(
        operation=ROLE,
        untrue="settingUnchanged",
        changes=(("setting", "PreferredOwners"), ("before", ["HV01", "hv03"])),
    ),
    Story(
        operation=ROLE,
        untrue="settingUnchanged",
        changes=(("setting", "Failback"), ("before", ["on"]), ("after", ["off"])),
    ),
    Story(
        operation=ROLE,
        untrue="settingUnchanged",
        changes=(("setting", "Priority"), ("before", ["3000"]), ("after", ["1000"])),
    ),
    Story(operation=ROLE, untrue="ownersExist", changes=(("after", ["HV01", "HV09"]),)),
    Story(operation=ROLE, untrue="ownerKept", changes=(("after", ["HV02", "hv03"]),)),
    Story(operation=ROLE, untrue="ownerKept", changes=(("after", ["HV01"]),)),
    Story(operation=PROCESSOR, untrue="vmHere", vm="elsewhere"),
    Story(operation=PROCESSOR, untrue="vmOff", vm="sql"),
    Story(operation=PROCESSOR, untrue="noMigration", prepare=_vm("halted", busy=MIGRATING)),
    Story(operation=PROCESSOR, untrue="notBusy", prepare=_vm("halted", busy=BACKUP)),
    Story(operation=R, untrue="vmHere", vm="elsewhere"),
    Story(operation=R, untrue="notClustered", vm="sql"),
    Story(operation=R, untrue="roleNameFree", prepare=lambda w: w.rename_role("sql", "BARE")),
    Story(operation=R, untrue="vmAtRest", prepare=lambda w: w.save_vm("bare")),
    Story(operation=R, untrue="noMigration", prepare=_vm("bare", busy=MIGRATING)),
    Story(operation=R, untrue="notBusy", prepare=_vm("bare", busy=BACKUP)),
    *(Story(operation=R, untrue="nodeUp", prepare=p) for p in NO_PLACE),
    *(Story(operation=R, untrue="storageShared", prepare=prepare) for prepare in ELSEWHERE),
    Story(
        operation=R,
        untrue="storageShared",
        prepare=lambda w: [prepare(w) for prepare in ELSEWHERE],
        changes=(("accepts", ["configuration", "checkpoints", "smartPaging"]),),
    ),
    *(
        Story(operation=o, untrue="nodeHere", changes=(("node", "HV02"),))
        for o in (SUSPEND, RESUME, SET_FOLDERS)
    ),
    *(Story(operation=SUSPEND, untrue="nodeUp", prepare=p) for p in NO_PLACE),
    Story(operation=SUSPEND, untrue="othersUp", prepare=lambda w: w.pause_node("hv03")),
    Story(operation=SUSPEND, untrue="othersUp", prepare=_node("HV02", state=NodeState.Down)),
    Story(operation=SUSPEND, untrue="othersUp", prepare=_node("HV02", drain=DrainStatus.Failed)),
    Story(operation=SUSPEND, untrue="othersUp", prepare=_node("hv03", flags=NodeFlag.Isolated)),
    Story(operation=SUSPEND, untrue="othersUp", prepare=lambda w: w.avoid_node("HV02")),
    Story(operation=RESUME, untrue="nodeOnlyPaused"),
    *(Story(operation=SET_FOLDERS, untrue="nodeUp", prepare=p) for p in NO_PLACE),
    Story(operation=SET_FOLDERS, untrue="foldersUnchanged", prepare=_node("HV01", vm_path=CSV)),
    Story(
        operation=SET_FOLDERS,
        untrue="foldersUnchanged",
        prepare=lambda w: _set(w, {"doubts": replace(w.doubts, **BACKSLASH)}),
    ),
    *(
        Story(operation=SET_FOLDERS, untrue="folderShared", changes=(("folder", folder),))
        for folder in NOT_SHARED
    ),
    Story(operation=SET_FOLDERS, untrue="folderExists", changes=(("folder", f"{CSV}\\none"),)),
    Story(
        operation=SET_FOLDERS,
        untrue="folderExists",
        prepare=lambda w: w.set_volume(CSV, online=False),
    ),
    Story(operation=RESUME, untrue="nodeOnlyPaused", prepare=_drained),
    Story(operation=C, untrue="nameFree", changes=(("name", "Bare"),)),
    Story(operation=C, untrue="roleNameFree", changes=(("name", "ELSEWHERE"),)),
    *(Story(operation=C, untrue="nodeUp", prepare=p) for p in NO_PLACE),
    Story(operation=C, untrue="folderFree", changes=(("name", "images"),)),
    Story(
        operation=C,
        untrue="disksFree",
        template=(("disks", [disk(f"{CSV}\\images\\BASE.vhdx", GIB)]),),
    ),
    Story(
        operation=C,
        untrue="disksExist",
        template=(("disks", [disk(f"{CSV}\\images\\none.vhdx", None)]),),
    ),
    Story(
        operation=C,
        untrue="disksUnattached",
        template=(("disks", [disk(f"{CSV}\\BARE\\os.vhdx", None)]),),
    ),
    Story(
        operation=C,
        untrue="disksUnattached",
        prepare=lambda w: w.delete_file("HV01", f"{CSV}\\bare\\os.vhdx"),
        template=(("disks", [disk(f"{CSV}\\BARE\\os.vhdx", GIB)]),),
    ),
    Story(operation=C, untrue="driveExists", template=(("physicalDrive", "E:"),)),
    Story(operation=C, untrue="mediaExists", template=(("iso", f"{CSV}\\iso\\none.iso"),)),
    Story(operation=C, untrue="switchExists", template=(("switch", "lab 1"),)),
    Story(
        operation=C,
        untrue="volumeHasRoom",
        template=(
            (
                "disks",
                [
                    {"path": f"C:\\ClusterStorage\\volume10\\{n}.vhdx", "createBytes": 30 * GIB}
                    for n in "ab"
                ],
            ),
        ),
    ),
    Story(
        operation=C,
        untrue="volumeHasRoom",
        template=(("disks", [{"path": "D:\\new\\os.vhdx", "createBytes": GIB}]),),
    ),
    Story(
        operation=C,
        untrue="volumeHasRoom",
        prepare=lambda w: w.set_volume(CSV, online=False),
    ),
)
