"""A node's VMs, switches and settings as the objects that Hyper-V cmdlets write.

Properties and types: the reflected module (`Microsoft.HyperV.PowerShell`), and the alias properties
VMId and VMName that the module's type file adds.
"""

from __future__ import annotations

from datetime import timedelta

from controller.model.names import fold, same_name
from controller.simulator.inventory import (
    Disk,
    Dvd,
    File,
    NetworkAdapter,
    Node,
    Switch,
    VirtualMachine,
)
from controller.simulator.simulation import Simulation
from controller.simulator.states import (
    OnOffState,
    Stage,
    VhdFormat,
    VhdType,
    VlanMode,
    VmOperationalStatus,
    VmState,
    VmType,
    powershell,
)
from controller.simulator.values import EnumValue, PSObject, Value

TYPE = "Microsoft.HyperV.PowerShell."


def vm_object(sim: Simulation, node: Node, vm: VirtualMachine) -> PSObject:
    """What Get-VM gives on a node that lists the VM."""
    statuses = operational_statuses(sim, vm)
    uptime = 0.0 if vm.running_since is None else sim.now - vm.running_since
    properties: dict[str, Value] = {
        **_identity(node, vm),
        "Id": vm.id,
        "Name": vm.name,
        "State": powershell(vm.state),
        "Status": "Operating normally",
        "OperationalStatus": [powershell(status) for status in statuses],
        "PrimaryOperationalStatus": powershell(statuses[0]),
        "SecondaryOperationalStatus": powershell(statuses[1]) if len(statuses) > 1 else None,
        "Uptime": timedelta(seconds=uptime),
        "CreationTime": sim.date_of(vm.created_at),
        "Generation": vm.generation,
        "Version": vm.version,
        "VirtualMachineType": powershell(VmType.RealizedVirtualMachine),
        "Notes": vm.notes,
        "IsClustered": vm.id in sim.cluster.roles,
        "IsDeleted": False,
        "Path": vm.path,
        "ConfigurationLocation": vm.path,
        "SnapshotFileLocation": vm.checkpoint_path,
        "SmartPagingFilePath": vm.paging_path,
        "ParentSnapshotId": vm.checkpoints[-1].id if vm.checkpoints else None,
        "ProcessorCount": vm.processors,
        "CPUUsage": 0,
        "MemoryAssigned": vm.memory_held_bytes,
        "MemoryDemand": vm.memory_held_bytes,
        "MemoryStatus": "OK" if vm.memory_held_bytes else "",
        "MemoryStartup": vm.memory_startup_bytes,
        "MemoryMinimum": vm.memory_minimum_bytes,
        "MemoryMaximum": vm.memory_maximum_bytes,
        "DynamicMemoryEnabled": vm.memory_dynamic,
        "AutomaticStartAction": EnumValue(TYPE + "StartAction", "StartIfRunning", 3),
        "AutomaticStopAction": powershell(vm.stop_action),
        "CheckpointType": EnumValue(TYPE + "CheckpointType", "Production", 3),
        "Heartbeat": _heartbeat(vm),
        "ReplicationMode": powershell(vm.replication),
        "ReplicationState": EnumValue(TYPE + "VMReplicationState", "Disabled", 0),
        "HardDrives": [disk_object(node, vm, disk) for disk in vm.disks],
        "DVDDrives": [dvd_object(node, vm, dvd) for dvd in vm.dvds],
        "NetworkAdapters": [adapter_object(node, vm, adapter) for adapter in vm.adapters],
        "FibreChannelHostBusAdapters": [
            PSObject(TYPE + "VMFibreChannelHba", {"VMId": vm.id, "SanName": "SAN"})
            for _ in range(vm.fibre_channel)
        ],
    }
    return PSObject(TYPE + "VirtualMachine", properties)


def operational_statuses(sim: Simulation, vm: VirtualMachine) -> list[VmOperationalStatus]:
    """Primary status, and the secondary one while something is under way."""
    migration = sim.cluster.migrations.get(vm.id)
    if migration is not None and migration.stage is not Stage.QUEUED:
        return [VmOperationalStatus.InService, VmOperationalStatus.MigratingVirtualMachine]
    if vm.busy is not None:
        return [VmOperationalStatus.InService, vm.busy]
    return [VmOperationalStatus.Ok]


def disk_object(node: Node, vm: VirtualMachine, disk: Disk) -> PSObject:
    return PSObject(
        TYPE + "HardDiskDrive",
        {
            **_identity(node, vm),
            "Name": "Hard Drive",
            "Id": f"Microsoft:{vm.id.upper()}\\{disk.controller.name}\\{disk.location}\\D",
            "Path": disk.path,
            "DiskNumber": disk.physical_disk,
            "ControllerType": powershell(disk.controller),
            "ControllerNumber": disk.number,
            "ControllerLocation": disk.location,
            "SupportPersistentReservations": disk.shared,
            "PoolName": "Primordial",
        },
    )


def dvd_object(node: Node, vm: VirtualMachine, dvd: Dvd) -> PSObject:
    return PSObject(
        TYPE + "DvdDrive",
        {
            **_identity(node, vm),
            "Name": "DVD Drive",
            "Id": f"Microsoft:{vm.id.upper()}\\{dvd.controller.name}\\{dvd.location}\\D",
            "Path": dvd.path,
            "DvdMediaType": powershell(dvd.media),
            "ControllerType": powershell(dvd.controller),
            "ControllerNumber": dvd.number,
            "ControllerLocation": dvd.location,
            "PoolName": "Primordial",
        },
    )


def adapter_object(node: Node, vm: VirtualMachine, adapter: NetworkAdapter) -> PSObject:
    switch = next((s for s in node.switches if same_name(s.name, adapter.switch)), None)
    return PSObject(
        TYPE + "VMNetworkAdapter",
        {
            **_identity(node, vm),
            "Name": adapter.name,
            "Id": f"Microsoft:{vm.id.upper()}\\{adapter.mac}",
            "MacAddress": adapter.mac,
            "DynamicMacAddressEnabled": True,
            "SwitchName": adapter.switch,
            "SwitchId": None if switch is None else switch.id,
            "Connected": adapter.switch is not None,
            "ClusterMonitored": True,
            "IsLegacy": adapter.legacy,
            "IsSynthetic": not adapter.legacy,
            "VlanSetting": vlan_object(node, adapter),
            "IovWeight": 0,
            "IPAddresses": [],
        },
    )


def vlan_object(node: Node, adapter: NetworkAdapter) -> PSObject:
    mode = VlanMode.Untagged if adapter.vlan is None else VlanMode.Access
    return PSObject(
        TYPE + "VMNetworkAdapterVlanSetting",
        {
            "ComputerName": node.name,
            "OperationMode": powershell(mode),
            "AccessVlanId": adapter.vlan or 0,
            "NativeVlanId": 0,
            "AllowedVlanIdList": [],
        },
    )


def processor_object(node: Node, vm: VirtualMachine) -> PSObject:
    return PSObject(
        TYPE + "VMProcessor",
        {
            **_identity(node, vm),
            "Name": "Processor",
            "Count": vm.processors,
            "CompatibilityForMigrationEnabled": vm.processor_compatibility,
            "CompatibilityForOlderOperatingSystemsEnabled": False,
            "ExposeVirtualizationExtensions": False,
            "Reserve": 0,
            "Maximum": 100,
            "RelativeWeight": 100,
            "HwThreadCountPerCore": 0,
        },
    )


def security_object(vm: VirtualMachine) -> PSObject:
    return PSObject(
        TYPE + "VMSecurity",
        {
            "TpmEnabled": vm.tpm,
            "Shielded": vm.shielded,
            "KsdEnabled": False,
            "EncryptStateAndVmMigrationTraffic": vm.shielded,
        },
    )


def assigned_device_objects(node: Node, vm: VirtualMachine) -> list[PSObject]:
    return [
        PSObject(
            TYPE + "VMAssignedDevice",
            {**_identity(node, vm), "LocationPath": f"PCIROOT(0)#PCI({number:02}00)"},
        )
        for number in range(vm.assigned_devices)
    ]


def gpu_partition_objects(node: Node, vm: VirtualMachine) -> list[PSObject]:
    return [
        PSObject(TYPE + "VMGpuPartitionAdapter", {**_identity(node, vm), "Id": str(number)})
        for number in range(vm.gpu_partitions)
    ]


def memory_object(node: Node, vm: VirtualMachine) -> PSObject:
    return PSObject(
        TYPE + "VMMemory",
        {
            **_identity(node, vm),
            "Name": "Memory",
            "DynamicMemoryEnabled": vm.memory_dynamic,
            "Startup": vm.memory_startup_bytes,
            "Minimum": vm.memory_minimum_bytes,
            "Maximum": vm.memory_maximum_bytes,
            "Buffer": 20,
            "Priority": 50,
        },
    )


def firmware_object(node: Node, vm: VirtualMachine) -> PSObject:
    return PSObject(
        TYPE + "VMFirmware",
        {
            **_identity(node, vm),
            "SecureBoot": powershell(OnOffState.On if vm.secure_boot else OnOffState.Off),
            "SecureBootTemplate": vm.secure_boot_template,
        },
    )


def switch_object(node: Node, switch: Switch) -> PSObject:
    return PSObject(
        TYPE + "VMSwitch",
        {
            "Name": switch.name,
            "Id": switch.id,
            "SwitchType": powershell(switch.kind),
            "ComputerName": node.name,
            "AllowManagementOS": False,
            "EmbeddedTeamingEnabled": False,
        },
    )


def host_object(sim: Simulation, node: Node) -> PSObject:
    """What Get-VMHost gives: settings and totals, and no free memory."""
    limit = sim.cluster.migrations_max
    if limit is None or sim.doubts.host_limit_shown == "of_node":
        limit = node.migrations_max
    return PSObject(
        TYPE + "VMHost",
        {
            "Name": node.name,
            "ComputerName": node.name,
            "FullyQualifiedDomainName": f"{node.name}.{sim.cluster.domain}",
            "LogicalProcessorCount": node.logical_processors,
            "MemoryCapacity": node.memory_bytes,
            "VirtualMachineMigrationEnabled": True,
            "MaximumVirtualMachineMigrations": limit,
            "MaximumStorageMigrations": 2,
            "VirtualMachineMigrationAuthenticationType": EnumValue(
                TYPE + "MigrationAuthenticationType", "Kerberos", 1
            ),
            "VirtualMachineMigrationPerformanceOption": EnumValue(
                TYPE + "VMMigrationPerformance", "Compression", 1
            ),
            "UseAnyNetworkForMigration": False,
            "SupportedVmVersions": list(node.vm_versions),
            "NumaSpanningEnabled": True,
            "VirtualMachinePath": _folder_shown(sim, node.vm_path),
            "VirtualHardDiskPath": _folder_shown(sim, node.vhd_path),
        },
    )


def _folder_shown(sim: Simulation, folder: str) -> str:
    end = "\\" if sim.doubts.default_folder_shown == "with_backslash" else ""
    return f"{folder}{end}"


def numa_object(sim: Simulation, node: Node) -> PSObject:
    """The one NUMA node of a simulated node; memory in MB."""
    return PSObject(
        TYPE + "VMHostNumaNode",
        {
            "NodeId": 0,
            "ComputerName": node.name,
            "MemoryTotal": node.memory_bytes // 1024**2,
            "MemoryAvailable": free_memory_bytes(sim, node) // 1024**2,
            "ProcessorsAvailability": [100] * node.logical_processors,
        },
    )


def free_memory_bytes(sim: Simulation, node: Node) -> int:
    return max(sim.cluster.memory_free_bytes()[fold(node.name)], 0)


def vhd_object(node: Node, file: File, *, attached: bool) -> PSObject:
    old = fold(file.path).endswith(".vhd")
    return PSObject(
        "Microsoft.Vhd.PowerShell.VirtualHardDisk",
        {
            "Path": file.path,
            "ComputerName": node.name,
            "VhdFormat": powershell(VhdFormat.VHD if old else VhdFormat.VHDX),
            "VhdType": powershell(file.vhd_type or VhdType.Dynamic),
            "FileSize": file.size_bytes,
            "Size": file.virtual_size_bytes,
            "ParentPath": file.parent_path,
            "Attached": attached,
            "DiskNumber": None,
        },
    )


def _identity(node: Node, vm: VirtualMachine) -> dict[str, Value]:
    return {"VMId": vm.id, "VMName": vm.name, "ComputerName": node.name}


def _heartbeat(vm: VirtualMachine) -> EnumValue | None:
    if vm.state is not VmState.Running:
        return None
    return EnumValue(TYPE + "VMHeartbeatStatus", "OkApplicationsUnknown", 5)
