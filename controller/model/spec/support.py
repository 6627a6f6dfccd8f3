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
        "spec.nodes.labels": frozenset(),
    },
    "VirtualMachinePlacement": {},
    "PlacementRule": {"spec": frozenset()},
    "NodeMaintenance": {},
}


def not_yet(kind: str, document: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Every field that the document writes and nothing acts on yet; paths from its root."""
    for path, accepted in NOT_YET[kind].items():
        for keys, value in _written(document, tuple(path.split("."))):
            if isinstance(value, str | int) and value in accepted:
                continue
            yield _unsupported(kind, path, keys, value, accepted)


def _unsupported(
    kind: str, path: str, at: tuple[str | int, ...], value: Any, accepted: Accepted
) -> Contradiction:
    if path == "spec":
        return Contradiction(at=("kind",), message=f"{kind} is not supported yet")
    if accepted:
        known = " or ".join(sorted(map(str, accepted)))
        return Contradiction(at=at, message=f"{value} is not supported yet", expected=known)
    return Contradiction(
        at=at, message="is not supported yet", expected="no such field in this release"
    )


def _written(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each place at which the path is written, through all items of lists."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from (((index, *at), found) for at, found in _written(item, keys))
    elif not keys:
        yield (), value
    elif isinstance(value, Mapping) and keys[0] in value:
        yield from (((keys[0], *at), found) for at, found in _written(value[keys[0]], keys[1:]))
