"""The Hyper-V cmdlets that read, and the few system ones; all see this node only.

Microsoft docs: the Hyper-V module, Get-CimInstance, Get-Volume, Test-Path, Get-Item.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.model.names import fold, same_name
from controller.simulator import hyperv_objects as objects
from controller.simulator.call import Call, is_pattern, matches, text_of
from controller.simulator.cmdlet_errors import (
    FILE_NOT_FOUND,
    INVALID_PARAMETER,
    Refusal,
    command_not_found,
)
from controller.simulator.inventory import NetworkAdapter, VirtualMachine
from controller.simulator.states import SnapshotType, powershell
from controller.simulator.storage import find_file, free_bytes, local_free_bytes, volume_of
from controller.simulator.values import PSObject, Value

Cmdlet = Callable[[Call], list[Value]]
_GPU_PARTITIONS_SINCE = 20348
_CIM = "Microsoft.Management.Infrastructure.CimInstance#root/cimv2/"


def get_vm(call: Call) -> list[Value]:
    """The VMs of this node; an id or a plain name that it has not got is an error."""
    found: list[VirtualMachine] = []
    if call.has("Id"):
        found = [call.vm_of((call.text("Id") or "").lower())]
    elif call.has("Name"):
        listed = call.sim.vms_listed_on(call.node)
        for wanted in call.texts("Name"):
            named = [vm for vm in listed if matches(vm.name, wanted)]
            if not named and not is_pattern(wanted):
                raise call.no_vm(wanted)
            found += named
    else:
        found = call.sim.vms_listed_on(call.node)
    return [objects.vm_object(call.sim, call.node, vm) for vm in found]


def get_vm_host(call: Call) -> list[Value]:
    return [objects.host_object(call.sim, call.node)]


def get_vm_host_numa_node(call: Call) -> list[Value]:
    return [objects.numa_object(call.sim, call.node)]


def get_vm_switch(call: Call) -> list[Value]:
    switches = sorted(call.node.switches, key=lambda switch: fold(switch.name))
    wanted = call.text("Name")
    if wanted is not None:
        switches = [switch for switch in switches if matches(switch.name, wanted)]
        if not switches and not is_pattern(wanted):
            raise Refusal(INVALID_PARAMETER, f"There is no virtual switch '{wanted}'.")
    return [objects.switch_object(call.node, switch) for switch in switches]


def get_vm_hard_disk_drive(call: Call) -> list[Value]:
    return [objects.disk_object(call.node, vm, disk) for vm in call.vms() for disk in vm.disks]


def get_vm_dvd_drive(call: Call) -> list[Value]:
    return [objects.dvd_object(call.node, vm, dvd) for vm in call.vms() for dvd in vm.dvds]


def get_vm_network_adapter(call: Call) -> list[Value]:
    return [objects.adapter_object(call.node, vm, a) for vm in call.vms() for a in vm.adapters]


def get_vm_network_adapter_vlan(call: Call) -> list[Value]:
    return [objects.vlan_object(call.node, adapter) for _, adapter in adapters_of(call)]


def get_vm_processor(call: Call) -> list[Value]:
    return [objects.processor_object(call.node, vm) for vm in call.vms()]


def get_vm_security(call: Call) -> list[Value]:
    return [objects.security_object(vm) for vm in call.vms()]


def get_vm_assignable_device(call: Call) -> list[Value]:
    return [d for vm in call.vms() for d in objects.assigned_device_objects(call.node, vm)]


def get_vm_gpu_partition_adapter(call: Call) -> list[Value]:
    """The cmdlet came with Windows Server 2022 (build 20348)."""
    if call.node.build < _GPU_PARTITIONS_SINCE:
        raise command_not_found("Get-VMGpuPartitionAdapter")
    return [p for vm in call.vms() for p in objects.gpu_partition_objects(call.node, vm)]


def get_vm_memory(call: Call) -> list[Value]:
    return [objects.memory_object(call.node, vm) for vm in call.vms()]


def get_vm_firmware(call: Call) -> list[Value]:
    vms = call.vms()
    if any(vm.generation == 1 for vm in vms):
        raise Refusal(INVALID_PARAMETER, "A generation 1 virtual machine has no UEFI firmware.")
    return [objects.firmware_object(call.node, vm) for vm in vms]


def get_vm_snapshot(call: Call) -> list[Value]:
    return [
        PSObject(
            objects.TYPE + "VMSnapshot",
            {
                "Id": checkpoint.id,
                "Name": checkpoint.name,
                "VMId": vm.id,
                "VMName": vm.name,
                "SnapshotType": powershell(SnapshotType.Standard),
                "CreationTime": call.sim.date_of(checkpoint.created_at),
                "ComputerName": call.node.name,
            },
        )
        for vm in call.vms()
        for checkpoint in vm.checkpoints
    ]


def get_vhd(call: Call) -> list[Value]:
    paths = call.texts("Path")
    ids = {id_.lower() for id_ in call.texts("VMId")}
    running = [vm for vm in call.sim.cluster.vms.values() if vm.running_since is not None]
    attached = {fold(disk.path) for vm in running for disk in vm.disks}
    for vm in call.sim.vms_listed_on(call.node):
        if vm.id in ids:
            paths += [disk.path for disk in vm.disks]
    found: list[Value] = []
    for path in paths:
        file = find_file(call.sim.cluster, call.node, path)
        if file is None or file.is_folder:
            raise Refusal(FILE_NOT_FOUND, f"The file '{path}' was not found.")
        found.append(objects.vhd_object(call.node, file, attached=fold(path) in attached))
    return found


def get_cim_instance(call: Call) -> list[Value]:
    """Four classes of root/cimv2, in the units that they use."""
    node, wanted = call.node, call.text("ClassName")
    match fold(wanted or ""):
        case "win32_operatingsystem":
            name, properties = "Win32_OperatingSystem", _operating_system(call)
        case "win32_processor":
            name, properties = "Win32_Processor", _processor(call)
        case "win32_computersystem":
            name, properties = (
                "Win32_ComputerSystem",
                {
                    "Name": node.name,
                    "Domain": call.sim.cluster.domain,
                    "PartOfDomain": not call.sim.cluster.workgroup,
                    "Manufacturer": node.manufacturer,
                    "Model": node.model,
                    "TotalPhysicalMemory": node.memory_bytes,
                    "NumberOfLogicalProcessors": node.logical_processors,
                },
            )
        case "win32_cdromdrive":
            kind = _CIM + "Win32_CDROMDrive"
            return [PSObject(kind, {"Drive": drive}) for drive in node.dvd_drives]
        case _:
            raise Refusal(INVALID_PARAMETER, f"Class '{wanted}' is not simulated.")
    return [PSObject(_CIM + name, properties)]


def get_volume(call: Call) -> list[Value]:
    """The volume that a path is on: a cluster shared volume, or this node's own disk."""
    path = call.text("FilePath")
    if path is None:
        raise call.missing("FilePath")
    volume = volume_of(call.sim.cluster, path)
    if volume is None:
        total, free = call.node.local_disk_bytes, local_free_bytes(call.node)
    elif not volume.online:
        raise Refusal(FILE_NOT_FOUND, f"No volume has the path '{path}'.")
    else:
        total, free = volume.size_bytes, free_bytes(volume)
    return [
        PSObject(
            "Microsoft.Management.Infrastructure.CimInstance#MSFT_Volume",
            {
                "DriveLetter": "C" if volume is None else None,
                "FileSystem": "NTFS" if volume is None else "CSVFS",
                "Size": total,
                "SizeRemaining": free,
            },
        )
    ]


_SERVICES = "hklm:\\system\\currentcontrolset\\services\\"


def test_path(call: Call) -> list[Value]:
    found: list[Value] = []
    for path in _paths(call):
        if fold(path).startswith(_SERVICES):
            services = {fold(name) for name in call.node.services}
            found.append(fold(path).removeprefix(_SERVICES) in services)
            continue
        file = find_file(call.sim.cluster, call.node, path)
        match fold(call.text("PathType") or "Any"):
            case "leaf":
                found.append(file is not None and not file.is_folder)
            case "container":
                found.append(file is not None and file.is_folder)
            case _:
                found.append(file is not None)
    return found


def get_item(call: Call) -> list[Value]:
    found: list[Value] = []
    for path in _paths(call):
        file = find_file(call.sim.cluster, call.node, path)
        if file is None:
            raise Refusal(FILE_NOT_FOUND, f"Cannot find path '{path}' because it does not exist.")
        properties: dict[str, Value] = {
            "FullName": file.path,
            "Name": file.path.rsplit("\\", 1)[-1],
            "Exists": True,
            "PSIsContainer": file.is_folder,
        }
        if file.is_folder:
            found.append(PSObject("System.IO.DirectoryInfo", properties))
        else:
            properties["Length"] = file.size_bytes
            found.append(PSObject("System.IO.FileInfo", properties))
    return found


def adapters_of(call: Call) -> list[tuple[VirtualMachine, NetworkAdapter]]:
    """The adapters that -VMNetworkAdapter, -VM or -VMName select."""
    if not call.has("VMNetworkAdapter"):
        name = call.text("VMNetworkAdapterName")
        return [
            (vm, adapter)
            for vm in call.vms()
            for adapter in vm.adapters
            if name is None or same_name(adapter.name, name)
        ]
    listed = {vm.id: vm for vm in call.sim.vms_listed_on(call.node)}
    found: list[tuple[VirtualMachine, NetworkAdapter]] = []
    for item in call.objects("VMNetworkAdapter"):
        vm = listed.get(text_of(item, "VMId"))
        mac = text_of(item, "MacAddress")
        adapter = next((a for a in vm.adapters if a.mac == mac), None) if vm else None
        if vm is None or adapter is None:
            raise call.no_vm(text_of(item, "VMId"))
        found.append((vm, adapter))
    return found


def _paths(call: Call) -> list[str]:
    paths = call.texts("LiteralPath") or call.texts("Path")
    if not paths:
        raise call.missing("Path")
    return paths


def _operating_system(call: Call) -> dict[str, Value]:
    node = call.node
    return {
        "CSName": node.name,
        "Caption": "Microsoft Windows Server (simulated by ownernode)",
        "Version": f"10.0.{node.build}",
        "BuildNumber": str(node.build),
        "TotalVisibleMemorySize": node.memory_bytes // 1024,
        "FreePhysicalMemory": objects.free_memory_bytes(call.sim, node) // 1024,
        "LastBootUpTime": call.sim.date_of(node.boot_at),
        "LocalDateTime": call.sim.date_of(call.sim.now),
    }


def _processor(call: Call) -> dict[str, Value]:
    return {
        "DeviceID": "CPU0",
        "Manufacturer": call.node.processor_vendor,
        "Caption": call.node.processor_family,
        "Name": f"{call.node.processor_vendor} simulated processor",
        "NumberOfCores": call.node.logical_processors,
        "NumberOfLogicalProcessors": call.node.logical_processors,
    }


_OF_VM = ("VM", "VMName")
HYPER_V_READS: dict[str, tuple[Cmdlet, tuple[str, ...]]] = {
    "Get-VM": (get_vm, ("Id", "Name")),
    "Get-VMHost": (get_vm_host, ()),
    "Get-VMHostNumaNode": (get_vm_host_numa_node, ()),
    "Get-VMSwitch": (get_vm_switch, ("Name",)),
    "Get-VMHardDiskDrive": (get_vm_hard_disk_drive, _OF_VM),
    "Get-VMDvdDrive": (get_vm_dvd_drive, _OF_VM),
    "Get-VMNetworkAdapter": (get_vm_network_adapter, _OF_VM),
    "Get-VMNetworkAdapterVlan": (
        get_vm_network_adapter_vlan,
        (*_OF_VM, "VMNetworkAdapterName", "VMNetworkAdapter"),
    ),
    "Get-VMProcessor": (get_vm_processor, _OF_VM),
    "Get-VMSecurity": (get_vm_security, _OF_VM),
    "Get-VMAssignableDevice": (get_vm_assignable_device, _OF_VM),
    "Get-VMGpuPartitionAdapter": (get_vm_gpu_partition_adapter, _OF_VM),
    "Get-VMMemory": (get_vm_memory, _OF_VM),
    "Get-VMFirmware": (get_vm_firmware, _OF_VM),
    "Get-VMSnapshot": (get_vm_snapshot, _OF_VM),
    "Get-VHD": (get_vhd, ("Path", "VMId")),
}
SYSTEM_CMDLETS: dict[str, tuple[Cmdlet, tuple[str, ...]]] = {
    "Get-CimInstance": (get_cim_instance, ("ClassName",)),
    "Get-Volume": (get_volume, ("FilePath",)),
    "Test-Path": (test_path, ("Path", "LiteralPath", "PathType")),
    "Get-Item": (get_item, ("Path", "LiteralPath")),
}
