"""Rules that turn an action into a hold: small pure functions, in the order of their tables.

Guards of the whole cluster stop everything new and leave the plan as it is. Guards of one VM are
asked before placement, so that no plan rests on a VM that may not move.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta

from controller.model.desired import MigrationKind, VMDesired
from controller.model.names import same_name
from controller.model.observed import NodeState, RoleState, VMObserved, VMState
from controller.model.plan import ActionKind, Hold, HoldReason, Verdict
from controller.model.policy import Balancer, Mode
from controller.planning.high_availability import blocking_check
from controller.planning.holds import hold_on, hold_on_cluster
from controller.planning.standing import Case
from controller.planning.view import View

SIMULATOR_MODEL = "ownernode simulator"
"""What a simulated node reports as its Model (docs/protocol.md, `self.model`)."""

ClusterGuard = Callable[[View, Iterable[Case]], Hold | None]
VMGuard = Callable[[View, VMDesired, VMObserved], Hold | None]


def cluster_holds(view: View, cases: tuple[Case, ...]) -> tuple[Hold, ...]:
    """Everything that stops the whole cluster now."""
    return tuple(hold for guard in CLUSTER_GUARDS if (hold := guard(view, cases)) is not None)


def move_hold(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The first reason not to move this VM now, wherever to."""
    return next((h for g in MOVE_GUARDS if (h := g(view, want, seen)) is not None), None)


def register_hold(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The first reason not to register this VM now."""
    return next((h for g in REGISTER_GUARDS if (h := g(view, want, seen)) is not None), None)


def start_hold(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The first reason not to start this VM's role now, room apart."""
    return next((h for g in START_GUARDS if (h := g(view, want, seen)) is not None), None)


def create_hold(view: View, want: VMDesired) -> Hold | None:
    """Creation waits until a second look at the whole cluster shows no such VM."""
    looks = view.history.absent_cycles.get(want.key, 0)
    needed = view.desired.policy.complete_cycles_before_acting
    if looks >= needed and view.sees_all:
        return None
    return hold_on(
        want,
        HoldReason.ABSENCE_UNCONFIRMED,
        action=ActionKind.CREATE,
        looks=str(looks),
        looks_needed=str(needed),
    )


# About the whole cluster


def _evidence_old(view: View, cases: Iterable[Case]) -> Hold | None:
    age = (view.now - view.observed.started_at).total_seconds()
    limit = view.desired.policy.evidence_age_max_seconds
    # A negative age is a clock that was set back: then nothing has a known age.
    if 0 <= age <= limit:
        return None
    evidence = {"age_seconds": f"{age:.0f}", "age_max_seconds": f"{limit:.0f}"}
    return hold_on_cluster(HoldReason.EVIDENCE_OLD, evidence)


def _nodes_dark(view: View, cases: Iterable[Case]) -> Hold | None:
    unseen = (NodeState.DOWN, NodeState.UNKNOWN)
    dark = [n.name for n in view.nodes.values() if not n.answered or n.state in unseen]
    share = view.desired.policy.dark_nodes_share_max
    if view.nodes and len(dark) <= share * len(view.nodes):
        return None
    evidence = {"dark": ", ".join(dark), "nodes": str(len(view.nodes)), "share_max": f"{share:g}"}
    return hold_on_cluster(HoldReason.NODES_DARK, evidence)


def _too_many_unknown(view: View, cases: Iterable[Case]) -> Hold | None:
    all_cases = tuple(cases)
    unknown = [c.want.title for c in all_cases if c.verdict is Verdict.UNKNOWN]
    share = view.desired.policy.unknown_vms_share_max
    if len(unknown) <= share * len(all_cases):
        return None
    evidence = {
        "unknown": ", ".join(unknown[:10]),
        "unknown_vms": str(len(unknown)),
        "vms": str(len(all_cases)),
        "share_max": f"{share:g}",
    }
    return hold_on_cluster(HoldReason.TOO_MANY_UNKNOWN, evidence)


def _first_cycles(view: View, cases: Iterable[Case]) -> Hold | None:
    if view.history.trusted:
        return None
    needed = view.desired.policy.complete_cycles_before_acting
    evidence = {"quiet_looks": str(view.history.quiet_cycles), "looks_needed": str(needed)}
    return hold_on_cluster(HoldReason.FIRST_CYCLES, evidence)


def _balancer_on(view: View, cases: Iterable[Case]) -> Hold | None:
    policy, mode = view.desired.policy, view.observed.balancer_mode
    coexists = policy.balancer is Balancer.COEXIST
    # Not told is not off: the balancer is on by default (Get-Cluster, AutoBalancerMode 2).
    if policy.mode is Mode.OBSERVE or coexists or mode == 0:
        return None
    told = "not told" if mode is None else str(mode)
    return hold_on_cluster(HoldReason.BALANCER_ON, {"auto_balancer_mode": told})


def _not_a_simulator(view: View, cases: Iterable[Case]) -> Hold | None:
    if view.desired.policy.mode is Mode.OBSERVE:
        return None
    answered = [n for n in view.nodes.values() if n.answered]
    others = [f"{n.name}: {n.model}" for n in answered if n.model != SIMULATOR_MODEL]
    if answered and not others:
        return None
    return hold_on_cluster(HoldReason.NOT_A_SIMULATOR, {"models": "; ".join(others[:10])})


# About one VM


def _migration_never(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    if want.migration is MigrationKind.LIVE:
        return None
    return hold_on(want, HoldReason.MIGRATION_NEVER, spec=want.source)


def _not_clustered(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    if seen.role is not None or want.register:
        return None
    return hold_on(want, HoldReason.NOT_CLUSTERED, host=seen.host or "")


def _not_running(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    if seen.state is VMState.RUNNING:
        return None
    return hold_on(want, HoldReason.NOT_RUNNING, state=seen.state.value)


def _not_at_rest(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    if seen.state in (VMState.RUNNING, VMState.OFF):
        return None
    return hold_on(want, HoldReason.BUSY, state=seen.state.value)


def _role_not_online(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    if seen.role is None or seen.role.state is RoleState.ONLINE:
        return None
    return hold_on(want, HoldReason.ROLE_NOT_ONLINE, role=seen.role.state.value)


def _locked(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    if seen.role is None or not seen.role.locked:
        return None
    return hold_on(want, HoldReason.LOCKED, role=seen.role.name)


def _busy(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    if seen.busy is None:
        return None
    return hold_on(want, HoldReason.BUSY, status=seen.busy)


def _pinned(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    # A pass-through disk can't be on a cluster shared volume: the VM can't be moved live.
    if not seen.pass_through:
        return None
    return hold_on(want, HoldReason.TARGET_UNFIT, device="pass-through disk")


def _foreign_move(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    move = view.last_foreign.get(seen.id)
    if move is None or move.failover or not same_name(move.target, seen.owner):
        return None
    until = move.seen_at + timedelta(seconds=view.desired.policy.foreign_respect_seconds)
    if view.now >= until:
        return None
    return hold_on(
        want,
        HoldReason.FOREIGN_MOVE,
        until=until,
        moved_from=move.source,
        moved_to=move.target,
        seen_at=move.seen_at.isoformat(),
    )


def _cooldown(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    moves = view.own_moves.get(seen.id, ())
    if not moves or view.on_hop(seen.id):
        return None
    until = moves[-1].seen_at + timedelta(seconds=view.desired.policy.cooldown_seconds)
    if view.now >= until:
        return None
    return hold_on(
        want,
        HoldReason.COOLDOWN,
        until=until,
        moved_at=moves[-1].seen_at.isoformat(),
        moved_from=moves[-1].source,
    )


def _high_availability_blocked(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    check = blocking_check(seen, view.observed.volumes)
    if check is None:
        return None
    return hold_on(
        want, HoldReason.HA_BLOCKED, check=check.name, found=check.found, remedy=check.remedy
    )


def _host_unfit(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    node = next((n for n in view.nodes.values() if same_name(n.name, seen.host)), None)
    if node is not None and node.answered and node.state is NodeState.UP and not node.draining:
        return None
    return hold_on(want, HoldReason.TARGET_UNFIT, host=seen.host or "")


CLUSTER_GUARDS: tuple[ClusterGuard, ...] = (
    _evidence_old,
    _first_cycles,
    _nodes_dark,
    _too_many_unknown,
    _not_a_simulator,
    _balancer_on,
)
MOVE_GUARDS: tuple[VMGuard, ...] = (
    _migration_never,
    _not_clustered,
    _not_running,
    _role_not_online,
    _pinned,
    _locked,
    _busy,
    _foreign_move,
    _cooldown,
)
REGISTER_GUARDS: tuple[VMGuard, ...] = (
    _high_availability_blocked,
    _host_unfit,
    _not_at_rest,
    _busy,
)
START_GUARDS: tuple[VMGuard, ...] = (_host_unfit, _locked, _busy)
