"""Plan, have it judged, and say whether it may be acted on."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from controller.model.control import Fence
from controller.model.desired import DesiredState
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import ActionKind, AuditFinding, HoldReason, Plan
from controller.model.policy import Mode
from controller.planning.absorb import absorb
from controller.planning.approvals import suggestion_hold
from controller.planning.audit import audit
from controller.planning.fencing import next_fence, shows_ours
from controller.planning.guards import cluster_holds
from controller.planning.holds import hold_on_cluster
from controller.planning.make_plan import make_plan
from controller.planning.standing import classify
from controller.planning.view import look

_RUNS_AS_A_JOB: Final = frozenset({ActionKind.CREATE, ActionKind.REGISTER})


def decide(
    desired: DesiredState, observed: ObservedState, history: History, now: datetime
) -> tuple[Plan, tuple[AuditFinding, ...]]:
    """Make the plan and audit it; a finding or a missing approval holds the whole cluster."""
    plan = make_plan(desired, observed, history, now)
    waits = suggestion_hold(desired.policy, history, plan, now)
    if waits is not None:
        plan = replace(plan, holds=(waits, *plan.holds))
    findings = audit(plan, desired, observed, history, now)
    if findings:
        evidence = {"findings": str(len(findings)), "first": findings[0].detail}
        veto = hold_on_cluster(HoldReason.AUDIT_VETO, evidence)
        plan = replace(plan, holds=(veto, *plan.holds))
    return plan, findings


def claim_due(
    past: History, desired: DesiredState, observed: ObservedState, now: datetime
) -> Fence | None:
    """The claim to make now: where all is seen, and acting waits for nothing but a claim.

    Never in mode Observe, in which nothing is ever written to the cluster.
    """
    quick = desired.policy.mode is Mode.OBSERVE or not observed.is_complete
    if quick or shows_ours(past, observed):
        return None
    history = absorb(past, desired, observed, now)
    # Of a former life, perhaps: its job may still run, and a newer epoch would break it off.
    if any(intent.kind in _RUNS_AS_A_JOB for intent in history.open_intents):
        return None
    view = look(desired, observed, history, now)
    holds = cluster_holds(view, tuple(classify(view, want) for want in desired.vms))
    if not history.trusted or {h.reason for h in holds} != {HoldReason.EPOCH_NOT_CLAIMED}:
        return None
    return next_fence(history, observed)


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
