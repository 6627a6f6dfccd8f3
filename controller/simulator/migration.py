"""Moves of roles: the queue at the cluster, the stages of a live migration, and how one fails.

Stages (Microsoft docs, MigrationState): queued, 1 set-up, 2 data transfer, 3 moving the group. A
failed or cancelled migration leaves the VM running on its source and the group Online there; only
the private properties keep a trace, until the next migration.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import (
    BUSY,
    CONNECTION_RESET,
    FILE_NOT_FOUND,
    GROUP_LOCKED,
    INVALID_STATE,
    NO_SYSTEM_RESOURCES,
    NODE_DOWN,
    NODE_NOT_POSSIBLE_OWNER,
    NODE_PAUSED,
    STORAGE_PROVIDER,
    UNSPECIFIED,
    Refusal,
)
from controller.simulator.event_log import log_failure, log_pause
from controller.simulator.inventory import Migration, Node, Role, VirtualMachine
from controller.simulator.simulation import Simulation
from controller.simulator.states import (
    Cause,
    GroupState,
    MigrationState,
    NodeState,
    Stage,
    VmOperationalStatus,
    VmState,
)
from controller.simulator.storage import on_shared_volume

_BLOCKS_MIGRATION = frozenset(
    {
        VmOperationalStatus.BackingUpVirtualMachine,
        VmOperationalStatus.MergingDisks,
        VmOperationalStatus.CreatingSnapshot,
        VmOperationalStatus.DeletingSnapshot,
        VmOperationalStatus.ExportingVirtualMachine,
        VmOperationalStatus.StorageMigrationPhaseOne,
        VmOperationalStatus.StorageMigrationPhaseTwo,
    }
)
_CANCELLABLE = frozenset({Stage.QUEUED, Stage.SET_UP, Stage.TRANSFER})
_STALLED_AT_PERCENT = 99
_GPU_PARTITIONS_MOVE_SINCE = 26100


def request_move(
    sim: Simulation, role: Role, target: Node, cause: Cause, *, quick: bool = False
) -> None:
    """Accept a move of an online role, to start now or when both nodes have a free slot.

    Raises `Refusal` for what the cluster checks at once. What the hypervisors check is found out
    in the set-up and fails the migration.
    """
    if not sim.has_quorum():
        raise Refusal(INVALID_STATE, "The cluster does not have quorum.")
    _check_target(sim, role, target)
    if role.locked:
        raise Refusal(GROUP_LOCKED, f"The cluster group '{role.name}' is locked.")
    if role.vm_id in sim.cluster.migrations:
        if sim.doubts.second_move == "busy":
            raise Refusal(BUSY, f"A migration of '{role.name}' is under way already.")
        role.next_target = target.name
        return
    if same_name(role.owner, target.name):
        if sim.doubts.move_to_owner == "refused":
            raise Refusal(INVALID_STATE, f"'{role.name}' is on '{target.name}' already.")
        return
    if sim.group_state(sim.cluster, role) is not GroupState.Online:
        raise Refusal(INVALID_STATE, f"'{role.name}' is not online: it can't be live-migrated.")
    sim.cluster.migrations[role.vm_id] = Migration(
        vm_id=role.vm_id,
        source=role.owner,
        target=target.name,
        cause=cause,
        number=sim.new_number(),
        quick=quick,
        stage_at=sim.now,
    )
    role.migration_state = MigrationState.Nothing
    role.migration_progress = 0
    role.migration_failure = 0
    start_due(sim)


def move_offline(sim: Simulation, role: Role, target: Node, cause: Cause) -> None:
    """Hand an offline role to another node; nothing runs, so it is done at once."""
    _check_target(sim, role, target)
    vm = sim.cluster.vms[role.vm_id]
    if sim.group_state(sim.cluster, role) is not GroupState.Offline:
        raise Refusal(INVALID_STATE, f"'{role.name}' is not offline.")
    source, vm.node, role.owner = vm.node, target.name, target.name
    sim.record_move(vm, source, cause, live=False)


def cancel_move(sim: Simulation, role: Role) -> None:
    """Cancel a move that is queued, set up or transferring; later ones can't be cancelled."""
    migration = sim.cluster.migrations.get(role.vm_id)
    if migration is None or migration.stage not in _CANCELLABLE:
        raise Refusal(INVALID_STATE, f"'{role.name}' has no migration that can be cancelled.")
    _give_back(sim, migration)
    _finish(sim, migration, MigrationState.Cancelled)


def abort_moves(sim: Simulation, node: Node) -> None:
    """End the migrations to and from a node that the others no longer reach."""
    for migration in tuple(sim.cluster.migrations.values()):
        if same_name(migration.target, node.name):
            _fail(sim, migration, CONNECTION_RESET, may_stray=False)
        elif same_name(migration.source, node.name):
            _give_back(sim, migration)
            _finish(sim, migration, MigrationState.Failed, CONNECTION_RESET)


def progress_percent(sim: Simulation, migration: Migration) -> int:
    """How much of the memory has been copied."""
    match migration.stage:
        case Stage.QUEUED | Stage.SET_UP:
            return 0
        case Stage.TRANSFER:
            share = (sim.now - migration.stage_at) / max(migration.stage_seconds, 1e-9)
            return min(int(100 * share), _STALLED_AT_PERCENT)
        case Stage.SWITCH_OVER:
            return 100


def migrations_max(sim: Simulation, node: Node) -> int:
    """How many migrations this node takes part in at once, at most."""
    limit = sim.cluster.migrations_max
    return node.migrations_max if limit is None else limit


def start_due(sim: Simulation) -> None:
    """Begin every queued migration that both of its nodes have a slot for, oldest first."""
    queued = (m for m in sim.cluster.migrations.values() if m.stage is Stage.QUEUED)
    for migration in sorted(queued, key=lambda m: m.number):
        if migration.stage is Stage.QUEUED and _has_slots(sim, migration):
            _begin_set_up(sim, migration)


def _check_target(sim: Simulation, role: Role, target: Node) -> None:
    if target.state is NodeState.Paused and sim.doubts.move_to_paused_node == "refused":
        raise Refusal(NODE_PAUSED, f"The cluster node '{target.name}' is paused.")
    if target.state not in (NodeState.Up, NodeState.Paused):
        raise Refusal(NODE_DOWN, f"The cluster node '{target.name}' is down.")
    for owners in (role.possible, role.possible_configuration):
        if not any(same_name(owner, target.name) for owner in owners):
            raise Refusal(
                NODE_NOT_POSSIBLE_OWNER,
                f"'{target.name}' is not a possible owner of a resource of '{role.name}'.",
            )


def _has_slots(sim: Simulation, migration: Migration) -> bool:
    if migration.quick:
        return True  # the limit is one of live migrations
    running = [
        m for m in sim.cluster.migrations.values() if m.stage is not Stage.QUEUED and not m.quick
    ]
    source = sim.node(migration.source)
    target = sim.node(migration.target)
    if sim.doubts.migration_limit_counts == "apart":
        leaving = sum(same_name(m.source, source.name) for m in running)
        arriving = sum(same_name(m.target, target.name) for m in running)
        return leaving < migrations_max(sim, source) and arriving < migrations_max(sim, target)
    return all(
        sum(fold(node.name) in (fold(m.source), fold(m.target)) for m in running)
        < migrations_max(sim, node)
        for node in (source, target)
    )


def _enter(
    sim: Simulation,
    migration: Migration,
    stage: Stage,
    seconds: float,
    then: Callable[[Simulation, Migration], None],
) -> None:
    migration.stage = stage
    migration.stage_at = sim.now
    migration.stage_seconds = seconds

    def end() -> None:
        current = sim.cluster.migrations.get(migration.vm_id) is migration
        if current and migration.stage is stage:
            then(sim, migration)

    fault = sim.faults.get(migration.vm_id)
    if fault is not None and fault.stage is stage:
        del sim.faults[migration.vm_id]
        if not fault.stalls:
            sim.after(seconds / 2, lambda: _fail_if_current(sim, migration, fault.hresult))
        return
    sim.after(seconds, end)


def _fail_if_current(sim: Simulation, migration: Migration, hresult: int) -> None:
    if sim.cluster.migrations.get(migration.vm_id) is migration:
        _fail(sim, migration, hresult, may_stray=True)


def _begin_set_up(sim: Simulation, migration: Migration) -> None:
    vm = sim.cluster.vms[migration.vm_id]
    sim.cluster.roles[vm.id].migration_state = MigrationState.SetUp
    # Hyper-V makes room on the target first; without room the set-up will end in a failure.
    if sim.cluster.memory_free_bytes()[fold(migration.target)] >= vm.memory_held_bytes:
        migration.memory_bytes = vm.memory_held_bytes
    _enter(sim, migration, Stage.SET_UP, sim.timing.set_up_seconds, _end_set_up)


def _end_set_up(sim: Simulation, migration: Migration) -> None:
    vm = sim.cluster.vms[migration.vm_id]
    problem: int | None = CONNECTION_RESET  # a dead target that nobody has missed yet
    if sim.in_contact(migration.target) and sim.in_contact(migration.source):
        problem = _what_the_target_lacks(sim, vm, migration)
    if problem is not None:
        _fail(sim, migration, problem, may_stray=False)
        return
    role = sim.cluster.roles[vm.id]
    role.migration_state = MigrationState.Transfer
    if migration.quick:
        migration.state_before, vm.state = vm.state, VmState.Saving
        seconds = migration.memory_bytes / sim.timing.save_bytes_per_second
    else:
        copied = migration.memory_bytes * (1 + sim.timing.dirty_factor)
        seconds = copied / sim.timing.bandwidth_bytes_per_second
    _enter(sim, migration, Stage.TRANSFER, seconds, _end_transfer)


def _end_transfer(sim: Simulation, migration: Migration) -> None:
    vm = sim.cluster.vms[migration.vm_id]
    role = sim.cluster.roles[vm.id]
    role.migration_state = MigrationState.MovingGroup
    role.migration_progress = 100
    if sim.doubts.owner_switches == "before_switch_over_ends":
        role.owner = migration.target
    seconds = sim.timing.switch_over_seconds
    if migration.quick:
        seconds += migration.memory_bytes / sim.timing.save_bytes_per_second
    _enter(sim, migration, Stage.SWITCH_OVER, seconds, _complete)


def _complete(sim: Simulation, migration: Migration) -> None:
    _land(sim, migration)
    if not migration.quick:
        log_pause(sim, migration)
    _finish(sim, migration, MigrationState.Nothing)


def _land(sim: Simulation, migration: Migration) -> None:
    """The VM runs on the target from here on, and its memory there is its own."""
    vm = sim.cluster.vms[migration.vm_id]
    migration.memory_bytes = 0
    vm.node = migration.target
    sim.cluster.roles[vm.id].owner = migration.target
    if migration.quick:
        vm.state = migration.state_before
    sim.record_move(vm, migration.source, migration.cause, live=not migration.quick)


def _fail(sim: Simulation, migration: Migration, hresult: int, *, may_stray: bool) -> None:
    stray = sim.doubts.failed_migration_leaves_vm
    if migration.stage in (Stage.QUEUED, Stage.SET_UP) or not may_stray or migration.quick:
        stray = "on_source"
    if stray == "on_target":
        _land(sim, migration)
    else:
        _give_back(sim, migration)
    if stray == "nowhere":
        _lose_for_a_while(sim, sim.cluster.vms[migration.vm_id])
    _finish(sim, migration, MigrationState.Failed, hresult)


def _give_back(sim: Simulation, migration: Migration) -> None:
    vm = sim.cluster.vms[migration.vm_id]
    sim.cluster.roles[vm.id].owner = migration.source
    if migration.quick and vm.state is VmState.Saving:
        vm.state = migration.state_before


def _lose_for_a_while(sim: Simulation, vm: VirtualMachine) -> None:
    role = sim.cluster.roles[vm.id]
    until = sim.now + sim.timing.lost_vm_seconds
    vm.unlisted_until = until
    role.failing_over = True

    def find() -> None:
        if vm.unlisted_until == until:
            vm.unlisted_until = None
            role.failing_over = False

    sim.after(sim.timing.lost_vm_seconds, find)


def _finish(sim: Simulation, migration: Migration, state: MigrationState, hresult: int = 0) -> None:
    role = sim.cluster.roles[migration.vm_id]
    role.migration_progress = progress_percent(sim, migration) if hresult else 0
    role.migration_state = state
    role.migration_failure = hresult
    if state is MigrationState.Failed:
        log_failure(sim, migration, hresult)
    del sim.cluster.migrations[migration.vm_id]
    next_target, role.next_target = role.next_target, None
    if next_target is not None and not same_name(next_target, role.owner):
        sim.after(0, lambda: _follow_up(sim, role, next_target, migration.cause))
    sim.after(0, lambda: start_due(sim))


def _follow_up(sim: Simulation, role: Role, target: str, cause: Cause) -> None:
    try:
        request_move(sim, role, sim.node(target), cause)
    except Refusal:
        return  # event 1155 on a real cluster: a queued move that never takes place


def _what_the_target_lacks(sim: Simulation, vm: VirtualMachine, migration: Migration) -> int | None:
    """The HRESULT of the first reason why this VM can't run on the target, or None."""
    source, target = sim.node(migration.source), sim.node(migration.target)
    switches = [adapter.switch for adapter in vm.adapters if adapter.switch is not None]
    same_processor = source.processor_family == target.processor_family
    foreign_disks = [
        disk
        for disk in vm.disks
        if not on_shared_volume(sim.cluster, disk.path) or disk.physical_disk is not None
    ]
    paths = [vm.path, *(disk.path for disk in vm.disks)]
    # Live migration with a GPU partition came with Windows Server 2025 (build 26100).
    both_2025 = min(source.build, target.build) >= _GPU_PARTITIONS_MOVE_SINCE
    media = [dvd.path for dvd in vm.dvds if dvd.path is not None]
    checks: tuple[tuple[bool, int], ...] = (
        (vm.busy in _BLOCKS_MIGRATION, BUSY),
        (migration.memory_bytes < vm.memory_held_bytes, NO_SYSTEM_RESOURCES),
        (source.processor_vendor != target.processor_vendor, UNSPECIFIED),
        (not same_processor and not vm.processor_compatibility, UNSPECIFIED),
        (
            vm.processors > target.logical_processors
            and sim.doubts.processors_above_target == "refused",
            UNSPECIFIED,
        ),
        (vm.version not in target.vm_versions, UNSPECIFIED),
        (any(not _has_switch(target, name) for name in switches), UNSPECIFIED),
        (bool(foreign_disks), FILE_NOT_FOUND),
        (any(not _can_read(sim, target, path) for path in media), STORAGE_PROVIDER),
        (any(_lost(target, path) for path in paths), FILE_NOT_FOUND),
        (vm.assigned_devices > 0, UNSPECIFIED),
        (any(disk.shared for disk in vm.disks), UNSPECIFIED),
        (vm.gpu_partitions > 1 or (vm.gpu_partitions == 1 and not both_2025), UNSPECIFIED),
    )
    found = next((code for failed, code in checks if failed), None)
    return None if found is None else found if found > 0xFFFF else 0x80070000 | found


def _lost(node: Node, path: str) -> bool:
    """Whether the path is on a volume that the node can't use now."""
    return any(fold(path).startswith(mount + "\\") for mount in node.volumes_lost)


def _has_switch(node: Node, name: str) -> bool:
    return any(same_name(switch.name, name) for switch in node.switches)


def _can_read(sim: Simulation, node: Node, path: str) -> bool:
    files = sim.cluster.files if on_shared_volume(sim.cluster, path) else node.files
    return fold(path) in files
