"""How each node reaches each cluster shared volume."""

from collections.abc import Iterable
from dataclasses import dataclass

from controller.adapters.winrm.fields import Part
from controller.adapters.winrm.states import (
    REDIRECTED_BY_REFS,
    VOLUME_BLOCKS_REDIRECTED,
    VOLUME_FILES_REDIRECTED,
    VOLUME_LOST,
)
from controller.model.names import fold


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeWay:
    """How one node reaches one volume; `cause` as flags, where files are redirected."""

    node: str
    path: str
    state: int
    cause: int


def volume_way(row: Part) -> VolumeWay:
    """How the node of that row reaches the volume of it."""
    return VolumeWay(
        node=row.node_name("node"),
        path=row.optional_text("path") or "",
        state=row.number("state"),
        cause=row.number("cause"),
    )


def lost_mounts(ways: Iterable[VolumeWay]) -> dict[str, tuple[str, ...]]:
    """By folded node name the mounts of volumes that it can't use now."""
    return _by_node(way for way in ways if way.state in VOLUME_LOST)


def redirected_mounts(ways: Iterable[VolumeWay]) -> dict[str, tuple[str, ...]]:
    """By folded node name the mounts of volumes that it reaches only by way of another node.

    ReFS on a SAN is always redirected (Microsoft docs, Failover cluster CSVs): nothing is wrong.
    """
    return _by_node(way for way in ways if _is_redirected(way))


def _is_redirected(way: VolumeWay) -> bool:
    by_files = way.state == VOLUME_FILES_REDIRECTED and way.cause & ~REDIRECTED_BY_REFS
    return bool(by_files) or way.state == VOLUME_BLOCKS_REDIRECTED


def _by_node(ways: Iterable[VolumeWay]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for way in ways:
        found[fold(way.node)] = (*found.get(fold(way.node), ()), way.path.rstrip("\\"))
    return found
