"""What a check is asked about: one VM, perhaps one node, and the cluster around them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

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


class Apart(StrEnum):
    """What may keep VMs from one another's node."""

    CLASS = "anti-affinity class"
    RULE = "affinity rule"


Group = tuple[Apart, str]
"""With the folded name of the class or rule."""


MOVE_TYPE_THRESHOLD_UNSET: Final = 2000
"""Roles of low priority are saved unless somebody set another threshold (Microsoft, Configuring How
VMs Are Moved when a Node is Drained); whether it shows then is doubtful."""


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
    apart: Mapping[str, tuple[Group, ...]]
    """By VM id: what keeps it from being where others of the same are."""
    places: Mapping[Group, Mapping[str, tuple[str, ...]]]
    """Of each such group: folded node -> ids of the VMs there or on their way there."""
    move_type_threshold: int
    """Of roles with a lower priority the cluster saves the VM where it would move others live."""
    together: Mapping[str, str]
    """By VM id: the affinity rule that moves others with it."""


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
    apart = _apart(observed)
    return Surroundings(
        policy=policy,
        oldest=now - timedelta(seconds=policy.slow_facts_age_max_seconds),
        mounts=tuple(v.path.lower() + "\\" for v in observed.volumes),
        names=roster.by_name,
        nodes={fold(node.name): node for node in observed.nodes},
        apart=apart,
        places=_places(observed, apart, targets),
        move_type_threshold=(
            MOVE_TYPE_THRESHOLD_UNSET
            if observed.move_type_threshold is None
            else observed.move_type_threshold
        ),
        together=_together(observed),
    )


def _apart(observed: ObservedState) -> Mapping[str, tuple[Group, ...]]:
    rules = [rule for rule in observed.affinity_rules if not rule.kind.together]
    if not rules and not observed.anti_affinity_enforced:
        return {}
    members = [(fold(rule.name), {fold(name) for name in rule.roles}) for rule in rules]
    found: dict[str, tuple[Group, ...]] = {}
    for vm in observed.vms:
        if vm.role is None:
            continue
        classes = vm.role.anti_affinity if observed.anti_affinity_enforced else ()
        groups = [(Apart.CLASS, fold(name)) for name in classes]
        groups += [(Apart.RULE, name) for name, roles in members if fold(vm.role.name) in roles]
        if groups:
            found[vm.id] = tuple(groups)
    return found


def _places(
    observed: ObservedState,
    apart: Mapping[str, tuple[Group, ...]],
    targets: Mapping[str, Collection[str]],
) -> Mapping[Group, Mapping[str, tuple[str, ...]]]:
    found: dict[Group, dict[str, tuple[str, ...]]] = {}
    for vm in observed.vms if apart else ():
        places = {fold(n) for n in (vm.owner, vm.host) if n is not None}
        places.update(targets.get(vm.id, ()))
        for group in apart.get(vm.id, ()):
            nodes = found.setdefault(group, {})
            for node in places:
                nodes[node] = (*nodes.get(node, ()), vm.id)
    return found


def _together(observed: ObservedState) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for rule in observed.affinity_rules:
        roles = {fold(name) for name in rule.roles}
        if rule.kind.together and len(roles) > 1:
            for vm in observed.vms:
                if vm.role is not None and fold(vm.role.name) in roles:
                    found.setdefault(vm.id, rule.name)
    return found


def is_on_volume(path: str, mounts: tuple[str, ...]) -> bool:
    """Whether a path is below a mount; mounts are folded and end with a backslash.

    With the backslash, since `Volume1` is a prefix of `Volume10`.
    """
    return (path.lower() + "\\").startswith(mounts) if mounts else False
