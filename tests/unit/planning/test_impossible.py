"""A wish that can't be met is explained by the fewest rules and the cheapest way out."""

from controller.model.observed import NodeState
from controller.model.plan import HoldReason, Verdict
from controller.planning.candidates import candidates
from tests.builders import NOW, desired, desired_state, history, node, observed, vm
from tests.unit.planning.planned import hold, moves, plan_for, verdict


def test_a_node_that_does_not_exist() -> None:
    """The cluster's nodes are named; the rest of the plan goes on."""
    world = observed(node("n1"), node("n2"), vm("a", "n1"), vm("b", "n1"))
    plan = plan_for(world, desired("a", "n9"), desired("b", "n2"))
    assert moves(plan) == ["b n1>n2"]
    assert verdict(plan, "a") is Verdict.IMPOSSIBLE
    assert hold(plan, "a").reason is HoldReason.NODE_UNKNOWN
    (why,) = plan.impossible
    assert (why.vms, why.rules) == (("a",), ("nodeExists",))
    assert "n1, n2" in why.resolution


def test_a_vm_larger_than_the_node() -> None:
    """Memory is the one rule in the way."""
    world = observed(node("n1", total=64), node("n2", total=256), vm("big", "n2", memory=128))
    plan = plan_for(world, desired("big", "n1"))
    assert verdict(plan, "big") is Verdict.IMPOSSIBLE
    assert hold(plan, "big").reason is HoldReason.PREFLIGHT
    (why,) = plan.impossible
    assert why.rules == ("memory",)
    assert "128 GiB is more than the 60 GiB that n1 has" in why.explanation


def test_the_fewest_rules_are_named() -> None:
    """n1 lacks the switch and is too small, n2 lacks the switch only: the switch explains both."""
    world = observed(
        node("n1", total=8, switches=()),
        node("n2", switches=()),
        node("n3"),
        vm("a", "n3", memory=8),
    )
    (why,) = plan_for(world, desired("a", "n1", "n2")).impossible
    assert why.rules == ("switch",)
    assert why.resolution == "create the virtual switch on n2"


def test_vms_that_are_too_many_for_a_node() -> None:
    """Three that may only be on n1, of which two are too many: the smallest such set is named."""
    world = observed(
        node("n1", total=44),
        node("n2"),
        vm("a", "n1", memory=24),
        vm("b", "n2", memory=24),
        vm("c", "n1", memory=2),
    )
    plan = plan_for(world, desired("a", "n1"), desired("b", possible=("n1",)), desired("c", "n1"))
    assert plan.actions == ()
    assert verdict(plan, "b") is Verdict.IMPOSSIBLE
    (why,) = plan.impossible
    assert why.vms == ("a", "b")
    assert why.rules == ("possible: a", "possible: b", "memory")
    assert "8 GiB" in why.resolution


def test_a_node_that_is_away_is_waited_for() -> None:
    """Paused passes by itself: misplaced, not impossible."""
    world = observed(node("n1", state=NodeState.PAUSED), node("n2"), vm("a", "n2"))
    plan = plan_for(world, desired("a", "n1"))
    assert verdict(plan, "a") is Verdict.MISPLACED
    assert hold(plan, "a").reason is HoldReason.TARGET_UNFIT
    assert hold(plan, "a").evidence["found"] == "n1 is Paused"
    assert plan.impossible == ()


def test_candidates_say_of_each_node_why_it_is_or_is_not_fit() -> None:
    """The fit ones first; every rule against each of the others."""
    world = observed(
        node("n1", draining=True),
        node("n2"),
        node("n3", free=6),
        node("n4", switches=()),
        vm("a", "n2"),
    )
    specs = desired_state(desired("a", "n1", "n3", possible=("n1", "n2", "n3")))
    found = candidates(specs, world, history(), NOW, "name:a")
    assert [c.node for c in found] == ["n2", "n1", "n3", "n4"]
    assert [c.rank for c in found] == [None, 0, 1, None]
    assert [[u.name.value for u in c.unfit] for c in found] == [
        [],
        ["targetState"],
        ["memory"],
        ["possible", "switch"],
    ]
    assert found[0].is_owner
    assert candidates(specs, world, history(), NOW, "name:nobody") == ()
