"""The cluster's own affinity rules out of an `observe` reply."""

from collections.abc import Iterable

from controller.adapters.winrm.fields import Part
from controller.model.observed import AffinityKind, AffinityRule

_KINDS = {
    "1": AffinityKind.SAME_FAULT_DOMAIN,
    "2": AffinityKind.SAME_NODE,
    "3": AffinityKind.DIFFERENT_FAULT_DOMAIN,
    "4": AffinityKind.DIFFERENT_NODE,
}
_KINDS |= {kind.value: kind for kind in AffinityKind}


def affinity_rules(rows: Iterable[Part]) -> tuple[AffinityRule, ...]:
    """The enabled rules, by name. An unknown type breaks the reply: it may forbid a move."""
    found = []
    for row in rows:
        kind = _KINDS.get(row.text("type"))
        if kind is None:
            raise row.broken("type")
        if row.flag("enabled"):
            found.append(AffinityRule(name=row.text("name"), kind=kind, roles=row.texts("roles")))
    return tuple(sorted(found, key=lambda rule: rule.name))
