"""A shorter way to plan a small world in these tests."""

from datetime import datetime

from controller.model.desired import DesiredState, VMDesired
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import Action, ActionKind, Hold, Plan, Verdict
from controller.planning.decide import decide
from tests.builders import NOW, desired_state, history


def plan_for(
    world: ObservedState,
    *wants: VMDesired,
    past: History | None = None,
    specs: DesiredState | None = None,
    now: datetime = NOW,
) -> Plan:
    """The plan, which the audit must accept."""
    plan, findings = decide(specs or desired_state(*wants), world, past or history(), now)
    assert findings == ()
    return plan


def moves(plan: Plan) -> list[str]:
    """Each move as `vm source>target`, in order."""
    return [f"{a.vm} {a.source}>{a.target}" for a in plan.moves]


def kinds(plan: Plan) -> list[ActionKind]:
    """The kinds of the actions, in order."""
    return [action.kind for action in plan.actions]


def verdict(plan: Plan, name: str) -> Verdict:
    """The verdict of the VM of that name."""
    return next(s.verdict for s in plan.standings if s.vm == name)


def hold(plan: Plan, name: str) -> Hold:
    """The hold on the VM of that name."""
    return next(h for h in plan.holds if h.vm == name)


def action(plan: Plan, name: str) -> Action:
    """The first action on the VM of that name."""
    return next(a for a in plan.actions if a.vm == name)
