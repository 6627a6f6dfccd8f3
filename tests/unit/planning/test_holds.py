"""Every guard: what it stops, what it does not, and when it lets go."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.model.checkup import Check, CheckName, CheckResult
from controller.model.observed import (
    MigrationPhase,
    NodeState,
    RoleState,
    VMState,
)
from controller.model.plan import HoldReason, Verdict
from controller.model.policy import Balancer, Mode
from controller.planning.decide import decide, may_act
from controller.planning.sentences import hold_sentence
from tests.builders import (
    NOW,
    created,
    desired,
    desired_state,
    foreign_move,
    gap,
    history,
    intent,
    moving,
    node,
    observed,
    own_move,
    policy,
    vm,
    vm_id,
)
from tests.unit.planning.planned import hold, moves, plan_for, verdict

N1, N2 = node("n1"), node("n2")
WANT = desired("a", "n1")


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (vm("a", "n2", state=VMState.OFF), HoldReason.NOT_RUNNING),
        (vm("a", "n2", state=VMState.SAVED), HoldReason.NOT_RUNNING),
        (vm("a", "n2", state=VMState.PAUSED), HoldReason.NOT_RUNNING),
        (vm("a", "n2", state=VMState.OTHER), HoldReason.NOT_RUNNING),
        (vm("a", "n2", role_state=RoleState.FAILED), HoldReason.ROLE_NOT_ONLINE),
        (vm("a", "n2", role_state=RoleState.UNKNOWN), HoldReason.ROLE_NOT_ONLINE),
        (vm("a", "n2", role_changes={"locked": True}), HoldReason.LOCKED),
        (vm("a", "n2", busy="MergingDisks"), HoldReason.BUSY),
        (vm("a", "n2", pass_through=True), HoldReason.PREFLIGHT),
        (vm("a", "n2", clustered=False), HoldReason.NOT_CLUSTERED),
    ],
)
def test_a_vm_that_may_not_move_is_held(seen: object, reason: HoldReason) -> None:
    """Only running, online, unlocked, idle, clustered VMs without pinning devices are moved."""
    plan = plan_for(observed(N1, N2, seen), WANT)
    assert plan.actions == ()
    assert hold(plan, "a").reason is reason
    assert verdict(plan, "a") is Verdict.MISPLACED


def test_a_move_by_somebody_else_is_left_alone_for_the_respect_time() -> None:
    """An administrator mid-work is not fought, even outside possible; then the VM goes home."""
    world = observed(N1, N2, vm("a", "n2"))
    past = history(foreign=(foreign_move("a", "n1", "n2", ago_seconds=60),))
    plan = plan_for(world, desired("a", possible=("n1",)), past=past)
    held = hold(plan, "a")
    assert held.reason is HoldReason.FOREIGN_MOVE
    assert held.until == NOW + timedelta(seconds=1740)
    later = NOW + timedelta(seconds=1740)
    again = plan_for(replace(world, started_at=later), WANT, past=past, now=later)
    assert moves(again) == ["a n2>n1"]


def test_a_failover_is_no_wish_and_is_undone_at_once() -> None:
    """The node it left had failed: nobody chose this."""
    past = history(foreign=(foreign_move("a", "n1", "n2", failover=True),))
    assert moves(plan_for(observed(N1, N2, vm("a", "n2")), WANT, past=past)) == ["a n2>n1"]


def test_cooldown_counts_a_hop_and_its_return_once() -> None:
    """A VM on its stop goes on; one that has returned rests."""
    world = observed(N1, N2, vm("a", "n2"))
    resting = history(moves=(own_move("a", "n1", "n2"),))
    assert hold(plan_for(world, WANT, past=resting), "a").reason is HoldReason.COOLDOWN
    stopped = history(moves=(own_move("a", "n3", "n2", hop=True),))
    assert moves(plan_for(world, WANT, past=stopped)) == ["a n2>n1"]
    back = history(moves=(own_move("a", "n2", "n3", hop=True), own_move("a", "n3", "n2", hop=True)))
    assert hold(plan_for(world, WANT, past=back), "a").reason is HoldReason.COOLDOWN
    late = history(moves=(own_move("a", "n1", "n2", ago_seconds=601),))
    assert moves(plan_for(world, WANT, past=late)) == ["a n2>n1"]


def test_an_open_intent_forbids_a_second_action() -> None:
    """Whatever the snapshot shows, the first command has to be seen through."""
    world = observed(N1, N2, vm("a", "n2"))
    sent = intent("a", "n1", source="n2")
    plan = plan_for(world, WANT, past=history(intents=(sent,)))
    assert plan.actions == ()
    assert verdict(plan, "a") is Verdict.MOVING
    assert plan.holds == ()
    lost = plan_for(world, WANT, past=history(intents=(replace(sent, unknown=True),)))
    assert hold(lost, "a").reason is HoldReason.OUTCOME_OPEN


@pytest.mark.parametrize("phase", list(MigrationPhase))
def test_a_vm_that_somebody_moves_is_waited_for(phase: MigrationPhase) -> None:
    """Moving is a verdict; a hold says that the way it takes is not the declared one."""
    world = observed(N1, N2, node("n3"), moving(vm("a", "n2"), "n3", phase))
    plan = plan_for(world, WANT)
    assert verdict(plan, "a") is Verdict.MOVING
    assert hold(plan, "a").reason is HoldReason.MIGRATION_UNDER_WAY
    homeward = plan_for(observed(N1, N2, moving(vm("a", "n2"), "n1", phase)), WANT)
    assert homeward.holds == ()


def test_cluster_and_hypervisor_must_agree_on_the_owner() -> None:
    """Two answers are no answer."""
    seen = vm("a", "n2")
    assert seen.role is not None
    split = replace(seen, role=replace(seen.role, owner="n1"))
    plan = plan_for(observed(N1, N2, split), WANT)
    assert verdict(plan, "a") is Verdict.UNKNOWN
    assert hold(plan, "a").reason is HoldReason.OWNER_DISAGREES


def test_limits_count_the_moves_of_others() -> None:
    """A drain by an administrator uses up the same slots."""
    limits = policy(moves_per_node_max=1, moves_per_cluster_max=2)
    world = observed(
        N1, N2, node("n3"), node("n4"), vm("a", "n2"), vm("b", "n3"), moving(vm("x", "n1"), "n4")
    )
    specs = desired_state(WANT, desired("b", "n2"), policy=limits)
    plan = plan_for(world, specs=specs)
    assert hold(plan, "a").reason is HoldReason.NODE_LIMIT
    assert [(a.vm, a.wave) for a in plan.moves if a.wave == 0] == [("b", 0)]
    full = replace(world, vms=(*world.vms, moving(vm("y", "n3"), "n4")))
    plan = plan_for(full, specs=desired_state(WANT, policy=policy(moves_per_cluster_max=2)))
    assert plan.ready() == ()
    assert hold(plan, "a").reason is HoldReason.CLUSTER_LIMIT


def test_the_clusters_own_limit_is_never_exceeded() -> None:
    """MaximumParallelMigrations of 1 beats a spec that allows more."""
    world = observed(N1, N2, vm("a", "n2"), vm("b", "n2"), migrations_parallel_max=1)
    plan = plan_for(world, WANT, desired("b", "n1"))
    assert [a.wave for a in plan.moves] == [0, 1]
    assert hold(plan, "b").reason is HoldReason.NODE_LIMIT


def test_a_move_to_a_place_nobody_tells_counts_everywhere() -> None:
    """Its memory and its slot are kept free on every node that it may go to."""
    limits = policy(moves_per_node_max=1)
    world = observed(N1, N2, node("n3"), vm("a", "n2"), moving(vm("x", "n3"), None))
    plan = plan_for(world, specs=desired_state(WANT, policy=limits))
    assert plan.ready() == ()
    assert hold(plan, "a").reason is HoldReason.NODE_LIMIT


# About the whole cluster


def cluster_holds(
    world: object, *wants: object, past: object = None, **changes: object
) -> list[HoldReason]:
    """The reasons that stop the cluster; the plan itself must be the same without them."""
    specs = desired_state(*(wants or (WANT,)), policy=policy(**changes))
    past = past or history()
    plan, findings = decide(specs, world, past, NOW)
    reasons = [h.reason for h in plan.holds if h.key == ""]
    assert may_act(specs, past, findings, plan) is (not reasons and specs.policy.mode == "Enforce")
    return reasons


def test_a_healthy_cluster_may_be_acted_on() -> None:
    """No hold, Enforce, and a past to trust."""
    assert cluster_holds(observed(N1, N2, vm("a", "n2"))) == []


def test_old_evidence_stops_everything_and_so_does_a_clock_set_back() -> None:
    """61 s are too old for a failover takes less; a negative age is no age."""
    world = observed(N1, N2, vm("a", "n2"))
    for age in (61, -1):
        old = replace(world, started_at=NOW - timedelta(seconds=age))
        assert cluster_holds(old) == [HoldReason.EVIDENCE_OLD]
    assert cluster_holds(replace(world, started_at=NOW - timedelta(seconds=60))) == []


def test_an_untrusted_past_stops_everything() -> None:
    """With a lost journal the controller only observes."""
    past = history(trusted=False, quiet_cycles=1)
    assert cluster_holds(observed(N1, N2, vm("a", "n2")), past=past) == [HoldReason.FIRST_CYCLES]


def test_dark_nodes_stop_everything_above_a_quarter() -> None:
    """One of four is borne, two of four are not."""
    down = [node(f"n{i}", state=NodeState.DOWN) for i in (3, 4)]
    assert cluster_holds(observed(N1, N2, node("n3"), down[1], vm("a", "n2"))) == []
    assert HoldReason.NODES_DARK in cluster_holds(observed(N1, N2, *down, vm("a", "n2")))


def test_too_many_unknown_vms_stop_everything() -> None:
    """More than one in ten that nobody can place: the view is not good enough to act on."""
    nodes = [node(f"n{i}") for i in range(1, 8)]
    silent = node("n8", answered=False)
    wants = [desired(f"v{i}", "n1") for i in range(10)]
    seen = [vm(f"v{i}", "n1") for i in range(10)]
    one = observed(*nodes, silent, gap("n8"), *seen[1:])
    assert cluster_holds(one, *wants) == []
    two = observed(*nodes, silent, gap("n8"), *seen[2:])
    assert cluster_holds(two, *wants) == [HoldReason.TOO_MANY_UNKNOWN]


def test_the_clusters_balancer_stops_enforce_unless_both_may_coexist() -> None:
    """Two controllers would shuttle the VMs; not told is not off."""
    world = observed(N1, N2, vm("a", "n2"), balancer_mode=2)
    assert cluster_holds(world) == [HoldReason.BALANCER_ON]
    assert cluster_holds(replace(world, balancer_mode=None)) == [HoldReason.BALANCER_ON]
    assert cluster_holds(world, balancer=Balancer.COEXIST) == []
    assert cluster_holds(world, mode=Mode.OBSERVE) == []


def test_an_agent_of_scvmm_holds_as_the_balancer_does() -> None:
    """SCVMM switches the cluster's balancer off, and moves VMs itself."""
    world = observed(N1, node("n2", scvmm_agent=True), vm("a", "n2"))
    assert cluster_holds(world) == [HoldReason.BALANCER_ON]
    assert cluster_holds(world, balancer=Balancer.COEXIST) == []
    assert cluster_holds(world, mode=Mode.OBSERVE) == []
    (held,) = plan_for(world, WANT).holds
    assert hold_sentence(held).startswith("SCVMM manages n2 and may move VMs too")


@pytest.mark.parametrize(
    ("authentication", "joined", "held"),
    [("Basic", True, True), ("Certificate", True, True), ("Basic", None, True),
     ("Basic", False, False), ("NTLM", True, False), ("Kerberos", True, False)],
)  # fmt: skip
def test_local_account_creates_nothing_on_a_domain(
    authentication: str, joined: bool | None, held: bool
) -> None:
    """A VM that it made can fail to migrate later; who does not tell is taken to be on a domain."""
    world = observed(node("n1", domain_joined=joined), node("n2", domain_joined=joined))
    specs = desired_state(created("new", "n1"))
    connection = replace(specs.connection, authentication=authentication)
    plan = plan_for(world, specs=replace(specs, connection=connection))
    assert (HoldReason.LOCAL_ACCOUNT in {h.reason for h in plan.holds}) is held


def test_a_failed_check_of_a_node_holds_everything() -> None:
    """Enforce acts on real clusters, and on none that doctor would not pass."""
    world = observed(node("n1", model="PowerEdge R750"), N2, vm("a", "n2"))
    assert cluster_holds(world) == []
    assert cluster_holds(world, past=history(unfit=(failed("N1"),))) == [HoldReason.NOT_FIT]
    watching = desired_state(WANT, policy=policy(mode=Mode.OBSERVE))
    plan = plan_for(world, specs=watching, past=history(unfit=(failed("N1"),)))
    assert HoldReason.NOT_FIT not in {hold.reason for hold in plan.holds}


def test_what_each_look_judges_is_no_matter_of_an_old_examination() -> None:
    """A balancer that was switched off since, and a local account, have guards of their own."""
    world = observed(N1, N2, vm("a", "n2"))
    for name in (CheckName.BALANCER, CheckName.AUTHENTICATION):
        assert cluster_holds(world, past=history(unfit=(failed("n1", name),))) == []


def test_a_silent_node_does_not_make_the_others_unfit() -> None:
    """A node that is down while the controller starts is a gap, with guards of its own."""
    dark = observed(node("n1", answered=False), gap("n1"), N2, node("n3"), node("n4"), node("n5"))
    past = history(unfit=(failed("n1", CheckName.PORT),))
    assert HoldReason.NOT_FIT not in cluster_holds(dark, past=past)


def failed(node_name: str, name: CheckName = CheckName.POWERSHELL) -> Check:
    """A check of doctor that failed."""
    return Check(
        node=node_name, name=name, result=CheckResult.FAIL, found="7.4, not 5.1", remedy="install"
    )


def test_another_cluster_under_the_same_name_stops_everything() -> None:
    """After a restart the configured names lead to a cluster that the journal is not of."""
    world = observed(N1, N2, vm("a", "n2"))
    assert cluster_holds(world, past=history(cluster_id=world.cluster_id)) == []
    assert cluster_holds(world, past=history(cluster_id="other")) == [HoldReason.CLUSTER_CHANGED]


def test_the_plan_is_the_same_in_observe() -> None:
    """Observe shows what Enforce would do; only may_act differs."""
    world = observed(N1, N2, vm("a", "n2"))
    enforce = plan_for(world, WANT)
    observe = plan_for(world, specs=desired_state(WANT, policy=policy(mode=Mode.OBSERVE)))
    assert observe == enforce
    assert vm_id("a") == enforce.moves[0].vm_id
