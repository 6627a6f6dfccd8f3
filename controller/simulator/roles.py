"""Roles: how a VM is made highly available, and what its owner lists may be."""

from __future__ import annotations

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import (
    INVALID_PARAMETER,
    NODE_NOT_POSSIBLE_OWNER,
    OBJECT_ALREADY_EXISTS,
    Refusal,
)
from controller.simulator.failover import choose_node
from controller.simulator.inventory import Node, Role, VirtualMachine
from controller.simulator.migration import move_offline, request_move
from controller.simulator.simulation import Simulation
from controller.simulator.states import Cause, GroupState, VmState

CORE_GROUPS = ("Cluster Group", "Available Storage")
VM_RESOURCE = "Virtual Machine"
CONFIGURATION_RESOURCE = "Virtual Machine Configuration"


def register_role(sim: Simulation, vm: VirtualMachine, name: str | None = None) -> Role:
    """Make a VM a role of the cluster: a group named after it, with two resources.

    The new role may be owned by every node and prefers none; nothing starts or stops.
    """
    role_name = name or vm.name
    if vm.id in sim.cluster.roles:
        raise Refusal(
            OBJECT_ALREADY_EXISTS,
            f"The virtual machine '{vm.name}' is already configured for high availability.",
        )
    taken = (*CORE_GROUPS, *(role.name for role in sim.cluster.roles.values()))
    if any(same_name(role_name, other) for other in taken):
        raise Refusal(OBJECT_ALREADY_EXISTS, f"The cluster group '{role_name}' already exists.")
    everywhere = [node.name for node in sim.cluster.nodes.values()]
    role = Role(
        id=sim.new_id(),
        name=role_name,
        vm_id=vm.id,
        owner=vm.node,
        vm_resource=f"{VM_RESOURCE} {vm.name}",
        configuration_resource=f"{CONFIGURATION_RESOURCE} {vm.name}",
        vm_resource_id=sim.new_id(),
        configuration_resource_id=sim.new_id(),
        possible=list(everywhere),
        possible_configuration=list(everywhere),
        persistent=vm.state not in (VmState.Off, VmState.Saved),
    )
    sim.cluster.roles[vm.id] = role
    for id_ in (role.id, role.vm_resource_id, role.configuration_resource_id):
        sim.cluster.vm_of[id_] = vm.id
    return role


def set_preferred_owners(sim: Simulation, role: Role, names: list[str]) -> None:
    """Replace the ordered wish list of a role; nothing moves by itself."""
    role.preferred = _known(sim, names)


def set_possible_owners(
    sim: Simulation, role: Role, names: list[str], *, configuration: bool
) -> None:
    """Replace the hard limit of one of a role's resources.

    What happens when the owner node is no longer in it is a doubt: refused, the role is moved, or
    it goes offline.
    """
    owners = _known(sim, names)
    owner_stays = any(same_name(role.owner, owner) for owner in owners)
    if not owner_stays and sim.doubts.owner_made_impossible == "refused":
        raise Refusal(NODE_NOT_POSSIBLE_OWNER, f"'{role.owner}' owns the group.")
    if configuration:
        role.possible_configuration = owners
    else:
        role.possible = owners
    if owner_stays:
        return
    if sim.doubts.owner_made_impossible == "moved":
        _move_away(sim, role)
        return
    vm = sim.cluster.vms[role.vm_id]
    vm.state = VmState.Off
    vm.running_since = None


def _move_away(sim: Simulation, role: Role) -> None:
    target: Node | None = choose_node(sim, role, sim.cluster.memory_free_bytes())
    if target is None or role.vm_id in sim.cluster.migrations:
        return
    if sim.group_state(sim.cluster, role) is GroupState.Offline:
        move_offline(sim, role, target, Cause.CLUSTER)
    else:
        request_move(sim, role, target, Cause.CLUSTER)


def _known(sim: Simulation, names: list[str]) -> list[str]:
    owners = [sim.node(name).name for name in names]
    if len({fold(name) for name in owners}) != len(owners):
        raise Refusal(INVALID_PARAMETER, "a node is named twice")
    return owners
