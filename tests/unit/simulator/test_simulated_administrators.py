"""What administrators and storage do to VMs, and what nodes then say about them."""

import pytest
from simulated_worlds import GIB, move, number, one, private, run, world

from controller.simulator.cmdlet_errors import Refusal
from controller.simulator.states import VmState


def test_dynamic_memory_grows_and_is_moved_as_it_is() -> None:
    """MemoryAssigned follows the demand within its bounds; a move needs that much room."""
    sim = world("name: DYN, node: HV01, memory: 2Gi, memoryDemand: 6Gi")
    assert one(sim, "HV01", "Get-VM")["MemoryAssigned"] == 6 * GIB
    sim.set_memory_demand("DYN", 40 * GIB)
    sim.node("HV01").memory_bytes *= 2
    move(sim, "DYN", "HV01", "HV02")
    sim.advance_to(30)
    assert private(sim, "DYN")["MigrationFailureReason"] == 0x800705AA
    sim.set_memory_demand("DYN", GIB // 4)
    assert one(sim, "HV01", "Get-VM")["MemoryAssigned"] == GIB // 2


def test_a_vm_that_is_off_or_saved_holds_no_memory() -> None:
    """MemoryAssigned 0, uptime 0, role Offline and not to be kept online."""
    sim = world("name: A, node: HV01, memory: 8Gi", "name: B, node: HV01, memory: 8Gi")
    sim.stop_vm("A")
    sim.save_vm("B")
    assert sim.memory_free_bytes("HV01") == 32 * GIB
    for name, state in (("A", VmState.Off), ("B", VmState.Saved)):
        vm, group = (
            one(sim, "HV01", "Get-VM", Name=name),
            one(sim, "HV02", "Get-ClusterGroup", Name=name),
        )
        assert (number(vm, "State"), vm["MemoryAssigned"]) == (state, 0)
        assert (number(group, "State"), group["PersistentState"]) == (1, 0)
    sim.move_offline("A", "HV03")
    assert [m.live for m in sim.truth_of("A").migrations] == [False]
    sim.start_vm("A")
    sim.advance_to(10)
    assert (sim.truth_of("A").owner_node, sim.truth_of("A").state) == ("HV03", VmState.Running)


def test_names_and_roles_are_independent() -> None:
    """Renaming a VM leaves its role, and the other way round; the VM id joins them."""
    sim = world("name: SQL01, node: HV01")
    sim.rename_vm("SQL01", "SQL-OLD")
    sim.rename_role("SQL-OLD", "database")
    group = one(sim, "HV02", "Get-ClusterGroup", VMId=sim.vm("SQL-OLD").id)
    assert (group["Name"], one(sim, "HV01", "Get-VM")["Name"]) == ("database", "SQL-OLD")


def test_twins_are_two_vms_and_a_name_is_not_enough() -> None:
    """One name, two ids, on two nodes."""
    sim = world("name: SQL01, node: HV01", "name: sql01, node: HV02, clustered: false")
    with pytest.raises(KeyError):
        sim.truth_of("SQL01")
    assert len({t.id for t in sim.truth()}) == 2


def test_taking_the_role_away_leaves_the_vm() -> None:
    """Unregistered, it runs on, alone."""
    sim = world("name: SQL01, node: HV01")
    sim.unregister("SQL01")
    assert not sim.truth_of("SQL01").is_clustered
    assert sim.truth_of("SQL01").state is VmState.Running
    assert one(sim, "HV01", "Get-VM")["IsClustered"] is False
    sim.delete_vm("SQL01")
    assert sim.truth() == ()


def test_a_volume_that_is_offline_has_no_partition_and_no_files() -> None:
    """A move then fails in the set-up, for want of the disk."""
    sim = world("name: SQL01, node: HV01")
    sim.set_volume("c:\\clusterstorage\\volume1", online=False)
    infos = one(sim, "HV01", "Get-ClusterSharedVolume")["SharedVolumeInfo"]
    assert isinstance(infos, list)
    assert infos[0].properties["Partition"] is None
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(10)
    assert private(sim, "SQL01")["MigrationFailureReason"] == 0x80070002


def test_a_deleted_iso_pins_nothing_but_stops_a_move() -> None:
    """0xC03A0014, the storage provider's error for a stale medium."""
    iso = "C:\\ClusterStorage\\Volume1\\iso\\os.iso"
    sim = world(f"name: SQL01, node: HV01, iso: '{iso}'")
    sim.delete_file("HV02", iso)
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(10)
    assert private(sim, "SQL01")["MigrationFailureReason"] == 0xC03A0014


def test_a_switch_removed_from_the_target_stops_a_move() -> None:
    """The name must exist there, whatever its case; its type is told."""
    sim = world("name: SQL01, node: HV01", "name: WEB01, node: HV01, switch: pROD")
    sim.remove_switch("HV02", "prod")
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(10)
    assert private(sim, "SQL01")["MigrationState"] == 5
    move(sim, "WEB01", "HV01", "HV03")
    sim.advance_to(30)
    assert sim.truth_of("WEB01").owner_node == "HV03"
    assert run(sim, "HV02", "Get-VMSwitch") == []


def test_a_checkpoint_shows_on_its_vm() -> None:
    """Get-VMSnapshot, and the VM's own parent."""
    sim = world("name: SQL01, node: HV01")
    sim.checkpoint("SQL01", "before update")
    snapshot = one(sim, "HV01", "Get-VMSnapshot", VMName="SQL01")
    assert snapshot["Name"] == "before update"
    assert one(sim, "HV01", "Get-VM")["ParentSnapshotId"] == snapshot["Id"]


def test_a_node_can_use_more_memory_itself() -> None:
    """What it measures as available shrinks; what VMs hold stays."""
    sim = world("name: SQL01, node: HV01, memory: 8Gi")
    sim.use_memory("HV01", 20 * GIB)
    system = one(sim, "HV01", "Get-CimInstance", ClassName="Win32_OperatingSystem")
    assert system["FreePhysicalMemory"] == 4 * GIB // 1024


def test_a_vm_must_be_at_rest_to_be_stopped_or_taken_apart() -> None:
    """In flight, the administrator is refused."""
    sim = world("name: SQL01, node: HV01")
    sim.move_live("SQL01", "HV02")
    for deed in (sim.stop_vm, sim.unregister, sim.pause_vm):
        with pytest.raises(Refusal):
            deed("SQL01")
