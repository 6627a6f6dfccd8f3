"""How each fault of the catalogue is played, at the one place where it strikes.

The places: the wire (NodeCaller), the world, the specs, the journal's disk, the clock, the process.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controller.errors import OutcomeUnknown, RemoteFailed
from controller.simulator import drain
from controller.simulator.states import Stage, VmOperationalStatus
from tests.simulation.faults import Fault, Kind
from tests.simulation.mending import wake_vm
from tests.simulation.people import PEOPLE_PLAYED, Deed, End
from tests.simulation.wire import Mishap, Trap, no_connection, refused_logon

if TYPE_CHECKING:
    from tests.simulation.play import Play

GIB = 1024**3


# ---- at the wire


def _trap(fault: Fault, mishap: Callable[[random.Random], Mishap], **where: Any) -> Deed:
    def begin(play: "Play", fault: Fault) -> End:
        chance = fault.chance
        given = {"changing": None, "node": None, "left": chance.randint(1, 4), **where}
        if given["node"] == "its":
            given["node"] = fault.node.lower()
        trap = Trap(mishap=lambda: mishap(chance), **given)
        play.wire.traps.append(trap)
        return lambda: play.wire.traps.remove(trap)

    return begin


def _at_wire(mishap: Callable[[random.Random], Mishap], **where: Any) -> Deed:
    return lambda play, fault: _trap(fault, mishap, **where)(play, fault)


def _or_not(chance: random.Random, **kind: Any) -> Mishap:
    """The same with or without execution: the controller can't tell."""
    return Mishap(request_lost=True) if chance.random() < 0.5 else Mishap(**kind)


def _partial(chance: random.Random) -> Mishap:
    if chance.random() < 0.5:
        return Mishap(error=lambda: RemoteFailed("Get-VM failed", kind="ObjectNotFound"))
    return Mishap(garble=lambda data: {k: data[k] for k in sorted(data)[: len(data) // 2]})


def _malformed(chance: random.Random) -> Mishap:
    def garble(data: dict[str, Any]) -> dict[str, Any]:
        key = chance.choice(sorted(data))
        return {**data, key: chance.choice((17, "\x1b[31m", None, [None], {"$ref": key}))}

    return Mishap(garble=garble)


# ---- in the world


def _crash(play: "Play", fault: Fault) -> End:
    play.world.crash_node(fault.node)
    return lambda: play.world.boot_node(fault.node)


def _pause(play: "Play", fault: Fault) -> End:
    chance = fault.chance
    if chance.random() < 0.2:
        play.world.avoid_node(fault.node)
        return lambda: play.world.avoid_node(fault.node, avoid=False)
    play.world.pause_node(fault.node, drain_roles=chance.random() < 0.6)
    failback = chance.choice(("NoFailback", "Immediate", "Policy"))
    return lambda: play.world.resume_node(fault.node, failback)  # type: ignore[arg-type]


def _cut(play: "Play", fault: Fault) -> End:
    play.world.cut_off(fault.node)
    return lambda: play.world.heal(fault.node)


def _quarantine(play: "Play", fault: Fault) -> End:
    node = play.world.node(fault.node)
    node.bad_leaves += [play.world.now] * play.world.cluster.quarantine_threshold
    return _cut(play, fault)


def _quorum_loss(play: "Play", fault: Fault) -> End:
    play.world.cluster.witness = False
    nodes = [node.name for node in play.world.cluster.nodes.values() if node.powered]
    lost = fault.chance.sample(nodes, k=len(nodes) // 2 + len(nodes) % 2)
    for node in lost:
        play.world.crash_node(node)

    def end() -> None:
        play.world.cluster.witness = True
        for node in lost:
            if not play.world.node(node).powered:
                play.world.boot_node(node)

    return end


def _flap(play: "Play", fault: Fault) -> End:
    """Away and back, again and again."""
    state = {"on": True}

    def swing() -> None:
        if not state["on"]:
            return
        node = play.world.node(fault.node)
        if node.cut_off_at is None and node.powered:
            play.world.cut_off(fault.node)
        elif node.cut_off_at is not None:
            play.world.heal(fault.node)
        play.later(max(fault.seconds / 6, 1.0), swing)

    swing()

    def end() -> None:
        state["on"] = False
        if play.world.node(fault.node).cut_off_at is not None:
            play.world.heal(fault.node)

    return end


def _migration_fails(play: "Play", fault: Fault) -> None:
    stage = fault.chance.choice((Stage.SET_UP, Stage.TRANSFER, Stage.SWITCH_OVER))
    play.world.break_next_migration(fault.vm, stage=stage)


def _fails_but_moved(play: "Play", fault: Fault) -> None:
    play.world.doubts = replace(play.world.doubts, failed_migration_leaves_vm="on_target")
    play.world.break_next_migration(fault.vm, stage=Stage.TRANSFER)


def _never_ends(play: "Play", fault: Fault) -> End:
    stage = fault.chance.choice((Stage.SET_UP, Stage.TRANSFER))
    play.world.break_next_migration(fault.vm, stage=stage, stalls=True)

    def end() -> None:
        play.world.faults.pop(play.world.vm(fault.vm).id, None)
        play.world.cancel_move(fault.vm)

    return end


def _foreign_move(play: "Play", fault: Fault) -> End | None:
    """An administrator does what we were about to do, or the opposite."""
    known = [vm for vm in play.world.cluster.vms.values() if vm.name.lower() == fault.vm.lower()]
    if not known:  # it was to be created: somebody is faster
        play.world.add_vm(fault.vm, fault.node, memory_bytes=GIB, running=False)
    elif known[0].id in play.world.cluster.roles:
        play.world.move_live(known[0].id, fault.node)
    elif fault.chance.random() < 0.5:
        play.world.register(known[0].id)
    else:
        other = fault.chance.choice(sorted(play.world.cluster.roles))
        usual = play.world.role(other).name
        play.world.rename_role(other, fault.vm)
        return lambda: play.world.rename_role(other, usual)
    return None


def _balancer(play: "Play", fault: Fault) -> End:
    play.world.cluster.balancer_mode = 2
    play.world.cluster.balancer_level = 3
    drain.balance_once(play.world)

    def end() -> None:
        play.world.cluster.balancer_mode = 0

    return end


def _failback(play: "Play", fault: Fault) -> End:
    """The cluster's own failback is on for some roles, and their node goes and comes."""
    roles = [vm for vm in play.vm_names() if play.world.vm(vm).id in play.world.cluster.roles]
    for vm in fault.chance.sample(roles, k=min(3, len(roles))):
        play.world.set_preferred_owners(vm, [fault.node], failback=True)
    end = _crash(play, fault)

    def mend() -> None:
        end()
        play.later(60.0, lambda: _no_failback(play))

    return mend


def _no_failback(play: "Play") -> None:
    for role in play.world.cluster.roles.values():
        role.auto_failback = False


def _backup(play: "Play", fault: Fault) -> End:
    clustered = play.world.vm(fault.vm).id in play.world.cluster.roles
    match fault.chance.randrange(3) if clustered else 2:
        case 0:
            play.world.begin_backup(fault.vm)
            return lambda: play.world.end_backup(fault.vm)
        case 1:
            play.world.lock_role(fault.vm)
            return lambda: play.world.unlock_role(fault.vm)
        case _:
            work = fault.chance.choice(
                (VmOperationalStatus.MergingDisks, VmOperationalStatus.StorageMigrationPhaseOne)
            )
            play.world.begin_work(fault.vm, work)
            return lambda: play.world.end_work(fault.vm)


def _vm_state(play: "Play", fault: Fault) -> End:
    match fault.chance.randrange(5):
        case 0:
            play.world.stop_vm(fault.vm)
        case 1:
            play.world.save_vm(fault.vm)
        case 2:
            play.world.pause_vm(fault.vm)
        case 3:  # the cluster gives the resource up, and the guest goes on
            role = play.world.role(fault.vm)
            role.failed = True
            return lambda: setattr(role, "failed", False)
        case _:
            owner = play.world.role(fault.vm).owner
            play.world.set_possible_owners(fault.vm, [owner])
            everywhere = [node.name for node in play.world.cluster.nodes.values()]
            return lambda: play.world.set_possible_owners(fault.vm, everywhere)
    return lambda: wake_vm(play.world, fault.vm)


def _memory_grows(play: "Play", fault: Fault) -> End:
    node = play.world.node(fault.node)
    usual = play.usual.reserve_bytes[node.name]
    free = play.world.memory_free_bytes(fault.node)
    play.world.use_memory(
        fault.node, node.reserve_bytes + max(0, int(free * fault.chance.uniform(0.3, 1.0)))
    )
    return lambda: play.world.use_memory(fault.node, usual)


def _disk_full(play: "Play", fault: Fault) -> End:
    volume = play.world.cluster.volumes[0]
    if fault.chance.random() < 0.5:
        play.world.set_volume(volume.mount, online=False)
        return lambda: play.world.set_volume(volume.mount, online=True)
    volume.other_bytes = volume.size_bytes

    def end() -> None:
        volume.other_bytes = play.usual.volume_bytes

    return end


# ---- at the specs, the process, the clock, the journal's disk


def _bad_commit(play: "Play", fault: Fault) -> End:
    return play.site.spoil(fault.chance)


def _git_outage(play: "Play", fault: Fault) -> End:
    """The specs can't be read, or an older revision of them comes back for a while."""
    if fault.chance.random() < 0.5:
        play.site.hide_specs()
        return lambda: play.declare(play.site.show_specs())
    now = play.declared
    play.declare(play.options.specs)
    return lambda: play.declare(now)


def _controller_crash(play: "Play", fault: Fault) -> End:
    if fault.chance.random() < 0.3:
        play.site.stop()
    else:
        play.site.kill_if_alive()
    return play.start_controller


def _freeze(play: "Play", fault: Fault) -> None:
    play.site.freeze(fault.chance.choice((5.0, 30.0, 61.0, 240.0, 3600.0)))


def _clock_jump(play: "Play", fault: Fault) -> End:
    jump = fault.chance.choice((-86400.0, -3600.0, -120.0, -5.0, 5.0, 120.0))
    play.site.clock_offset_seconds += jump
    play.checker.clock_jumped_seconds = play.world.now
    return lambda: None


def _journal_error(play: "Play", fault: Fault) -> End:
    if fault.chance.random() < 0.5:
        play.site.disk.is_full = play.checker.disk_is_full = True

        def end() -> None:
            play.site.disk.is_full = play.checker.disk_is_full = False
            play.site.kill_if_alive()  # a person starts it anew after making room
            play.start_controller()

        return end
    play.site.kill_if_alive()
    play.site.lose_journal()
    play.checker.journal_lost()
    return play.start_controller


PLAYED: Mapping[Kind, Deed] = {
    Kind.REPLY_LOST: _at_wire(lambda _: Mishap(reply_lost=True), changing=True),
    Kind.REQUEST_LOST: _at_wire(lambda _: Mishap(request_lost=True), changing=True),
    Kind.DELAYED: _at_wire(lambda c: Mishap(delay_seconds=c.choice((1.0, 15.0, 40.0, 300.0)))),
    Kind.REORDERED: _at_wire(lambda c: Mishap(delay_seconds=c.choice((0.0, 3.0, 12.0)))),
    Kind.STALE_ANSWER: _at_wire(lambda c: Mishap(looks_ago=c.randint(1, 5)), changing=False),
    Kind.OTHER_NODES_ANSWER: lambda play, fault: _trap(
        fault, lambda _: Mishap(answered_by=fault.node), changing=False
    )(play, fault),
    Kind.PARTIAL_ANSWER: _at_wire(_partial, changing=False, node="its"),
    Kind.MALFORMED: _at_wire(_malformed),
    Kind.HANG: _at_wire(lambda c: _or_not(c, reply_lost=True), node="its", left=20),
    Kind.DRIP: _at_wire(lambda c: Mishap(drip_seconds=c.uniform(5, 30)), node="its", left=20),
    Kind.RESET: _at_wire(
        lambda c: (
            Mishap(reset=True)
            if c.random() < 0.5
            else Mishap(error=lambda: OutcomeUnknown("the connection was reset"))
        )
    ),
    Kind.TLS_BAD: _at_wire(lambda _: Mishap(error=no_connection), node="its", left=1000),
    Kind.LOGON_REFUSED: _at_wire(lambda _: Mishap(error=refused_logon), left=1000),
    Kind.LOGON_EXPIRED: _at_wire(lambda _: Mishap(error=refused_logon), node="its", left=5),
    Kind.NODE_CRASH: _crash,
    Kind.REBOOT: _crash,
    Kind.PAUSE: _pause,
    Kind.ISOLATE: _cut,
    Kind.QUARANTINE: _quarantine,
    Kind.PARTITION: _cut,
    Kind.ONE_WAY_PARTITION: _at_wire(lambda _: Mishap(error=no_connection), node="its", left=1000),
    Kind.QUORUM_LOSS: _quorum_loss,
    Kind.FLAP: _flap,
    Kind.MIGRATION_FAILS: _migration_fails,
    Kind.FAILS_BUT_OWNER_MOVED: _fails_but_moved,
    Kind.MIGRATION_NEVER_ENDS: _never_ends,
    Kind.FOREIGN_MOVE: _foreign_move,
    Kind.BALANCER_WAVE: _balancer,
    Kind.FAILBACK: _failback,
    Kind.BACKUP_LOCK: _backup,
    Kind.VM_STATE_CHANGE: _vm_state,
    Kind.MEMORY_GROWS: _memory_grows,
    Kind.DISK_FULL: _disk_full,
    Kind.BAD_COMMIT: _bad_commit,
    Kind.CONTROLLER_CRASH: _controller_crash,
    Kind.FREEZE: _freeze,
    Kind.CLOCK_JUMP: _clock_jump,
    Kind.JOURNAL_ERROR: _journal_error,
    Kind.DUPLICATED: _at_wire(
        lambda c: Mishap(again_seconds=c.choice((0.0, 2.0, 20.0))), changing=True
    ),
    Kind.GIT_OUTAGE: _git_outage,
    **PEOPLE_PLAYED,
}
