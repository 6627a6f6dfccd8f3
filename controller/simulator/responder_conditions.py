"""The conditions of docs/protocol.md: what must still be true on the node right before it acts.

Each is a function from the case to what it found instead; `None` means that it holds. They run in
the order that an operation lists them, and later ones use what earlier ones have read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.model.names import fold, same_name
from controller.simulator.invoke import invoke
from controller.simulator.responder_case import Absent, BadCall, Case, Finding, name_of, unless
from controller.simulator.responder_settings import (
    folder_exists,
    folder_shared,
    folders_unchanged,
    owner_kept,
    owners_exist,
    setting_unchanged,
)
from controller.simulator.values import CmdletError, EnumValue, PSObject, Value

_OK_STATUSES = (2, 11)
_MIGRATING_STATUSES = (32774, 32780)
_NO_TARGET = {1: "isolated", 2: "quarantined", 32: "avoided"}
"""Flags of a node's StatusInformation with which it takes no VM."""


def first_untrue(case: Case, names: tuple[str, ...]) -> tuple[str, str | None] | None:
    """The first condition that does not hold and what it found, or None."""
    for name in names:
        found = CONDITIONS[name](case)
        if found is not None:
            return name, None if isinstance(found, Absent) else found
    return None


def _not_stopped(case: Case) -> Finding:
    text = case.fence("OwnernodeStop")
    return None if text is None else str(text)


def _epoch_current(case: Case) -> Finding:
    epoch, holder = case.fence("OwnernodeEpoch"), case.fence("OwnernodeHolder")
    if epoch is None:
        return "none"
    held = epoch == case.epoch and same_name(str(holder), case.holder)
    return unless(held, f"epoch {epoch}")


def _epoch_older(case: Case) -> Finding:
    epoch = case.fence("OwnernodeEpoch")
    assert epoch is None or isinstance(epoch, int)
    return unless(epoch is None or epoch < case.epoch, f"epoch {epoch}")


def _vm_here(case: Case) -> Finding:
    try:
        found = case.run("Get-VM", Id=case.vm_id)
    except CmdletError as error:
        if not error.fqid.split(",")[-1].startswith("Microsoft.HyperV.PowerShell.Commands.GetVM"):
            raise
        found = []
    if len(found) != 1:
        return "absent"
    case.seen["vm"] = found[0]
    return None


def _groups_of_vm(case: Case) -> list[PSObject]:
    try:
        found = case.run("Get-ClusterGroup", VMId=case.vm_id)
    except CmdletError as error:
        if error.category != "ObjectNotFound":
            raise
        found = []
    return [g for g in found if _enum(g, "GroupType") == 111]


def _role_exists(case: Case) -> Finding:
    found = _groups_of_vm(case)
    if len(found) != 1:
        return "absent"
    case.seen["group"] = found[0]
    return None


def _owner(case: Case) -> Finding:
    owner = case.seen["group"].properties["OwnerNode"]
    if not isinstance(owner, PSObject):
        return "none"
    name = name_of(owner)
    wanted = case.text("source" if "source" in case.arguments else "node")
    return None if same_name(name, wanted) and same_name(name, case.node) else name


def _vm_state(*allowed: int) -> Callable[[Case], Finding]:
    return lambda case: unless(case.number("vm", "State") in allowed, case.number("vm", "State"))


def _role_state(allowed: int) -> Callable[[Case], Finding]:
    return lambda case: unless(
        case.number("group", "State") == allowed, case.number("group", "State")
    )


def _not_queued(case: Case) -> Finding:
    status = case.number("group", "StatusInformation")
    return unless(not status & 4, status)


def _not_locked(case: Case) -> Finding:
    locked = case.number("group", "StatusInformation") & 1
    return unless(not locked and not case.number("group", "LockedFromMoving"), "locked")


def _no_migration(case: Case) -> Finding:
    for status in case.status("OperationalStatus"):
        if status in _MIGRATING_STATUSES:
            return str(status)
    if "group" not in case.seen:
        return None  # not clustered: no resource that could tell
    machine = case.resource("Virtual Machine")
    rows = case.run("Get-ClusterParameter", InputObject=machine, Name="MigrationState")
    state = rows[0].properties["Value"] if rows else None
    return f"MigrationState {state}" if state in (1, 2, 3) else None


def _not_busy(case: Case) -> Finding:
    others = (s for s in case.status("OperationalStatus") if s not in _OK_STATUSES)
    busy = next(others, None)
    return None if busy is None else str(busy)


def _target_exists(case: Case) -> Finding:
    wanted = case.text("target")
    found = [n for n in case.run("Get-ClusterNode") if same_name(name_of(n), wanted)]
    if len(found) != 1:
        return "absent"
    case.seen["target"] = found[0]
    return None


def _target_number(name: str) -> Callable[[Case], Finding]:
    return lambda case: unless(case.number("target", name) == 0, case.number("target", name))


def _target_lacks(flag: int) -> Callable[[Case], Finding]:
    word = _NO_TARGET[flag]
    return lambda case: unless(not case.number("target", "StatusInformation") & flag, word)


def _target_possible(case: Case) -> Finding:
    kinds = {"machine": "Virtual Machine", "configuration": "Virtual Machine Configuration"}
    for word, kind in kinds.items():
        rows = case.run("Get-ClusterOwnerNode", InputObject=case.resource(kind))
        owners = rows[0].properties["OwnerNodes"]
        assert isinstance(owners, list)
        names = [name_of(owner) for owner in owners if isinstance(owner, PSObject)]
        if not any(same_name(name, case.text("target")) for name in names):
            return word
    return None


def _media_shared(case: Case) -> Finding:
    drives = _objects(case.seen["vm"], "DVDDrives")
    return _first_local(
        case, [str(d.properties["Path"] or "") for d in drives if _enum(d, "DvdMediaType")]
    )


def _storage_shared(case: Case) -> Finding:
    vm = case.seen["vm"]
    paths: dict[str, list[Value]] = {
        "configuration": [vm.properties["ConfigurationLocation"]],
        "disks": [drive.properties["Path"] for drive in _objects(vm, "HardDrives")],
        "checkpoints": [vm.properties["SnapshotFileLocation"]],
        "smartPaging": [vm.properties["SmartPagingFilePath"]],
    }
    match case.arguments.get("accepts", []):
        case list(accepts):
            asked = [
                path for check, found in paths.items() if check not in accepts for path in found
            ]
        case _:
            raise BadCall("accepts must be a list.")
    return _first_local(case, [str(path) for path in asked if path])


def _first_local(case: Case, paths: list[str]) -> Finding:
    """The first path that is on no cluster shared volume and on no SMB share."""
    if not paths:
        return None
    mounts = tuple(fold(mount) + "\\" for mount in _volumes(case))
    for path in paths:
        share = path.startswith("\\\\") and not path.startswith(("\\\\?\\", "\\\\.\\"))
        if not share and not (fold(path) + "\\").startswith(mounts):
            return path or Absent()
    return None


def _not_clustered(case: Case) -> Finding:
    clustered = bool(case.seen["vm"].properties["IsClustered"]) or bool(_groups_of_vm(case))
    return unless(not clustered, "clustered")


def _role_name_free(case: Case) -> Finding:
    wanted = case.text("name") if "name" in case.arguments else name_of(case.seen["vm"])
    names = (name_of(group) for group in case.run("Get-ClusterGroup"))
    return next((name for name in names if same_name(name, wanted)), None)


def _node_up(case: Case) -> Finding:
    local = next(n for n in case.run("Get-ClusterNode") if same_name(name_of(n), case.node))
    numbers = (_enum(local, name) for name in ("State", "DrainStatus"))
    flags = _enum(local, "StatusInformation")
    words = (word for flag, word in _NO_TARGET.items() if flags & flag)
    return next((str(number) for number in numbers if number), next(words, None))


def _node_here(case: Case) -> Finding:
    nodes = case.run("Get-ClusterNode")
    case.nodes = nodes
    name = name_of(next(n for n in nodes if same_name(name_of(n), case.node)))
    return unless(same_name(name, case.text("node")), name)


def _others_up(case: Case) -> Finding:
    """In the order in which the cluster lists them."""
    for node in case.nodes:
        flags = _enum(node, "StatusInformation")
        numbers = (_enum(node, name) for name in ("State", "DrainStatus"))
        is_away = any(numbers) or any(flags & flag for flag in _NO_TARGET)
        if is_away and not same_name(name_of(node), case.node):
            return name_of(node)
    return None


def _node_only_paused(case: Case) -> Finding:
    local = next(n for n in case.nodes if same_name(name_of(n), case.node))
    state, drain = _enum(local, "State"), _enum(local, "DrainStatus")
    if state != 2:
        return str(state)
    return unless(drain == 0, f"drain {drain}")


def _name_free(case: Case) -> Finding:
    wanted = case.text("name")
    same = (vm for vm in case.run("Get-VM") if same_name(name_of(vm), wanted))
    return next((str(vm.properties["Id"]) for vm in same), None)


def _intent_new(case: Case) -> Finding:
    job = case.world.jobs.find(case.node, case.text("intent"))
    return None if job is None else job.state


def _exists(case: Case, path: str) -> bool:
    return invoke(case.world, case.node, "Test-Path", {"LiteralPath": path}) == [True]


def _folder_free(case: Case) -> Finding:
    folder = case.template["location"].rstrip("\\") + "\\" + case.text("name")
    return unless(not _exists(case, folder), folder)


def _disks_free(case: Case) -> Finding:
    paths = (str(disk["path"]) for disk in case.disks(to_create=True))
    return next((path for path in paths if _exists(case, path)), None)


def _disks_exist(case: Case) -> Finding:
    paths = (str(disk["path"]) for disk in case.disks(to_create=False))
    return next((path for path in paths if not _exists(case, path)), None)


def _disks_unattached(case: Case) -> Finding:
    wanted = {fold(str(disk["path"])) for disk in case.template["disks"]}
    for vm in case.run("Get-VM"):
        drives = vm.properties["HardDrives"]
        assert isinstance(drives, list)
        paths = {fold(str(d.properties["Path"])) for d in drives if isinstance(d, PSObject)}
        if paths & wanted:
            return str(vm.properties["Id"])
    return None


def _media_exists(case: Case) -> Finding:
    iso = case.template["iso"]
    return unless(iso is None or _exists(case, iso), iso)


def _drive_exists(case: Case) -> Finding:
    wanted = case.template["physicalDrive"]
    if wanted is None:
        return None
    drives = case.run("Get-CimInstance", ClassName="Win32_CDROMDrive")
    there = any(same_name(str(drive.properties["Drive"]), wanted) for drive in drives)
    return unless(there, wanted)


def _switch_exists(case: Case) -> Finding:
    wanted = case.template["switch"]
    names = [name_of(switch) for switch in case.run("Get-VMSwitch")]
    return unless(wanted is None or any(same_name(name, wanted) for name in names), wanted)


def _volume_has_room(case: Case) -> Finding:
    """Each volume by itself; a disk that is on no volume finds no room."""
    free = _volumes(case)
    wanted: dict[str, int] = {}
    for disk in case.disks(to_create=True):
        path = fold(str(disk["path"]))
        mount_path = next((m for m in free if path.startswith(fold(m) + "\\")), None)
        room = free.get(mount_path or "")
        if mount_path is None or room is None:
            return Absent()
        wanted[mount_path] = wanted.get(mount_path, 0) + int(disk["createBytes"])
        if wanted[mount_path] > room:
            return str(room)
    return None


def _volumes(case: Case) -> dict[str, int | None]:
    """Free bytes by mount; None where the volume tells none."""
    free: dict[str, int | None] = {}
    for volume in case.run("Get-ClusterSharedVolume"):
        for mount in _objects(volume, "SharedVolumeInfo"):
            partition = mount.properties["Partition"]
            room = partition.properties["FreeSpace"] if isinstance(partition, PSObject) else None
            free[str(mount.properties["FriendlyVolumeName"])] = (
                room if isinstance(room, int) else None
            )
    return free


def _enum(item: PSObject, name: str) -> int:
    value = item.properties[name]
    assert isinstance(value, EnumValue)
    return value.number


def _objects(item: PSObject, name: str) -> list[PSObject]:
    values = item.properties[name]
    return [v for v in values if isinstance(v, PSObject)] if isinstance(values, list) else []


CONDITIONS: Mapping[str, Callable[[Case], Finding]] = {
    "notStopped": _not_stopped,
    "epochCurrent": _epoch_current,
    "epochOlder": _epoch_older,
    "vmHere": _vm_here,
    "roleExists": _role_exists,
    "owner": _owner,
    "vmRunning": _vm_state(2),
    "vmOff": _vm_state(3),
    "vmAtRest": _vm_state(2, 3),
    "roleOnline": _role_state(0),
    "roleOffline": _role_state(1),
    "notQueued": _not_queued,
    "notLocked": _not_locked,
    "noMigration": _no_migration,
    "notBusy": _not_busy,
    "targetExists": _target_exists,
    "targetUp": _target_number("State"),
    "targetNotDraining": _target_number("DrainStatus"),
    "targetNotIsolated": _target_lacks(1),
    "targetNotQuarantined": _target_lacks(2),
    "targetNotAvoided": _target_lacks(32),
    "targetPossible": _target_possible,
    "mediaShared": _media_shared,
    "storageShared": _storage_shared,
    "settingUnchanged": setting_unchanged,
    "ownersExist": owners_exist,
    "ownerKept": owner_kept,
    "notClustered": _not_clustered,
    "roleNameFree": _role_name_free,
    "nodeUp": _node_up,
    "nodeHere": _node_here,
    "othersUp": _others_up,
    "nodeOnlyPaused": _node_only_paused,
    "foldersUnchanged": folders_unchanged,
    "folderShared": folder_shared,
    "folderExists": folder_exists,
    "nameFree": _name_free,
    "intentNew": _intent_new,
    "folderFree": _folder_free,
    "disksFree": _disks_free,
    "disksExist": _disks_exist,
    "disksUnattached": _disks_unattached,
    "mediaExists": _media_exists,
    "driveExists": _drive_exists,
    "switchExists": _switch_exists,
    "volumeHasRoom": _volume_has_room,
}
