"""What an approval covers: exactly the approved plan, action by action, and each of them once.

Somebody said yes to one plan on one state of the cluster. Before its first command leaves, that is
a matter of digests: another digest is another plan or another state. With the first command the
state changes by our own doing, so from then on what is left of the plan must be a part of what was
approved. Anything more supersedes the approval, for good: a plan is never continued after a
surprise. A command that was given and refused was a surprise too, so no action goes out twice.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from controller.model.control import Approval
from controller.model.history import History, Intent, IntentState, WaitingPlan
from controller.model.names import fold
from controller.model.plan import Action, ActionKind, Hold, HoldReason, Plan
from controller.model.policy import Mode, Policy
from controller.model.report import ClusterReport
from controller.planning.holds import hold_on_cluster

LASTS: Final = timedelta(hours=24)
"""After a day nobody can be held to a yes any more."""


def identity(of: Action | Intent) -> str:
    """What makes two actions, or an action and its intent, the same change."""
    source, target = fold(of.source or "-"), fold(of.target)
    change = f" {of.change.setting}={','.join(of.change.after)}" if of.change is not None else ""
    return f"{of.kind} {of.key} {of.vm_id or 'new'} {source} {target}{change}"


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


def covers(approval: Approval, plan: Plan, history: History) -> bool:
    """Whether every action of the plan was approved and none of them was given before."""
    if not approval.given:
        return plan.digest == approval.digest
    made = _made_on(approval, history)
    left = {_as_approved(action, made) for action in plan.actions}
    return plan.revision == approval.revision and left <= {*approval.actions} - {*approval.given}


def in_force(approval: Approval, plan: Plan, history: History, now: datetime) -> bool:
    """Whether it lets this plan go."""
    lasts = now - approval.at < LASTS
    return bool(approval.actions) and lasts and covers(approval, plan, history)


def suggestion_hold(policy: Policy, history: History, plan: Plan, now: datetime) -> Hold | None:
    """In mode Suggest: hold everything, unless the plan is approved or empty."""
    waiting = waiting_plan(policy, history, plan, now)
    if waiting is None:
        return None
    evidence = {"digest": waiting.digest, "waiting_since": waiting.since.isoformat()}
    if waiting.supersedes:
        evidence |= {"supersedes": waiting.supersedes, "because": waiting.because}
    return hold_on_cluster(HoldReason.SUGGESTED, evidence)


def waiting_plan(policy: Policy, history: History, plan: Plan, now: datetime) -> WaitingPlan | None:
    """The plan that waits for somebody's yes, to be kept; None where nothing has to wait."""
    if policy.mode is not Mode.SUGGEST or not plan.actions:
        return None
    if any(in_force(approval, plan, history, now) for approval in history.approvals):
        return None
    last = history.waiting
    if last is not None and last.digest == plan.digest:
        return last
    actions = tuple(identity(action) for action in plan.actions)
    fresh = WaitingPlan(digest=plan.digest, revision=plan.revision, since=now, actions=actions)
    yes = next((a for a in reversed(history.approvals) if a.actions), None)
    before = (yes.digest, yes.revision, yes.actions) if yes is not None else None
    if before is None and last is not None:
        before = (last.digest, last.revision, last.actions)
    if before is None:
        return fresh
    digest, revision, done_before = before
    because = "the cluster is not as it was"
    if revision != plan.revision:
        because = "the specs changed"
    elif set(actions) != set(done_before):
        because = "other changes are due"
    return replace(fresh, supersedes=digest, because=because)


def note_given(history: History) -> tuple[Approval, ...]:
    """The approvals with every command noted that was given, or perhaps given, since."""
    return tuple(_noted(approval, history) for approval in history.approvals)


def ended(history: History, plan: Plan, now: datetime) -> tuple[Approval, ...]:
    """The approvals that mean nothing any more once this plan was made.

    Those that are a day old, that the plan supersedes, or that are used up: nothing is left to do
    and nothing is under way. That of a brake is for the brake to look at, so only age ends it.
    """
    nothing_left = not plan.actions and not history.open_intents
    return tuple(
        approval
        for approval in history.approvals
        if now - approval.at >= LASTS
        or (nothing_left and approval.actions and not _is_held(approval, plan))
        or (approval.actions and plan.actions and not covers(approval, plan, history))
    )


def _is_held(approval: Approval, plan: Plan) -> bool:
    """Whether one of its actions may still follow: its VM is held for a while, half-way."""
    left = {*approval.actions} - {*approval.given}
    held = {hold.key for hold in plan.holds if hold.key}
    return bool(approval.given) and any(action.split(" ")[1] in held for action in left)


def waiting_for_approval(report: ClusterReport) -> tuple[Hold, ...]:
    """The holds that somebody's yes would release, one for each digest."""
    holds = {
        hold.evidence["digest"]: hold
        for hold in (*report.plan.holds, *report.cluster_holds)
        if "digest" in hold.evidence
    }
    return tuple(hold for _, hold in sorted(holds.items()))


def _made_on(approval: Approval, history: History) -> Mapping[str, str]:
    """Key -> id of each VM that was created, and seen so, on this approval."""
    return {
        intent.key: history.bound[intent.key]
        for intent in history.intents
        if intent.kind == ActionKind.CREATE and intent.state is IntentState.DONE
        if intent.opened_at >= approval.at and identity(intent) in approval.actions
        if intent.key in history.bound
    }


def _as_approved(of: Action | Intent, made: Mapping[str, str]) -> str:
    """How the approval names it: when it was given, a VM that was made on it had no id yet."""
    is_made = of.vm_id is not None and made.get(of.key) == of.vm_id
    return identity(replace(of, vm_id=None) if is_made else of)


def _noted(approval: Approval, history: History) -> Approval:
    made = _made_on(approval, history)
    since = (i for i in history.intents if i.opened_at >= approval.at)
    given = {_as_approved(i, made) for i in since} & {*approval.actions}
    if given <= {*approval.given}:
        return approval
    return replace(approval, given=tuple(sorted({*approval.given, *given})))
