"""The truth right before a node acts on a command: what its conditions are held against."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.model.names import same_name
from controller.simulator.inventory import Node, Role
from controller.simulator.states import DrainStatus, GroupState, NodeFlag, NodeState, VmState
from controller.simulator.storage import free_bytes
from controller.simulator.world import World
from tests.simulation.orders import Order

_DISK_BYTES = 20 * 1024**3
_FOLDER = "c:\\clusterstorage\\volume1\\"
"""Where drawn templates put their VMs, and how large a disk they want."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The truth right before a node acts on a command."""

    owner: str | None
    state: VmState | None
    group: GroupState | None
    is_locked: bool
    is_busy: bool
    in_flight: bool
    is_clustered: bool
    has_quorum: bool
    source_is_in_contact: bool
    target_is_up: bool
    target_is_avoided: bool
    target_is_possible: bool
    has_space: bool
    folder_exists: bool
    role_name_is_taken: bool
    others_away: tuple[str, ...]
    """Nodes beside the command's that are not there for VMs."""
    source_state: NodeState
    source_drain: DrainStatus
    folders: tuple[str, str]
    """Where the node puts new VMs and new disks."""
    setting: tuple[str, ...]
    """What the role has of what the command sets."""
    cmdlets: int
    """Changing cmdlets that ran until then."""
    names_here: frozenset[str]
    names_of_roles: frozenset[str]
    running: Mapping[str, float | None]
    """VM id -> since when it runs."""


def truth_before(world: World, order: Order) -> Before:
    """Note it."""
    cluster, args = world.cluster, order.call.arguments
    vm = cluster.vms.get(order.vm_id or "")
    role = cluster.roles.get(order.vm_id or "")
    source, target = cluster.node(order.source), cluster.node(order.target)
    assert source is not None
    return Before(
        owner=role.owner.lower() if role else vm.node.lower() if vm else None,
        state=vm.state if vm else None,
        group=world.group_state(cluster, role) if role else None,
        is_locked=role is not None and role.locked,
        is_busy=vm is not None and vm.busy is not None,
        in_flight=order.vm_id in cluster.migrations,
        is_clustered=role is not None,
        has_quorum=world.has_quorum(),
        source_is_in_contact=source.powered and source.cut_off_at is None,
        # By the cluster's own word: that a node has just died nobody knows yet.
        target_is_up=target is not None
        and target.state is NodeState.Up
        and target.drain is DrainStatus.NotInitiated
        and not target.flags & (NodeFlag.Isolated | NodeFlag.Quarantined),
        target_is_avoided=target is not None and NodeFlag.AvoidPlacement in target.flags,
        target_is_possible=role is not None
        and all(
            any(same_name(owner, order.target) for owner in owners)
            for owners in (role.possible, role.possible_configuration)
        ),
        has_space=all(volume.online for volume in cluster.volumes)
        and min(free_bytes(volume) for volume in cluster.volumes) > _DISK_BYTES,
        folder_exists=str(args.get("folder", f"{_FOLDER}{order.name}")).lower() in cluster.files,
        role_name_is_taken=vm is not None
        and any(same_name(r.name, vm.name) for r in cluster.roles.values() if r is not role),
        others_away=tuple(n.name for n in cluster.nodes.values() if n is not source and _away(n)),
        source_state=source.state,
        source_drain=source.drain,
        folders=(source.vm_path, source.vhd_path),
        setting=setting_of(role, str(args.get("setting"))) if role is not None else (),
        cmdlets=len(world.commands),
        names_here=frozenset(
            v.name.lower() for v in cluster.vms.values() if v.node.lower() == order.source.lower()
        ),
        names_of_roles=frozenset(r.name.lower() for r in cluster.roles.values()),
        running={v.id: v.running_since for v in cluster.vms.values()} if args else {},
    )


def setting_of(role: Role, setting: str) -> tuple[str, ...]:
    """What the cluster holds of a role, in the words of the protocol."""
    match setting:
        case "Failback":
            return ("on" if role.auto_failback else "off",)
        case "Priority":
            return (str(role.priority),)
        case "PreferredOwners":
            return tuple(role.preferred)
        case _:
            other = {name.lower() for name in role.possible_configuration}
            return tuple(sorted(name for name in role.possible if name.lower() in other))


def _away(node: Node) -> bool:
    no_target = NodeFlag.Isolated | NodeFlag.Quarantined | NodeFlag.AvoidPlacement
    is_up = node.state is NodeState.Up and node.drain is DrainStatus.NotInitiated
    return not is_up or bool(node.flags & no_target)
