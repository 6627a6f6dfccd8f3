"""What `observe` says of hardware and equipment: read seldom, and kept by the agent in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.simulator.responder_values import (
    Data,
    Run,
    items_of,
    mark_of,
    number_of,
    ordered,
    text_of,
    text_or_none,
)
from controller.simulator.values import CmdletError, PSObject

EQUIPMENT_READS_MAX = 32
"""VMs read in one call: the reply must not be late."""


SCVMM_AGENT_KEY = r"HKLM:\SYSTEM\CurrentControlSet\Services\SCVMMAgent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was read then; `data` None where it could not be read."""

    token: str
    at: datetime
    data: Data | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """What one agent has kept, by VM id and '' for its node, and how old that may be now."""

    kept: dict[str, Kept]
    now: datetime
    seconds: int
    exists: Callable[[str], bool]
    """Whether its node has a file, a folder or a registry key of that path."""

    def is_due(self, key: str, token: str) -> bool:
        """Never read, changed to all appearance, or too old."""
        entry = self.kept.get(key)
        if entry is None or entry.token != token:
            return True
        age = (self.now - entry.at).total_seconds()
        return age < 0 or age >= self.seconds

    def read(self, key: str, token: str, reading: Callable[[], Data]) -> None:
        """Read it; what can't be read is not known."""
        try:
            data: Data | None = reading()
        except CmdletError:
            data = None
        self.kept[key] = Kept(token=token, at=self.now, data=data)

    def shown(self, key: str) -> Data | None:
        """What was kept, with its age."""
        entry = self.kept.get(key)
        if entry is None or entry.data is None:
            return None
        return {"ageSeconds": int((self.now - entry.at).total_seconds()), **entry.data}


def hardware(run: Run, system: PSObject, slow: Slow) -> Data | None:
    """The node's own part, read anew when it is due."""
    if slow.is_due("", ""):
        slow.kept[""] = Kept(token="", at=slow.now, data=_hardware(run, system, slow))
    return slow.shown("")


def vm_entries(run: Run, slow: Slow) -> list[Data]:
    """Every VM of the node; of those that are due the longest unread are read anew."""
    vms = {text_of(vm, "Id"): vm for vm in run("Get-VM")}
    tokens = {vm_id: _token(vm) for vm_id, vm in vms.items()}
    due = [
        vm_id
        for vm_id, token in tokens.items()
        if slow.is_due(vm_id, token) or token.endswith(":creating")
    ]
    due.sort(key=lambda vm_id: (_read_at(slow, vm_id), vm_id))
    for vm_id in due[:EQUIPMENT_READS_MAX]:
        vm = vms[vm_id]
        slow.read(vm_id, tokens[vm_id], lambda vm=vm: _equipment(run, vm))  # type: ignore[misc]
    for gone in slow.kept.keys() - vms.keys() - {""}:
        del slow.kept[gone]
    return sorted((_vm(vm, slow) for vm in vms.values()), key=lambda entry: entry["id"])


def _read_at(slow: Slow, vm_id: str) -> str:
    entry = slow.kept.get(vm_id)
    return "" if entry is None else entry.at.isoformat()


def _token(vm: PSObject) -> str:
    """What shows without a further call that a VM's equipment may have been changed."""
    names = (
        "Name",
        "State",
        "MemoryStartup",
        "ProcessorCount",
        "Version",
        "ConfigurationLocation",
        "SnapshotFileLocation",
        "SmartPagingFilePath",
        "IsClustered",
    )
    parts = [str(vm.properties[name]) for name in names]
    return "|".join((*parts, mark_of(vm) or ""))


def _vm(vm: PSObject, slow: Slow) -> Data:
    uptime: Any = vm.properties["Uptime"]
    statuses: Any = vm.properties["OperationalStatus"]
    return {
        "id": text_of(vm, "Id"),
        "name": text_of(vm, "Name"),
        "state": number_of(vm, "State"),
        "status": [status.number for status in statuses],
        "memoryAssignedBytes": number_of(vm, "MemoryAssigned"),
        "memoryStartupBytes": number_of(vm, "MemoryStartup"),
        "clustered": vm.properties["IsClustered"],
        "mark": mark_of(vm),
        "uptimeSeconds": int(uptime.total_seconds()),
        "equipment": slow.shown(text_of(vm, "Id")),
    }


def _hardware(run: Run, system: PSObject, slow: Slow) -> Data:
    computer = run("Get-CimInstance", ClassName="Win32_ComputerSystem")[0]
    processor = run("Get-CimInstance", ClassName="Win32_Processor")[0]
    hypervisor = run("Get-VMHost")[0]
    switches = [
        {"name": text_of(switch, "Name"), "type": number_of(switch, "SwitchType")}
        for switch in run("Get-VMSwitch")
    ]
    return {
        "model": text_or_none(computer, "Model"),
        "manufacturer": text_or_none(computer, "Manufacturer"),
        "domainJoined": bool(computer.properties["PartOfDomain"]),
        "build": int(text_of(system, "BuildNumber")),
        "processorVendor": text_or_none(processor, "Manufacturer"),
        "processorFamily": text_or_none(processor, "Caption"),
        "processorsLogical": number_of(hypervisor, "LogicalProcessorCount"),
        "migrationsMax": number_of(hypervisor, "MaximumVirtualMachineMigrations"),
        "vmPath": text_or_none(hypervisor, "VirtualMachinePath"),
        "vhdPath": text_or_none(hypervisor, "VirtualHardDiskPath"),
        "vmVersions": hypervisor.properties["SupportedVmVersions"],
        "switches": ordered(switches, "name", "type"),
        "scvmmAgent": slow.exists(SCVMM_AGENT_KEY),
        "moveTypeThreshold": _move_type_threshold(run),
    }


def _move_type_threshold(run: Run) -> int | None:
    """Only a warning rests on it, so nothing else is lost where it can't be read."""
    try:
        kinds = run("Get-ClusterResourceType")
        kind = next(k for k in kinds if text_of(k, "Name") == "Virtual Machine")
        rows = run("Get-ClusterParameter", InputObject=kind)
    except CmdletError:
        return None
    found = [row for row in rows if text_of(row, "Name") == "MoveTypeThreshold"]
    return number_of(found[0], "Value") if found else None


def _equipment(run: Run, vm: PSObject) -> Data:
    disks = [
        {
            "path": text_or_none(drive, "Path"),
            "diskNumber": drive.properties["DiskNumber"],
            "shared": drive.properties["SupportPersistentReservations"],
        }
        for drive in items_of(vm, "HardDrives")
    ]
    media = [
        {"path": text_or_none(drive, "Path"), "type": number_of(drive, "DvdMediaType")}
        for drive in items_of(vm, "DVDDrives")
        if number_of(drive, "DvdMediaType")
    ]
    adapters = [
        {"switch": text_or_none(adapter, "SwitchName")}
        for adapter in items_of(vm, "NetworkAdapters")
    ]
    processor = run("Get-VMProcessor", VM=vm)[0]
    security = run("Get-VMSecurity", VM=vm)[0]
    return {
        "processors": number_of(vm, "ProcessorCount"),
        "generation": number_of(vm, "Generation"),
        "version": text_or_none(vm, "Version"),
        "configurationPath": text_or_none(vm, "ConfigurationLocation"),
        "checkpointPath": text_or_none(vm, "SnapshotFileLocation"),
        "pagingPath": text_or_none(vm, "SmartPagingFilePath"),
        "replication": number_of(vm, "ReplicationMode"),
        "disks": ordered(disks, "path", "diskNumber"),
        "media": ordered(media, "path", "type"),
        "adapters": ordered(adapters, "switch"),
        "processorCompatibility": processor.properties["CompatibilityForMigrationEnabled"],
        "tpm": security.properties["TpmEnabled"],
        "shielded": security.properties["Shielded"],
        "fibreChannel": len(items_of(vm, "FibreChannelHostBusAdapters")),
        "assignedDevices": len(run("Get-VMAssignableDevice", VM=vm)),
        "gpuPartitions": _gpu_partitions(run, vm),
    }


def _gpu_partitions(run: Run, vm: PSObject) -> int:
    """GPU partitions exist from Windows Server 2022 on; before, no VM has one."""
    try:
        return len(run("Get-VMGpuPartitionAdapter", VM=vm))
    except CmdletError as error:
        if error.fqid != "CommandNotFoundException":
            raise
        return 0
