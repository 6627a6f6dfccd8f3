"""What a check is asked about: one VM, perhaps one node, and the cluster around them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.model.desired import VMDesired
from controller.model.names import fold
from controller.model.observed import NodeObserved, ObservedState, VMObserved
from controller.model.policy import Policy
from controller.planning.identity import Roster


class Facts(StrEnum):
    """Where a fact comes from, and so how old it may be (`missing`)."""

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
    oldest: datetime
    """Facts that are read seldom count for nothing if they are older."""
    mounts: tuple[str, ...]
    """Cluster shared volumes, folded, each with a backslash at its end."""
    names: Mapping[str, tuple[VMObserved, ...]]
    """VMs by folded name."""
    nodes: Mapping[str, NodeObserved]
    """By folded name."""
    classes: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Anti-affinity class, folded -> folded node -> ids of the VMs there or on their way there."""
    classes_enforced: bool


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


def missing(ask: Ask) -> Mapping[Facts, str]:
    """Which facts are not known well enough, and why: never read, or too long ago."""
    seen, node, oldest = ask.seen, ask.node, ask.around.oldest
    found: dict[Facts, str] = {}
    if seen is not None and (seen.equipment_at is None or seen.equipment_at < oldest):
        found[Facts.EQUIPMENT] = (
            f"the equipment of {seen.name} was not read{_since(seen.equipment_at)}"
        )
    if node is not None and (node.hardware_at is None or node.hardware_at < oldest):
        found[Facts.HARDWARE] = (
            f"the hardware of {node.name} was not read{_since(node.hardware_at)}"
        )
    return found


def _since(at: datetime | None) -> str:
    return "" if at is None else f" since {at:%H:%M:%S} UTC"


Finding = str | Untold | None
"""What stands in the way, or that it can't be told, or nothing."""


def surroundings(
    observed: ObservedState,
    roster: Roster,
    policy: Policy,
    now: datetime,
    *,
    targets: Mapping[str, Collection[str]],
) -> Surroundings:
    """Index a snapshot once. `targets`: by VM id, the folded nodes that a move of it may lead to.

    A command of ours that no snapshot shows yet may be under way all the same.
    """
    return Surroundings(
        policy=policy,
        oldest=now - timedelta(seconds=policy.slow_facts_age_max_seconds),
        mounts=tuple(v.path.lower() + "\\" for v in observed.volumes),
        names=roster.by_name,
        nodes={fold(node.name): node for node in observed.nodes},
        classes=_classes(observed, targets),
        classes_enforced=observed.anti_affinity_enforced,
    )


def _classes(
    observed: ObservedState, targets: Mapping[str, Collection[str]]
) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for vm in observed.vms:
        if vm.role is None or not vm.role.anti_affinity:
            continue
        places = {fold(n) for n in (vm.owner, vm.host) if n is not None}
        places.update(targets.get(vm.id, ()))
        for name in vm.role.anti_affinity:
            nodes = found.setdefault(fold(name), {})
            for node in places:
                nodes[node] = (*nodes.get(node, ()), vm.id)
    return found


def is_on_volume(path: str, mounts: tuple[str, ...]) -> bool:
    """Whether a path is below a mount; mounts are folded and end with a backslash.

    With the backslash, since `Volume1` is a prefix of `Volume10`.
    """
    return (path.lower() + "\\").startswith(mounts) if mounts else False
