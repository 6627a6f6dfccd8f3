"""What a check is asked about: one VM, perhaps one node, and the cluster around them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.model.desired import VMDesired
from controller.model.observed import NodeObserved, ObservedState, VMObserved
from controller.model.policy import Policy
from controller.planning.identity import Roster


class Facts(StrEnum):
    """Where a fact comes from, and so how old it may be (`Surroundings.stale`)."""

    CLUSTER = "cluster"
    """Roles, owners and node states: every cycle."""
    NODE = "node"
    """Memory of the node: every cycle, by the node itself."""
    HARDWARE = "hardware"
    """Processors, switches and versions of the node."""
    EQUIPMENT = "equipment"
    """Paths, disks, media, adapters and devices of the VM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The cluster around the VM that is asked about, indexed once a cycle."""

    policy: Policy
    now: datetime
    mounts: tuple[str, ...]
    """Cluster shared volumes, folded, each with a backslash at its end."""
    names: Mapping[str, tuple[VMObserved, ...]]
    """VMs by folded name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question. `node` None: about the VM, wherever it goes; `seen` None: to be created."""

    want: VMDesired
    seen: VMObserved | None
    node: NodeObserved | None
    around: Surroundings


@dataclass(frozen=True, slots=True)
class Untold:
    """A check can't tell; `why` says which fact is missing."""

    why: str


Finding = str | Untold | None
"""What stands in the way, or that it can't be told, or nothing."""


def surroundings(
    observed: ObservedState, roster: Roster, policy: Policy, now: datetime
) -> Surroundings:
    """Index a snapshot once."""
    return Surroundings(
        policy=policy,
        now=now,
        mounts=tuple(v.path.lower() + "\\" for v in observed.volumes),
        names=roster.by_name,
    )


def is_on_volume(path: str, mounts: tuple[str, ...]) -> bool:
    """Whether a path is below a mount; mounts are folded and end with a backslash.

    With the backslash, since `Volume1` is a prefix of `Volume10`.
    """
    return (path.lower() + "\\").startswith(mounts) if mounts else False
