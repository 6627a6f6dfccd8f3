"""What an approval covers: exactly the approved plan, action by action, and each of them once.

Somebody said yes to one plan on one state of the cluster. Before its first command leaves, that is
a matter of digests: another digest is another plan or another state. With the first command the
state changes by our own doing, so from then on what is left of the plan must be a part of what was
approved. Anything more supersedes the approval, for good: a plan is never continued after a
surprise. A command that was given and refused was a surprise too, so no action goes out twice.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from controller.model.control import Approval
from controller.model.history import History, Intent
from controller.model.names import fold
from controller.model.plan import Action, Hold, HoldReason, Plan
from controller.model.policy import Mode, Policy
from controller.model.report import ClusterReport
from controller.planning.holds import hold_on_cluster

LASTS: Final = timedelta(hours=24)
"""After a day nobody can be held to a yes any more."""


def identity(of: Action | Intent) -> str:
    """What makes two actions, or an action and its intent, the same change."""
    source, target = fold(of.source or "-"), fold(of.target)
    return f"{of.kind} {of.key} {of.vm_id or 'new'} {source} {target}"


def approve(plan: Plan, *, owner: str, reason: str, at: datetime) -> Approval:
    """A yes to this plan."""
    return Approval(
        digest=plan.digest,
        owner=owner,
        reason=reason,
        at=at,
        revision=plan.revision,
        actions=tuple(identity(action) for action in plan.actions),
    )


def covers(approval: Approval, plan: Plan) -> bool:
    """Whether every action of the plan was approved and none of them was given before."""
    if not approval.given:
        return plan.digest == approval.digest
    left = {identity(action) for action in plan.actions}
    return plan.revision == approval.revision and left <= {*approval.actions} - {*approval.given}


def in_force(approval: Approval, plan: Plan, now: datetime) -> bool:
    """Whether it lets this plan go."""
    return bool(approval.actions) and now - approval.at < LASTS and covers(approval, plan)


def suggestion_hold(policy: Policy, history: History, plan: Plan, now: datetime) -> Hold | None:
    """In mode Suggest: hold everything, unless the plan is approved or empty."""
    if policy.mode is not Mode.SUGGEST or not plan.actions:
        return None
    if any(in_force(approval, plan, now) for approval in history.approvals):
        return None
    return hold_on_cluster(HoldReason.SUGGESTED, {"digest": plan.digest})


def note_given(approvals: tuple[Approval, ...], intents: Iterable[Intent]) -> tuple[Approval, ...]:
    """The approvals with every command noted that was given, or perhaps given, since."""
    known = tuple(intents)
    return tuple(_noted(approval, known) for approval in approvals)


def ended(history: History, plan: Plan, now: datetime) -> tuple[Approval, ...]:
    """The approvals that mean nothing any more once this plan was made.

    Those that are a day old, that the plan supersedes, or that are used up: nothing is left to do
    and nothing is under way. That of a brake is for the brake to look at, so only age ends it.
    """
    used_up = not plan.actions and not history.open_intents
    return tuple(
        approval
        for approval in history.approvals
        if now - approval.at >= LASTS
        or (approval.actions and (used_up or not covers(approval, plan)))
    )


def waiting_for_approval(report: ClusterReport) -> tuple[Hold, ...]:
    """The holds that somebody's yes would release, one for each digest."""
    holds = {
        hold.evidence["digest"]: hold
        for hold in (*report.plan.holds, *report.cluster_holds)
        if "digest" in hold.evidence
    }
    return tuple(hold for _, hold in sorted(holds.items()))


def _noted(approval: Approval, intents: Iterable[Intent]) -> Approval:
    given = {identity(i) for i in intents if i.opened_at >= approval.at} & {*approval.actions}
    if given <= {*approval.given}:
        return approval
    return replace(approval, given=tuple(sorted({*approval.given, *given})))
