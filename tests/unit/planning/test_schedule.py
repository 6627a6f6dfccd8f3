"""Order, waves, dependencies and time."""

from controller.model.plan import ActionReason, HoldReason
from controller.model.policy import GIB
from tests.builders import desired, desired_state, history, intent, moving, node, observed, vm
from tests.builders import policy as limits
from tests.unit.planning.planned import hold, moves, plan_for


def test_the_first_wave_is_what_may_start_now() -> None:
    """Eight VMs leave n1 with two slots a node: four waves of two."""
    world = observed(
        node("n1"), node("n2"), node("n3"), *(vm(f"v{i}", "n1", memory=2) for i in range(8))
    )
    wants = [desired(f"v{i}", ("n2", "n3")[i % 2]) for i in range(8)]
    specs = desired_state(*wants, policy=limits(moves_per_node_max=2))
    plan = plan_for(world, specs=specs)
    assert sorted(a.wave for a in plan.moves) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(plan.ready()) == 2


def test_a_wave_never_counts_on_what_has_not_left_yet() -> None:
    """In flight, a VM takes its memory on both nodes."""
    world = observed(
        node("n1", total=44), node("n2"), vm("a", "n1", memory=32), vm("b", "n2", memory=32)
    )
    plan = plan_for(world, desired("a", "n2"), desired("b", "n1"))
    first, second = plan.moves
    assert (first.vm, second.vm) == ("a", "b")
    assert second.after == (first.id,)
    assert hold(plan, "b").evidence["node"] == "n1"


def test_memory_on_its_way_in_is_not_there_for_another() -> None:
    """The node measured 20 GiB; 8 of them are spoken for, so 12 less the reserve are left."""
    coming = moving(vm("x", "n1", memory=8), "n2")
    world = observed(node("n1"), node("n2", free=20), coming, vm("a", "n1", memory=12))
    plan = plan_for(world, desired("a", "n2"))
    assert plan.actions == ()
    assert hold(plan, "a").reason is HoldReason.NO_ROOM


def test_room_that_a_move_under_way_will_free_is_waited_for() -> None:
    """Nobody innocent is moved meanwhile, and no hop is made."""
    leaving = moving(vm("a", "n1", memory=32), "n3")
    world = observed(
        node("n1", total=44),
        node("n2"),
        node("n3"),
        leaving,
        vm("b", "n2", memory=32),
        vm("c", "n1", memory=8),
    )
    past = history(intents=(intent("a", "n3", source="n1", hop=True),))
    plan = plan_for(world, desired("a", "n2"), desired("b", "n1"), desired("c"), past=past)
    assert [(a.vm, a.wave) for a in plan.actions] == [("b", 1)]
    assert hold(plan, "b").reason is HoldReason.NO_ROOM_YET


def test_a_small_guest_does_not_take_the_room_that_opens_the_way() -> None:
    """a must enter n1 so that c can follow; if b went first, a hop would be needed."""
    world = observed(
        node("n1", total=30),
        node("n2", total=14),
        node("n3", total=14),
        vm("a", "n2", memory=8),
        vm("b", "n3", memory=8),
        vm("c", "n1", memory=8),
        vm("fixed", "n1", memory=8),
    )
    plan = plan_for(world, desired("a", "n1"), desired("b", "n1"), desired("c", "n2"))
    assert plan.certificate.hops == 0
    assert moves(plan)[0] == "a n2>n1"
    assert len(plan.moves) == 3


def test_after_a_stop_the_way_on_is_part_of_the_same_hop() -> None:
    """The plan after the hop has landed calls the rest a return, so cooldown lets it go."""
    from tests.builders import own_move

    world = observed(node("n1"), node("n2"), node("n3"), vm("a", "n3"))
    past = history(moves=(own_move("a", "n1", "n3", hop=True),))
    (move,) = plan_for(world, desired("a", "n2"), past=past).moves
    assert move.reason is ActionReason.HOP_RETURN
    assert move.is_hop


def test_estimates_rest_on_memory_and_bandwidth() -> None:
    """4 s and a second per GiB: two moves one after the other, and no schedule is shorter."""
    world = observed(node("n1"), node("n2"), vm("a", "n1", memory=6), vm("b", "n1", memory=16))
    specs = desired_state(
        desired("a", "n2"),
        desired("b", "n2"),
        policy=limits(moves_per_node_max=1, bandwidth_bytes_per_second=1.0 * GIB),
    )
    certificate = plan_for(world, specs=specs).certificate
    assert certificate.seconds_estimated == certificate.seconds_lower_bound == 30.0
    assert (certificate.cost_gib, certificate.lower_bound_gib) == (30.0, 30.0)
    assert certificate.proved_optimal
    assert certificate.moves == certificate.moves_lower_bound == 2


def test_a_limit_of_nought_starts_nothing_and_still_plans() -> None:
    """The plan is shown; its first wave is empty."""
    world = observed(node("n1"), node("n2"), vm("a", "n1"))
    for stopped in (limits(moves_per_cluster_max=0), limits(moves_per_node_max=0)):
        plan = plan_for(world, specs=desired_state(desired("a", "n2"), policy=stopped))
        assert plan.ready() == ()
        assert moves(plan) == ["a n1>n2"]
