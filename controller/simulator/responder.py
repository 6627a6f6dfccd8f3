"""The agent's operations without a PowerShell engine: cmdlet calls in, reply data out.

docs/protocol.md is the contract, and the scripts on real nodes are written from it too; a test
holds both equal. Everything here goes through `invoke`, as the scripts go through their cmdlets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import NodeUnreachable
from controller.simulator.invoke import invoke
from controller.simulator.responder_case import BadCall
from controller.simulator.responder_changes import (
    claim_epoch,
    create_vm,
    move_role,
    register_vm,
    resume_node,
    set_folders,
    set_processor,
    set_role,
    start_role,
    suspend_node,
)
from controller.simulator.responder_slow import Slow, hardware, vm_entries
from controller.simulator.responder_trace import move_trace
from controller.simulator.responder_values import (
    Data,
    Run,
    as_text,
    flags_of,
    items_of,
    name_of,
    number_of,
    object_of,
    ordered,
    owner_of,
    text_of,
    text_or_none,
)
from controller.simulator.values import CmdletError, PSObject, Value
from controller.simulator.world import World

POWERSHELL = "5.1.26100.1"
MESSAGE_CHARACTERS_MAX = 256
_VIRTUAL_MACHINE_GROUP = 111
_PENDING, _QUEUED, _MIGRATING = 4, 4, 32774


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
    computer = run("Get-CimInstance", ClassName="Win32_ComputerSystem")[0]
    system = run("Get-CimInstance", ClassName="Win32_OperatingSystem")[0]
    own = _self(run, system, _slow(world, node, system, 0))
    return {
        "user": None,  # an engine that is not on Windows can't tell either
        "administrator": None,
        "domain": text_or_none(computer, "Domain"),
        "domainJoined": bool(computer.properties["PartOfDomain"]),
        "system": text_or_none(system, "Caption"),
        "build": text_or_none(system, "BuildNumber"),
        "modules": [{"name": name, "version": "0.0"} for name in ("FailoverClusters", "Hyper-V")],
        "vmPath": own["hardware"]["vmPath"],
        "vhdPath": own["hardware"]["vhdPath"],
        "time": own["time"],
    }


def _observe(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    match arguments:
        case {"clusterWide": bool(cluster_wide)}:
            seconds = arguments.get("slowSeconds", 0)
        case _:
            raise BadCall("clusterWide must be true or false.")
    if type(seconds) is not int:
        raise BadCall("slowSeconds must be a whole number.")

    def run(cmdlet: str, **parameters: Value) -> list[PSObject]:
        found = invoke(world, node, cmdlet, parameters)
        return [item for item in found if isinstance(item, PSObject)]

    nodes = run("Get-ClusterNode")
    local = next(n for n in nodes if same_name(text_of(n, "Name"), node))
    system = run("Get-CimInstance", ClassName="Win32_OperatingSystem")[0]
    slow = _slow(world, node, system, seconds)
    vms = vm_entries(run, slow)
    return {
        "node": text_of(local, "Name"),
        "cluster": _cluster(run),
        "nodes": ordered((_node(n) for n in nodes), "name"),
        "self": _self(run, system, slow),
        "vms": vms,
        "roles": ordered(_roles(run, local, vms), "name"),
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


def _cluster(run: Run) -> Data:
    item = run("Get-Cluster")[0]
    private = {
        fold(text_of(row, "Name")): row.properties["Value"]
        for row in run("Get-ClusterParameter", InputObject=item)
    }
    return {
        "name": item.properties["Name"],
        "id": item.properties["Id"],
        "functionalLevel": item.properties["ClusterFunctionalLevel"],
        "migrationsParallelMax": item.properties.get("MaximumParallelMigrations"),
        "balancerMode": item.properties["AutoBalancerMode"],
        "balancerLevel": item.properties["AutoBalancerLevel"],
        "antiAffinityEnforced": item.properties["ClusterEnforcedAntiAffinity"],
        "epoch": private.get("ownernodeepoch"),
        "holder": as_text(private.get("ownernodeholder")),
        "stop": as_text(private.get("ownernodestop")),
    }


def _node(item: PSObject) -> Data:
    return {
        "name": text_of(item, "Name"),
        "state": number_of(item, "State"),
        "drain": number_of(item, "DrainStatus"),
        "failback": number_of(item, "FailbackStatus"),
        "status": flags_of(item, "StatusInformation"),
    }


def _slow(world: World, node: str, system: PSObject, seconds: int) -> Slow:
    now = system.properties["LocalDateTime"]
    assert isinstance(now, datetime)

    def exists(path: str) -> bool:
        return invoke(world, node, "Test-Path", {"LiteralPath": path}) == [True]

    return Slow(kept=world.jobs.kept(node), now=now, seconds=seconds, exists=exists)


def _self(run: Run, system: PSObject, slow: Slow) -> Data:
    return {
        "memoryTotalBytes": number_of(system, "TotalVisibleMemorySize") * 1024,
        "memoryAvailableBytes": number_of(system, "FreePhysicalMemory") * 1024,
        "time": slow.now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "hardware": hardware(run, system, slow),
    }


def _roles(run: Run, local: PSObject, vms: list[Data]) -> list[Data]:
    groups = [
        group
        for group in run("Get-ClusterGroup", InputObject=local)
        if number_of(group, "GroupType") == _VIRTUAL_MACHINE_GROUP
        and same_name(owner_of(group), text_of(local, "Name"))
    ]
    if not groups:
        return []
    machines: dict[str, PSObject] = {}
    configurations: dict[str, PSObject] = {}
    for resource in run("Get-ClusterResource", InputObject=[*groups]):
        kind = name_of(resource.properties["ResourceType"])
        table = machines if kind == "Virtual Machine" else configurations
        table[name_of(resource.properties["OwnerGroup"]) or ""] = resource
    owners = {
        text_of(object_of(row, "ClusterObject"), "Id"): [
            text_of(n, "Name") for n in items_of(row, "OwnerNodes")
        ]
        for row in run(
            "Get-ClusterOwnerNode",
            InputObject=[*groups, *machines.values(), *configurations.values()],
        )
    }
    private: dict[str, dict[str, Value]] = {}
    for row in run("Get-ClusterParameter", InputObject=[*machines.values()]):
        values = private.setdefault(text_of(object_of(row, "ClusterObject"), "Id"), {})
        values[text_of(row, "Name")] = row.properties["Value"]
    statuses = {vm["id"]: vm["status"] for vm in vms}
    found = []
    for group in groups:
        machine = machines[text_of(group, "Name")]
        configuration = configurations[text_of(group, "Name")]
        values = private[text_of(machine, "Id")]
        role = _role(group, values, statuses)
        role["preferredOwners"] = owners[text_of(group, "Id")]
        role["possibleOwners"] = {
            "machine": sorted(owners[text_of(machine, "Id")]),
            "configuration": sorted(owners[text_of(configuration, "Id")]),
        }
        found.append(role)
    return found


def _role(group: PSObject, values: Mapping[str, Value], statuses: Mapping[str, list[int]]) -> Data:
    vm_id = values.get("VmId")
    state, status = number_of(group, "State"), flags_of(group, "StatusInformation")
    classes = group.properties["AntiAffinityClassNames"]
    assert isinstance(classes, list)
    migrating = _MIGRATING in statuses.get(str(vm_id), [])
    return {
        "id": text_of(group, "Id"),
        "name": text_of(group, "Name"),
        "vmId": vm_id,
        "state": state,
        "status": status,
        "owner": owner_of(group),
        "priority": number_of(group, "Priority"),
        "persistentState": number_of(group, "PersistentState"),
        "failback": number_of(group, "AutoFailbackType"),
        "locked": number_of(group, "LockedFromMoving"),
        "antiAffinity": sorted(map(str, classes)),
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
            "id": text_of(group, "Id"),
            "name": text_of(group, "Name"),
            "state": number_of(group, "State"),
            "status": flags_of(group, "StatusInformation"),
            "owner": owner_of(group),
        }
        for group in run("Get-ClusterGroup")
        if number_of(group, "GroupType") == _VIRTUAL_MACHINE_GROUP
    ]
    volumes = []
    for volume in run("Get-ClusterSharedVolume"):
        for mount in items_of(volume, "SharedVolumeInfo"):
            partition = mount.properties["Partition"]
            sizes: tuple[int | None, int | None] = (None, None)
            if isinstance(partition, PSObject):
                sizes = number_of(partition, "Size"), number_of(partition, "FreeSpace")
            volumes.append(
                {
                    "path": text_of(mount, "FriendlyVolumeName"),
                    "sizeBytes": sizes[0],
                    "freeBytes": sizes[1],
                }
            )
    states = [
        {
            "node": text_of(row, "Node"),
            "path": text_or_none(row, "VolumeFriendlyName"),
            "state": number_of(row, "StateInfo"),
            "cause": flags_of(row, "FileSystemRedirectedIOReason"),
        }
        for row in run("Get-ClusterSharedVolumeState")
    ]
    return {
        "roles": ordered(roles, "name"),
        "volumes": ordered(volumes, "path"),
        "volumeStates": ordered(states, "node", "path"),
        "affinity": ordered(_affinity(run), "name"),
    }


def _affinity(run: Run) -> list[Data]:
    """Affinity rules; none where Windows has no such cmdlet."""
    try:
        rules = run("Get-ClusterAffinityRule")
    except CmdletError as error:
        if error.fqid != "CommandNotFoundException":
            raise
        return []
    return [
        {
            "name": text_of(rule, "Name"),
            "type": str(rule.properties["RuleType"]),
            "enabled": bool(rule.properties["Enabled"]),
            "roles": sorted(map(str, _list_of(rule.properties["Groups"]))),
        }
        for rule in rules
    ]


def _list_of(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


_OPERATIONS: Mapping[str, Callable[[World, str, Mapping[str, object]], Data]] = {
    "ping": _ping,
    "doctor": _doctor,
    "observe": _observe,
    "moveTrace": move_trace,
    "moveRole": move_role,
    "startRole": start_role,
    "setRole": set_role,
    "setProcessor": set_processor,
    "registerVm": register_vm,
    "createVm": create_vm,
    "claimEpoch": claim_epoch,
    "suspendNode": suspend_node,
    "resumeNode": resume_node,
    "setFolders": set_folders,
}
