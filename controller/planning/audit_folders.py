"""The audit's own reading of what may be written to a node: its two default folders, and when."""

import ntpath
from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.model.history import IntentState
from controller.model.names import fold, same_name
from controller.model.observed import NodeObserved
from controller.model.plan import Action, ActionKind, AuditFinding
from controller.model.policy import DefaultPaths
from controller.model.setting import Setting
from controller.planning.audit_world import World, fault


def check_folders(w: World, now: datetime) -> Iterator[AuditFinding]:
    """A node at work gets the declared folder, where it has another; one node at a time."""
    writes = [a for a in w.plan.actions if a.kind is ActionKind.CONFIGURE_NODE]
    for action in writes:
        node = w.nodes.get(fold(action.target))
        if node is None or action.change is None:
            yield fault("folders", action, f"what is to be set on {action.target} is not clear")
            continue
        yield from (fault("folders", action, detail) for detail in _faults(w, action, node, now))
        yield from _rest(w, action, now)
    starting = [a for a in writes if a.wave == 0]
    at_once = [i.target for i in w.history.open_intents if i.kind == ActionKind.CONFIGURE_NODE]
    at_once += [a.target for a in starting]
    if starting and len(at_once) > 1:
        yield fault("folders", starting[-1], f"{', '.join(at_once)} would be written at once")


def _faults(w: World, action: Action, node: NodeObserved, now: datetime) -> Iterator[str]:
    policy, change = w.desired.policy, action.change
    assert change is not None, "looked at before"
    folder = policy.default_folder or ""
    read = node.hardware_at
    old = read is None or now - read > timedelta(seconds=policy.slow_facts_age_max_seconds)
    busy = {fold(a.target) for a in w.plan.actions if a.is_maintenance}
    maintenance = (ActionKind.SUSPEND_NODE, ActionKind.RESUME_NODE)
    busy |= {fold(i.target) for i in w.history.open_intents if i.kind in maintenance}
    names = (action.source, action.vm, node.name)
    faults = (
        (policy.default_paths is not DefaultPaths.MANAGE, "the folders of nodes are not ours"),
        (not all(same_name(n, action.target) for n in names), f"{action.id} is of no node"),
        (action.key != f"folders:{fold(node.name)}", f"{action.key} is another key"),
        (action.vm_id is not None, f"{action.id} names a VM"),
        (change.setting is not Setting.DEFAULT_FOLDERS, f"{change.setting} is not of a node"),
        (change.after != (folder, folder), f"{', '.join(change.after)} is not declared"),
        (change.before != (node.vm_folder, node.disk_folder), f"{node.name} has other folders"),
        (_same(change.before, change.after), f"{node.name} has the declared folder"),
        (not _is_on_volume(w, node, folder), f"{folder} is on no volume that is there"),
        (old, f"what {node.name} told of its folders is old"),
        (any(not gap.node for gap in w.observed.gaps), "which volumes there are is not known"),
        (not node.is_target, f"{node.name} is going away"),
        (fold(node.name) in busy, f"{node.name} is in maintenance"),
        (w.history.open_for(action.key) is not None, f"a write to {node.name} is open"),
    )
    yield from (detail for bad, detail in faults if bad)


def _same(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    """Whether Windows takes them for the same folders."""
    return all(
        fold(ntpath.normpath(a)) == fold(ntpath.normpath(b))
        for a, b in zip(before, after, strict=True)
    )


def _is_on_volume(w: World, node: NodeObserved, folder: str) -> bool:
    """Below, not at, the root of a volume that the node has not lost."""
    lost = {fold(path) for path in node.volumes_lost}
    mounts = {fold(volume.path) for volume in w.observed.volumes} - lost
    return any(fold(folder).startswith(f"{mount}\\") for mount in mounts)


def _rest(w: World, action: Action, now: datetime) -> Iterator[AuditFinding]:
    """What we set not long ago and somebody set back is not set again yet."""
    after = action.change.after if action.change is not None else ()
    for past in w.history.intents:
        same = past.key == action.key and past.change is not None and past.change.after == after
        if not same or past.state is not IntentState.DONE or past.closed_at is None:
            continue
        ends = past.closed_at + timedelta(seconds=w.desired.policy.cooldown_seconds)
        if action.wave == 0 and now < ends:
            yield fault("cooldown", action, f"its folders were set at {past.closed_at}")
