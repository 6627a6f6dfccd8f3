"""Which observed VM a spec means: by its id once bound, by its name before, never by a guess.

Hyper-V names are not unique. Twins freeze: nothing is done to either (a copy, a replica or an
orphan of another node may bear the name).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.model.desired import VMDesired
from controller.model.names import fold
from controller.model.observed import ObservedState, VMObserved
from controller.model.plan import HoldReason


@dataclass(frozen=True, slots=True)
class Roster:
    """The VMs of a snapshot by id and by folded name."""

    by_id: Mapping[str, VMObserved]
    by_name: Mapping[str, tuple[VMObserved, ...]]


@dataclass(frozen=True, slots=True)
class Match:
    """The VM meant, or why it can't be told; both None: nowhere to be seen."""

    vm: VMObserved | None = None
    unclear: HoldReason | None = None
    others: tuple[VMObserved, ...] = ()
    """The VMs that make it unclear."""


def roster(observed: ObservedState) -> Roster:
    """Index a snapshot once."""
    names: dict[str, tuple[VMObserved, ...]] = {}
    for vm in observed.vms:
        key = fold(vm.name)
        names[key] = (*names.get(key, ()), vm)
    return Roster({vm.id: vm for vm in observed.vms}, names)


def identify(want: VMDesired, bound: str | None, vms: Roster) -> Match:
    """Find the VM that the spec means; `bound` is the id under which it was first seen."""
    if want.id is not None:
        return Match(vms.by_id.get(want.id.lower()))
    named = vms.by_name.get(fold(want.name or ""), ())
    known = vms.by_id.get(bound) if bound is not None else None
    if known is not None:
        twins = tuple(vm for vm in named if vm.id != known.id)
        return (
            Match(unclear=HoldReason.NAME_AMBIGUOUS, others=(known, *twins))
            if twins
            else (Match(known))
        )
    if bound is not None and named:
        return Match(unclear=HoldReason.NAME_TAKEN_BY_ANOTHER, others=named)
    if len(named) > 1:
        return Match(unclear=HoldReason.NAME_AMBIGUOUS, others=named)
    return Match(named[0]) if named else Match()


def claimed_twice(wants: Iterable[tuple[VMDesired, Match]]) -> frozenset[str]:
    """Ids of VMs that two specs mean, one by name and one by id: both specs freeze."""
    seen: set[str] = set()
    twice: set[str] = set()
    for _, match in wants:
        if match.vm is not None:
            (twice if match.vm.id in seen else seen).add(match.vm.id)
    return frozenset(twice)
