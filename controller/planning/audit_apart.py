"""The audit's look at anti-affinity: no two VMs of a class on one node at any instant."""

from collections.abc import Iterator
from datetime import datetime

from controller.model.names import fold
from controller.model.observed import VMObserved
from controller.model.plan import AuditFinding
from controller.planning.audit_world import World


def check_apart(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Where the cluster enforces classes, no move leads to where another of its class may be.

    May be: it is there, a move under way may bring it there, or the plan does, if only for a while.
    """
    if not w.observed.anti_affinity_enforced:
        return
    places: dict[str, set[str]] = {}
    for vm in w.vms.values():
        places[vm.id] = {fold(n) for n in (vm.owner, vm.host) if n is not None}
    for moving in w.moving:
        places[moving.vm.id] |= moving.targets
    for move in w.plan.moves:
        places.setdefault(move.vm_id or "", set()).add(fold(move.target))
    for move in w.plan.moves:
        mover = w.vms.get(move.vm_id or "")
        if mover is None:
            continue
        for other in w.vms.values():
            shared = _classes(mover) & _classes(other)
            if other is not mover and shared and fold(move.target) in places[other.id]:
                detail = f"{other.name}, of class {min(shared)} too, may be on {move.target}"
                yield AuditFinding(rule="anti-affinity", action=move.id, detail=detail)


def _classes(vm: VMObserved) -> set[str]:
    return {fold(name) for name in vm.role.anti_affinity} if vm.role is not None else set()
