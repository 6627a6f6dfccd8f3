"""What actions and holds mean, in words that a person can read aloud."""

from typing import assert_never

from controller.model.plan import Action, ActionReason, Hold, HoldReason
from controller.model.policy import GIB

_HOLDS: dict[HoldReason, str] = {
    HoldReason.EVIDENCE_OLD: "what was seen is too old to act on",
    HoldReason.TOO_MANY_UNKNOWN: "too many VMs are unknown",
    HoldReason.NODES_DARK: "too many nodes do not answer",
    HoldReason.FIRST_CYCLES: "only watching until it is sure that nothing is under way",
    HoldReason.JOURNAL_BROKEN: "the journal can't be written",
    HoldReason.AUDIT_VETO: "the audit refused the plan",
    HoldReason.BALANCER_ON: "the cluster's own balancer is on",
    HoldReason.NOT_A_SIMULATOR: "this release acts on simulated nodes only",
    HoldReason.VIEW_INCOMPLETE: "not seen, and it may be where nobody answers",
    HoldReason.OWNER_DISAGREES: "the cluster and Hyper-V name different nodes",
    HoldReason.OUTCOME_OPEN: "the effect of the last command is not seen yet",
    HoldReason.MIGRATION_UNDER_WAY: "a migration is under way",
    HoldReason.NOT_RUNNING: "it does not run",
    HoldReason.LOCKED: "it is locked in the cluster",
    HoldReason.BUSY: "it is busy with something else",
    HoldReason.FOREIGN_MOVE: "somebody else moved it, which is respected for a while",
    HoldReason.COOLDOWN: "it was moved a short while ago",
    HoldReason.MIGRATION_NEVER: "its spec says that it is never moved",
    HoldReason.SUSPENDED: "its spec is suspended",
    HoldReason.SPEC_CONFLICT: "several specs name it",
    HoldReason.NAME_AMBIGUOUS: "several VMs bear its name",
    HoldReason.NAME_TAKEN_BY_ANOTHER: "another VM now bears its name",
    HoldReason.NO_TEMPLATE: "it does not exist, and its spec has no template",
    HoldReason.HALF_CREATED: "its creation stopped halfway",
    HoldReason.ABSENCE_UNCONFIRMED: "a second complete look must confirm that it is absent",
    HoldReason.NOT_CLUSTERED: "it is not a role of the cluster",
    HoldReason.HA_BLOCKED: "a check for high availability fails",
    HoldReason.ROLE_NOT_ONLINE: "its role is not online",
    HoldReason.NODE_LIMIT: "as many migrations as a node may have are under way",
    HoldReason.CLUSTER_LIMIT: "as many migrations as the cluster may have are under way",
    HoldReason.TARGET_UNFIT: "no node where it belongs can take it",
    HoldReason.NO_ROOM: "there is no room where it belongs",
    HoldReason.NO_ROOM_YET: "room comes when other moves are done",
    HoldReason.NO_HOP: "full nodes must swap, and no node has room for a stop on the way",
    HoldReason.NODE_UNKNOWN: "its spec names a node that the cluster does not have",
    HoldReason.RULES_CONFLICT: "its rules contradict one another",
}


def why(action: Action) -> str:
    """Why the action is due."""
    match action.reason:
        case ActionReason.NOT_ON_PREFERRED:
            return f"{action.source} is not among its preferred nodes"
        case ActionReason.EARLIER_PREFERRED_FREE:
            return f"{action.target} is an earlier choice and can take it"
        case ActionReason.OUTSIDE_POSSIBLE:
            return f"it must not run on {action.source}"
        case ActionReason.MAKES_ROOM:
            return f"makes room for {action.because_of}"
        case ActionReason.HOP:
            return f"stops over, so that {action.because_of} can move first"
        case ActionReason.HOP_RETURN:
            return "goes on from its stop-over"
        case ActionReason.NOT_HIGHLY_AVAILABLE:
            return "it is not highly available yet"
        case ActionReason.ABSENT:
            return "it does not exist yet"
        case ActionReason.CREATED_BY_US:
            return "it was created by us and never started"
        case ActionReason.REGISTERED_BY_US:
            return "it was registered by us and its role is offline"
        case _:
            assert_never(action.reason)


def why_not(hold: Hold) -> str:
    """Why a due change waits, with what that rests on and when it ends."""
    evidence = ", ".join(_fact(name, value) for name, value in sorted(hold.evidence.items()))
    until = f", until {hold.until:%H:%M:%S} UTC" if hold.until is not None else ""
    return f"{_HOLDS[hold.reason]}{f' ({evidence})' if evidence else ''}{until}"


def _fact(name: str, value: str) -> str:
    """`room 3.6 GiB` for `room_bytes 3865470566`."""
    if name.endswith("_bytes") and value.isdigit():
        return f"{name.removesuffix('_bytes').replace('_', ' ')} {int(value) / GIB:.1f} GiB"
    return f"{name.replace('_', ' ')} {value}"
