"""Creating VMs and disks in the simulated cluster."""

import pytest
from simulated_worlds import GIB, number, one, run, world

from controller.simulator.invoke import invoke
from controller.simulator.states import ControllerType, DvdMediaType, VmState
from controller.simulator.values import CmdletError
from controller.simulator.world import World

ROOT = "C:\\ClusterStorage\\Volume1"


def new_vm(sim: World, **parameters: str | int | bool) -> str:
    given = {"Name": "NEW", "Path": ROOT, "Generation": 2, "MemoryStartupBytes": GIB, "NoVHD": True}
    return str(one(sim, "HV01", "New-VM", **(given | parameters))["Id"])


def test_a_new_vm_is_off_on_its_node_below_its_own_folder() -> None:
    """Path\\Name, one adapter that is not connected, generation 2 without a DVD drive."""
    sim = world()
    vm = sim.vm(new_vm(sim))
    assert (vm.state, vm.node, vm.path) == (VmState.Off, "HV01", f"{ROOT}\\NEW")
    assert [a.switch for a in vm.adapters] == [None]
    assert (vm.processors, vm.dvds, vm.disks) == (1, [], [])
    assert invoke(sim, "HV02", "Test-Path", {"LiteralPath": f"{ROOT}\\new"}) == [True]
    assert not sim.truth_of("NEW").is_clustered


def test_a_generation_1_vm_is_born_with_a_dvd_drive_and_ide() -> None:
    """Its disks go to IDE, around the drive; five do not fit."""
    sim = world()
    vm = sim.vm(new_vm(sim, Generation=1))
    assert [(d.controller, d.number, d.location) for d in vm.dvds] == [(ControllerType.IDE, 1, 0)]
    for n in range(3):
        run(sim, "HV01", "New-VHD", Path=f"{ROOT}\\NEW\\{n}.vhdx", SizeBytes=GIB, Dynamic=True)
        run(sim, "HV01", "Add-VMHardDiskDrive", VMName="new", Path=f"{ROOT}\\NEW\\{n}.vhdx")
    assert [(d.number, d.location) for d in vm.disks] == [(0, 0), (0, 1), (1, 1)]
    with pytest.raises(CmdletError):
        run(sim, "HV01", "Add-VMHardDiskDrive", VMName="new", Path=f"{ROOT}\\NEW\\0.vhdx")


def test_a_disk_is_never_overwritten() -> None:
    """A path that exists is an error, on every node."""
    sim = world()
    path = f"{ROOT}\\data.vhdx"
    disk = one(sim, "HV01", "New-VHD", Path=path, SizeBytes=80 * GIB, Dynamic=True)
    assert (disk["Size"], disk["FileSize"]) == (80 * GIB, 4 * 1024**2)
    with pytest.raises(CmdletError) as taken:
        run(sim, "HV02", "New-VHD", Path=path.upper(), SizeBytes=GIB, Dynamic=True)
    assert taken.value.hresult & 0xFFFF == 80


def test_a_full_volume_takes_no_fixed_disk() -> None:
    """Error 112; what was there stays, and the free space is what it was."""
    sim = world(more="volumes: [{name: Volume1, size: 100Gi, used: 60Gi}]")
    with pytest.raises(CmdletError) as full:
        run(sim, "HV01", "New-VHD", Path=f"{ROOT}\\a.vhdx", SizeBytes=50 * GIB, Fixed=True)
    assert full.value.hresult & 0xFFFF == 112
    assert one(sim, "HV01", "Get-Volume", FilePath=ROOT)["SizeRemaining"] == 40 * GIB


def test_a_disk_that_does_not_exist_is_not_attached() -> None:
    """Neither by New-VM nor afterwards."""
    sim = world()
    new_vm(sim)
    for cmdlet, parameters in (
        ("Add-VMHardDiskDrive", {"VMName": "NEW", "Path": f"{ROOT}\\none.vhdx"}),
        ("Add-VMDvdDrive", {"VMName": "NEW", "Path": f"{ROOT}\\none.iso"}),
        ("New-VM", {"Name": "TWO", "VHDPath": f"{ROOT}\\none.vhdx"}),
    ):
        with pytest.raises(CmdletError):
            run(sim, "HV01", cmdlet, **parameters)
    assert [t.name for t in sim.truth()] == ["NEW"]


def test_settings_of_a_vm_that_is_off() -> None:
    """Processors, compatibility, dynamic memory, notes, secure boot, VLAN, medium."""
    sim = world(more=f"files: [{{path: '{ROOT}\\iso\\os.iso'}}]")
    vm = sim.vm(new_vm(sim, SwitchName="prod"))
    item = run(sim, "HV01", "Get-VM")[0]
    run(sim, "HV01", "Set-VMProcessor", VM=item, Count=4, CompatibilityForMigrationEnabled=True)
    run(
        sim,
        "HV01",
        "Set-VMMemory",
        VM=item,
        DynamicMemoryEnabled=True,
        StartupBytes=2 * GIB,
        MinimumBytes=GIB,
        MaximumBytes=4 * GIB,
    )
    run(sim, "HV01", "Set-VM", VM=item, Notes="made by us")
    run(sim, "HV01", "Set-VMFirmware", VM=item, EnableSecureBoot="Off")
    run(sim, "HV01", "Set-VMNetworkAdapterVlan", VM=item, Access=True, VlanId=20)
    run(sim, "HV01", "Add-VMDvdDrive", VM=item, Path=f"{ROOT}\\iso\\os.iso")
    assert (vm.processors, vm.processor_compatibility, vm.notes) == (4, True, "made by us")
    assert (vm.memory_dynamic, vm.memory_startup_bytes) == (True, 2 * GIB)
    assert (vm.secure_boot, vm.adapters[0].vlan, vm.adapters[0].switch) == (False, 20, "Prod")
    assert vm.dvds[0].media is DvdMediaType.ISO
    vlan = one(sim, "HV01", "Get-VMNetworkAdapterVlan", VMName="NEW")
    assert (number(vlan, "OperationMode"), vlan["AccessVlanId"]) == (1, 20)


@pytest.mark.parametrize(
    ("cmdlet", "parameters"),
    [
        ("Set-VMProcessor", {"Count": 8}),
        ("Set-VMMemory", {"StartupBytes": 8 * GIB}),
        ("Set-VMFirmware", {"EnableSecureBoot": "Off"}),
    ],
)
def test_a_running_vm_keeps_its_hardware(cmdlet: str, parameters: dict[str, int]) -> None:
    """These need the VM off."""
    sim = world("name: SQL01, node: HV01")
    with pytest.raises(CmdletError) as refused:
        run(sim, "HV01", cmdlet, VMName="SQL01", **parameters)
    assert refused.value.fqid.startswith("InvalidState,")


def test_static_and_dynamic_memory_do_not_mix() -> None:
    """One Set-VM call can't have both, and the bounds must be in order."""
    sim = world()
    new_vm(sim)
    with pytest.raises(CmdletError):
        run(sim, "HV01", "Set-VM", Name="NEW", StaticMemory=True, MemoryMaximumBytes=GIB)
    with pytest.raises(CmdletError):
        run(
            sim,
            "HV01",
            "Set-VMMemory",
            VMName="NEW",
            DynamicMemoryEnabled=True,
            MinimumBytes=2 * GIB,
        )


def test_an_unknown_switch_creates_nothing() -> None:
    """New-VM checks it first; no VM, no folder."""
    sim = world()
    with pytest.raises(CmdletError):
        new_vm(sim, SwitchName="Nowhere")
    assert sim.truth() == ()
    assert invoke(sim, "HV01", "Test-Path", {"LiteralPath": f"{ROOT}\\NEW"}) == [False]
