"""Guards that ask whether a node can be suspended, resumed, or given other default folders."""

from controller.model.names import fold, same_name
from controller.model.observed import NodeObserved, NodeState
from controller.model.plan import ActionKind, Hold, HoldReason
from controller.planning.guards import capacity, pace
from controller.planning.holds import Declared, hold_on
from controller.planning.view import View


def paused_by_others(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """Who paused or drains it is at work there: it is neither emptied by us nor resumed."""
    if node.state is not NodeState.PAUSED and not node.draining:
        return None
    state = "draining or drained" if node.draining else "paused"
    return hold_on(want, HoldReason.NODE_PAUSED, node=node.name, state=state)


def drained_by_others(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """Somebody drained it while it was suspended by us: then it is theirs to resume."""
    if not node.draining:
        return None
    return hold_on(want, HoldReason.NODE_PAUSED, node=node.name, state="draining or drained")


def not_up(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """A node that is going away, or coming, is not one to suspend."""
    if node.is_target:
        return None
    return hold_on(want, HoldReason.NODE_NOT_UP, node=node.name, state=_state(node))


def not_back(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """It is resumed when it is there again, with all of its storage."""
    back = node.state is NodeState.PAUSED and node.answered
    if back and not (node.isolated or node.quarantined or node.volumes_lost):
        return None
    lost = ", ".join(node.volumes_lost)
    state = f"without {lost}" if back and lost else _state(node)
    return hold_on(want, HoldReason.NODE_NOT_UP, node=node.name, state=state)


def another_away(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """One node at a time: what else is away, or is being suspended, comes back first."""
    away = [n.name for n in view.nodes.values() if n is not node and not n.is_target]
    away += [i.target for i in view.history.open_intents if i.kind == ActionKind.SUSPEND_NODE]
    if not away:
        return None
    return hold_on(want, HoldReason.NODE_AWAY, away=", ".join(dict.fromkeys(away)))


def quorum_lost(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """Without it the rest must be a majority. Whether a witness votes is not in the snapshot."""
    voting = sum(1 for n in view.nodes.values() if n is not node and n.is_target)
    if 2 * voting > len(view.nodes):
        return None
    return hold_on(
        want,
        HoldReason.QUORUM_AT_RISK,
        away=f"{node.name} (for its maintenance)",
        voting=str(voting),
        nodes=str(len(view.nodes)),
    )


def losses_not_borne(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """With it empty and away, the nodes that may fail could not be restarted elsewhere."""
    lost = capacity.not_borne_without(view, fold(node.name))
    if not lost:
        return None
    return hold_on(want, HoldReason.NODE_FAILURES, nodes=", ".join(lost))


def in_use(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """What is on its way there arrives first, whoever sent it."""
    name = fold(node.name)
    # A folder that is being set there is no reason to wait.
    vms = [f.vm.name for f in view.flights if name in f.targets and f.source != name]
    vms += [
        i.vm
        for i in view.history.open_intents
        if i.key != want.key and i.kind != ActionKind.CONFIGURE_NODE and fold(i.target) == name
    ]
    if not vms:
        return None
    return hold_on(
        want, HoldReason.NODE_IN_USE, node=node.name, vms=", ".join(sorted(dict.fromkeys(vms)))
    )


def suspend_refused(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """See `pace.refused`."""
    return pace.refused(view, want, ActionKind.SUSPEND_NODE)


def resume_refused(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """See `pace.refused`."""
    return pace.refused(view, want, ActionKind.RESUME_NODE)


def in_maintenance(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """Whoever works there, on our word, is not disturbed by a setting."""
    ordered = (ActionKind.SUSPEND_NODE, ActionKind.RESUME_NODE)
    begun = any(
        i.kind in ordered and same_name(i.target, node.name) for i in view.history.open_intents
    )
    if not begun and fold(node.name) not in view.vacated:
        return None
    return hold_on(want, HoldReason.NODE_IN_MAINTENANCE, node=node.name)


def folder_not_shared(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """The declared folder is below a volume that the cluster has and the node can use."""
    named = view.desired.policy.default_folder or ""
    folder = fold(named)
    mounts = [volume.path for volume in view.observed.volumes]
    lost = next((v for v in node.volumes_lost if folder.startswith(f"{fold(v)}\\")), None)
    if lost is not None:
        found = f"is on {lost}, which {node.name} can't use now"
    elif not any(folder.startswith(f"{fold(mount)}\\") for mount in mounts):
        found = f"is on no volume of the cluster ({', '.join(mounts) or 'it has none'})"
    else:
        return None
    return hold_on(want, HoldReason.FOLDER_NOT_SHARED, folder=named, found=found)


def folders_refused(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """See `pace.refused`."""
    return pace.refused(view, want, ActionKind.CONFIGURE_NODE)


def node_fails(view: View, want: Declared, node: NodeObserved) -> Hold | None:
    """See `pace.keeps_failing`."""
    return pace.keeps_failing(view, want, None)


def _state(node: NodeObserved) -> str:
    flags = {
        "isolated": node.isolated,
        "quarantined": node.quarantined,
        "avoided for placement": node.placement_avoided,
        "taking back what was drained": node.failback_in_progress,
        "without an answer": not node.answered,
    }
    return next((word for word, is_so in flags.items() if is_so), node.state.value)
