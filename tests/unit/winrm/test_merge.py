"""Snapshots from what several nodes said at slightly different moments."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from node_replies import AT, equipment, guid, listed, merged, reply, role, view, vm

from controller.model.observed import (
    Gap,
    GapReason,
    Migration,
    MigrationPhase,
    NodeState,
    RoleState,
    VMState,
)

SQL = guid("SQL")


def migration_of(*vms_on: tuple[str, dict[str, Any]], its: dict[str, Any]) -> Migration | None:
    """The migration that shows for SQL when these nodes list it and its role is like this."""
    replies = [
        reply(
            node,
            vms=[seen for at, seen in vms_on if at == node],
            roles=[its] if its["owner"] == node else [],
        )
        for node in ("HV01", "HV02")
    ]
    found = merged(*replies, lists=listed(its)).vm(SQL)
    assert found is not None
    return found.migration


def private(state: int | None, progress: int | None = None) -> dict[str, Any]:
    return {"state": state, "progress": progress, "failureReason": None}


def test_vm_at_rest_has_its_host_its_owner_and_both_resources_owners() -> None:
    """Possible owners are those of both resources, whatever their case and order."""
    its = role("SQL", "HV01", preferredOwners=["HV02", "HV01"], priority=3000, failback=1)
    its["possibleOwners"] = {"machine": ["HV01", "HV02"], "configuration": ["hv02"]}
    seen = merged(reply("HV01", vms=[vm("SQL")], roles=[its]), reply("HV02"), lists=listed(its))
    found = seen.vm(SQL)
    assert found is not None
    assert (found.host, found.owner, found.migration, found.busy) == ("HV01", "HV01", None, None)
    assert found.role is not None
    assert found.role.possible_owners == ("HV02",)
    assert found.role.preferred_owners == ("HV02", "HV01")
    assert (found.role.priority, found.role.failback) == (3000, True)
    assert found.switches == ("Prod",)
    assert seen.is_complete
    assert [(v.path, v.free_bytes) for v in seen.volumes] == [("C:\\ClusterStorage\\Volume1", 40)]


def test_order_of_the_replies_is_of_no_importance() -> None:
    """Threads answer in any order; the snapshot is the same to the byte."""
    replies = (
        reply("HV01", vms=[vm("SQL"), vm("A")], roles=[role("SQL", "HV01"), role("A", "HV01")]),
        reply("HV02", vms=[vm("B")], roles=[role("B", "HV02")]),
        reply("HV03", nodes=[view("HV01"), view("HV02", state=2), view("HV03")]),
    )
    lists = listed(role("SQL", "HV01"), role("B", "HV02"), role("A", "HV01"))
    assert len({repr(merged(*order, lists=lists)) for order in permutations(replies)}) == 1


def test_queued_move_shows_before_anything_moves() -> None:
    """Online on its source with the Queued flag: it will move, and has a slot waiting."""
    its = role("SQL", "HV01", status=4, migration=private(0))
    assert migration_of(("HV01", vm("SQL")), its=its) == Migration(
        phase=MigrationPhase.QUEUED, source="HV01", target=None
    )


@pytest.mark.parametrize(
    ("state", "phase", "progress"),
    [
        (1, MigrationPhase.PREPARING, 40),
        (2, MigrationPhase.TRANSFERRING, 40),
        (3, MigrationPhase.SWITCHING, 40),
        (None, MigrationPhase.UNKNOWN, None),
        (5, MigrationPhase.UNKNOWN, None),
    ],
)
def test_stage_comes_from_the_private_properties(
    state: int | None, phase: MigrationPhase, progress: int | None
) -> None:
    """A state of an earlier migration, or none, is never taken for a stage of this one."""
    its = role("SQL", "HV01", state=4, migration=private(state, 40))
    found = migration_of(("HV01", vm("SQL", status=(2, 32774))), its=its)
    assert found == Migration(phase=phase, source="HV01", target=None, progress_percent=progress)


def test_failed_earlier_migration_is_no_migration() -> None:
    """MigrationState 5 stays until the next move; the VM is at rest."""
    its = role("SQL", "HV01", state=4, migration=private(5, 80))
    assert migration_of(("HV01", vm("SQL")), its=its) is None


def test_vm_listed_on_both_nodes_is_moving_to_the_other() -> None:
    """In flight a VM may show on source and target; it runs on its source."""
    its = role("SQL", "HV01", state=4, migration=private(2, 10))
    found = migration_of(
        ("HV01", vm("SQL", status=(2, 32774))), ("HV02", vm("SQL", status=(2, 32780))), its=its
    )
    assert found is not None
    assert (found.source, found.target) == ("HV01", "HV02")


def test_owner_that_has_switched_before_the_vm_is_the_target() -> None:
    """The role names the target already while Hyper-V still runs the VM on its source."""
    its = role("SQL", "HV02", state=4, migration=private(3, 100))
    found = migration_of(("HV01", vm("SQL")), its=its)
    assert found is not None
    assert (found.phase, found.source, found.target) == (MigrationPhase.SWITCHING, "HV01", "HV02")


def test_owner_and_host_that_differ_at_rest_are_shown_as_they_are() -> None:
    """No migration is made up: whoever plans sees the disagreement and leaves the VM alone."""
    its = role("SQL", "HV02")
    seen = merged(reply("HV01", vms=[vm("SQL")]), reply("HV02", roles=[its]), lists=listed(its)).vm(
        SQL
    )
    assert seen is not None
    assert (seen.host, seen.owner, seen.migration) == ("HV01", "HV02", None)


def test_role_that_changes_its_owner_between_reads_follows_the_list() -> None:
    """Two nodes both called the role theirs, one read after the other; the agreed list decides."""
    old, new = role("SQL", "HV01", priority=1000), role("SQL", "HV02", priority=3000)
    seen = merged(
        reply("HV01", roles=[old]),
        reply("HV02", vms=[vm("SQL")], roles=[new]),
        lists=listed(new),
    ).vm(SQL)
    assert seen is not None
    assert seen.role is not None
    assert (seen.host, seen.owner, seen.role.priority) == ("HV02", "HV02", 3000)


def test_vm_of_a_silent_owner_is_known_by_its_role() -> None:
    """The list names the role, an earlier look knew its VM: it is there, and no more is said."""
    its = role("SQL", "HV02")
    gap = Gap(node="HV02", reason=GapReason.UNREACHABLE, detail="refused")
    seen = merged(
        reply("HV01"), lists=listed(its), gaps=(gap,), vm_of_role={its["id"]: its["vmId"]}
    )
    found = seen.vm(SQL)
    assert found is not None
    assert (found.name, found.host, found.state) == ("SQL", None, VMState.OTHER)
    assert found.owner == "HV02"
    assert found.memory_bytes == 0
    assert seen.gaps == (gap,)


def test_clustered_vm_whose_role_nobody_shows_is_not_taken_for_unclustered() -> None:
    """Registered between two reads: it is busy changing, not waiting to be registered."""
    seen = merged(reply("HV01", vms=[vm("SQL")]), reply("HV02"), lists=listed()).vm(SQL)
    assert seen is not None
    assert seen.role is None
    assert seen.busy == "RoleUnseen"


@pytest.mark.parametrize(
    ("status", "busy"),
    [
        ((2,), None),
        ((2, 11), None),
        ((11, 32774), None),
        ((2, 32776), "BackingUpVirtualMachine"),
        ((32772, 32776), "MergingDisks"),
        ((2, 31999), "Status31999"),
        ((3,), "Degraded"),
    ],
)
def test_work_that_forbids_a_move_has_a_name(status: tuple[int, ...], busy: str | None) -> None:
    """The first status that is neither rest nor migration; a number without a name stays one."""
    seen = merged(reply("HV01", vms=[vm("SQL", status=status, clustered=False)]), reply("HV02"))
    found = seen.vm(SQL)
    assert found is not None
    assert found.busy == busy


@pytest.mark.parametrize(
    ("number", "state"),
    [(2, VMState.RUNNING), (32789, VMState.CRITICAL), (32773, VMState.OTHER), (77, VMState.OTHER)],
)
def test_unknown_vm_states_are_not_guessed(number: int, state: VMState) -> None:
    """A number that nobody knows is a state in which nothing is done."""
    found = merged(reply("HV01", vms=[vm("SQL", state=number)]), reply("HV02")).vm(SQL)
    assert found is not None
    assert found.state is state


def test_media_and_pass_through_disks_are_told_apart() -> None:
    """A physical drive is named as one, and a disk without a file pins its VM."""
    special = vm(
        "SQL",
        equipment=equipment(
            "SQL",
            media=[{"path": "C:\\iso\\a.iso", "type": 1}, {"path": "D:", "type": 2}],
            disks=[{"path": None, "diskNumber": 3, "shared": False}],
        ),
    )
    found = merged(reply("HV01", vms=[special]), reply("HV02")).vm(SQL)
    assert found is not None
    assert found.media_paths == ("C:\\iso\\a.iso", "physical:D:")
    assert found.pass_through
    assert found.disk_paths == ()


def test_nodes_that_contradict_one_another_are_a_gap_and_the_worse_is_taken() -> None:
    """Split or just changing: neither view is evidence that a node takes VMs."""
    seen = merged(
        reply("HV01", nodes=[view("HV01"), view("HV02")]),
        reply("HV02", nodes=[view("HV01", state=1), view("HV02", drain=1, status=4)]),
    )
    assert [(g.node, g.reason) for g in seen.gaps] == [
        ("HV01", GapReason.DISAGREES),
        ("HV02", GapReason.DISAGREES),
    ]
    one, two = seen.nodes
    assert one.state is NodeState.UNKNOWN
    assert (two.state, two.draining) == (NodeState.UP, True)
    assert not one.is_target
    assert not two.is_target


def test_a_failback_is_in_progress_while_one_node_says_so() -> None:
    """Its end reaches the nodes one after the other: no contradiction, and no target yet."""
    seen = merged(
        reply("HV01", nodes=[view("HV01"), view("HV02", failback=1)]),
        reply("HV02", nodes=[view("HV01", failback=None), view("HV02", failback=2)]),
    )
    one, two = seen.nodes
    assert seen.gaps == ()
    assert (one.failback_in_progress, two.failback_in_progress) == (False, True)
    assert one.is_target
    assert not two.is_target


def test_node_that_only_some_list_is_a_gap() -> None:
    """Joining, evicted, or another cluster's: it is not believed until all list it."""
    seen = merged(reply("HV01", nodes=[view("HV01"), view("HV02"), view("HV03")]), reply("HV02"))
    assert "1 nodes do not list it" in next(g.detail for g in seen.gaps if g.node == "HV03")


def test_node_that_is_up_and_did_not_answer_is_always_a_gap() -> None:
    """Even if nobody got round to asking it; one that is down is none."""
    nodes = [view("HV01"), view("HV02"), view("HV03", state=1), view("HV04", state=1, status=1)]
    seen = merged(reply("HV01", nodes=nodes))
    assert [(g.node, g.reason) for g in seen.gaps] == [
        ("HV02", GapReason.UNREACHABLE),
        ("HV04", GapReason.UNREACHABLE),
    ]
    assert [n.answered for n in seen.nodes] == [True, False, False, False]


@pytest.mark.parametrize(("number", "state"), [(0, RoleState.ONLINE), (9, RoleState.UNKNOWN)])
def test_unknown_role_states_are_not_guessed(number: int, state: RoleState) -> None:
    """A role in a state that nobody knows is not online."""
    its = role("SQL", "HV01", state=number)
    found = merged(reply("HV01", vms=[vm("SQL")], roles=[its]), reply("HV02")).vm(SQL)
    assert found is not None
    assert found.role is not None
    assert found.role.state is state


def test_smallest_limit_counts_where_the_cluster_has_none() -> None:
    """Before MaximumParallelMigrations existed, each node's own limit counted."""
    replies = []
    for node, limit in (("HV01", 2), ("HV02", 1)):
        one = reply(node)
        one["cluster"]["migrationsParallelMax"] = None
        one["self"]["hardware"]["migrationsMax"] = limit
        replies.append(one)
    assert merged(*replies).migrations_parallel_max == 1


def test_nobody_answered_is_not_an_empty_cluster() -> None:
    """The nodes of before are there, unknown and silent."""
    gap = Gap(node="HV01", reason=GapReason.UNREACHABLE, detail="x")
    seen = merged(gaps=(gap,))
    assert [(n.name, n.state, n.answered) for n in seen.nodes] == [
        ("HV01", NodeState.UNKNOWN, False),
        ("HV02", NodeState.UNKNOWN, False),
    ]
    assert [g.node for g in seen.gaps] == ["HV01", "HV02"]


CLAIM = {"epoch": 7, "holder": "h7", "stop": None}


def claims(*fences: dict[str, Any], agreed: bool = True, silent: int = 0) -> tuple[object, object]:
    """Epoch and stop flag of what nodes said that give the lists; `silent` others said nothing."""
    nodes = [view(f"HV{n:02}") for n in range(1, len(fences) + silent + 1)]
    lists = listed()
    replies = [
        reply(f"HV{n:02}", nodes=nodes, lists=lists, fence=fence)
        for n, fence in enumerate(fences, 1)
    ]
    seen = merged(*replies, lists=lists if agreed else None)
    assert (seen.epoch is None) == (seen.epoch_holder is None)
    return seen.epoch, seen.stop_flag


def test_two_nodes_that_say_the_same_are_believed_who_holds_the_cluster() -> None:
    """One of them may be cut off and show what was true before; alone it is no evidence."""
    assert claims(CLAIM, CLAIM) == (7, None)
    assert claims(CLAIM, {**CLAIM, "epoch": 6}) == (None, None)
    assert claims(CLAIM, {**CLAIM, "holder": "h8"}) == (None, None)
    assert claims(CLAIM, silent=1) == (None, None)
    assert claims(CLAIM, CLAIM, agreed=False) == (None, None)
    assert claims(CLAIM) == (7, None)


def test_one_node_is_enough_to_see_the_stop_flag() -> None:
    """To stop for nothing harms less than to go on."""
    assert claims(CLAIM, {**CLAIM, "stop": "freeze"}) == (None, "freeze")
    assert claims({**CLAIM, "stop": "freeze"}, silent=3) == (None, "freeze")


def test_what_is_read_seldom_has_the_time_of_its_reading() -> None:
    """A check can't tell by what is too old; what was never read has no time at all."""
    old = vm("SQL", equipment=equipment("SQL", ageSeconds=120))
    unread = vm("WEB", equipment=None)
    seen = merged(reply("HV01", vms=[old, unread]), reply("HV02"))
    sql, web = seen.vm(SQL), seen.vm(guid("WEB"))
    assert sql is not None
    assert web is not None
    assert (sql.equipment_at, web.equipment_at) == (AT - timedelta(minutes=2), None)
    assert web.disk_paths == ()
    node = seen.node("HV01")
    assert node is not None
    assert node.hardware_at == AT
