"""Where nodes put new VMs and disks that nobody names a folder for, and where they are to put them.

What is made by hand lands there: on a disk of the node's own, it can't be made highly available as
it is. The declared folder is written on one node after another, each when the one before shows it.
Whatever exists stays where it is.
"""

import ntpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.model.names import fold
from controller.model.observed import NodeObserved, ObservedState
from controller.model.plan import Action, ActionKind, ActionReason, FolderStanding, Hold, HoldReason
from controller.model.policy import DefaultPaths
from controller.model.setting import Change, Setting
from controller.planning.guards import folders_hold
from controller.planning.holds import hold_on
from controller.planning.view import View


@dataclass(slots=True)
class Folders:
    """What is told of nodes, what is written, and what holds the rest, by key of the node."""

    standings: list[FolderStanding] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folders:
    """The default folders of one node, as something to hold (`holds.Declared`)."""

    key: str
    title: str


def keep_folders(view: View, guarded: Mapping[str, Hold]) -> Folders:
    """Every node whose folders are not right; what is due on it, where they are ours to set."""
    folders, policy = Folders(), view.desired.policy
    under_way = sum(1 for i in view.open_intents.values() if i.kind == ActionKind.CONFIGURE_NODE)
    for name, node in view.nodes.items():
        standing = _standing(view, name, node)
        if standing is None:
            continue
        folders.standings.append(standing)
        if policy.default_paths is not DefaultPaths.MANAGE:
            continue
        hold = _hold(view, standing, node, guarded)
        if hold is not None:
            kind = ActionKind.CONFIGURE_NODE
            folders.holds[standing.key] = replace(hold, action=kind, target=node.name)
            continue
        before = folders.actions[-1:]
        folders.actions.append(_action(standing, under_way + len(folders.actions), before))
    return folders


def are_set(node: NodeObserved | None, change: Change) -> bool:
    """Whether both folders of the node are as the change would have them."""
    if node is None or node.vm_folder is None or node.disk_folder is None:
        return False
    return _plain((node.vm_folder, node.disk_folder)) == _plain(change.after)


def _standing(view: View, name: str, node: NodeObserved) -> FolderStanding | None:
    policy = view.desired.policy
    if policy.default_paths is DefaultPaths.IGNORE or not _is_told(view, node):
        return None
    found = FolderStanding(
        key=f"folders:{name}",
        node=node.name,
        vms=node.vm_folder or "",
        disks=node.disk_folder or "",
        declared=policy.default_folder,
    )
    return None if _is_right(found, view.observed) else found


def _is_told(view: View, node: NodeObserved) -> bool:
    """Whether the node told of both, not too long ago, and the cluster of its volumes."""
    if node.hardware_at is None or node.vm_folder is None or node.disk_folder is None:
        return False
    age_seconds = (view.now - node.hardware_at).total_seconds()
    is_fresh = age_seconds <= view.desired.policy.slow_facts_age_max_seconds
    return is_fresh and all(gap.node for gap in view.observed.gaps)


def _is_right(found: FolderStanding, observed: ObservedState) -> bool:
    paths = (found.vms, found.disks)
    if found.declared is not None:
        return _plain(paths) == _plain((found.declared, found.declared))
    mounts = [volume.path for volume in observed.volumes]
    return all(is_shared(path, mounts) for path in paths)


def is_shared(path: str, mounts: Sequence[str]) -> bool:
    """On a cluster shared volume or an SMB share; `\\\\?\\` and `\\\\.\\` are the node's own."""
    (plain,) = _plain((path,))
    if plain.startswith("\\\\"):
        return not plain.startswith(("\\\\?\\", "\\\\.\\"))
    return any(f"{plain}\\".startswith(f"{fold(mount)}\\") for mount in mounts)


def _plain(paths: Sequence[str]) -> tuple[str, ...]:
    """Folders as Windows tells them apart: a trailing backslash means nothing."""
    return tuple(fold(ntpath.normpath(path)) for path in paths)


def _hold(
    view: View, standing: FolderStanding, node: NodeObserved, guarded: Mapping[str, Hold]
) -> Hold | None:
    want = _Folders(key=standing.key, title=node.name)
    intent = view.open_intents.get(standing.key)
    if intent is not None:
        sent_at = intent.opened_at.isoformat()
        return hold_on(want, HoldReason.OUTCOME_OPEN, target=node.name, sent_at=sent_at)
    return guarded.get(standing.key) or folders_hold(view, want, node, _change(standing))


def _change(standing: FolderStanding) -> Change:
    declared = standing.declared
    assert declared is not None, "what is managed is declared"
    return Change(
        setting=Setting.DEFAULT_FOLDERS,
        before=(standing.vms, standing.disks),
        after=(declared, declared),
    )


def _action(standing: FolderStanding, wave: int, before: Sequence[Action]) -> Action:
    return Action(
        id=f"configure:{standing.key}",
        kind=ActionKind.CONFIGURE_NODE,
        key=standing.key,
        vm=standing.node,
        vm_id=None,
        source=standing.node,
        target=standing.node,
        reason=ActionReason.NODE_NOT_AS_DECLARED,
        wave=wave,
        after=tuple(action.id for action in before),
        change=_change(standing),
    )
