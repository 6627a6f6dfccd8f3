"""Nodes paused for maintenance and resumed, and the cluster's own balancer.

A drain empties a node by live migration; roles below the move type threshold are saved, moved and
resumed instead, and offline ones are handed over (Microsoft docs, Suspend-ClusterNode and
MoveTypeThreshold). The balancer honours possible owners, not preferred ones (VM load balancing).
"""

from __future__ import annotations

from collections import Counter

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import INVALID_STATE, NODE_PAUSED, Refusal
from controller.simulator.failover import choose_node
from controller.simulator.inventory import Node, Role
from controller.simulator.migration import move_offline, request_move
from controller.simulator.simulation import Simulation
from controller.simulator.states import (
    Cause,
    DrainStatus,
    FailbackStatus,
    GroupState,
    NodeFlag,
    NodeState,
)

_STEP_SECONDS = 1.0
_ATTEMPTS_MAX = 2
_BALANCE_SECONDS = 1800.0
_BALANCE_PERCENT = {1: 80, 2: 70, 3: 60}  # memory in use, by AutoBalancerLevel


def suspend_node(sim: Simulation, node: Node, *, drain: bool, target: Node | None = None) -> None:
    """Pause a node: it takes no new roles and, with `drain`, gives its roles away."""
    if node.state is not NodeState.Up or node.drain is DrainStatus.InProgress:
        raise Refusal(NODE_PAUSED, f"The cluster node '{node.name}' can't be paused now.")
    if not drain:
        node.state = NodeState.Paused
        return
    if sim.doubts.node_shown_paused == "before_drain":
        node.state = NodeState.Paused
    _set_drain(node, DrainStatus.InProgress)
    node.drain_target = None if target is None else target.name
    _drain_step(sim, node, Counter())


def resume_node(sim: Simulation, node: Node, failback: str = "NoFailback") -> None:
    """End a pause; `failback` is NoFailback, Immediate, or Policy (each role's own setting)."""
    if node.state is not NodeState.Paused and node.drain is DrainStatus.NotInitiated:
        raise Refusal(INVALID_STATE, f"The cluster node '{node.name}' is not paused.")
    node.state = NodeState.Up
    node.flags &= ~NodeFlag.AvoidPlacement
    node.drain_target = None
    _set_drain(node, DrainStatus.NotInitiated)
    returning = [
        role
        for role in sim.cluster.roles.values()
        if same_name(role.drained_from, node.name)
        and (failback == "Immediate" or (failback == "Policy" and role.auto_failback))
    ]
    for role in sim.cluster.roles.values():
        if same_name(role.drained_from, node.name):
            role.drained_from = None
    node.failback = FailbackStatus.InProgress if returning else FailbackStatus.NotInitiated
    for role in returning:
        try:
            _send(sim, role, node)
        except Refusal:
            continue
    if returning:
        _watch_failback(sim, node)


def start_balancing(sim: Simulation) -> None:
    """Let the cluster balance memory by itself, as its mode says (2: each half hour)."""

    def look() -> None:
        if sim.cluster.balancer_mode >= 2:
            balance_once(sim)
        sim.after(_BALANCE_SECONDS, look)

    sim.after(_BALANCE_SECONDS, look)


def balance_once(sim: Simulation) -> None:
    """Move one VM from the fullest node to the emptiest, if the fullest is over its level."""
    if not sim.has_quorum():
        return
    free = sim.cluster.memory_free_bytes()
    nodes = [node for node in sim.cluster.nodes.values() if sim.is_usable(node)]
    if len(nodes) < 2:
        return

    def used_percent(node: Node) -> float:
        return 100 - 100 * free[fold(node.name)] / node.memory_bytes

    nodes.sort(key=lambda node: (used_percent(node), fold(node.name)))
    fullest, emptiest = nodes[-1], nodes[0]
    if used_percent(fullest) <= _BALANCE_PERCENT.get(sim.cluster.balancer_level, 80):
        return
    gap = free[fold(emptiest.name)] - free[fold(fullest.name)]
    for role in sorted(sim.cluster.roles.values(), key=lambda r: (fold(r.name), r.id)):
        vm = sim.cluster.vms[role.vm_id]
        if same_name(role.owner, fullest.name) and not role.balancer_excluded:
            if vm.memory_held_bytes * 2 > gap or not vm.memory_held_bytes:
                continue
            try:
                request_move(sim, role, emptiest, Cause.CLUSTER)
            except Refusal:
                continue
            return


def _send(sim: Simulation, role: Role, target: Node) -> None:
    if sim.group_state(sim.cluster, role) is GroupState.Offline:
        move_offline(sim, role, target, Cause.CLUSTER)
        return
    quick = role.priority < sim.cluster.move_type_threshold
    request_move(sim, role, target, Cause.CLUSTER, quick=quick)


def _drain_step(sim: Simulation, node: Node, attempts: Counter[str]) -> None:
    """Send off what has not been sent, and look again in a second until nothing is under way."""
    if node.drain is not DrainStatus.InProgress or not node.powered:
        return
    owned = [r for r in sim.cluster.roles.values() if same_name(r.owner, node.name)]
    for role in sorted(owned, key=lambda r: (-r.priority, fold(r.name), r.id)):
        if role.vm_id in sim.cluster.migrations or attempts[role.vm_id] >= _ATTEMPTS_MAX:
            continue
        attempts[role.vm_id] += 1
        target = _drain_target(sim, node, role)
        if target is None:
            continue
        try:
            _send(sim, role, target)
        except Refusal:
            continue
        role.drained_from = node.name
    if not any(same_name(r.owner, node.name) for r in sim.cluster.roles.values()):
        node.state = NodeState.Paused
        _set_drain(node, DrainStatus.Completed)
        return
    in_flight = any(same_name(m.source, node.name) for m in sim.cluster.migrations.values())
    if not in_flight and all(attempts[r.vm_id] >= _ATTEMPTS_MAX for r in owned):
        node.state = NodeState.Paused
        _set_drain(node, DrainStatus.Failed)
        return
    sim.after(_STEP_SECONDS, lambda: _drain_step(sim, node, attempts))


def _drain_target(sim: Simulation, node: Node, role: Role) -> Node | None:
    if node.drain_target is not None:
        return sim.node(node.drain_target)
    free = sim.cluster.memory_free_bytes()
    for migration in sim.cluster.migrations.values():
        if not migration.memory_bytes:  # queued: its memory is not held yet, but it is promised
            vm = sim.cluster.vms[migration.vm_id]
            free[fold(migration.target)] -= vm.memory_held_bytes
    return choose_node(sim, role, free, not_on=node.name)


def _set_drain(node: Node, status: DrainStatus) -> None:
    node.drain = status
    node.flags &= ~(NodeFlag.DrainInProgress | NodeFlag.DrainCompleted | NodeFlag.DrainFailed)
    match status:
        case DrainStatus.InProgress:
            node.flags |= NodeFlag.DrainInProgress
        case DrainStatus.Completed:
            node.flags |= NodeFlag.DrainCompleted
        case DrainStatus.Failed:
            node.flags |= NodeFlag.DrainFailed
        case DrainStatus.NotInitiated:
            pass


def _watch_failback(sim: Simulation, node: Node) -> None:
    def look() -> None:
        if node.failback is not FailbackStatus.InProgress:
            return
        if any(same_name(m.target, node.name) for m in sim.cluster.migrations.values()):
            sim.after(_STEP_SECONDS, look)
        else:
            node.failback = FailbackStatus.Completed

    sim.after(_STEP_SECONDS, look)
