"""Whose disk is whose: a virtual disk that two VMs write to is destroyed.

Only what nodes show as attached is known. A disk that others are differences to is not shown.
"""

import ntpath
from collections.abc import Iterable, Iterator, Mapping

from controller.model.desired import VMDesired
from controller.model.names import fold
from controller.model.observed import VMObserved
from controller.model.plan import ActionKind, Hold, HoldReason
from controller.planning.holds import hold_on
from controller.planning.view import View


def disk_holds(view: View, creations: Iterable[VMDesired]) -> Mapping[str, Hold]:
    """By key: creations that name a disk of another VM, existing or to be made as well.

    Two that claim one disk are both held: which is meant is not ours to guess. Where a VM is known
    to the cluster alone, nobody tells its disks, and each creation with a disk waits.
    """
    wants = [w for w in creations if w.template is not None and w.template.disks]
    if not wants:
        return {}
    unseen = sorted(
        vm.name for vm in view.observed.vms if vm.host is None or vm.equipment_at is None
    )
    if unseen:
        return {w.key: _unknown(w, unseen) for w in wants}
    attached = {
        _plain(path): f"{vm.name} on {vm.host}"
        for vm in view.observed.vms
        for path in vm.disk_paths
    }
    claims: dict[str, list[VMDesired]] = {}
    for want in view.desired.vms:
        if view.matches[want.key].vm is None or want.key in view.open_intents:
            for path in _declared(want):
                claims.setdefault(_plain(path), []).append(want)
    holds: dict[str, Hold] = {}
    for want in wants:
        for path in _declared(want):
            others = [w.title for w in claims.get(_plain(path), ()) if w.key != want.key]
            user = attached.get(_plain(path)) or next(iter(sorted(others)), None)
            if user is not None:
                holds.setdefault(want.key, _in_use(want, path, user))
    return holds


def lacking_disks(want: VMDesired, seen: VMObserved) -> tuple[str, ...]:
    """Disks of the template that the VM has not got."""
    there = {_plain(path) for path in seen.disk_paths}
    return tuple(path for path in _declared(want) if _plain(path) not in there)


def _declared(want: VMDesired) -> Iterator[str]:
    yield from (disk.path for disk in (want.template.disks if want.template else ()))


def _plain(path: str) -> str:
    return fold(ntpath.normpath(path))


def _in_use(want: VMDesired, path: str, user: str) -> Hold:
    return hold_on(
        want, HoldReason.DISK_IN_USE, action=ActionKind.CREATE, disk=path, in_use_by=user
    )


def _unknown(want: VMDesired, unseen: list[str]) -> Hold:
    return hold_on(
        want,
        HoldReason.VIEW_INCOMPLETE,
        action=ActionKind.CREATE,
        not_seen=f"the disks of {', '.join(unseen[:10])}",
    )
