"""The agent's operations without a PowerShell engine: cmdlet calls in, reply data out.

docs/protocol.md is the contract, and the scripts on real nodes are written from it too; a test
holds both equal. Everything here goes through `invoke`, as the scripts go through their cmdlets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import NodeUnreachable
from controller.simulator.invoke import invoke
from controller.simulator.responder_changes import (
    claim_epoch,
    create_vm,
    move_role,
    register_vm,
    start_role,
)
from controller.simulator.responder_conditions import BadCall
from controller.simulator.values import CmdletError, EnumValue, PSObject, Value
from controller.simulator.world import World

POWERSHELL = "5.1.26100.1"
MESSAGE_CHARACTERS_MAX = 256
_VIRTUAL_MACHINE_GROUP = 111
_PENDING, _QUEUED, _MIGRATING = 4, 4, 32774
_MARK = re.compile(
    r"ownernode:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:(?:creating|created))", re.IGNORECASE
)

Data = dict[str, Any]


def respond(
    world: World, node: str, operation: str, arguments: Mapping[str, object]
) -> dict[str, object]:
    """Carry out one operation at the world's present time; the reply's `ok`, `data`, `errors`.

    Raises `NodeUnreachable` where a node would not answer at all.
    """
    world.reachable(node)
    function = _OPERATIONS.get(operation)
    try:
        if function is None:
            raise BadCall("There is no such operation.")
        return {"ok": True, "data": function(world, node, arguments), "errors": []}
    except NodeUnreachable:
        raise
    except BadCall as error:
        entry = _entry("BadCall", None, None, None, str(error))
    except CmdletError as error:
        entry = _entry(
            error.fqid, error.category, error.exception_type, error.hresult, error.message
        )
    return {"ok": False, "data": None, "errors": [entry]}


def _entry(
    kind: str, category: str | None, type_name: str | None, hresult: int | None, message: str
) -> Data:
    return {
        "kind": kind,
        "category": category,
        "type": type_name,
        "hresult": hresult,
        "message": message[:MESSAGE_CHARACTERS_MAX],
    }


def _ping(world: World, node: str, _: Mapping[str, object]) -> Data:
    return {"node": world.reachable(node).name, "powershell": POWERSHELL}


def _doctor(world: World, node: str, _: Mapping[str, object]) -> Data:
    def run(cmdlet: str, **parameters: Value) -> list[PSObject]:
        found = invoke(world, node, cmdlet, parameters)
        return [item for item in found if isinstance(item, PSObject)]

    run("Get-Cluster")
    own = _self(run)
    computer = run("Get-CimInstance", ClassName="Win32_ComputerSystem")[0]
    system = run("Get-CimInstance", ClassName="Win32_OperatingSystem")[0]
    return {
        "user": None,  # an engine that is not on Windows can't tell either
        "administrator": None,
        "domain": _text_or_none(computer, "Domain"),
        "domainJoined": bool(computer.properties["PartOfDomain"]),
        "system": _text_or_none(system, "Caption"),
        "build": _text_or_none(system, "BuildNumber"),
        "modules": [{"name": name, "version": "0.0"} for name in ("FailoverClusters", "Hyper-V")],
        "vmPath": own["vmPath"],
        "vhdPath": own["vhdPath"],
        "time": own["time"],
    }


def _observe(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    match arguments.get("clusterWide"):
        case bool(cluster_wide):
            pass
        case _:
            raise BadCall("clusterWide must be true or false.")

    def run(cmdlet: str, **parameters: Value) -> list[PSObject]:
        found = invoke(world, node, cmdlet, parameters)
        return [item for item in found if isinstance(item, PSObject)]

    nodes = run("Get-ClusterNode")
    local = next(n for n in nodes if same_name(_text(n, "Name"), node))
    vms = sorted((_vm(vm) for vm in run("Get-VM")), key=lambda vm: vm["id"])
    return {
        "node": _text(local, "Name"),
        "cluster": _cluster(run),
        "nodes": _sorted((_node(n) for n in nodes), "name"),
        "self": _self(run),
        "vms": vms,
        "roles": _sorted(_roles(run, local, vms), "name"),
        "jobs": [
            {
                "intent": job.intent,
                "operation": job.operation,
                "state": job.state,
                "step": job.step,
                "vmId": job.vm_id,
                "error": job.error,
            }
            for job in world.jobs.known(node)
        ],
        "lists": _lists(run) if cluster_wide else None,
    }


Run = Callable[..., list[PSObject]]


def _cluster(run: Run) -> Data:
    item = run("Get-Cluster")[0]
    private = {
        fold(_text(row, "Name")): row.properties["Value"]
        for row in run("Get-ClusterParameter", InputObject=item)
    }
    return {
        "name": item.properties["Name"],
        "id": item.properties["Id"],
        "functionalLevel": item.properties["ClusterFunctionalLevel"],
        "migrationsParallelMax": item.properties.get("MaximumParallelMigrations"),
        "balancerMode": item.properties["AutoBalancerMode"],
        "epoch": private.get("ownernodeepoch"),
        "holder": _text_of(private.get("ownernodeholder")),
        "stop": _text_of(private.get("ownernodestop")),
    }


def _node(item: PSObject) -> Data:
    return {
        "name": _text(item, "Name"),
        "state": _number(item, "State"),
        "drain": _number(item, "DrainStatus"),
        "failback": _number(item, "FailbackStatus"),
        "status": _flags(item, "StatusInformation"),
    }


def _self(run: Run) -> Data:
    computer = run("Get-CimInstance", ClassName="Win32_ComputerSystem")[0]
    system = run("Get-CimInstance", ClassName="Win32_OperatingSystem")[0]
    hypervisor = run("Get-VMHost")[0]
    now = system.properties["LocalDateTime"]
    assert isinstance(now, datetime)
    switches = [
        {"name": _text(switch, "Name"), "type": _number(switch, "SwitchType")}
        for switch in run("Get-VMSwitch")
    ]
    return {
        "model": _text_or_none(computer, "Model"),
        "manufacturer": _text_or_none(computer, "Manufacturer"),
        "memoryTotalBytes": _number(system, "TotalVisibleMemorySize") * 1024,
        "memoryAvailableBytes": _number(system, "FreePhysicalMemory") * 1024,
        "processorsLogical": _number(hypervisor, "LogicalProcessorCount"),
        "migrationsMax": _number(hypervisor, "MaximumVirtualMachineMigrations"),
        "vmPath": _text_or_none(hypervisor, "VirtualMachinePath"),
        "vhdPath": _text_or_none(hypervisor, "VirtualHardDiskPath"),
        "switches": _sorted(switches, "name", "type"),
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _vm(item: PSObject) -> Data:
    disks = [
        {
            "path": _text_or_none(drive, "Path"),
            "diskNumber": drive.properties["DiskNumber"],
        }
        for drive in _items(item, "HardDrives")
    ]
    media = [
        {"path": _text_or_none(drive, "Path"), "type": _number(drive, "DvdMediaType")}
        for drive in _items(item, "DVDDrives")
        if _number(drive, "DvdMediaType")
    ]
    adapters = [
        {"switch": _text_or_none(adapter, "SwitchName")}
        for adapter in _items(item, "NetworkAdapters")
    ]
    uptime = item.properties["Uptime"]
    assert isinstance(uptime, timedelta)
    mark = _MARK.search(_text(item, "Notes"))
    return {
        "id": _text(item, "Id"),
        "name": _text(item, "Name"),
        "state": _number(item, "State"),
        "status": _numbers(item, "OperationalStatus"),
        "memoryAssignedBytes": _number(item, "MemoryAssigned"),
        "memoryStartupBytes": _number(item, "MemoryStartup"),
        "processors": _number(item, "ProcessorCount"),
        "generation": _number(item, "Generation"),
        "clustered": item.properties["IsClustered"],
        "configurationPath": _text_or_none(item, "ConfigurationLocation"),
        "checkpointPath": _text_or_none(item, "SnapshotFileLocation"),
        "pagingPath": _text_or_none(item, "SmartPagingFilePath"),
        "disks": _sorted(disks, "path", "diskNumber"),
        "media": _sorted(media, "path", "type"),
        "adapters": _sorted(adapters, "switch"),
        "mark": mark[1].lower() if mark else None,
        "uptimeSeconds": int(uptime.total_seconds()),
    }


def _roles(run: Run, local: PSObject, vms: list[Data]) -> list[Data]:
    groups = [
        group
        for group in run("Get-ClusterGroup", InputObject=local)
        if _number(group, "GroupType") == _VIRTUAL_MACHINE_GROUP
        and same_name(_owner(group), _text(local, "Name"))
    ]
    if not groups:
        return []
    machines: dict[str, PSObject] = {}
    configurations: dict[str, PSObject] = {}
    for resource in run("Get-ClusterResource", InputObject=[*groups]):
        kind = _name_of(resource.properties["ResourceType"])
        table = machines if kind == "Virtual Machine" else configurations
        table[_name_of(resource.properties["OwnerGroup"]) or ""] = resource
    owners = {
        _text(_object(row, "ClusterObject"), "Id"): [
            _text(n, "Name") for n in _items(row, "OwnerNodes")
        ]
        for row in run(
            "Get-ClusterOwnerNode",
            InputObject=[*groups, *machines.values(), *configurations.values()],
        )
    }
    private: dict[str, dict[str, Value]] = {}
    for row in run("Get-ClusterParameter", InputObject=[*machines.values()]):
        values = private.setdefault(_text(_object(row, "ClusterObject"), "Id"), {})
        values[_text(row, "Name")] = row.properties["Value"]
    statuses = {vm["id"]: vm["status"] for vm in vms}
    found = []
    for group in groups:
        machine = machines[_text(group, "Name")]
        configuration = configurations[_text(group, "Name")]
        values = private[_text(machine, "Id")]
        role = _role(group, values, statuses)
        role["preferredOwners"] = owners[_text(group, "Id")]
        role["possibleOwners"] = {
            "machine": sorted(owners[_text(machine, "Id")]),
            "configuration": sorted(owners[_text(configuration, "Id")]),
        }
        found.append(role)
    return found


def _role(group: PSObject, values: Mapping[str, Value], statuses: Mapping[str, list[int]]) -> Data:
    vm_id = values.get("VmId")
    state, status = _number(group, "State"), _flags(group, "StatusInformation")
    migrating = _MIGRATING in statuses.get(str(vm_id), [])
    return {
        "id": _text(group, "Id"),
        "name": _text(group, "Name"),
        "vmId": vm_id,
        "state": state,
        "status": status,
        "owner": _owner(group),
        "priority": _number(group, "Priority"),
        "persistentState": _number(group, "PersistentState"),
        "failback": _number(group, "AutoFailbackType"),
        "locked": _number(group, "LockedFromMoving"),
        "migration": {
            "state": values.get("MigrationState"),
            "progress": values.get("MigrationProgress"),
            "failureReason": values.get("MigrationFailureReason"),
        }
        if state == _PENDING or status & _QUEUED or migrating
        else None,
    }


def _lists(run: Run) -> Data:
    roles = [
        {
            "id": _text(group, "Id"),
            "name": _text(group, "Name"),
            "state": _number(group, "State"),
            "status": _flags(group, "StatusInformation"),
            "owner": _owner(group),
        }
        for group in run("Get-ClusterGroup")
        if _number(group, "GroupType") == _VIRTUAL_MACHINE_GROUP
    ]
    volumes = []
    for volume in run("Get-ClusterSharedVolume"):
        for mount in _items(volume, "SharedVolumeInfo"):
            partition = mount.properties["Partition"]
            sizes: tuple[int | None, int | None] = (None, None)
            if isinstance(partition, PSObject):
                sizes = _number(partition, "Size"), _number(partition, "FreeSpace")
            volumes.append(
                {
                    "path": _text(mount, "FriendlyVolumeName"),
                    "sizeBytes": sizes[0],
                    "freeBytes": sizes[1],
                }
            )
    return {"roles": _sorted(roles, "name"), "volumes": _sorted(volumes, "path")}


def _text(item: PSObject, name: str) -> str:
    value = item.properties[name]
    assert isinstance(value, str), f"{item.type_name}.{name} is no text"
    return value


def _text_or_none(item: PSObject, name: str) -> str | None:
    value = item.properties[name]
    return value if isinstance(value, str) and value else None


def _text_of(value: Value) -> str | None:
    """Any value as text, nothing as None: whoever sets a flag by hand may well write a 1."""
    return None if value is None or value == "" else str(value)


def _number(item: PSObject, name: str) -> int:
    value = item.properties[name]
    if isinstance(value, EnumValue):
        return value.number
    assert isinstance(value, int), f"{item.type_name}.{name} is no number"
    return value


def _numbers(item: PSObject, name: str) -> list[int]:
    values = item.properties[name]
    assert isinstance(values, list)
    return [value.number for value in values if isinstance(value, EnumValue)]


def _flags(item: PSObject, name: str) -> int:
    """Flags without their sign: some of these enums are signed and use the highest bit."""
    return _number(item, name) & 0xFFFFFFFF


def _items(item: PSObject, name: str) -> list[PSObject]:
    values = item.properties[name]
    assert isinstance(values, list)
    return [value for value in values if isinstance(value, PSObject)]


def _object(item: PSObject, name: str) -> PSObject:
    value = item.properties[name]
    assert isinstance(value, PSObject)
    return value


def _name_of(value: Value) -> str | None:
    """The name of a linked object, which some versions of Windows give as text."""
    return _text(value, "Name") if isinstance(value, PSObject) else str(value) if value else None


def _owner(group: PSObject) -> str | None:
    return _name_of(group.properties["OwnerNode"])


def _sorted(entries: Iterable[Data], *fields: str) -> list[Data]:
    """Ordinal order of the fields, missing values as empty text."""

    def key(entry: Data) -> str:
        return "\0".join("" if entry[f] is None else str(entry[f]) for f in fields)

    return sorted(entries, key=key)


_OPERATIONS: Mapping[str, Callable[[World, str, Mapping[str, object]], Data]] = {
    "ping": _ping,
    "doctor": _doctor,
    "observe": _observe,
    "moveRole": move_role,
    "startRole": start_role,
    "registerVm": register_vm,
    "createVm": create_vm,
    "claimEpoch": claim_epoch,
}
