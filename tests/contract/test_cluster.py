"""What observer and actuator promise the engine, the same on every way to the cluster."""

from dataclasses import replace

import pytest

from controller.model.control import Fence
from controller.model.observed import JobState, MigrationPhase, NodeState, RoleState, VMState
from controller.model.plan import ActionKind
from controller.model.report import OutcomeResult
from tests.contract.clusters import FENCE, TEMPLATE, WAYS, Cluster, Way, action

INTENT = "11111111-1111-4111-8111-111111111111"
every_way = pytest.mark.parametrize("play", WAYS, ids=lambda way: way.__name__)


@every_way
def test_two_seeds_lead_to_all_nodes_and_vms(play: Way) -> None:
    """From two configured names the whole cluster is seen, with nothing missing."""

    async def story(cluster: Cluster) -> None:
        seen = await cluster.observer.observe()
        assert seen.is_complete
        assert [n.name for n in seen.nodes] == ["HV01", "HV02", "HV03", "HV04"]
        assert all(n.answered and n.state is NodeState.UP for n in seen.nodes)
        assert {v.name: v.host for v in seen.vms} == {
            "SQL01": "HV01",
            "WEB01": "HV02",
            "IDLE": "HV03",
            "LOOSE": "HV03",
            "ISO": "HV04",
        }
        loose, iso, idle = (seen.named(n)[0] for n in ("loose", "iso", "Idle"))
        assert loose.role is None
        assert iso.media_paths == ("C:\\iso\\ws2025.iso",)
        assert idle.state is VMState.OFF
        assert idle.memory_bytes == 4 * 1024**3
        assert seen.named("SQL01")[0].role is not None
        assert [v.path for v in seen.volumes] == ["C:\\ClusterStorage\\Volume1"]
        assert seen.migrations_parallel_max == 2
        assert seen.started_at <= seen.completed_at

    play(story)


@every_way
def test_move_is_submitted_and_its_effect_is_seen_later(play: Way) -> None:
    """Submitting returns at once; the move shows with source and phase, then as the new owner."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV03")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.SUBMITTED
        sql01 = cluster.id_of("SQL01")
        moving = await cluster.until(lambda s: s.vm(sql01).migration is not None)
        migration = moving.vm(sql01).migration
        assert migration.source == "HV01"
        assert migration.phase in MigrationPhase
        done = await cluster.until(lambda s: s.vm(sql01).host == "HV03" and not s.gaps)
        assert done.vm(sql01).owner == "HV03"
        assert done.vm(sql01).role.state is RoleState.ONLINE
        assert [(m.source, m.target) for m in cluster.world.truth_of("SQL01").migrations] == [
            ("HV01", "HV03")
        ]

    play(story)


@every_way
def test_registration_is_a_job_and_ends_in_a_role(play: Way) -> None:
    """A VM without a role gets one, on the node that runs it, and the job tells its end."""

    async def story(cluster: Cluster) -> None:
        register = action(cluster, ActionKind.REGISTER, "LOOSE")
        outcome = await cluster.actuator.submit(register, INTENT, FENCE)
        assert outcome.result is OutcomeResult.SUBMITTED
        loose = cluster.id_of("LOOSE")
        seen = await cluster.until(
            lambda s: s.vm(loose).role is not None and s.jobs[0].state is JobState.SUCCEEDED
        )
        assert seen.vm(loose).owner == "HV03"
        assert [(j.intent, j.node, j.kind, j.vm_id) for j in seen.jobs] == [
            (INTENT, "HV03", "registerVm", loose)
        ]

    play(story)


@every_way
def test_created_vm_bears_the_mark_of_its_intent(play: Way) -> None:
    """A creation ends with the VM off on its node, as its template says, marked as created."""

    async def story(cluster: Cluster) -> None:
        create = action(cluster, ActionKind.CREATE, "NEW01", target="HV02", template=TEMPLATE)
        outcome = await cluster.actuator.submit(create, INTENT, FENCE)
        assert outcome.result is OutcomeResult.SUBMITTED
        seen = await cluster.until(
            lambda s: any(v.creation_mark == f"{INTENT}:created" for v in s.vms)
        )
        (made,) = seen.named("new01")
        assert (made.host, made.state, made.role) == ("HV02", VMState.OFF, None)
        assert made.memory_startup_bytes == TEMPLATE.memory_startup_bytes
        assert made.disk_paths == ("C:\\ClusterStorage\\Volume1\\NEW01\\os.vhdx",)
        assert made.switches == ("Prod",)

    play(story)


@every_way
def test_start_brings_a_role_online(play: Way) -> None:
    """An offline role is started where it is."""

    async def story(cluster: Cluster) -> None:
        outcome = await cluster.actuator.submit(
            action(cluster, ActionKind.START, "IDLE"), INTENT, FENCE
        )
        assert outcome.result is OutcomeResult.SUBMITTED
        idle = cluster.id_of("IDLE")
        seen = await cluster.until(lambda s: s.vm(idle).state is VMState.RUNNING)
        assert seen.vm(idle).host == "HV03"

    play(story)


@every_way
def test_untrue_conditions_are_refused_by_name_and_nothing_happens(play: Way) -> None:
    """What was planned from an old look is refused by the node, which says what it found."""

    async def story(cluster: Cluster) -> None:
        world = cluster.world
        world.lock_role("WEB01")
        world.pause_node("HV04", drain_roles=False)
        move, register = ActionKind.MOVE, ActionKind.REGISTER
        sql01 = action(cluster, move, "SQL01", target="HV02")
        cases = (
            (replace(sql01, source="HV03"), "vmHere", "absent"),
            (action(cluster, move, "IDLE", target="HV01"), "vmRunning", "3"),
            (action(cluster, move, "WEB01", target="HV01"), "notLocked", "locked"),
            (replace(sql01, target="HV04"), "targetUp", "2"),
            (replace(sql01, target="HV09"), "targetExists", "absent"),
            (action(cluster, register, "SQL01"), "notClustered", "clustered"),
            (action(cluster, ActionKind.START, "SQL01"), "vmOff", "2"),
            (
                action(cluster, ActionKind.CREATE, "SQL01", target="HV01", template=TEMPLATE),
                "nameFree",
                cluster.id_of("SQL01"),
            ),
        )
        for planned, condition, found in cases:
            outcome = await cluster.actuator.submit(planned, INTENT, FENCE)
            assert outcome.result is OutcomeResult.REFUSED
            assert (outcome.condition, outcome.found) == (condition, found)
        seen = await cluster.observer.observe()
        assert all(not vm.migrations for vm in world.truth())
        assert len(seen.vms) == 5
        assert seen.jobs == ()

    play(story)


@every_way
def test_node_without_power_is_a_gap_and_its_vms_stay_known(play: Way) -> None:
    """A dead node is missing, not empty: the cluster's list still names its VM, without a host."""

    async def story(cluster: Cluster) -> None:
        sql01 = cluster.id_of("SQL01")
        await cluster.observer.observe()
        cluster.world.crash_node("HV01")
        if cluster.site is not None:
            await cluster.site.align()
        seen = await cluster.observer.observe()
        assert "HV01" in [g.node for g in seen.gaps] or seen.node("HV01").state is NodeState.DOWN
        assert not seen.node("HV01").answered
        assert seen.vm(sql01) is not None
        back = await cluster.until(lambda s: s.vm(sql01).state is VMState.RUNNING and not s.gaps)
        assert back.vm(sql01).host != "HV01"

    play(story)


@every_way
def test_submit_to_a_dead_node_is_known_not_to_have_left(play: Way) -> None:
    """Where nothing can be connected to, nothing was sent: no settling is needed."""

    async def story(cluster: Cluster) -> None:
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV02")
        cluster.world.crash_node("HV01")
        if cluster.site is not None:
            await cluster.site.align()
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.NOT_SENT

    play(story)


@every_way
def test_a_claim_shows_on_all_nodes_and_ends_the_one_before(play: Way) -> None:
    """Whoever held the cluster is refused from then on, also with what was already planned."""

    async def story(cluster: Cluster) -> None:
        before = await cluster.observer.observe()
        assert (before.epoch, before.epoch_holder) == (FENCE.epoch, FENCE.holder)
        newer = Fence(epoch=8, holder="bbbbbbbb-0000-4000-8000-000000000008")
        assert await cluster.actuator.claim(newer, "HV02") is None
        assert "epochOlder" in str(await cluster.actuator.claim(replace(FENCE, epoch=8), "HV01"))
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV03")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert (outcome.condition, outcome.found) == ("epochCurrent", "epoch 8")
        seen = await cluster.observer.observe()
        assert seen.is_complete
        assert (seen.epoch, seen.epoch_holder) == (8, newer.holder)
        assert (await cluster.actuator.submit(move, INTENT, newer)).result is (
            OutcomeResult.SUBMITTED
        )

    play(story)


@every_way
def test_the_flag_in_the_cluster_stops_every_change(play: Way) -> None:
    """An administrator needs no access to the controller: a property of the cluster is enough."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.world.stop_controllers("change freeze until Monday")
        assert (await cluster.observer.observe()).stop_flag == "change freeze until Monday"
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV03")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert (outcome.condition, outcome.found) == ("notStopped", "change freeze until Monday")
        assert "notStopped" in str(await cluster.actuator.claim(replace(FENCE, epoch=8), "HV01"))
        cluster.world.allow_controllers()
        assert (await cluster.observer.observe()).stop_flag is None
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.SUBMITTED

    play(story)
