"""Nodes that die, are cut off, come back, are paused and drained."""

import pytest
from simulated_worlds import GIB, move, number, one, owner, run, world

from controller.simulator.cmdlet_errors import NodeHangs, NodeUnreachable, Refusal
from controller.simulator.invoke import invoke
from controller.simulator.states import Cause, DrainStatus, NodeState, VmState
from controller.simulator.values import CmdletError

SQL = "name: SQL01, node: HV01, memory: 8Gi"
QUICK = "cluster: {resiliencySeconds: 0}"


def test_roles_of_a_dead_node_restart_elsewhere_after_the_resiliency_period() -> None:
    """Isolated and unmonitored for four minutes, then failed over; uptime starts anew."""
    sim = world(SQL)
    sim.crash_node("HV01")
    sim.advance_to(60)
    node = one(sim, "HV02", "Get-ClusterNode", Name="HV01")
    group = one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")
    assert (number(node, "State"), number(node, "StatusInformation")) == (1, 1)
    assert (number(group, "State"), number(group, "StatusInformation"), owner(group)) == (
        0,
        256,
        "HV01",
    )
    sim.advance_to(252)
    assert owner(one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")) is None
    sim.advance_to(300)
    truth = sim.truth_of("SQL01")
    assert truth.owner_node in ("HV02", "HV03")
    assert (truth.state, truth.uptime_seconds < 60) == (VmState.Running, True)
    assert [(m.cause, m.live) for m in truth.migrations] == [(Cause.CLUSTER, False)]


def test_a_node_that_is_off_does_not_answer() -> None:
    """No cmdlet runs there, and none of its VMs is listed anywhere."""
    sim = world(SQL)
    sim.crash_node("HV01")
    with pytest.raises(NodeUnreachable):
        invoke(sim, "HV01", "Get-VM", {})
    assert run(sim, "HV02", "Get-VM") == []


def test_failover_honours_possible_owners_preference_and_memory() -> None:
    """The preferred node first; one that can't own it, or has no room, never."""
    sim = world(SQL, "name: FULL, node: HV02, memory: 30Gi", nodes=4, more=QUICK)
    sim.set_preferred_owners("SQL01", ["HV01", "HV02", "HV04"])
    sim.crash_node("HV01")
    sim.advance_to(60)
    assert sim.truth_of("SQL01").owner_node == "HV04"


def test_a_role_without_room_waits_and_starts_when_there_is_some() -> None:
    """Flags 8 and 16 while it waits; nothing is overcommitted."""
    sim = world(
        SQL, "name: A, node: HV02, memory: 30Gi", "name: B, node: HV03, memory: 30Gi", more=QUICK
    )
    sim.crash_node("HV01")
    sim.advance_to(60)
    group = one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")
    assert (number(group, "State"), number(group, "StatusInformation")) == (1, 24)
    sim.stop_vm("B")
    sim.advance_to(90)
    assert (sim.truth_of("SQL01").owner_node, sim.truth_of("SQL01").state) == (
        "HV03",
        VmState.Running,
    )


def test_a_dying_target_leaves_the_vm_on_its_source() -> None:
    """The migration fails at once; the guest goes on."""
    sim = world(SQL)
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(5)
    sim.crash_node("HV02")
    truth = sim.truth_of("SQL01")
    assert (truth.owner_node, truth.state, truth.in_flight) == ("HV01", VmState.Running, False)


def test_a_node_comes_back_joining_and_then_up() -> None:
    """VMs that are not clustered start again with it."""
    sim = world("name: LOCAL, node: HV01, clustered: false, disks: []", more=QUICK)
    sim.crash_node("HV01")
    sim.advance_to(30)
    sim.boot_node("HV01")
    assert sim.node("HV01").state is NodeState.Joining
    with pytest.raises(CmdletError) as early:
        invoke(sim, "HV01", "Get-Cluster", {})
    assert early.value.fqid.startswith("ClusterEndpointNotRegistered,")
    sim.advance_to(60)
    assert sim.node("HV01").state is NodeState.Up
    assert sim.truth_of("LOCAL").state is VmState.Running


def test_the_third_bad_leave_within_an_hour_quarantines_a_node() -> None:
    """Two hours out of the cluster, whatever it does."""
    sim = world(SQL, more=QUICK)
    for _ in range(3):
        sim.crash_node("HV03")
        sim.advance_to(sim.now + 60)
        sim.boot_node("HV03")
        sim.advance_to(sim.now + 60)
    node = one(sim, "HV01", "Get-ClusterNode", Name="HV03")
    assert (number(node, "State"), number(node, "StatusInformation")) == (1, 2)
    sim.advance_to(sim.now + 7200)
    assert sim.node("HV03").state is NodeState.Up


def test_a_node_cut_off_knows_old_things_then_nothing_and_changes_nothing() -> None:
    """It answers from before the cut for a while; its moves have no effect; its VMs fail over."""
    sim = world(SQL, "name: WEB01, node: HV02")
    sim.cut_off("HV01")
    sim.move_live("WEB01", "HV03")
    sim.advance_to(15)
    assert owner(one(sim, "HV01", "Get-ClusterGroup", Name="WEB01")) == "HV02"
    assert number(one(sim, "HV01", "Get-ClusterNode", Name="HV01"), "State") == 0
    with pytest.raises(CmdletError) as refused:
        move(sim, "SQL01", "HV01", "HV02")
    assert refused.value.hresult & 0xFFFF == 5925
    sim.advance_to(100)
    with pytest.raises(CmdletError):
        invoke(sim, "HV01", "Get-ClusterGroup", {})
    assert len(run(sim, "HV01", "Get-VM")) == 1
    sim.advance_to(300)
    assert sim.truth_of("SQL01").owner_node != "HV01"
    assert run(sim, "HV01", "Get-VM") == []
    sim.heal("HV01")
    sim.advance_to(320)
    assert sim.node("HV01").state is NodeState.Up


def test_a_short_cut_is_survived_without_a_restart() -> None:
    """Within the resiliency period the VM goes on running where it is."""
    sim = world(SQL)
    sim.cut_off("HV01")
    sim.advance_to(120)
    sim.heal("HV01")
    sim.advance_to(600)
    truth = sim.truth_of("SQL01")
    assert (truth.owner_node, truth.migrations) == ("HV01", ())
    assert truth.uptime_seconds > 600


def test_without_quorum_no_node_serves_the_cluster() -> None:
    """Two of three nodes gone and no witness: errors everywhere, VMs stop, and restart later."""
    sim = world(SQL, more="cluster: {witness: false, resiliencySeconds: 30}")
    sim.crash_node("HV02")
    sim.crash_node("HV03")
    with pytest.raises(CmdletError):
        move(sim, "SQL01", "HV01", "HV01")
    sim.advance_to(60)
    assert sim.truth_of("SQL01").state is VmState.Off
    sim.boot_node("HV02")
    sim.advance_to(120)
    assert sim.truth_of("SQL01").state is VmState.Running


def test_the_smaller_side_of_a_cut_must_be_named() -> None:
    """Otherwise the test would not know which side has quorum."""
    with pytest.raises(Refusal):
        world(SQL).cut_off("HV01", "HV02")


@pytest.mark.parametrize("answer", ["error", "hang"])
def test_a_node_cut_off_may_also_fail_at_once_or_hang(answer: str) -> None:
    """The other two choices of cut_off_node_answers."""
    sim = world(SQL, more=f"doubts: {{cutOffNodeAnswers: {answer}, cutOffNoticedSeconds: 10}}")
    sim.cut_off("HV01")
    sim.advance_to(1)
    with pytest.raises(NodeHangs if answer == "hang" else CmdletError):
        invoke(sim, "HV01", "Get-ClusterGroup", {})
    sim.advance_to(11)
    with pytest.raises(CmdletError):
        invoke(sim, "HV01", "Get-ClusterGroup", {})


def test_a_drain_empties_a_node_within_the_limit() -> None:
    """Live for medium roles, saved and resumed for low ones, handed over for those that are off."""
    sim = world(
        SQL,
        "name: LOW, node: HV01, priority: 1000",
        "name: IDLE, node: HV01, state: Off",
        "name: WEB01, node: HV01",
    )
    sim.pause_node("HV01")
    node = one(sim, "HV02", "Get-ClusterNode", Name="HV01")
    assert (number(node, "State"), number(node, "DrainStatus")) == (2, 1)
    sim.advance_to(120)
    assert sim.node("HV01").drain is DrainStatus.Completed
    live = {t.name: [m.live for m in t.migrations] for t in sim.truth()}
    assert live == {"SQL01": [True], "WEB01": [True], "LOW": [False], "IDLE": [False]}
    assert all(t.owner_node != "HV01" for t in sim.truth())
    assert {m.cause for t in sim.truth() for m in t.migrations} == {Cause.CLUSTER}
    assert sim.truth_of("LOW").uptime_seconds > 86_400


def test_a_drain_that_finds_no_room_fails_and_stops_nothing() -> None:
    """DrainFailed, and the VM runs on where it is."""
    sim = world(SQL, "name: A, node: HV02, memory: 30Gi", "name: B, node: HV03, memory: 30Gi")
    sim.pause_node("HV01")
    sim.advance_to(60)
    assert sim.node("HV01").drain is DrainStatus.Failed
    assert (sim.truth_of("SQL01").owner_node, sim.truth_of("SQL01").state) == (
        "HV01",
        VmState.Running,
    )


@pytest.mark.parametrize(("failback", "home"), [("NoFailback", False), ("Immediate", True)])
def test_resume_brings_roles_back_only_if_asked(failback: str, home: bool) -> None:
    """Resume-ClusterNode -Failback decides."""
    sim = world(SQL)
    run(sim, "HV02", "Suspend-ClusterNode", Name="HV01", Drain=True)
    sim.advance_to(60)
    run(sim, "HV02", "Resume-ClusterNode", Name="HV01", Failback=failback)
    sim.advance_to(120)
    assert (sim.truth_of("SQL01").owner_node == "HV01") is home
    assert sim.node("HV01").state is NodeState.Up


def test_failback_returns_a_role_to_its_preferred_node() -> None:
    """AutoFailbackType 1 with preferred owners moves it live when the node is back."""
    sim = world(SQL, more=QUICK)
    sim.set_preferred_owners("SQL01", ["HV01"], failback=True)
    sim.crash_node("HV01")
    sim.advance_to(60)
    assert sim.truth_of("SQL01").owner_node != "HV01"
    sim.boot_node("HV01")
    sim.advance_to(120)
    assert sim.truth_of("SQL01").owner_node == "HV01"


def test_the_balancer_moves_live_every_half_hour_and_ignores_preference() -> None:
    """Mode 2, more than 80 % used: one VM goes to the emptiest node, whoever prefers what."""
    vms = [f"name: V{n}, node: HV01, memory: 7Gi, preferredOwners: [HV01]" for n in range(4)]
    sim = world(*vms, more="cluster: {balancerMode: 2}")
    sim.advance_to(1700)
    assert all(not t.migrations for t in sim.truth())
    sim.advance_to(2000)
    moved = [t for t in sim.truth() if t.migrations]
    assert len(moved) == 1
    assert moved[0].migrations[0].cause is Cause.CLUSTER
    assert sim.memory_free_bytes("HV01") == 11 * GIB
