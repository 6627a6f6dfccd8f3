"""What people declared, as the checker reads it: from the specs themselves, never from the code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Specs = Mapping[str, Mapping[str, Any]]
"""Name -> the spec of a VirtualMachinePlacement, but for the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One placement. Names are folded."""

    spec: str
    name: str | None
    id: str | None
    preferred: tuple[str, ...]
    possible: tuple[str, ...] | None
    required: bool
    returns: bool
    """Whether an earlier choice that is free again takes it back."""
    registers: bool
    starts: bool
    creates: bool
    startup_bytes: int
    """What it takes once it is created and started; 0: it is not to be created."""
    suspended: bool
    movable: bool
    priority: str | None
    """As the cluster counts it."""

    def allows(self, node: str) -> bool:
        """Whether it may run there at all."""
        return self.possible is None or node.lower() in self.possible

    def rank(self, node: str) -> int:
        """Place among its preferred nodes; one that is not preferred comes after them all."""
        names = self.preferred
        return names.index(node.lower()) if node.lower() in names else len(names)

    def broken_on(self, node: str) -> int:
        """How many of its hard rules are broken there."""
        unmet = self.required and bool(self.preferred) and self.rank(node) == len(self.preferred)
        return int(unmet) + int(not self.allows(node))

    def breaks_a_rule_on(self, node: str) -> bool:
        """Whether it must not stay there."""
        return self.broken_on(node) > 0

    def is_better(self, node: str, *, than: str) -> bool:
        """Whether it has a reason to go there: fewer rules are broken, or as many and it is nearer.

        A VM outside its possible owners goes to one of them also when that is not the best.
        """
        here, there = self.broken_on(than), self.broken_on(node)
        return there < here or (there == here and self.rank(node) < self.rank(than))

    def is_content_on(self, node: str) -> bool:
        """Whether it is where it should be once every node is there to choose from."""
        if self.breaks_a_rule_on(node):
            return False
        return self.rank(node) == 0 or not self.preferred or not self.returns


def read_wants(specs: Specs) -> dict[str, Want]:
    """Spec name -> what it asks for."""
    return {name: _want(name, spec) for name, spec in specs.items()}


_PRIORITIES = {"NoAutoStart": "0", "Low": "1000", "Medium": "2000", "High": "3000"}


def _want(name: str, spec: Mapping[str, Any]) -> Want:
    owners = spec.get("owners", {})
    available = spec.get("highAvailability", {})
    possible = owners.get("possible")
    return Want(
        spec=name,
        name=spec["vm"]["name"].lower() if "name" in spec["vm"] else None,
        id=spec["vm"]["id"].lower() if "id" in spec["vm"] else None,
        preferred=tuple(node.lower() for node in owners.get("preferred", ())),
        possible=None if possible is None else tuple(node.lower() for node in possible),
        required=owners.get("enforcement", "Required") == "Required",
        returns=owners.get("failback", "WhenAvailable") == "WhenAvailable",
        registers=available.get("register", False),
        starts=available.get("start", "Never") == "AfterRegistration",
        creates="template" in spec,
        startup_bytes=_bytes(spec["template"]["memory"]["startup"]) if "template" in spec else 0,
        suspended=spec.get("suspend", False),
        movable=spec.get("migration", {}).get("kind", "Live") == "Live",
        priority=_PRIORITIES.get(available.get("priority", "")),
    )


def _bytes(text: str) -> int:
    return int(text.removesuffix("Gi")) * 2**30
