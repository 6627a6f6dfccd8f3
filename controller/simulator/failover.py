"""Nodes that die, are cut off and come back, and what the cluster then does with their roles.

A node that stops answering is Isolated first, for the cluster's resiliency period: its VMs count as
running, unmonitored. Only then is it given up, and its roles restart on another possible owner
(Microsoft docs, failover cluster resiliency; quarantine: three bad leaves within an hour).
"""

from __future__ import annotations

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import (
    INVALID_STATE,
    NO_SYSTEM_RESOURCES,
    NODE_DOWN,
    Refusal,
)
from controller.simulator.inventory import Node, Role, VirtualMachine
from controller.simulator.migration import abort_moves, request_move, start_due
from controller.simulator.simulation import Simulation
from controller.simulator.states import Cause, GroupState, NodeFlag, NodeState, VmState

_RETRY_SECONDS = 5.0  # how often the cluster looks again for quorum or for room
_BAD_LEAVE_WINDOW_SECONDS = 3600.0


def crash_node(sim: Simulation, node: Node) -> None:
    """The node loses power now; its VMs are gone at once, and noticed later."""
    if not node.powered:
        raise Refusal(INVALID_STATE, f"node {node.name} is off already")
    node.powered = False
    _lose_contact(sim, node)
    for vm in sim.cluster.vms.values():
        if same_name(vm.node, node.name):
            vm.ran_at_crash = vm.running_since is not None
            _kill(vm)


def cut_off(sim: Simulation, nodes: tuple[Node, ...]) -> None:
    """Separate these nodes from the others; the smaller side may change nothing from now on."""
    remaining = [
        n
        for n in sim.cluster.nodes.values()
        if n.powered and n.cut_off_at is None and n not in nodes
    ]
    if len(remaining) + sim.cluster.witness <= len(nodes):
        raise Refusal(INVALID_STATE, "name the smaller side of the partition")
    for node in nodes:
        sim.keep_old_view(node)
        node.cut_off_at = sim.now
    for node in nodes:
        _lose_contact(sim, node)


def join_again(sim: Simulation, node: Node) -> None:
    """The node has contact again: it boots if it was off, and rejoins unless quarantined."""
    if node.powered and node.cut_off_at is None:
        raise Refusal(INVALID_STATE, f"node {node.name} is in contact already")
    recent = [at for at in node.bad_leaves if sim.now - at <= _BAD_LEAVE_WINDOW_SECONDS]
    node.bad_leaves = recent
    if not node.powered:
        node.powered = True
        node.boot_at = sim.now
        _restart_local_vms(sim, node)
    node.cut_off_at = None
    if len(recent) >= sim.cluster.quarantine_threshold:
        node.state = NodeState.Down
        node.flags = NodeFlag.Quarantined
        sim.after(sim.cluster.quarantine_seconds, lambda: _begin_join(sim, node))
        return
    _begin_join(sim, node)


def start_role(sim: Simulation, role: Role) -> None:
    """Bring a role online on its owner node, as an administrator asks for it."""
    state = sim.group_state(sim.cluster, role)
    if state is GroupState.Online:
        return
    if state is GroupState.Pending:
        raise Refusal(INVALID_STATE, f"'{role.name}' is pending.")
    vm = sim.cluster.vms[role.vm_id]
    if sim.cluster.memory_free_bytes()[fold(vm.node)] < vm.memory_needed_bytes:
        role.failed = True
        raise Refusal(NO_SYSTEM_RESOURCES, f"Not enough memory to start '{vm.name}'.")
    start_vm(sim, vm)
    role.persistent = True
    role.failed = False
    role.waiting_for_memory = False


def start_vm(sim: Simulation, vm: VirtualMachine) -> None:
    """Turn a VM on where it is; it runs after the start-up time."""
    if not sim.node(vm.node).powered:
        raise Refusal(NODE_DOWN, f"The node '{vm.node}' is down.")
    began = vm.starting_at = sim.now
    vm.state = VmState.Starting

    def run() -> None:
        if vm.state is VmState.Starting and vm.starting_at == began:
            vm.state = VmState.Running
            vm.running_since = sim.now

    sim.after(sim.timing.start_seconds, run)


def choose_node(
    sim: Simulation, role: Role, free: dict[str, int], *, not_on: str | None = None
) -> Node | None:
    """The node that the cluster would give this role to: the preferred ones first, then room."""
    vm = sim.cluster.vms[role.vm_id]
    preferred = [fold(name) for name in role.preferred]
    possible = {fold(n) for n in role.possible} & {fold(n) for n in role.possible_configuration}
    fit = [
        node
        for key, node in sim.cluster.nodes.items()
        if key in possible
        and not same_name(node.name, not_on)
        and sim.is_usable(node)
        and free[key] >= vm.memory_needed_bytes
    ]

    def rank(node: Node) -> tuple[int, int, str]:
        key = fold(node.name)
        place = preferred.index(key) if key in preferred else len(preferred)
        return place, -free[key], key

    return min(fit, key=rank, default=None)


def _kill(vm: VirtualMachine) -> None:
    if vm.state is not VmState.Saved:
        vm.state = VmState.Off
    vm.running_since = None


def _lose_contact(sim: Simulation, node: Node) -> None:
    lost_at = sim.now
    node.lost_at = lost_at
    node.bad_leaves.append(lost_at)
    abort_moves(sim, node)
    for role in sim.cluster.roles.values():
        if same_name(role.owner, node.name):
            vm = sim.cluster.vms[role.vm_id]
            role.unmonitored = vm.state not in (VmState.Off, VmState.Saved)

    def notice() -> None:
        if node.lost_at == lost_at and node.state is not NodeState.Joining:
            node.state = NodeState.Down
            node.flags = NodeFlag.Isolated
            sim.after(sim.cluster.resiliency_seconds, give_up)

    def give_up() -> None:
        if node.lost_at == lost_at and node.state is NodeState.Down:
            if not sim.has_quorum():
                _stop_for_want_of_quorum(sim)
                sim.after(_RETRY_SECONDS, give_up)
                return
            node.flags &= ~NodeFlag.Isolated
            _hand_over_roles(sim, node)

    sim.after(sim.timing.heartbeat_seconds, notice)


def _stop_for_want_of_quorum(sim: Simulation) -> None:
    """Without quorum the cluster service stops everywhere, and clustered VMs with it."""
    for migration in tuple(sim.cluster.migrations.values()):
        abort_moves(sim, sim.node(migration.target))
    for role in sim.cluster.roles.values():
        vm = sim.cluster.vms[role.vm_id]
        if vm.running_since is not None:
            _kill(vm)
        role.unmonitored = False


def _hand_over_roles(sim: Simulation, node: Node) -> None:
    owned = [r for r in sim.cluster.roles.values() if same_name(r.owner, node.name)]
    for role in sorted(owned, key=lambda r: (-r.priority, fold(r.name), r.id)):
        _kill(sim.cluster.vms[role.vm_id])  # on a node cut off, storage is taken from it
        role.unmonitored = False
        _fail_over(sim, role)


def _fail_over(sim: Simulation, role: Role) -> None:
    """Restart a role whose VM is down, or let an offline role's new owner be decided."""
    vm = sim.cluster.vms[role.vm_id]
    if not role.persistent:
        target = choose_node(sim, role, sim.cluster.memory_free_bytes())
        if target is not None and not same_name(target.name, role.owner):
            source, vm.node, role.owner = vm.node, target.name, target.name
            sim.record_move(vm, source, Cause.CLUSTER, live=False)
        return
    role.failing_over = True
    sim.after(sim.timing.failover_seconds, lambda: _restart(sim, role))


def _restart(sim: Simulation, role: Role) -> None:
    vm = sim.cluster.vms.get(role.vm_id)
    if vm is None or vm.state not in (VmState.Off, VmState.Saved) or not role.persistent:
        role.failing_over = role.waiting_for_memory = False
        return
    target = None
    if sim.has_quorum():
        free = sim.cluster.memory_free_bytes()
        target = choose_node(sim, role, free)
    role.failing_over = False
    role.waiting_for_memory = target is None
    if target is None:
        sim.after(_RETRY_SECONDS, lambda: _restart(sim, role))
        return
    source, vm.node, role.owner = vm.node, target.name, target.name
    if not same_name(source, target.name):
        sim.record_move(vm, source, Cause.CLUSTER, live=False)
    start_vm(sim, vm)
    role.failed = False


def _begin_join(sim: Simulation, node: Node) -> None:
    if not node.powered or node.cut_off_at is not None:
        return
    node.state = NodeState.Joining
    node.flags = NodeFlag.Normal

    def joined() -> None:
        if node.state is NodeState.Joining and node.powered and node.cut_off_at is None:
            node.state = NodeState.Up
            node.lost_at = None
            _take_back(sim, node)

    sim.after(sim.timing.join_seconds, joined)


def _take_back(sim: Simulation, node: Node) -> None:
    """A node is Up again: roles found down are restarted, and failback begins."""
    for role in tuple(sim.cluster.roles.values()):
        if same_name(role.owner, node.name):
            role.unmonitored = False
        vm = sim.cluster.vms[role.vm_id]
        idle = not (role.failing_over or role.waiting_for_memory or role.unmonitored)
        if role.persistent and not role.failed and idle and vm.state is VmState.Off:
            _fail_over(sim, role)
    for role in tuple(sim.cluster.roles.values()):
        if role.auto_failback and _prefers(role, node):
            try:
                request_move(sim, role, node, Cause.CLUSTER)
            except Refusal:
                continue
    start_due(sim)


def _prefers(role: Role, node: Node) -> bool:
    ranks = {fold(name): place for place, name in reversed(list(enumerate(role.preferred)))}
    here = ranks.get(fold(role.owner), len(ranks))
    return ranks.get(fold(node.name), len(ranks)) < here


def _restart_local_vms(sim: Simulation, node: Node) -> None:
    """VMs that are not clustered start again with their node (start action StartIfRunning)."""
    for vm in sim.vms_listed_on(node):
        if vm.id not in sim.cluster.roles and vm.ran_at_crash:
            vm.ran_at_crash = False
            start_vm(sim, vm)
