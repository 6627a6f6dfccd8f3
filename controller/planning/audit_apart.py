"""The audit's look at native rules: nothing meets that the cluster keeps apart, at any instant."""

from collections.abc import Iterator
from datetime import datetime

from controller.model.names import fold
from controller.model.observed import AffinityRule, VMObserved
from controller.model.plan import AuditFinding
from controller.planning.audit_world import World, fault


def check_apart(w: World, now: datetime) -> Iterator[AuditFinding]:
    """No move leads to where another of its enforced class or affinity rule may be, and none is of
    a VM that takes others along.

    May be: it is there, a move under way may bring it there, or the plan does, if only for a while.
    """
    if not w.observed.anti_affinity_enforced and not w.observed.affinity_rules:
        return
    kept = {vm.id: _kept_apart(w, vm) for vm in w.vms.values()}
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
        for rule in _rules(w, mover):
            if rule.kind.together and len({fold(name) for name in rule.roles}) > 1:
                detail = f"rule {rule.name} moves others with {mover.name}"
                yield fault("affinity", move, detail)
        for other in w.vms.values():
            shared = kept[mover.id] & kept[other.id]
            if other is not mover and shared and fold(move.target) in places[other.id]:
                detail = f"{other.name}, of {min(shared)} too, may be on {move.target}"
                yield fault("anti-affinity", move, detail)


def _rules(w: World, vm: VMObserved) -> list[AffinityRule]:
    name = fold(vm.role.name) if vm.role is not None else None
    return [r for r in w.observed.affinity_rules if name in {fold(role) for role in r.roles}]


def _kept_apart(w: World, vm: VMObserved) -> set[str]:
    classes = vm.role.anti_affinity if vm.role and w.observed.anti_affinity_enforced else ()
    found = {f"class {fold(name)}" for name in classes}
    return found | {f"rule {fold(r.name)}" for r in _rules(w, vm) if not r.kind.together}
