"""Who holds the cluster, by what its database shows: at any time one controller may act.

A process claims once, with an epoch above all that it knows of, under a name of its own. It acts
only while the cluster shows just that; a newer claim, or an equal one in another's name, ends its
acting for as long as it lives. So two controllers never take turns: the later one wins.

An epoch below ours under another name means that our claim has not arrived, was broken off or is
gone with a restored database: then it is claimed again, above all others.
"""

from controller.model.control import Fence
from controller.model.history import History
from controller.model.names import same_name
from controller.model.observed import ObservedState


def shows_ours(history: History, observed: ObservedState) -> bool:
    """Whether the cluster shows the claim of this process."""
    return (
        history.epoch is not None
        and observed.epoch == history.epoch
        and same_name(observed.epoch_holder, history.holder)
    )


def is_superseded(history: History, observed: ObservedState) -> bool:
    """Whether somebody claimed after us, or was quicker with the same epoch."""
    if history.epoch is None or observed.epoch is None:
        return False
    return observed.epoch >= history.epoch and not shows_ours(history, observed)


def next_fence(history: History, observed: ObservedState) -> Fence:
    """The claim to make: above what the cluster shows, and above what we claimed before."""
    return Fence(epoch=max(observed.epoch or 0, history.epoch or 0) + 1, holder=history.holder)


def shown(observed: ObservedState) -> str:
    """What the cluster shows, for people."""
    if observed.epoch is None:
        return "none"
    return f"{observed.epoch} of {observed.epoch_holder or 'nobody'}"
