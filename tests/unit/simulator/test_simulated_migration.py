"""Live migration in the simulated cluster: stages, queue, failures, and what is seen of them."""

import pytest
from simulated_worlds import GIB, move, number, one, owner, private, run, world

from controller.simulator.cmdlet_errors import Refusal
from controller.simulator.states import Cause, Stage, VmOperationalStatus, VmState
from controller.simulator.values import CmdletError

SQL = "name: SQL01, node: HV01, memory: 10Gi"


def test_a_move_passes_its_stages_and_the_guest_never_notices() -> None:
    """Queued or set-up, transfer with growing progress, switch-over, online on the target."""
    sim = world(SQL)
    uptime = sim.truth_of("SQL01").uptime_seconds
    move(sim, "SQL01", "HV01", "HV02")
    seen = []
    while sim.truth_of("SQL01").in_flight:
        group = one(sim, "HV03", "Get-ClusterGroup", Name="sql01")
        values = private(sim, "SQL01")
        seen.append((values["MigrationState"], number(group, "State"), owner(group)))
        sim.advance_to(sim.now + 0.5)
    assert list(dict.fromkeys(seen)) == [(1, 0, "HV01"), (2, 4, "HV01"), (3, 4, "HV02")]
    truth = sim.truth_of("SQL01")
    assert (truth.owner_node, truth.state) == ("HV02", VmState.Running)
    assert truth.uptime_seconds == pytest.approx(uptime + sim.now)
    assert [(m.source, m.target, m.cause, m.live) for m in truth.migrations] == [
        ("HV01", "HV02", Cause.CONTROLLER, True)
    ]


def test_a_move_takes_as_long_as_its_memory_needs() -> None:
    """Twice the memory, twice the transfer; set-up and switch-over do not grow."""
    sim = world(
        SQL, "name: BIG, node: HV01, memory: 20Gi", more="cluster: {migrationsParallelMax: 2}"
    )
    move(sim, "SQL01", "HV01", "HV02")
    move(sim, "BIG", "HV01", "HV03")
    sim.advance_to(100)
    ends = [sim.truth_of(vm).migrations[0].at_seconds - 3 for vm in ("SQL01", "BIG")]
    assert ends[1] == pytest.approx(2 * ends[0])
    assert ends[0] == pytest.approx(10 * GIB * 1.2 / 1e9)


def test_a_vm_in_flight_holds_memory_on_both_nodes() -> None:
    """Hyper-V makes room on the target first; the source is freed only at the end."""
    sim = world(SQL)
    move(sim, "SQL01", "HV01", "HV02")
    assert [sim.memory_free_bytes(n) // GIB for n in ("HV01", "HV02")] == [22, 22]
    sim.advance_to(60)
    assert [sim.memory_free_bytes(n) // GIB for n in ("HV01", "HV02")] == [32, 22]


def test_moves_over_the_limit_wait_in_the_queue() -> None:
    """The excess is queued with flag 4, not refused, and starts when a slot is free."""
    sim = world(SQL, "name: WEB01, node: HV01, memory: 4Gi")
    move(sim, "SQL01", "HV01", "HV02")
    move(sim, "WEB01", "HV01", "HV03")
    waiting = one(sim, "HV02", "Get-ClusterGroup", Name="WEB01")
    assert (number(waiting, "StatusInformation"), number(waiting, "State")) == (4, 0)
    sim.advance_to(60)
    first, second = (sim.truth_of(vm).migrations[0].at_seconds for vm in ("SQL01", "WEB01"))
    assert first < second
    assert sim.truth_of("WEB01").owner_node == "HV03"


def test_before_the_2022_update_each_node_has_its_own_limit() -> None:
    """Without MaximumParallelMigrations the property is absent and the node's figure counts."""
    sim = world(
        SQL,
        "name: WEB01, node: HV01, memory: 4Gi",
        more="cluster: {migrationsParallelMax: null}",
    )
    assert "MaximumParallelMigrations" not in one(sim, "HV01", "Get-Cluster")
    for node in sim.cluster.nodes.values():
        node.migrations_max = 2
    move(sim, "SQL01", "HV01", "HV02")
    move(sim, "WEB01", "HV01", "HV02")
    stages = [m.stage for m in sim.cluster.migrations.values()]
    assert stages == [Stage.SET_UP, Stage.SET_UP]
    assert one(sim, "HV01", "Get-VMHost")["MaximumVirtualMachineMigrations"] == 2


@pytest.mark.parametrize("stage", [Stage.SET_UP, Stage.TRANSFER, Stage.SWITCH_OVER])
def test_a_failed_move_leaves_the_vm_running_on_its_source(stage: Stage) -> None:
    """The group is Online on the source; only the private properties keep the failure."""
    sim = world(SQL)
    sim.break_next_migration("SQL01", hresult=0x80072746, stage=stage)
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(60)
    truth = sim.truth_of("SQL01")
    assert (truth.owner_node, truth.state, truth.migrations) == ("HV01", VmState.Running, ())
    assert truth.uptime_seconds > 60
    group = one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")
    assert (number(group, "State"), owner(group)) == (0, "HV01")
    values = private(sim, "SQL01")
    assert (values["MigrationState"], values["MigrationFailureReason"]) == (5, 0x80072746)
    assert sim.memory_free_bytes("HV02") == 32 * GIB


def test_a_failure_is_kept_until_the_next_move_begins() -> None:
    """MigrationState 5 is sticky: it says nothing about now."""
    sim = world(SQL)
    sim.break_next_migration("SQL01")
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(3600)
    assert private(sim, "SQL01")["MigrationState"] == 5
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(3700)
    assert private(sim, "SQL01")["MigrationState"] == 0
    assert sim.truth_of("SQL01").owner_node == "HV02"


@pytest.mark.parametrize(
    ("vm", "reason"),
    [
        ("memory: 33Gi, name: V, node: HV01", 0x800705AA),
        ("iso: 'C:\\iso\\setup.iso', name: V, node: HV01", 0xC03A0014),
        ("disks: [{path: 'C:\\VMs\\os.vhdx'}], name: V, node: HV01", 0x80070002),
        ("assignedDevices: 1, name: V, node: HV01", 0x80004005),
        ("processors: 64, name: V, node: HV01", 0x80004005),
        ("switch: Lab, name: V, node: HV01", 0x80004005),
    ],
)
def test_what_the_target_lacks_fails_the_set_up(vm: str, reason: int) -> None:
    """The cluster accepts the move; the hypervisors find out in the set-up, and nothing moves."""
    sim = world(vm)
    sim.node("HV01").memory_bytes *= 2
    move(sim, "V", "HV01", "HV02")
    sim.advance_to(30)
    assert sim.truth_of("V").owner_node == "HV01"
    assert private(sim, "V")["MigrationFailureReason"] == reason


def test_a_backup_keeps_a_vm_where_it_is() -> None:
    """While a backup runs the role is locked, and the move is refused."""
    sim = world(SQL)
    sim.begin_backup("SQL01")
    with pytest.raises(CmdletError):
        move(sim, "SQL01", "HV01", "HV02")
    vm = one(sim, "HV01", "Get-VM", Name="SQL01")
    assert number(vm, "SecondaryOperationalStatus") == 32776
    sim.end_backup("SQL01")
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(60)
    assert sim.truth_of("SQL01").owner_node == "HV02"


def test_work_that_begins_while_queued_fails_the_move_as_busy() -> None:
    """A merge that is under way when the set-up ends: 0x800700AA, and the VM stays."""
    sim = world(SQL)
    move(sim, "SQL01", "HV01", "HV02")
    sim.begin_work("SQL01", VmOperationalStatus.MergingDisks)
    sim.advance_to(60)
    assert private(sim, "SQL01")["MigrationFailureReason"] == 0x800700AA


def test_cancel_works_until_the_switch_over() -> None:
    """Cancelling with nothing to cancel is error 5023, as is cancelling too late."""
    sim = world(SQL)
    vm_id = sim.vm("SQL01").id
    with pytest.raises(CmdletError) as nothing:
        run(sim, "HV01", "Move-ClusterVirtualMachineRole", VMId=vm_id, Cancel=True)
    assert nothing.value.hresult & 0xFFFF == 5023
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(5)
    run(sim, "HV01", "Move-ClusterVirtualMachineRole", VMId=vm_id, Cancel=True)
    assert private(sim, "SQL01")["MigrationState"] == 4
    assert sim.truth_of("SQL01").owner_node == "HV01"
    move(sim, "SQL01", "HV01", "HV02")
    while sim.cluster.migrations[vm_id].stage is not Stage.SWITCH_OVER:
        sim.advance_to(sim.now + 0.5)
    with pytest.raises(Refusal):
        sim.cancel_move("SQL01")


def test_a_stalled_move_ends_only_when_it_is_cancelled() -> None:
    """A migration that hangs at 99 % holds its slot and the target's memory until then."""
    sim = world(SQL)
    sim.break_next_migration("SQL01", stalls=True)
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(86_400)
    assert private(sim, "SQL01")["MigrationProgress"] == 99
    sim.cancel_move("SQL01")
    assert sim.memory_free_bytes("HV02") == 32 * GIB
    assert sim.truth_of("SQL01").state is VmState.Running


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda sim: sim.pause_node("HV02", drain_roles=False), 5070),
        (lambda sim: sim.crash_node("HV02"), 5050),
        (lambda sim: sim.set_possible_owners("SQL01", ["HV01", "HV03"]), 5016),
        (lambda sim: sim.lock_role("SQL01"), 5960),
        (lambda sim: sim.stop_vm("SQL01"), 5023),
        (lambda sim: sim.move_live("SQL01", "HV03"), 170),
    ],
)
def test_the_cluster_refuses_at_once_what_it_can_see(prepare, code: int) -> None:
    """Each refusal carries its Win32 code and changes nothing."""
    sim = world(SQL)
    prepare(sim)
    sim.advance_to(11)
    with pytest.raises(CmdletError) as refused:
        move(sim, "SQL01", "HV01", "HV02")
    assert refused.value.hresult & 0xFFFF == code
    assert refused.value.fqid.endswith("MoveClusterVirtualMachineRoleCommand")
    assert sim.commands[-1].error is refused.value


def test_a_paused_guest_is_online_and_can_be_moved() -> None:
    """Paused is a state of the guest; to the cluster its role is Online."""
    sim = world(SQL)
    sim.pause_vm("SQL01")
    assert number(one(sim, "HV01", "Get-ClusterGroup", Name="SQL01"), "State") == 0
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(60)
    assert (sim.truth_of("SQL01").owner_node, sim.truth_of("SQL01").state) == (
        "HV02",
        VmState.Paused,
    )


def test_an_administrators_move_is_told_from_ours() -> None:
    """The truth names who moved a VM."""
    sim = world(SQL)
    sim.move_live("sql01", "hv03")
    sim.advance_to(60)
    (moved,) = sim.truth_of("SQL01").migrations
    assert (moved.target, moved.cause) == ("HV03", Cause.ADMIN)
    assert sim.commands == []


def test_a_move_to_the_owner_changes_nothing() -> None:
    """The default world takes it quietly."""
    sim = world(SQL)
    move(sim, "SQL01", "HV01", "hv01")
    sim.advance_to(60)
    assert sim.truth_of("SQL01").migrations == ()
