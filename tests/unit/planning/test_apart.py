"""VMs of one anti-affinity class are kept apart at every instant, where the cluster enforces it."""

import random

import pytest

from controller.model.observed import AffinityKind, AffinityRule
from controller.model.plan import HoldReason
from tests.builders import desired, history, intent, node, observed, vm
from tests.unit.planning.planned import hold, moves, plan_for

CLASS = {"anti_affinity": ("App",)}
FOLDED = {"anti_affinity": ("app", "Other")}


def test_two_bound_for_one_empty_node_go_one_after_the_other():
    """The second waits, and says for whom; it is no move of this plan."""
    world = observed(
        *map(node, ("n1", "n2", "n3")),
        vm("a", "n1", role_changes=CLASS),
        vm("b", "n2", role_changes=FOLDED),
        anti_affinity_enforced=True,
    )
    plan = plan_for(world, desired("a", "n3"), desired("b", "n3"))
    assert moves(plan) == ["a n1>n3"]
    assert hold(plan, "b").reason is HoldReason.TARGET_UNFIT
    assert "class app goes to n3" in hold(plan, "b").evidence["found"]


def test_where_classes_are_not_enforced_both_go():
    """A soft class is the cluster's own wish at failovers, and no rule of ours."""
    world = observed(
        *map(node, ("n1", "n2", "n3")),
        vm("a", "n1", role_changes=CLASS),
        vm("b", "n2", role_changes=CLASS),
    )
    plan = plan_for(world, desired("a", "n3"), desired("b", "n3"))
    assert sorted(moves(plan)) == ["a n1>n3", "b n2>n3"]


def test_an_affinity_rule_keeps_apart_what_the_plan_would_bring_together():
    """DifferentNode binds like an enforced class, and names the rule."""
    rule = AffinityRule(name="DCs", kind=AffinityKind.DIFFERENT_NODE, roles=("A", "b"))
    world = observed(
        *map(node, ("n1", "n2", "n3")), vm("a", "n1"), vm("b", "n2"), affinity_rules=(rule,)
    )
    plan = plan_for(world, desired("a", "n3"), desired("b", "n3"))
    assert moves(plan) == ["a n1>n3"]
    assert "affinity rule dcs" in hold(plan, "b").evidence["found"]


@pytest.mark.parametrize("roles", [("a", "b"), ("a",)])
def test_a_vm_that_takes_others_along_is_not_moved(roles: tuple[str, ...]):
    """A rule that keeps roles together moves all of them with one; of one role it binds nobody."""
    rule = AffinityRule(name="Shop", kind=AffinityKind.SAME_NODE, roles=roles)
    world = observed(*map(node, ("n1", "n2")), vm("a", "n1"), vm("b", "n1"), affinity_rules=(rule,))
    plan = plan_for(world, desired("a", "n2"))
    assert moves(plan) == ([] if len(roles) > 1 else ["a n1>n2"])


def test_a_vm_does_not_stop_on_its_way_where_one_of_its_class_goes():
    """A swap of full nodes hops over n3, and c is bound for n3: only b, of no class, may hop."""
    world = observed(
        node("n1", total=64),
        node("n2", total=64),
        node("n3", total=128),
        node("n4", total=64),
        vm("a", "n1", memory=58, role_changes=CLASS),
        vm("b", "n2", memory=58),
        vm("c", "n4", memory=4, role_changes=CLASS),
        anti_affinity_enforced=True,
    )
    plan = plan_for(world, desired("a", "n2"), desired("b", "n1"), desired("c", "n3"))
    going = moves(plan)
    assert not {"a n1>n3", "c n4>n3"} <= set(going)
    assert going


def test_what_may_be_on_its_way_counts_before_it_is_seen():
    """The command for a was sent to n3 and no snapshot shows it yet."""
    world = observed(
        *map(node, ("n1", "n2", "n3")),
        vm("a", "n1", role_changes=CLASS),
        vm("b", "n2", role_changes=CLASS),
        anti_affinity_enforced=True,
    )
    past = history(intents=(intent("a", "n3", source="n1"),))
    plan = plan_for(world, desired("a", "n3"), desired("b", "n3"), past=past)
    assert moves(plan) == []
    assert hold(plan, "b").reason is HoldReason.TARGET_UNFIT


@pytest.mark.parametrize("seed", range(30))
def test_no_plan_of_a_random_world_is_found_wrong(seed: int):
    """Classes, full nodes, hops and evictions mixed: the audit, which knows the rule itself, agrees
    with every plan."""
    chance = random.Random(seed)
    names = [f"n{i}" for i in range(1, 5)]
    vms = [
        vm(
            f"v{i}",
            chance.choice(names),
            memory=chance.choice((4, 20, 40)),
            role_changes=chance.choice((CLASS, FOLDED, {"anti_affinity": ()})),
        )
        for i in range(chance.randint(3, 8))
    ]
    wants = [
        desired(seen.name, *chance.sample(names, 2), **_possible(chance, names)) for seen in vms
    ]
    world = observed(*(node(n, total=96) for n in names), *vms, anti_affinity_enforced=True)
    plan_for(world, *wants)


def _possible(chance: random.Random, names: list[str]) -> dict[str, tuple[str, ...]]:
    return {"possible": tuple(chance.sample(names, 3))} if chance.random() < 0.4 else {}
