"""The Hyper-V cmdlets that create VMs and disks and set them up; all act on this node only.

Rules: Microsoft docs, New-VM, New-VHD, Set-VM and their siblings. Processors, memory layout and
firmware can be changed only while the VM is off; files are never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from controller.model.names import fold, same_name
from controller.simulator import hyperv_objects as objects
from controller.simulator.call import Call, text_of
from controller.simulator.cmdlet_errors import (
    FILE_NOT_FOUND,
    INVALID_PARAMETER,
    INVALID_STATE,
    Refusal,
)
from controller.simulator.hyperv_cmdlets import adapters_of
from controller.simulator.inventory import Disk, Dvd, NetworkAdapter, VirtualMachine
from controller.simulator.states import ControllerType, DvdMediaType, StopAction, VhdType, VmState
from controller.simulator.storage import configuration_file, create_file, find_file, new_vhd
from controller.simulator.values import Value

Cmdlet = Callable[[Call], list[Value]]
T = TypeVar("T")
_MEMORY_MIN_BYTES = 32 * 1024**2
_MEMORY_DEFAULT_BYTES = 512 * 1024**2
_VHD_MAX_BYTES = 64 * 1024**4
_IDE_SLOTS = ((0, 0), (0, 1), (1, 0), (1, 1))
_SCSI_SLOTS = tuple((0, location) for location in range(64))
_MARK_OFF = "The operation can't be performed while the virtual machine is in its current state."


def new_vm(call: Call) -> list[Value]:
    """Create a VM that is off, with one network adapter; its files go to `Path\\Name`."""
    name = call.text("Name") or "New Virtual Machine"
    generation = call.number("Generation") or 1
    memory = call.number("MemoryStartupBytes") or _MEMORY_DEFAULT_BYTES
    switch = call.text("SwitchName")
    if generation not in (1, 2) or memory < _MEMORY_MIN_BYTES:
        raise Refusal(INVALID_PARAMETER, "The generation or the start-up memory is not valid.")
    if switch is not None:
        switch = _require_switch(call, switch)
    disk = _first_disk(call)
    folder = f"{(call.text('Path') or call.node.vm_path).rstrip(chr(92))}\\{name}"
    vm_id = call.sim.new_id()
    create_file(call.sim.cluster, call.node, configuration_file(folder, vm_id))
    vm = VirtualMachine(
        id=vm_id,
        name=name,
        node=call.node.name,
        path=folder,
        checkpoint_path=folder,
        paging_path=folder,
        generation=generation,
        version=call.node.vm_versions[-1],
        memory_startup_bytes=memory,
        created_at=call.sim.now,
        boots_from_network=(call.text("BootDevice") or "").endswith("NetworkAdapter"),
    )
    vm.adapters.append(
        NetworkAdapter(
            name="Network Adapter",
            mac=f"00155D{call.sim.new_number() % 0xFFFFFF:06X}",
            switch=switch,
            legacy=call.text("BootDevice") == "LegacyNetworkAdapter",
        )
    )
    if generation == 1:
        vm.dvds.append(Dvd(path=None, controller=ControllerType.IDE, number=1, location=0))
    if disk is not None:
        _attach(vm, disk)
    call.sim.cluster.vms[vm_id] = vm
    return [objects.vm_object(call.sim, call.node, vm)]


def set_vm_host(call: Call) -> list[Value]:
    """Name other folders for what is made from now on; nothing that exists moves.

    Whether Windows takes a folder that is not there is not documented; here it does not.
    """
    folders = {name: call.text(name) for name in ("VirtualMachinePath", "VirtualHardDiskPath")}
    for folder in folders.values():
        found = find_file(call.sim.cluster, call.node, folder) if folder is not None else None
        if folder is not None and (found is None or not found.is_folder):
            raise Refusal(FILE_NOT_FOUND, f"The folder '{folder}' was not found.")
    call.node.vm_path = _given(folders["VirtualMachinePath"], call.node.vm_path)
    call.node.vhd_path = _given(folders["VirtualHardDiskPath"], call.node.vhd_path)
    return []


def new_vhd_cmdlet(call: Call) -> list[Value]:
    """Create VHD files; dynamic ones are small at first."""
    size = call.number("SizeBytes")
    kind = VhdType.Fixed if call.flag("Fixed") else VhdType.Dynamic
    if size is None or not call.has("Path"):
        raise call.missing("SizeBytes" if size is None else "Path")
    if not 0 < size <= _VHD_MAX_BYTES:
        raise Refusal(INVALID_PARAMETER, "The size of the virtual hard disk is not valid.")
    found: list[Value] = []
    for path in call.texts("Path"):
        file = create_file(call.sim.cluster, call.node, new_vhd(_vhd_path(path), size, kind))
        found.append(objects.vhd_object(call.node, file, attached=False))
    return found


def set_vm(call: Call) -> list[Value]:
    if call.flag("StaticMemory") and (
        call.flag("DynamicMemory")
        or call.has("MemoryMinimumBytes")
        or call.has("MemoryMaximumBytes")
    ):
        raise Refusal(INVALID_PARAMETER, "Static and dynamic memory can't be set together.")
    for vm in call.vms():
        if call.has("ProcessorCount"):
            _set_processors(call, vm, "ProcessorCount")
        dynamic = True if call.flag("DynamicMemory") else None
        _set_memory(
            vm,
            dynamic=False if call.flag("StaticMemory") else dynamic,
            startup=call.number("MemoryStartupBytes"),
            minimum=call.number("MemoryMinimumBytes"),
            maximum=call.number("MemoryMaximumBytes"),
        )
        if call.has("AutomaticStopAction"):
            vm.stop_action = StopAction[call.text("AutomaticStopAction") or ""]
        vm.notes = _given(call.text("Notes"), vm.notes)
        vm.name = _given(call.text("NewVMName"), vm.name)
    return _passed_on(call)


def set_vm_memory(call: Call) -> list[Value]:
    for vm in call.vms():
        _set_memory(
            vm,
            dynamic=call.flag("DynamicMemoryEnabled") if call.has("DynamicMemoryEnabled") else None,
            startup=call.number("StartupBytes"),
            minimum=call.number("MinimumBytes"),
            maximum=call.number("MaximumBytes"),
        )
    return []


def set_vm_processor(call: Call) -> list[Value]:
    for vm in call.vms():
        _require_off(vm)
        if call.has("Count"):
            _set_processors(call, vm, "Count")
        if call.has("CompatibilityForMigrationEnabled"):
            vm.processor_compatibility = call.flag("CompatibilityForMigrationEnabled")
    return []


def set_vm_firmware(call: Call) -> list[Value]:
    for vm in call.vms():
        if vm.generation == 1:
            raise Refusal(INVALID_PARAMETER, "A generation 1 virtual machine has no firmware.")
        _require_off(vm)
        if call.has("EnableSecureBoot"):
            vm.secure_boot = call.text("EnableSecureBoot") == "On"
        vm.secure_boot_template = _given(call.text("SecureBootTemplate"), vm.secure_boot_template)
    return []


def set_vm_network_adapter_vlan(call: Call) -> list[Value]:
    vlan = call.number("VlanId")
    if call.flag("Access") and not (vlan is not None and 0 < vlan < 4095):
        raise Refusal(INVALID_PARAMETER, "An access VLAN needs an id from 1 to 4094.")
    for _, adapter in adapters_of(call):
        adapter.vlan = vlan if call.flag("Access") else None
    return []


def connect_vm_network_adapter(call: Call) -> list[Value]:
    switch = call.text("SwitchName")
    if switch is None:
        raise call.missing("SwitchName")
    switch = _require_switch(call, switch)
    for _, adapter in adapters_of(call):
        adapter.switch = switch
    return []


def add_vm_hard_disk_drive(call: Call) -> list[Value]:
    """Attach an existing VHD, or with -DiskNumber a physical disk, at the next free place."""
    path, number = call.text("Path"), call.number("DiskNumber")
    if path is None and number is None:
        raise call.missing("Path")
    if path is not None:
        _require_file(call, path)
    for vm in call.vms():
        disk = Disk(path=path or f"Disk {number}", physical_disk=number)
        wanted = call.text("ControllerType")
        _attach(vm, disk, None if wanted is None else ControllerType[wanted.upper()])
    return []


def add_vm_dvd_drive(call: Call) -> list[Value]:
    path = call.text("Path")
    for vm in call.vms():
        controller = ControllerType.IDE if vm.generation == 1 else ControllerType.SCSI
        number, location = _free_slot(vm, controller)
        dvd = Dvd(path=None, controller=controller, number=number, location=location)
        _insert(call, dvd, path)
        vm.dvds.append(dvd)
    return []


def set_vm_dvd_drive(call: Call) -> list[Value]:
    """Change the medium of a DVD drive; no path empties it."""
    path = call.text("Path")
    for dvd in _dvds(call):
        _insert(call, dvd, path)
    return []


def _dvds(call: Call) -> list[Dvd]:
    if not call.has("VMDvdDrive"):
        found = [dvd for vm in call.vms() for dvd in vm.dvds]
        for name, place in (("ControllerNumber", "number"), ("ControllerLocation", "location")):
            wanted = call.number(name)
            found = [d for d in found if wanted is None or getattr(d, place) == wanted]
    else:
        listed = {vm.id: vm for vm in call.sim.vms_listed_on(call.node)}
        found = [
            dvd
            for item in call.objects("VMDvdDrive")
            if text_of(item, "VMId") in listed
            for dvd in listed[text_of(item, "VMId")].dvds
            if (dvd.number, dvd.location)
            == (item.properties["ControllerNumber"], item.properties["ControllerLocation"])
        ]
    if not found:
        raise Refusal(INVALID_PARAMETER, "There is no such DVD drive.")
    return found


def _first_disk(call: Call) -> Disk | None:
    """The disk that New-VM itself creates or attaches."""
    existing, new = call.text("VHDPath"), call.text("NewVHDPath")
    if existing is not None:
        _require_file(call, existing)
        return Disk(path=existing)
    if new is None:
        return None
    size = call.number("NewVHDSizeBytes")
    if size is None:
        raise call.missing("NewVHDSizeBytes")
    create_file(call.sim.cluster, call.node, new_vhd(_vhd_path(new), size))
    return Disk(path=new)


def _set_memory(
    vm: VirtualMachine,
    *,
    dynamic: bool | None,
    startup: int | None,
    minimum: int | None,
    maximum: int | None,
) -> None:
    if dynamic is None and startup is None and minimum is None and maximum is None:
        return
    is_dynamic = _given(dynamic, vm.memory_dynamic)
    start = _given(startup, vm.memory_startup_bytes)
    least = _given(minimum, min(vm.memory_minimum_bytes, start))
    most = _given(maximum, max(vm.memory_maximum_bytes, start))
    if start < _MEMORY_MIN_BYTES or (is_dynamic and not least <= start <= most):
        raise Refusal(INVALID_PARAMETER, "Minimum, start-up and maximum memory must be in order.")
    if dynamic is not None or startup is not None:
        _require_off(vm)
    vm.memory_dynamic, vm.memory_startup_bytes = is_dynamic, start
    vm.memory_minimum_bytes, vm.memory_maximum_bytes = least, most


def _set_processors(call: Call, vm: VirtualMachine, parameter: str) -> None:
    _require_off(vm)
    count = call.number(parameter) or 0
    if not 0 < count <= 2048:
        raise Refusal(INVALID_PARAMETER, "The number of processors is not valid.")
    vm.processors = count


def _require_off(vm: VirtualMachine) -> None:
    if vm.state is not VmState.Off:
        raise Refusal(INVALID_STATE, _MARK_OFF)


def _require_switch(call: Call, name: str) -> str:
    """The switch's own name, as the node spells it."""
    for switch in call.node.switches:
        if same_name(switch.name, name):
            return switch.name
    raise Refusal(INVALID_PARAMETER, f"There is no virtual switch '{name}'.")


def _require_file(call: Call, path: str) -> None:
    file = find_file(call.sim.cluster, call.node, path)
    if file is None or file.is_folder:
        raise Refusal(FILE_NOT_FOUND, f"The file '{path}' was not found.")


def _attach(vm: VirtualMachine, disk: Disk, wanted: ControllerType | None = None) -> None:
    usual = ControllerType.IDE if vm.generation == 1 else ControllerType.SCSI
    disk.controller = usual if wanted is None else wanted
    if vm.generation == 2 and disk.controller is ControllerType.IDE:
        raise Refusal(INVALID_PARAMETER, "A generation 2 virtual machine has no IDE controller.")
    disk.number, disk.location = _free_slot(vm, disk.controller)
    vm.disks.append(disk)


def _free_slot(vm: VirtualMachine, controller: ControllerType) -> tuple[int, int]:
    drives: tuple[Disk | Dvd, ...] = (*vm.disks, *vm.dvds)
    taken = {(d.number, d.location) for d in drives if d.controller is controller}
    slots = _IDE_SLOTS if controller is ControllerType.IDE else _SCSI_SLOTS
    free = next((slot for slot in slots if slot not in taken), None)
    if free is None:
        raise Refusal(INVALID_PARAMETER, "There is no free location on the controller.")
    return free


def _insert(call: Call, dvd: Dvd, path: str | None) -> None:
    """A file, or the letter of a drive of the node."""
    if path is None:
        dvd.path, dvd.media = None, DvdMediaType.None_
        return
    if any(same_name(path, drive) for drive in call.node.dvd_drives):
        dvd.path, dvd.media = path, DvdMediaType.PassThrough
        return
    _require_file(call, path)
    dvd.path, dvd.media = path, DvdMediaType.ISO


def _vhd_path(path: str) -> str:
    if not fold(path).endswith((".vhdx", ".vhd")):
        raise Refusal(INVALID_PARAMETER, f"'{path}' is not the name of a virtual hard disk.")
    return path


def _passed_on(call: Call) -> list[Value]:
    if not call.flag("Passthru"):
        return []
    return [objects.vm_object(call.sim, call.node, vm) for vm in call.vms()]


def _given(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value


_OF_VM = ("VM", "VMName")
HYPER_V_CHANGES: dict[str, tuple[Cmdlet, tuple[str, ...]]] = {
    "New-VM": (
        new_vm,
        (
            "Name",
            "Path",
            "Generation",
            "MemoryStartupBytes",
            "SwitchName",
            "BootDevice",
            "NoVHD",
            "NewVHDPath",
            "NewVHDSizeBytes",
            "VHDPath",
        ),
    ),
    "Set-VMHost": (set_vm_host, ("VirtualMachinePath", "VirtualHardDiskPath")),
    "New-VHD": (new_vhd_cmdlet, ("Path", "SizeBytes", "Dynamic", "Fixed")),
    "Set-VM": (
        set_vm,
        (
            "VM",
            "Name",
            "Notes",
            "NewVMName",
            "ProcessorCount",
            "StaticMemory",
            "DynamicMemory",
            "MemoryStartupBytes",
            "MemoryMinimumBytes",
            "MemoryMaximumBytes",
            "AutomaticStopAction",
            "Passthru",
        ),
    ),
    "Set-VMMemory": (
        set_vm_memory,
        (*_OF_VM, "DynamicMemoryEnabled", "StartupBytes", "MinimumBytes", "MaximumBytes"),
    ),
    "Set-VMProcessor": (
        set_vm_processor,
        (*_OF_VM, "Count", "CompatibilityForMigrationEnabled"),
    ),
    "Set-VMFirmware": (set_vm_firmware, (*_OF_VM, "EnableSecureBoot", "SecureBootTemplate")),
    "Set-VMNetworkAdapterVlan": (
        set_vm_network_adapter_vlan,
        (*_OF_VM, "VMNetworkAdapterName", "VMNetworkAdapter", "Access", "Untagged", "VlanId"),
    ),
    "Connect-VMNetworkAdapter": (
        connect_vm_network_adapter,
        ("VMName", "VMNetworkAdapter", "SwitchName"),
    ),
    "Add-VMHardDiskDrive": (
        add_vm_hard_disk_drive,
        (*_OF_VM, "Path", "ControllerType", "DiskNumber"),
    ),
    "Add-VMDvdDrive": (add_vm_dvd_drive, (*_OF_VM, "Path")),
    "Set-VMDvdDrive": (
        set_vm_dvd_drive,
        ("VMName", "VMDvdDrive", "Path", "ControllerNumber", "ControllerLocation"),
    ),
}
