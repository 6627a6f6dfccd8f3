"""Laws of the planner over random small worlds, judged without it."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.model.history import History
from controller.model.names import fold
from controller.model.observed import ObservedState
from controller.model.plan import Action, HoldReason, Plan
from controller.model.policy import GIB
from controller.planning.audit import audit
from controller.planning.cost import breaks_hard_rules
from controller.planning.make_plan import make_plan
from tests.builders import NOW, history
from tests.properties.worlds import World, cheapest, cost_of, moved, worlds

SHARE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan_for(world: World, past: History | None = None) -> Plan:
    """The plan of that world."""
    return make_plan(world.desired, world.observed, past or history(), NOW)


def has_locked_knot(plan: Plan) -> bool:
    """Whether the plan names full nodes that can't swap for want of a third."""
    return any(hold.reason is HoldReason.NO_HOP for hold in plan.holds)


def check_least_cost(world: World) -> None:
    """The plan ends at the least cost of all ends, unless a full knot can't be opened."""
    plan = plan_for(world)
    least = cheapest(world)
    if has_locked_knot(plan):
        assert cost_of(world, plan) >= least
    else:
        assert cost_of(world, plan) == least


@given(worlds())
@SHARE
def test_the_plan_costs_no_more_than_it_must(world: World) -> None:
    """Brute force over every end, with the same formula, finds nothing cheaper."""
    check_least_cost(world)


@pytest.mark.campaign
@given(worlds())
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_plan_costs_no_more_than_it_must_at_length(world: World) -> None:
    """The same over the full count of worlds."""
    check_least_cost(world)
