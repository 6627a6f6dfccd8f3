"""Guards that ask the cluster database whether this controller may act at all.

The nodes ask again in front of each change (docs/protocol.md: notStopped, epochCurrent): here the
same is known before anything is sent, and said.
"""

from collections.abc import Sequence

from controller.model.plan import Hold, HoldReason
from controller.model.policy import Mode
from controller.planning.fencing import shown, shows_ours
from controller.planning.holds import hold_on_cluster
from controller.planning.standing import Case
from controller.planning.view import View


def stop_flag(view: View, cases: Sequence[Case]) -> Hold | None:
    """An administrator set the stop flag in the cluster itself, and takes it away again."""
    if view.observed.stop_flag is None:
        return None
    evidence = {
        "owner": "an administrator of the cluster",
        "reason": view.observed.stop_flag,
        "source": "ClusterFlag",
    }
    return hold_on_cluster(HoldReason.STOPPED, evidence)


def superseded(view: View, cases: Sequence[Case]) -> Hold | None:
    """Another controller took the cluster over: only a restart claims it back."""
    if not view.history.superseded:
        return None
    return hold_on_cluster(HoldReason.SUPERSEDED, {"epoch_own": str(view.history.epoch)})


def epoch_not_claimed(view: View, cases: Sequence[Case]) -> Hold | None:
    """The cluster does not show our claim (yet), or two nodes do not agree on what it shows."""
    history = view.history
    # Without a holder nobody would ever claim: a plan that is only looked at, by no controller.
    if view.desired.policy.mode is Mode.OBSERVE or not history.holder or history.superseded:
        return None
    if shows_ours(history, view.observed):
        return None
    own = "none" if history.epoch is None else str(history.epoch)
    evidence = {"epoch_own": own, "epoch_shown": shown(view.observed)}
    return hold_on_cluster(HoldReason.EPOCH_NOT_CLAIMED, evidence)
