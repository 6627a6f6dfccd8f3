"""The audit's second look at the brakes that stop everything: whether anything may start at all.

A brake asks only where something would start: a plan with a hold on the whole cluster starts
nothing, whatever else is in it. Figures and rules: docs/guards.md and `model/policy.py`.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.model.checkup import CheckName
from controller.model.control import Approval, Stop, StopScope
from controller.model.desired import VMDesired
from controller.model.history import IntentState
from controller.model.names import fold, same_name
from controller.model.observed import NodeState
from controller.model.plan import Action, ActionKind, AuditFinding
from controller.model.policy import Balancer, Mode
from controller.planning.audit_windows import is_open
from controller.planning.audit_world import World, fault

APPROVAL_LASTS = timedelta(hours=24)
VOTES_THAT_BEAR_A_LOSS = 3


def check_orders(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Nothing starts against a stop, nor on a VM or node that somebody paused."""
    in_force = [s for s in w.history.stops if s.until is None or s.until > now]
    for stop in in_force:
        if stop.scope in (StopScope.CLUSTER, StopScope.EVERYTHING):
            yield from _against(w, "stop", f"{stop.owner} stopped it: {stop.reason}")
    if w.observed.stop_flag is not None:
        yield from _against(w, "stop", f"the cluster's flag is set: {w.observed.stop_flag}")
    for action in w.plan.ready():
        for stop in in_force:
            if _concerns(w, stop, action):
                yield fault("paused", action, f"{stop.owner} paused {stop.name}: {stop.reason}")


def _concerns(w: World, stop: Stop, action: Action) -> bool:
    want, vm = w.wants.get(action.key), w.vms.get(action.vm_id or "")
    match stop.scope:
        case StopScope.VM if action.is_on_node:
            return False
        case StopScope.VM:
            names = [action.vm, action.vm_id]
            names += [want.name, want.spec_name, want.id] if want is not None else []
            names += [vm.name] if vm is not None else []
        case StopScope.NODE:
            names = [action.source, action.target]
            names += [vm.owner, vm.host] if vm is not None else []
        case StopScope.CLUSTER | StopScope.EVERYTHING:
            return False
    return any(name and same_name(name, stop.name) for name in names)


def check_right(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Whoever starts something holds the cluster, knows its past, and has somebody's leave."""
    past, seen, policy = w.history, w.observed, w.desired.policy
    ours = past.epoch is not None and seen.epoch == past.epoch
    ours = ours and same_name(seen.epoch_holder, past.holder)
    others = seen.balancer_mode != 0 or any(node.scvmm_agent for node in seen.nodes)
    balances = policy.balancer is Balancer.REFUSE and others
    jumped = past.clock_jumped_at
    settled_at = jumped + timedelta(seconds=policy.settle_seconds) if jumped else now
    known = past.cluster_id
    faults = (
        (past.superseded, "epoch", "another controller took the cluster over"),
        (bool(past.holder) and not ours, "epoch", f"the cluster shows epoch {seen.epoch}"),
        (not past.trusted, "past", "what was ordered before is not known"),
        (now < settled_at, "clock", "the clock jumped, and one settle has not passed"),
        (
            known is not None and seen.cluster_id not in ("", known),
            "cluster",
            f"it is {seen.cluster_id}, not {known}",
        ),
        (_unfit(w), "fitness", "a check of the nodes failed"),
        (balances, "balancer", f"something else balances, mode {seen.balancer_mode} or SCVMM"),
        (not is_open(policy.windows, now), "window", "no window allows changes now"),
        (_unapproved(w, now), "approval", "nobody approved this plan"),
    )
    for bad, rule, detail in faults:
        if bad:
            yield from _against(w, rule, detail)


def _unfit(w: World) -> bool:
    """Whether a node that is seen failed a check that no other rule here stands for."""
    silent = [node.name for node in w.observed.nodes if not node.answered]
    elsewhere = (CheckName.BALANCER, CheckName.AUTHENTICATION)
    failed = [check.node for check in w.history.unfit if check.name not in elsewhere]
    return any(not any(same_name(node, quiet) for quiet in silent) for node in failed)


def _unapproved(w: World, now: datetime) -> bool:
    """In Suggest the whole plan must have been approved, and none of it given on that before."""
    if w.desired.policy.mode is not Mode.SUGGEST:
        return False
    return not any(
        approval.actions and now < approval.at + APPROVAL_LASTS and _allows(w, approval)
        for approval in w.history.approvals
    )


def _allows(w: World, approval: Approval) -> bool:
    if not approval.given:
        return approval.digest == w.plan.digest
    if approval.revision != w.plan.revision:
        return False
    left = set(approval.actions).difference(approval.given)
    return all(_change(w, action, approval) in left for action in w.plan.actions)


def _change(w: World, action: Action, approval: Approval) -> str:
    """An action as the approval names it: what, of which VM, from where, to where.

    A VM that was made on the same approval was named as new in it.
    """
    made_here = any(
        intent.kind == ActionKind.CREATE
        and intent.key == action.key
        and intent.state is IntentState.DONE
        and intent.opened_at >= approval.at
        and f"Create {action.key} new - {fold(intent.target)}" in approval.given
        for intent in w.history.intents
    )
    bound = w.history.bound.get(action.key)
    is_new = action.vm_id is None or (made_here and bound == action.vm_id)
    vm, source = "new" if is_new else action.vm_id, fold(action.source or "-")
    change = action.change
    what = f" {change.setting}={','.join(change.after)}" if change is not None else ""
    return f"{action.kind} {action.key} {vm} {source} {fold(action.target)}{what}"


def check_sight(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Who acts sees enough, and not of long ago."""
    policy, nodes = w.desired.policy, w.observed.nodes
    age = (now - w.observed.started_at).total_seconds()
    if age < 0 or age > policy.evidence_age_max_seconds:
        yield from _against(w, "evidence", f"what was seen is {age:.0f} s old")
    lost = (NodeState.DOWN, NodeState.UNKNOWN)
    dark = sum(1 for n in nodes if n.state in lost or not n.answered)
    if not nodes or dark > policy.dark_nodes_share_max * len(nodes):
        yield from _against(w, "dark nodes", f"{dark} of {len(nodes)} nodes are not seen")
    if not w.starting:
        return
    wants = w.desired.vms
    unknown = sum(1 for want in wants if _is_lost(w, want))
    if unknown > policy.unknown_vms_share_max * len(wants):
        yield from _against(w, "unknown VMs", f"{unknown} of {len(wants)} VMs are not found")


def _is_lost(w: World, want: VMDesired) -> bool:
    """Nobody knows where it is: not seen by an incomplete look, or seen on no node for sure."""
    if want.suspended or w.history.open_for(want.key) is not None:
        return False
    candidates = w.candidates(want)
    if not candidates:
        everything = w.observed.is_complete and all(n.answered for n in w.observed.nodes)
        return not everything
    vm = candidates[0]
    unfinished = vm.creation_mark is not None and vm.creation_mark.endswith(":creating")
    moves = vm.migration is not None or (vm.role is not None and vm.role.queued)
    if len(candidates) > 1 or w.claims.get(vm.id) != 1 or moves or unfinished:
        return False
    return not same_name(vm.host, vm.owner) or fold(vm.owner or "") not in w.nodes


def check_loss(w: World, now: datetime) -> Iterator[AuditFinding]:
    """With a node away and two votes left, the loss of one more may end the cluster."""
    voters = sum(
        1
        for n in w.observed.nodes
        if n.state in (NodeState.UP, NodeState.PAUSED) and not (n.isolated or n.quarantined)
    )
    if voters < len(w.observed.nodes) and voters < VOTES_THAT_BEAR_A_LOSS:
        yield from _against(w, "quorum", f"{voters} of {len(w.observed.nodes)} nodes vote")


def check_trouble(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Nothing starts on top of unknown outcomes, or of specs that vanished."""
    unknown = [i for i in w.history.open_intents if i.unknown]
    if len(unknown) >= w.desired.policy.unknown_outcomes_max:
        yield from _against(w, "unknown outcomes", f"of {len(unknown)} commands nobody knows")
    # Marks of vanished specs are kept only as long as nobody believes that they are meant to be.
    frozen = {want.key for conflict in w.desired.conflicts for want in conflict.vms}
    gone = w.history.specs.keys() - w.wants.keys() - frozen
    if gone:
        yield from _against(w, "shrink", f"{len(gone)} specs vanished at once")


def _against(w: World, rule: str, detail: str) -> Iterator[AuditFinding]:
    if w.starting:
        yield fault(rule, w.starting[0], detail)
