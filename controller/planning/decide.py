"""Plan, have it judged, and say whether it may be acted on."""

from dataclasses import replace
from datetime import datetime

from controller.model.desired import DesiredState
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import AuditFinding, HoldReason, Plan
from controller.model.policy import Mode
from controller.planning.approvals import suggestion_hold
from controller.planning.audit import audit
from controller.planning.holds import hold_on_cluster
from controller.planning.make_plan import make_plan


def decide(
    desired: DesiredState, observed: ObservedState, history: History, now: datetime
) -> tuple[Plan, tuple[AuditFinding, ...]]:
    """Make the plan and audit it; a finding or a missing approval holds the whole cluster."""
    plan = make_plan(desired, observed, history, now)
    findings = audit(plan, desired, observed, history, now)
    if findings:
        evidence = {"findings": str(len(findings)), "first": findings[0].detail}
        veto = hold_on_cluster(HoldReason.AUDIT_VETO, evidence)
        plan = replace(plan, holds=(veto, *plan.holds))
    waits = suggestion_hold(desired.policy, history, plan, now)
    if waits is not None:
        plan = replace(plan, holds=(waits, *plan.holds))
    return plan, findings


def may_act(
    desired: DesiredState,
    history: History,
    findings: tuple[AuditFinding, ...],
    plan: Plan,
) -> bool:
    """Whether commands may leave: not Observe, a past to trust, no veto, no hold on all."""
    return (
        desired.policy.mode is not Mode.OBSERVE
        and history.trusted
        and not findings
        and not any(hold.key == "" for hold in plan.holds)
    )
