"""Moves under way count at both of their ends, whatever the cluster shows of them."""

from dataclasses import replace

from controller.model.observed import MigrationPhase, RoleState, VMState
from controller.model.plan import HoldReason
from tests.builders import desired, history, intent, moving, node, observed, policy, vm
from tests.builders import desired_state as specs
from tests.unit.planning.planned import hold, moves, plan_for


def test_our_move_counts_at_its_source_until_it_is_over() -> None:
    """In the switch-over owner and host named the target already; a second move left the source."""
    leaving = vm("sql1", "n2", role_state=RoleState.PENDING)
    leaving = replace(moving(leaving, None, MigrationPhase.SWITCHING), host=None)
    world = observed(node("n1"), node("n2"), node("n3"), leaving, vm("web1", "n1"))
    wants = desired("sql1", "n2"), desired("web1", "n3")
    past = history(intents=(intent("sql1", "n2", source="n1"),))
    one = policy(moves_per_node_max=1, moves_per_cluster_max=4)
    plan = plan_for(world, past=past, specs=specs(*wants, policy=one))
    assert moves(plan) == ["web1 n1>n3"]
    assert plan.ready() == ()
    assert hold(plan, "web1").reason is HoldReason.NODE_LIMIT


def test_an_online_vm_that_its_owner_node_does_not_list_is_under_way() -> None:
    """Simulation seed 2411: a restored journal knew no move, and Hyper-V listed no VM in flight."""
    hidden = replace(vm("sql1", "n1"), host=None, state=VMState.OTHER)
    world = observed(node("n1"), node("n2"), node("n3"), hidden, vm("web1", "n1"))
    one = policy(moves_per_node_max=1, moves_per_cluster_max=4)
    plan = plan_for(world, specs=specs(desired("web1", "n3"), policy=one))
    assert plan.ready() == ()
    assert hold(plan, "web1").reason is HoldReason.NODE_LIMIT


def test_a_role_that_is_offline_and_on_no_node_takes_no_place() -> None:
    """Its configuration is lost: it stays so for weeks, and nothing is to wait for it."""
    lost = vm("sql1", "n1", role_state=RoleState.OFFLINE)
    lost = replace(lost, host=None, state=VMState.OTHER)
    world = observed(node("n1"), node("n2"), node("n3"), lost, vm("web1", "n1"))
    one = policy(moves_per_node_max=1, moves_per_cluster_max=4)
    plan = plan_for(world, specs=specs(desired("web1", "n3"), policy=one))
    assert [a.vm for a in plan.ready()] == ["web1"]
