"""Where a VM belongs: verdict and due work for every place, enforcement and failback."""

import pytest

from controller.model.desired import Failback
from controller.model.observed import NodeState
from controller.model.plan import ActionReason, HoldReason, Verdict
from tests.builders import NEVER, desired, node, observed, vm
from tests.unit.planning.planned import action, hold, moves, plan_for, verdict

WHEN, NEVER_BACK = Failback.WHEN_AVAILABLE, Failback.NEVER


@pytest.mark.parametrize(
    ("place", "required", "failback", "due"),
    [
        ("first", True, WHEN, None),
        ("first", False, NEVER_BACK, None),
        ("second", True, WHEN, ActionReason.EARLIER_PREFERRED_FREE),
        ("second", False, WHEN, ActionReason.EARLIER_PREFERRED_FREE),
        ("second", True, NEVER_BACK, None),
        ("second", False, NEVER_BACK, None),
        ("other", True, WHEN, ActionReason.NOT_ON_PREFERRED),
        ("other", True, NEVER_BACK, ActionReason.NOT_ON_PREFERRED),
        ("other", False, WHEN, ActionReason.NOT_ON_PREFERRED),
        ("other", False, NEVER_BACK, None),
        ("outside", True, WHEN, ActionReason.OUTSIDE_POSSIBLE),
        ("outside", False, NEVER_BACK, ActionReason.OUTSIDE_POSSIBLE),
    ],
)
def test_a_vm_belongs_where_the_table_says(
    place: str, required: bool, failback: Failback, due: ActionReason | None
) -> None:
    """Each row of the design's table, with room everywhere."""
    world = observed(*(node(n) for n in ("first", "second", "other", "outside")), vm("a", place))
    want = desired(
        "a",
        "first",
        "second",
        possible=("first", "second", "other"),
        required=required,
        failback=failback,
    )
    plan = plan_for(world, want)
    if due is None:
        assert plan.actions == ()
        assert verdict(plan, "a") is Verdict.SETTLED
    else:
        assert moves(plan) == [f"a {place}>first"]
        assert action(plan, "a").reason is due
        assert verdict(plan, "a") is Verdict.MISPLACED


def test_without_preferred_owners_anywhere_possible_is_right() -> None:
    """An emptier node is no reason to move: this is not a load balancer."""
    world = observed(node("n1", total=20), node("n2"), vm("a", "n1", memory=16))
    plan = plan_for(world, desired("a"))
    assert plan.actions == ()
    assert plan.standings[0].declared is None


def test_a_later_choice_is_settled_while_the_earlier_one_is_full() -> None:
    """Full with VMs that are right where they are: nobody is moved for a mere preference."""
    world = observed(
        node("n1", total=20), node("n2"), vm("a", "n2", memory=16), vm("b", "n1", memory=16)
    )
    plan = plan_for(world, desired("a", "n1", "n2"), desired("b"))
    assert plan.actions == ()
    assert verdict(plan, "a") is Verdict.SETTLED


def test_a_hard_rule_makes_room_by_the_cheapest_move() -> None:
    """b and c are right where they are; the smaller one that is enough makes way for a."""
    world = observed(
        node("n1", total=44),
        node("n2"),
        vm("a", "n2", memory=16),
        vm("b", "n1", memory=24),
        vm("c", "n1", memory=16),
    )
    plan = plan_for(world, desired("a", possible=("n1",)), desired("b"), desired("c"))
    assert moves(plan) == ["c n1>n2", "a n2>n1"]
    room = action(plan, "c")
    assert room.reason is ActionReason.MAKES_ROOM
    assert room.because_of == "a"
    assert action(plan, "a").after == (room.id,)
    assert hold(plan, "a").reason is HoldReason.NO_ROOM_YET


def test_a_vm_of_no_spec_is_never_touched() -> None:
    """Even if a hard rule would need its room."""
    world = observed(node("n1", total=20), node("n2"), vm("a", "n2"), vm("x", "n1", memory=16))
    plan = plan_for(world, desired("a", "n1"))
    assert plan.actions == ()
    assert hold(plan, "a").reason is HoldReason.NO_ROOM


def test_an_overfull_node_loses_nobody() -> None:
    """Capacity restricts where a VM may go; it never moves one away."""
    world = observed(node("n1", total=20, free=0), node("n2"), vm("a", "n1", memory=16))
    assert plan_for(world, desired("a", "n1")).actions == ()


def test_the_second_choice_is_taken_when_the_first_takes_nobody() -> None:
    """Paused, draining or full: the next preferred owner that can take the VM is its node."""
    for first in (
        node("n1", state=NodeState.PAUSED),
        node("n1", draining=True),
        node("n1", isolated=True),
        node("n1", quarantined=True),
        node("n1", placement_avoided=True),
        node("n1", free=4),
        node("n1", switches=()),
    ):
        world = observed(first, node("n2"), node("n3"), vm("a", "n3"))
        plan = plan_for(world, desired("a", "n1", "n2"))
        assert moves(plan) == ["a n3>n2"]
        assert plan.standings[0].declared == "n2"


def test_the_clusters_own_possible_owners_count() -> None:
    """A node that the cluster does not allow is no target, whatever the spec prefers."""
    roles = {"possible_owners": ("N2", "N3")}
    world = observed(node("N1"), node("N2"), node("N3"), vm("a", "N3", role_changes=roles))
    assert moves(plan_for(world, desired("a", "n1", "n2"))) == ["a N3>N2"]


def test_names_are_compared_without_regard_to_case() -> None:
    """HV01 and hv01 are one node, SQL01 and sql01 one VM; the cluster's spelling is shown."""
    world = observed(node("HV01"), node("HV02"), vm("SQL01", "hv02"))
    plan = plan_for(world, desired("sql01", "hv01"))
    assert moves(plan) == ["sql01 HV02>HV01"]
    assert plan.standings[0].declared == "HV01"


def test_a_tie_goes_to_the_roomiest_node_then_to_the_first_name() -> None:
    """All guests of n1 went to the same target, once."""
    world = observed(
        node("n1"), node("n2"), node("n3"), node("n4"), *(vm(f"v{i}", "n1") for i in range(3))
    )
    wants = [desired(f"v{i}", possible=("n2", "n3", "n4")) for i in range(3)]
    assert {a.target for a in plan_for(world, *wants).moves} == {"n2", "n3", "n4"}


def test_migration_never_is_obeyed() -> None:
    """The VM is misplaced and says why it stays."""
    world = observed(node("n1"), node("n2"), vm("a", "n2"))
    plan = plan_for(world, desired("a", "n1", migration=NEVER))
    assert plan.actions == ()
    assert hold(plan, "a").reason is HoldReason.MIGRATION_NEVER
    assert hold(plan, "a").target == "n1"
