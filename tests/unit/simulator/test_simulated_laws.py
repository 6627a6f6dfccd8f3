"""Laws of the simulated cluster, whatever administrators, chance and the controller's node do."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_worlds import run, world

from controller.model.names import fold
from controller.simulator.cmdlet_errors import NodeUnreachable, Refusal
from controller.simulator.migration import migrations_max
from controller.simulator.responder import respond
from controller.simulator.states import Stage, VmState
from controller.simulator.values import CmdletError
from controller.simulator.world import World

NODES = ("HV01", "HV02", "HV03", "HV04")
VMS = tuple(f"VM{n}" for n in range(8))
STEPS_MAX = 12


@dataclass(frozen=True)
class Happening:
    """Something that is done to the world after a wait."""

    wait_seconds: float
    deed: str
    vm: str
    node: str


HAPPENINGS = st.lists(
    st.builds(
        Happening,
        wait_seconds=st.sampled_from([0.0, 0.5, 3.0, 20.0, 300.0]),
        deed=st.sampled_from(
            [
                "move",
                "move",
                "order",
                "cancel",
                "crash",
                "boot",
                "pause",
                "resume",
                "cut",
                "stop",
                "start",
                "break",
                "freeze",
                "thaw",
            ]
        ),
        vm=st.sampled_from(VMS),
        node=st.sampled_from(NODES),
    ),
    max_size=STEPS_MAX,
)
WORLDS = st.builds(
    lambda limit, balancer, resiliency, leaves, second: world(
        *(
            f"name: VM{n}, node: HV0{n % 4 + 1}, memory: {n % 3 + 2}Gi, priority: {n % 3 + 1}000"
            for n in range(8)
        ),
        nodes=4,
        memory="10Gi",
        more=f"""
cluster:
  migrationsParallelMax: {limit}
  balancerMode: {balancer}
  resiliencySeconds: {resiliency}
doubts: {{failedMigrationLeavesVm: {leaves}, secondMove: {second}}}
""",
    ),
    limit=st.sampled_from([1, 2]),
    balancer=st.sampled_from([0, 2]),
    resiliency=st.sampled_from([0, 240]),
    leaves=st.sampled_from(["on_source", "on_target", "nowhere"]),
    second=st.sampled_from(["busy", "queued"]),
)


def do(sim: World, it: Happening) -> None:
    """Windows may refuse; that is an answer too."""
    deeds = {
        "move": lambda: sim.move_live(it.vm, it.node),
        "order": lambda: run(
            sim,
            sim.truth_of(it.vm).owner_node,
            "Move-ClusterVirtualMachineRole",
            VMId=sim.vm(it.vm).id,
            Node=it.node,
        ),
        "cancel": lambda: sim.cancel_move(it.vm),
        "crash": lambda: sim.crash_node(it.node),
        "boot": lambda: sim.boot_node(it.node),
        "pause": lambda: sim.pause_node(it.node),
        "resume": lambda: sim.resume_node(it.node, "Immediate"),
        "cut": lambda: sim.cut_off(it.node),
        "stop": lambda: sim.stop_vm(it.vm),
        "freeze": lambda: sim.pause_vm(it.vm),
        "thaw": lambda: sim.resume_vm(it.vm),
        "start": lambda: sim.start_vm(it.vm),
        "break": lambda: sim.break_next_migration(it.vm),
    }
    try:
        deeds[it.deed]()
    except (Refusal, CmdletError, NodeUnreachable):
        return


def check_the_instant(sim: World) -> None:
    """What must hold at every moment."""
    flying = [m for m in sim.cluster.migrations.values() if m.stage is not Stage.QUEUED]
    live = [m for m in flying if not m.quick]
    busy = Counter(fold(end) for m in live for end in (m.source, m.target))
    for key, node in sim.cluster.nodes.items():
        assert busy[key] <= migrations_max(sim, node), "the limit of a node is exceeded"
        assert sim.memory_free_bytes(node.name) >= 0, "memory is given twice"
    for role in sim.cluster.roles.values():
        vm = sim.cluster.vms[role.vm_id]
        if role.vm_id not in sim.cluster.migrations:
            assert role.owner == vm.node, "cluster and hypervisor disagree at rest"
        if vm.state is VmState.Running:
            assert vm.running_since is not None
            assert sim.node(vm.node).powered, "a VM runs on a dead node"
        elif vm.state is VmState.Off:
            assert vm.running_since is None


def play(sim: World, happenings: list[Happening]) -> None:
    """Do all of it, looking at the world at each of its own events."""
    for it in happenings:
        until = sim.now + it.wait_seconds
        while (at := sim.next_event_at()) is not None and at <= until:
            sim.advance_to(at)
            check_the_instant(sim)
        sim.advance_to(until)
        do(sim, it)
        check_the_instant(sim)
    for _ in range(20):
        sim.advance_to(sim.now + 30)
        check_the_instant(sim)


@settings(max_examples=150, deadline=None)
@given(sim=WORLDS, happenings=HAPPENINGS)
def test_limits_memory_and_ownership_hold_at_every_instant(
    sim: World, happenings: list[Happening]
) -> None:
    """No limit exceeded, no memory given twice, no VM on a dead node, no role astray at rest."""
    play(sim, happenings)


@settings(max_examples=60, deadline=None)
@given(sim=WORLDS, happenings=HAPPENINGS)
def test_a_guest_restarts_only_when_its_node_was_lost_or_someone_stopped_it(
    sim: World, happenings: list[Happening]
) -> None:
    """Moves, drains, failures of moves and the balancer never touch a running guest."""
    calm = [it for it in happenings if it.deed not in ("crash", "cut", "stop", "boot")]
    before = {t.id: t.uptime_seconds for t in sim.truth()}
    play(sim, calm)
    for truth in sim.truth():
        assert truth.state in (VmState.Running, VmState.Paused)
        assert abs(truth.uptime_seconds - before[truth.id] - sim.now) < 1e-6


@settings(max_examples=40, deadline=None)
@given(happenings=HAPPENINGS)
def test_the_same_deeds_make_the_same_world(happenings: list[Happening]) -> None:
    """Ids, times, queues and answers: equal to the last byte."""
    worlds = [
        world(*(f"name: VM{n}, node: HV0{n % 4 + 1}" for n in range(8)), nodes=4) for _ in range(2)
    ]
    answers = []
    for sim in worlds:
        play(sim, happenings)
        answers.append(_all_answers(sim))
    assert worlds[0].truth() == worlds[1].truth()
    assert answers[0] == answers[1]


@settings(max_examples=30, deadline=None)
@given(happenings=HAPPENINGS, pieces=st.lists(st.floats(0.01, 40), max_size=10))
def test_time_in_many_steps_is_time_in_one(
    happenings: list[Happening], pieces: list[float]
) -> None:
    """How often somebody looks changes nothing."""
    worlds = [
        world(*(f"name: VM{n}, node: HV0{n % 4 + 1}" for n in range(8)), nodes=4) for _ in range(2)
    ]
    for sim in worlds:
        for it in happenings:
            sim.advance_to(sim.now + it.wait_seconds)
            do(sim, it)
    end = worlds[0].now + 1000
    for piece in pieces:
        worlds[1].advance_to(worlds[1].now + piece)
        _all_answers(worlds[1])
    for sim in worlds:
        sim.advance_to(end)
    assert worlds[0].truth() == worlds[1].truth()


def _all_answers(sim: World) -> list[object]:
    answers: list[object] = []
    for node in NODES:
        try:
            answers.append(respond(sim, node, "observe", {"clusterWide": True}))
        except NodeUnreachable as silence:
            answers.append(str(silence))
    return answers
