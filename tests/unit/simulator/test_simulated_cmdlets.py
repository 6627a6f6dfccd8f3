"""Cmdlets as a node's PowerShell would meet them: binding, objects, errors, and one node's view."""

import json
from pathlib import Path

import pytest
from simulated_worlds import GIB, move, number, one, run, world

from controller.simulator.cluster_cmdlets import CLUSTER_CMDLETS
from controller.simulator.hyperv_changes import HYPER_V_CHANGES
from controller.simulator.hyperv_cmdlets import HYPER_V_READS
from controller.simulator.invoke import invoke
from controller.simulator.states import VmState
from controller.simulator.values import CmdletError, EnumValue, PSObject, Value
from controller.simulator.world import World

SQL = "name: SQL01, node: HV01, memory: 8Gi"
SIGNATURES = Path(__file__).parents[2] / "powershell" / "signatures.json"


def test_names_are_compared_without_case_everywhere() -> None:
    """Cmdlets, parameters, nodes, roles and VMs."""
    sim = world(SQL)
    found = invoke(sim, "hv01", "get-CLUSTERgroup", {"NAME": "sql01"})
    assert [item.properties["Name"] for item in found if isinstance(item, PSObject)] == ["SQL01"]
    assert one(sim, "hV01", "Get-VM", name="sQl01")["Id"] == sim.vm("SQL01").id
    assert one(sim, "HV01", "Get-VM", Id=sim.vm("SQL01").id.upper())["Name"] == "SQL01"


def test_what_powershell_does_not_know_it_says_so() -> None:
    """An unknown cmdlet, an unknown parameter; the dangerous verbs are among them."""
    sim = world(SQL)
    for cmdlet in ("Stop-VM", "Remove-VM", "Stop-ClusterGroup", "Save-VM", "Get-Nonsense"):
        with pytest.raises(CmdletError) as unknown:
            invoke(sim, "HV01", cmdlet, {"Name": "SQL01"})
        assert unknown.value.fqid == "CommandNotFoundException"
    with pytest.raises(CmdletError) as parameter:
        run(sim, "HV01", "Move-ClusterVirtualMachineRole", Name="SQL01", IgnoreLocked=True)
    assert parameter.value.fqid.startswith("NamedParameterNotFound,")


def test_get_vm_sees_only_its_own_node() -> None:
    """An HA VM is registered on its owner node only."""
    sim = world(SQL)
    assert len(run(sim, "HV01", "Get-VM")) == 1
    assert run(sim, "HV02", "Get-VM") == []
    with pytest.raises(CmdletError) as missing:
        run(sim, "HV02", "Get-VM", Id=sim.vm("SQL01").id)
    assert missing.value.fqid == "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"


def test_vm_names_take_wildcards_and_are_not_unique() -> None:
    """Get-VM -Name is a pattern: a name with a bracket selects another VM."""
    sim = world(
        "name: web1, node: HV01", "name: WEB1, node: HV01, role: two", "name: db, node: HV01"
    )
    assert len(run(sim, "HV01", "Get-VM", Name="web[1]")) == 2
    assert len(run(sim, "HV01", "Get-VM", Name="w?b1")) == 2
    assert run(sim, "HV01", "Get-VM", Name="x*") == []


def test_lists_of_one_stay_lists() -> None:
    """One VM, one switch, one disk, one status: still lists."""
    sim = world(SQL, nodes=2)
    vm = one(sim, "HV01", "Get-VM")
    for name in ("HardDrives", "NetworkAdapters", "OperationalStatus", "DVDDrives"):
        assert isinstance(vm[name], list)
    owners = one(sim, "HV01", "Get-ClusterOwnerNode", Group="SQL01")["OwnerNodes"]
    assert owners == []


def test_enums_carry_their_name_and_number() -> None:
    """As the reflected modules number them."""
    sim = world(SQL)
    state = one(sim, "HV01", "Get-ClusterNode", Name="HV02")["State"]
    assert state == EnumValue("Microsoft.FailoverClusters.PowerShell.ClusterNodeState", "Up", 0)
    vm = one(sim, "HV01", "Get-VM")["State"]
    assert vm == EnumValue("Microsoft.HyperV.PowerShell.VMState", "Running", 2)


def test_owners_of_a_group_are_preferred_and_of_a_resource_possible() -> None:
    """Get-ClusterOwnerNode, ordered for the group."""
    sim = world(SQL, nodes=3)
    sim.set_preferred_owners("SQL01", ["HV03", "HV01"])
    sim.set_possible_owners("SQL01", ["HV01", "HV03"])
    group = run(sim, "HV02", "Get-ClusterGroup", VMId=sim.vm("SQL01").id)
    resources = run(sim, "HV02", "Get-ClusterResource", InputObject=group[0])
    assert _owner_names(sim, group[0]) == ["HV03", "HV01"]
    assert [_owner_names(sim, resource) for resource in resources] == [["HV01", "HV03"]] * 2


def _owner_names(sim: World, item: PSObject) -> list[Value]:
    owners = one(sim, "HV02", "Get-ClusterOwnerNode", InputObject=item)["OwnerNodes"]
    assert isinstance(owners, list)
    return [node.properties["Name"] for node in owners if isinstance(node, PSObject)]


def test_a_node_reports_its_memory_in_windows_units() -> None:
    """Kilobytes from the operating system, megabytes from the NUMA node, bytes from the host."""
    sim = world(SQL, nodes=2)
    system = one(sim, "HV01", "Get-CimInstance", ClassName="Win32_OperatingSystem")
    assert system["FreePhysicalMemory"] == 24 * GIB // 1024
    assert system["TotalVisibleMemorySize"] == 32 * GIB // 1024
    assert one(sim, "HV01", "Get-VMHostNumaNode")["MemoryAvailable"] == 24 * 1024
    assert one(sim, "HV01", "Get-VMHost")["MemoryCapacity"] == 32 * GIB
    computer = one(sim, "HV01", "Get-CimInstance", ClassName="Win32_ComputerSystem")
    assert computer["Model"] == "ownernode simulator"


def test_volumes_are_told_apart_to_the_backslash() -> None:
    """Volume1 must not match Volume10."""
    sim = world(SQL, more="volumes: [{name: Volume1, size: 100Gi}, {name: Volume10, size: 200Gi}]")
    far = one(sim, "HV01", "Get-Volume", FilePath="c:\\clusterstorage\\volume10\\x")
    near = one(sim, "HV01", "Get-Volume", FilePath="C:\\ClusterStorage\\Volume1\\x")
    assert (far["Size"], far["SizeRemaining"]) == (200 * GIB, 200 * GIB)
    assert near["Size"] == 100 * GIB
    assert near["SizeRemaining"] < 100 * GIB
    infos = one(sim, "HV01", "Get-ClusterSharedVolume", Name="Cluster Disk 1")["SharedVolumeInfo"]
    assert isinstance(infos, list)
    assert [i.properties["FriendlyVolumeName"] for i in infos if isinstance(i, PSObject)] == [
        "C:\\ClusterStorage\\Volume1"
    ]


def test_registration_by_id_works_where_the_vm_is() -> None:
    """By name, or by id from elsewhere, it would need a second hop: access denied."""
    sim = world("name: LOOSE, node: HV02, clustered: false, state: Off")
    vm_id = sim.vm("LOOSE").id
    for node, given in (("HV01", {"VMId": vm_id}), ("HV01", {"VMName": "LOOSE"})):
        with pytest.raises(CmdletError) as denied:
            run(sim, node, "Add-ClusterVirtualMachineRole", **given)
        assert denied.value.hresult & 0xFFFF == 5
    group = one(sim, "HV02", "Add-ClusterVirtualMachineRole", VMId=vm_id)
    assert (group["Name"], number(group, "State"), group["PersistentState"]) == ("LOOSE", 1, 0)
    assert one(sim, "HV02", "Get-VM", Id=vm_id)["IsClustered"] is True
    with pytest.raises(CmdletError) as again:
        run(sim, "HV02", "Add-ClusterVirtualMachineRole", VMId=vm_id)
    assert "already" in again.value.message


def test_a_role_name_is_given_once() -> None:
    """Another role, or the cluster's own groups, may have it already."""
    sim = world(
        SQL,
        "name: sql01, node: HV02, clustered: false, disks: []",
        "name: Cluster Group, node: HV02, clustered: false",
    )
    for vm in sim.truth():
        if not vm.is_clustered:
            with pytest.raises(CmdletError):
                run(sim, "HV02", "Add-ClusterVirtualMachineRole", VMId=vm.id)


def test_starting_a_role_takes_a_moment_and_memory() -> None:
    """Pending, then Online; without memory an error and a failed role."""
    sim = world(
        "name: A, node: HV01, memory: 20Gi, state: Off",
        "name: B, node: HV01, memory: 20Gi, state: Off",
    )
    group = one(sim, "HV02", "Start-ClusterGroup", Name="a")
    assert number(group, "State") == 4
    with pytest.raises(CmdletError) as full:
        run(sim, "HV02", "Start-ClusterGroup", Name="B")
    assert full.value.hresult == 0x800705AA - 2**32
    sim.advance_to(10)
    assert sim.truth_of("A").state is VmState.Running
    assert sim.truth_of("A").uptime_seconds == pytest.approx(5)


def test_every_changing_call_is_kept_with_its_error() -> None:
    """Tests judge from the commands that truly arrived."""
    sim = world(SQL)
    move(sim, "SQL01", "HV01", "HV02")
    with pytest.raises(CmdletError):
        move(sim, "SQL01", "HV01", "HV02")
    run(sim, "HV01", "Get-VM")
    assert [(c.node, c.cmdlet, c.error is None) for c in sim.commands] == [
        ("HV01", "Move-ClusterVirtualMachineRole", True),
        ("HV01", "Move-ClusterVirtualMachineRole", False),
    ]


def test_every_simulated_parameter_is_a_real_one() -> None:
    """The simulator invents no cmdlet and no parameter: the modules' signatures are the judge."""
    modules = json.loads(SIGNATURES.read_text())["modules"]
    tables = {"FailoverClusters": CLUSTER_CMDLETS, "Hyper-V": {**HYPER_V_READS, **HYPER_V_CHANGES}}
    for module, table in tables.items():
        known = modules[module]["cmdlets"]
        for cmdlet, (_, parameters) in table.items():
            if cmdlet not in known:
                continue  # the project keeps only the part that its scripts use
            real = {name for names in known[cmdlet]["sets"].values() for name in names}
            assert set(parameters) <= real, cmdlet
