"""People mend the cluster after the faults: every node is up and every VM runs that ran before."""

from contextlib import suppress

from controller.model.names import same_name
from controller.simulator.cmdlet_errors import Refusal
from controller.simulator.failover import choose_node
from controller.simulator.states import DrainStatus, NodeState, VmState
from controller.simulator.world import World


def mend(world: World, running: frozenset[str]) -> bool:
    """Do what can be done now; True once all is as it was. `running`: ids of the VMs that ran."""
    cluster = world.cluster
    for node in cluster.nodes.values():
        with suppress(Refusal):
            _mend_node(world, node.name)
    for vm in tuple(cluster.vms.values()):
        if vm.id in running and vm.state is not VmState.Running:
            with suppress(Refusal):
                _take_where_it_fits(world, vm.id)
                wake_vm(world, vm.id)
    ups = all(node.state is NodeState.Up for node in cluster.nodes.values())
    runs = all(vm.state is VmState.Running for vm in cluster.vms.values() if vm.id in running)
    return ups and runs and not any(role.failing_over for role in cluster.roles.values())


def wake_vm(world: World, vm: str) -> None:
    """Somebody brings a VM back to where it was."""
    match world.vm(vm).state:
        case VmState.Paused:
            world.resume_vm(vm)
        case VmState.Off | VmState.Saved:
            world.start_vm(vm)


def _take_where_it_fits(world: World, vm: str) -> None:
    """Its node had no memory to start it: somebody takes its role to another one."""
    role = world.cluster.roles.get(vm)
    if role is None or not role.failed:
        return
    free = world.cluster.memory_free_bytes()
    target = choose_node(world, role, free)
    if target is not None:
        role.failed = False  # taken offline, as a failed one can't be handed over
        if not same_name(target.name, role.owner):
            world.move_offline(vm, target.name)


def _mend_node(world: World, name: str) -> None:
    node = world.node(name)
    if not node.powered:
        world.boot_node(name)
    elif node.cut_off_at is not None:
        world.heal(name)
    elif node.state is NodeState.Paused or node.drain is not DrainStatus.NotInitiated:
        world.resume_node(name)
    elif node.state is NodeState.Down and not node.flags and node.lost_at is not None:
        world.crash_node(name)  # it hangs, and somebody turns it off and on
