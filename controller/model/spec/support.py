"""The one table of fields whose effect is not built yet: whoever writes one is told so.

A field is never accepted and ignored. When an effect is built, its line here goes, and the field
gets its scenario in tests/unit/specs/test_fields.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from controller.model.spec.base import Contradiction

Accepted = frozenset[str | int]

# Per kind: field path (list indices left out) -> the values that are supported already.
NOT_YET: Mapping[str, Mapping[str, Accepted]] = {
    "FailoverCluster": {
        "spec.connection.transport": frozenset({"WinRM"}),
        "spec.connection.authentication": frozenset({"Kerberos", "NTLM", "Certificate", "Basic"}),
        "spec.connection.credentials.secretRef": frozenset(),
        # A move takes no node down, so fault domains mean nothing to it; they come with rules over
        # nodes and with the emptying of nodes.
        "spec.nodes": frozenset(),
        "spec.nativePolicy": frozenset({"Ignore"}),
    },
    "VirtualMachinePlacement": {
        "spec.highAvailability.priority": frozenset(),
        "spec.migration.processorCompatibility": frozenset({"Unmanaged"}),
        "spec.template.network.vlan": frozenset(),
        "spec.template.install.physicalDrive": frozenset(),
        "spec.template.install.network": frozenset(),
    },
    "PlacementRule": {"spec": frozenset()},
    "NodeMaintenance": {"spec": frozenset()},
}


def not_yet(kind: str, document: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Every field that the document writes and nothing acts on yet; paths from its root."""
    for path, accepted in NOT_YET[kind].items():
        value: Any = document
        keys = tuple(path.split("."))
        for key in keys:
            value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is _ABSENT or (isinstance(value, str | int) and value in accepted):
            continue
        if path == "spec":
            yield Contradiction(at=("kind",), message=f"{kind} is not supported yet")
        elif accepted:
            known = " or ".join(sorted(map(str, accepted)))
            yield Contradiction(at=keys, message=f"{value} is not supported yet", expected=known)
        else:
            yield Contradiction(
                at=keys, message="is not supported yet", expected="no such field in this release"
            )


_ABSENT = object()
