"""Each doubtful behaviour of Windows, played the other way than the default."""

import pytest
from simulated_worlds import move, number, one, owner, private, run, world

from controller.simulator.cmdlet_errors import Refusal
from controller.simulator.doubts import Doubts
from controller.simulator.states import NodeState, Stage, VmState
from controller.simulator.values import CmdletError
from controller.simulator.world import World

SQL = "name: SQL01, node: HV01, memory: 8Gi"


def doubtful(**choices: str) -> World:
    listed = ", ".join(f"{name}: {value}" for name, value in choices.items())
    return world(SQL, more=f"doubts: {{{listed}}}")


def until(sim: World, stage: Stage) -> None:
    while sim.cluster.migrations[sim.vm("SQL01").id].stage is not stage:
        sim.advance_to(sim.now + 0.25)


def test_the_group_may_stay_online_in_the_transfer() -> None:
    """group_state_in_transfer: Online."""
    sim = doubtful(group_state_in_transfer="Online")
    move(sim, "SQL01", "HV01", "HV02")
    until(sim, Stage.TRANSFER)
    assert number(one(sim, "HV02", "Get-ClusterGroup", Name="SQL01"), "State") == 0


def test_the_queued_flag_may_linger() -> None:
    """queued_flag_ends: at_transfer."""
    sim = doubtful(queued_flag_ends="at_transfer")
    move(sim, "SQL01", "HV01", "HV02")
    assert number(one(sim, "HV02", "Get-ClusterGroup", Name="SQL01"), "StatusInformation") == 4
    until(sim, Stage.TRANSFER)
    assert number(one(sim, "HV02", "Get-ClusterGroup", Name="SQL01"), "StatusInformation") == 0


def test_the_owner_may_change_only_at_the_end() -> None:
    """owner_switches: after_switch_over_ends."""
    sim = doubtful(owner_switches="after_switch_over_ends")
    move(sim, "SQL01", "HV01", "HV02")
    until(sim, Stage.SWITCH_OVER)
    assert owner(one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")) == "HV01"
    sim.advance_to(60)
    assert owner(one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")) == "HV02"


def test_a_failed_migration_may_leave_the_vm_on_the_target() -> None:
    """failed_migration_leaves_vm: on_target; state 5 all the same."""
    sim = doubtful(failed_migration_leaves_vm="on_target")
    sim.break_next_migration("SQL01")
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(60)
    assert sim.truth_of("SQL01").owner_node == "HV02"
    assert private(sim, "SQL01")["MigrationState"] == 5


def test_a_failed_migration_may_hide_the_vm_for_two_minutes() -> None:
    """failed_migration_leaves_vm: nowhere; the guest runs on."""
    sim = doubtful(failed_migration_leaves_vm="nowhere")
    sim.break_next_migration("SQL01")
    move(sim, "SQL01", "HV01", "HV02")
    sim.advance_to(30)
    assert [run(sim, node, "Get-VM") for node in ("HV01", "HV02", "HV03")] == [[], [], []]
    assert number(one(sim, "HV02", "Get-ClusterGroup", Name="SQL01"), "State") == 4
    sim.advance_to(160)
    assert len(run(sim, "HV01", "Get-VM")) == 1
    assert sim.truth_of("SQL01").uptime_seconds > 86_400


@pytest.mark.parametrize(("where", "lists"), [("on_both", (1, 1)), ("on_none", (0, 0))])
def test_a_vm_in_flight_may_be_listed_twice_or_not_at_all(
    where: str, lists: tuple[int, int]
) -> None:
    """vm_in_flight_listed."""
    sim = doubtful(vm_in_flight_listed=where)
    move(sim, "SQL01", "HV01", "HV02")
    until(sim, Stage.TRANSFER)
    assert tuple(len(run(sim, node, "Get-VM")) for node in ("HV01", "HV02")) == lists


def test_a_second_move_may_be_carried_out_afterwards() -> None:
    """second_move: queued."""
    sim = doubtful(second_move="queued")
    move(sim, "SQL01", "HV01", "HV02")
    move(sim, "SQL01", "HV01", "HV03")
    sim.advance_to(120)
    assert [m.target for m in sim.truth_of("SQL01").migrations] == ["HV02", "HV03"]


@pytest.mark.parametrize(("choice", "found"), [("zero", 0), ("absent", None)])
def test_migration_properties_may_not_be_filled(choice: str, found: int | None) -> None:
    """migration_properties."""
    sim = doubtful(migration_properties=choice)
    move(sim, "SQL01", "HV01", "HV02")
    until(sim, Stage.TRANSFER)
    assert private(sim, "SQL01").get("MigrationState") == found


def test_the_limit_may_count_directions_apart() -> None:
    """migration_limit_counts: apart; a node sends one and takes one at once."""
    sim = world(SQL, "name: BACK, node: HV02", more="doubts: {migration_limit_counts: apart}")
    move(sim, "SQL01", "HV01", "HV02")
    move(sim, "BACK", "HV02", "HV01")
    assert {m.stage for m in sim.cluster.migrations.values()} == {Stage.SET_UP}


def test_small_refusals_may_go_the_other_way() -> None:
    """move_to_owner, move_to_paused_node, role_cmdlets_over_winrm, unknown_vm_id, vm_not_found."""
    sim = doubtful(move_to_owner="refused", move_to_paused_node="accepted", unknown_vm_id="empty")
    with pytest.raises(CmdletError):
        move(sim, "SQL01", "HV01", "HV01")
    sim.pause_node("HV02", drain_roles=False)
    move(sim, "SQL01", "HV01", "HV02")
    assert run(sim, "HV01", "Get-ClusterGroup", VMId=sim.new_id()) == []
    with pytest.raises(CmdletError):
        move(doubtful(role_cmdlets_over_winrm="refused"), "SQL01", "HV01", "HV02")
    spelling = "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM"
    with pytest.raises(CmdletError) as missing:
        run(doubtful(vm_not_found=f"'{spelling}'"), "HV02", "Get-VM", Name="SQL01")
    assert (missing.value.fqid, missing.value.category) == (spelling, "ObjectNotFound")


@pytest.mark.parametrize(
    ("choice", "home", "state"),
    [("moved", "HV02", VmState.Running), ("offline", "HV01", VmState.Off)],
)
def test_an_owner_made_impossible(choice: str, home: str, state: VmState) -> None:
    """owner_made_impossible: the role moves, or goes offline; by default it is refused."""
    sim = doubtful(owner_made_impossible=choice)
    sim.set_possible_owners("SQL01", ["HV02"])
    sim.advance_to(60)
    assert (sim.truth_of("SQL01").owner_node, sim.truth_of("SQL01").state) == (home, state)
    with pytest.raises(Refusal):
        world(SQL).set_possible_owners("SQL01", ["HV02"])


def test_a_draining_node_may_look_up_until_it_is_empty() -> None:
    """node_shown_paused: after_drain; the drain status tells."""
    sim = doubtful(node_shown_paused="after_drain")
    sim.pause_node("HV01")
    node = one(sim, "HV02", "Get-ClusterNode", Name="HV01")
    assert (number(node, "State"), number(node, "DrainStatus")) == (0, 1)
    sim.advance_to(60)
    assert sim.node("HV01").state is NodeState.Paused


def test_the_lock_may_outlive_the_backup() -> None:
    """backup_lock_lifted: after_backup."""
    sim = doubtful(backup_lock_lifted="after_backup")
    sim.begin_backup("SQL01")
    sim.end_backup("SQL01")
    assert one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")["LockedFromMoving"] == 1
    sim.advance_to(30)
    assert one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")["LockedFromMoving"] == 0


def test_an_imported_vm_may_have_a_new_id() -> None:
    """id_after_import: new; the role is made anew, too."""
    old = world(SQL)
    assert old.import_again("SQL01") == old.vm("SQL01").id
    sim = doubtful(id_after_import="new")
    before = sim.vm("SQL01").id
    after = sim.import_again("SQL01")
    assert after != before
    assert one(sim, "HV01", "Get-ClusterGroup", VMId=after)["Name"] == "SQL01"


def test_the_owner_may_be_the_old_one_in_failover() -> None:
    """owner_in_failover: old."""
    sim = doubtful(owner_in_failover="old")
    sim.crash_node("HV01")
    sim.advance_to(251)
    group = one(sim, "HV02", "Get-ClusterGroup", Name="SQL01")
    assert (number(group, "State"), owner(group)) == (4, "HV01")


def test_links_of_a_resource_may_be_text() -> None:
    """resource_links: text, as seen on Server 2025."""
    sim = doubtful(resource_links="text")
    resource = one(sim, "HV01", "Get-ClusterResource", Name="Virtual Machine SQL01")
    assert (resource["OwnerGroup"], resource["ResourceType"]) == ("SQL01", "Virtual Machine")


def test_more_processors_than_the_target_may_be_fine() -> None:
    """processors_above_target: accepted."""
    sim = world(
        "name: V, node: HV01, processors: 64", more="doubts: {processorsAboveTarget: accepted}"
    )
    move(sim, "V", "HV01", "HV02")
    sim.advance_to(60)
    assert sim.truth_of("V").owner_node == "HV02"


def test_the_hosts_own_limit_may_be_shown() -> None:
    """host_limit_shown: of_node."""
    sim = world(more="cluster: {migrationsParallelMax: 4}\ndoubts: {hostLimitShown: of_node}")
    assert one(sim, "HV01", "Get-VMHost")["MaximumVirtualMachineMigrations"] == 1


def test_free_text_may_be_german() -> None:
    """resource_status_language: nothing may be decided by it."""
    sim = doubtful(resource_status_language="de")
    move(sim, "SQL01", "HV01", "HV02")
    resource = one(sim, "HV02", "Get-ClusterResource", Name="Virtual Machine SQL01")
    assert str(resource["ResourceSpecificStatus"]).startswith("Livemigration")


@pytest.mark.parametrize(
    ("choice", "seconds", "logged"),
    [("each", 0.4, 20415), ("each", 4.0, 20417), ("long", 0.4, None), ("long", 4.0, 20417),
     ("never", 4.0, None)],
)  # fmt: skip
def test_a_pause_may_be_logged_or_not(choice: str, seconds: float, logged: int | None) -> None:
    """pause_event: at the source, with the VM's name, its id and the seconds."""
    sim = world(
        "name: V, node: HV01",
        more=f"doubts: {{pauseEvent: {choice}}}\ntiming: {{pauseSeconds: {seconds}}}",
    )
    move(sim, "V", "HV01", "HV02")
    sim.advance_to(60)
    events = [(event.node, event.id, event.values[2]) for event in sim.cluster.events]
    assert events == ([("HV01", logged, f"{seconds:g}")] if logged else [])


def test_a_default_folder_may_be_shown_with_a_backslash() -> None:
    """default_folder_shown: two spellings of one folder are one folder."""
    sim = world(more="doubts: {defaultFolderShown: with_backslash}")
    sim.node("HV01").vm_path = "C:\\ClusterStorage\\Volume1\\VMs"
    shown = one(sim, "HV01", "Get-VMHost")["VirtualMachinePath"]
    assert shown == "C:\\ClusterStorage\\Volume1\\VMs\\"


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ("doubts: {moveTypeThresholdUnset: default}", [2000]),
        ("doubts: {moveTypeThresholdUnset: absent}", []),
        ("cluster: {moveTypeThreshold: 1000}\ndoubts: {moveTypeThresholdUnset: absent}", [1000]),
    ],
)
def test_a_threshold_that_nobody_set_may_not_be_there(more: str, shown: list[int]) -> None:
    """move_type_threshold_unset: the parameter of the resource type, or no such parameter."""
    sim = world(more=more)
    (kind,) = run(sim, "HV01", "Get-ClusterResourceType", Name="Virtual Machine")
    rows = run(sim, "HV01", "Get-ClusterParameter", InputObject=kind)
    assert [row.properties["Value"] for row in rows] == shown


@pytest.mark.parametrize(("choice", "shown"), [("number", 4), ("name", "DifferentNode")])
def test_the_type_of_an_affinity_rule_may_be_a_name(choice: str, shown: object) -> None:
    """affinity_rule_type."""
    rule = "{name: apart, type: DifferentNode, roles: [A, B]}"
    sim = world(
        "name: A, node: HV01",
        "name: B, node: HV02",
        more=f"cluster: {{affinityRules: [{rule}]}}\ndoubts: {{affinityRuleType: {choice}}}",
    )
    assert one(sim, "HV01", "Get-ClusterAffinityRule")["RuleType"] == shown


def test_every_doubt_is_played_somewhere() -> None:
    """A switch without a test of its other choice would be decoration."""
    here = __file__
    others = here.replace("doubts", "failover")
    with open(here, encoding="utf-8") as mine, open(others, encoding="utf-8") as theirs:
        text = (mine.read() + theirs.read()).lower().replace("_", "")
    missing = [n for n in Doubts.__dataclass_fields__ if n.replace("_", "") not in text]
    assert missing == []
