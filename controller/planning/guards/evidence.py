"""Guards that ask whether what was seen is enough to act on."""

from collections.abc import Sequence
from datetime import timedelta

from controller.model.desired import VMDesired
from controller.model.names import fold
from controller.model.observed import NodeState
from controller.model.plan import ActionKind, Hold, HoldReason, Verdict
from controller.planning.holds import hold_on, hold_on_cluster
from controller.planning.standing import Case
from controller.planning.view import View


def cluster_changed(view: View, cases: Sequence[Case]) -> Hold | None:
    """Another cluster answers under this name: nothing known of the first holds there."""
    known, found = view.history.cluster_id, view.observed.cluster_id
    if known is None or found in ("", known):
        return None
    return hold_on_cluster(HoldReason.CLUSTER_CHANGED, {"known": known, "found": found})


def evidence_old(view: View, cases: Sequence[Case]) -> Hold | None:
    """What was seen may be of another world by now."""
    age = (view.now - view.observed.started_at).total_seconds()
    limit = view.desired.policy.evidence_age_max_seconds
    # A negative age is a clock that was set back: then nothing has a known age.
    if 0 <= age <= limit:
        return None
    evidence = {"age_seconds": f"{age:.0f}", "age_max_seconds": f"{limit:.0f}"}
    return hold_on_cluster(HoldReason.EVIDENCE_OLD, evidence)


def clock_jumped(view: View, cases: Sequence[Case]) -> Hold | None:
    """One full settle of looks comes first, as after a start without a past."""
    jumped = view.history.clock_jumped_at
    if jumped is None:
        return None
    until = jumped + timedelta(seconds=view.desired.policy.settle_seconds)
    if view.now >= until:
        return None
    return hold_on_cluster(HoldReason.CLOCK_JUMPED, {"jumped_at": jumped.isoformat()}, until)


def nodes_dark(view: View, cases: Sequence[Case]) -> Hold | None:
    """Too much of the cluster is not seen."""
    unseen = (NodeState.DOWN, NodeState.UNKNOWN)
    dark = [n.name for n in view.nodes.values() if not n.answered or n.state in unseen]
    share = view.desired.policy.dark_nodes_share_max
    if view.nodes and len(dark) <= share * len(view.nodes):
        return None
    evidence = {"dark": ", ".join(dark), "nodes": str(len(view.nodes)), "share_max": f"{share:g}"}
    return hold_on_cluster(HoldReason.NODES_DARK, evidence)


def too_many_unknown(view: View, cases: Sequence[Case]) -> Hold | None:
    """Too many VMs are somewhere that is not known."""
    unknown = [c.want.title for c in cases if c.verdict is Verdict.UNKNOWN or _is_unseen(view, c)]
    share = view.desired.policy.unknown_vms_share_max
    if len(unknown) <= share * len(cases):
        return None
    evidence = {
        "unknown": ", ".join(unknown[:10]),
        "unknown_vms": str(len(unknown)),
        "vms": str(len(cases)),
        "share_max": f"{share:g}",
    }
    return hold_on_cluster(HoldReason.TOO_MANY_UNKNOWN, evidence)


def _is_unseen(view: View, case: Case) -> bool:
    """Whether a command of ours is open on it, and who should list it does not answer."""
    if case.seen is None or case.seen.host is not None:
        return False
    if case.want.key not in view.open_intents:
        return False
    owner = view.nodes.get(fold(case.seen.owner or ""))
    return owner is None or not owner.answered


def first_cycles(view: View, cases: Sequence[Case]) -> Hold | None:
    """Without a journal to trust, a former life's commands may still be under way."""
    if view.history.trusted:
        return None
    needed = view.desired.policy.complete_cycles_before_acting
    evidence = {"quiet_looks": str(view.history.quiet_cycles), "looks_needed": str(needed)}
    return hold_on_cluster(HoldReason.FIRST_CYCLES, evidence)


def absence_unconfirmed(view: View, want: VMDesired) -> Hold | None:
    """Creation waits until a second look at the whole cluster shows no such VM."""
    looks = view.history.absent_cycles.get(want.key, 0)
    needed = view.desired.policy.complete_cycles_before_acting
    if looks >= needed and view.sees_all:
        return None
    return hold_on(
        want,
        HoldReason.ABSENCE_UNCONFIRMED,
        action=ActionKind.CREATE,
        looks=str(looks),
        looks_needed=str(needed),
    )
