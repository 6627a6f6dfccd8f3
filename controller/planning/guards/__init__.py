"""Rules that turn an action into a hold: small pure functions, a file for each family of them.

Guards of the cluster stop everything new and leave the plan as it is. Guards of one VM are asked
before placement, so that no plan rests on a VM that may not move. Guards of the draft look at the
whole plan; what they hold is planned around, and the draft is made again.

A guard never cancels what runs. Each either releases by itself or says who can release it:
docs/guards.md has the table, and a test holds it equal to the tables below.
"""

from collections.abc import Callable, Iterator, Sequence

from controller.model.desired import MaintenanceDesired, VMDesired
from controller.model.observed import NodeObserved, VMObserved
from controller.model.plan import Action, ActionKind, Hold, HoldReason
from controller.model.setting import Change
from controller.planning.guards import (
    capacity,
    change,
    evidence,
    fencing,
    node,
    pace,
    permission,
    vm_state,
)
from controller.planning.guards.change import canary_width, domain_at_work
from controller.planning.holds import Declared
from controller.planning.standing import Case
from controller.planning.view import View

__all__ = [
    "CLUSTER_GUARDS",
    "CONFIGURE_GUARDS",
    "DRAFT_GUARDS",
    "FOLDER_GUARDS",
    "MOVE_GUARDS",
    "REGISTER_GUARDS",
    "RESUME_GUARDS",
    "START_GUARDS",
    "SUSPEND_GUARDS",
    "canary_width",
    "cluster_holds",
    "configure_hold",
    "create_hold",
    "domain_at_work",
    "draft_holds",
    "folders_hold",
    "move_hold",
    "register_hold",
    "resume_hold",
    "start_hold",
    "suspend_hold",
]

ClusterGuard = Callable[[View, Sequence[Case]], Hold | None]
VMGuard = Callable[[View, VMDesired, VMObserved], Hold | None]
NodeGuard = Callable[[View, Declared, NodeObserved], Hold | None]
DraftGuard = Callable[[View, Sequence[Action]], Iterator[Hold]]

CLUSTER_GUARDS: tuple[ClusterGuard, ...] = (
    permission.stopped,
    fencing.stop_flag,
    fencing.superseded,
    evidence.cluster_changed,
    evidence.evidence_old,
    evidence.clock_jumped,
    evidence.first_cycles,
    evidence.nodes_dark,
    evidence.too_many_unknown,
    permission.not_fit,
    permission.balancer_on,
    permission.outside_window,
    capacity.quorum_at_risk,
    pace.outcomes_unknown,
    pace.failures,
    change.specs_shrank,
    fencing.epoch_not_claimed,
)
MOVE_GUARDS: tuple[VMGuard, ...] = (
    permission.paused,
    vm_state.migration_never,
    vm_state.not_clustered,
    vm_state.not_running,
    vm_state.role_not_online,
    vm_state.preflight,
    vm_state.locked,
    vm_state.busy,
    vm_state.failback_under_way,
    pace.foreign_move,
    pace.contested,
    pace.keeps_failing,
    pace.move_refused,
    pace.cooldown,
    permission.failback_window,
)
REGISTER_GUARDS: tuple[VMGuard, ...] = (
    permission.paused,
    vm_state.half_created,
    vm_state.high_availability_blocked,
    vm_state.host_unfit,
    vm_state.not_at_rest,
    vm_state.busy,
    pace.register_refused,
    pace.keeps_failing,
)
START_GUARDS: tuple[VMGuard, ...] = (
    permission.paused,
    vm_state.half_created,
    vm_state.host_unfit,
    vm_state.not_off,
    vm_state.not_startable,
    vm_state.locked,
    vm_state.busy,
    pace.start_refused,
    pace.keeps_failing,
)
CONFIGURE_GUARDS: tuple[VMGuard, ...] = (
    permission.paused,
    vm_state.host_unfit,
    vm_state.locked,
    vm_state.busy,
    pace.foreign_move,
    pace.configure_refused,
    pace.keeps_failing,
)
SUSPEND_GUARDS: tuple[NodeGuard, ...] = (
    node.paused_by_others,
    node.not_up,
    node.another_away,
    node.quorum_lost,
    node.losses_not_borne,
    node.suspend_refused,
    node.node_fails,
    node.in_use,
)
RESUME_GUARDS: tuple[NodeGuard, ...] = (
    node.drained_by_others,
    node.not_back,
    node.resume_refused,
    node.node_fails,
)
FOLDER_GUARDS: tuple[NodeGuard, ...] = (
    node.in_maintenance,
    node.not_up,
    node.folder_not_shared,
    node.folders_refused,
    node.node_fails,
)
DRAFT_GUARDS: tuple[DraftGuard, ...] = (
    change.approval_needed,
    permission.target_paused,
    pace.node_not_stable,
    capacity.node_failures,
    permission.window_ends,
    pace.probe,
)


def cluster_holds(view: View, cases: tuple[Case, ...]) -> tuple[Hold, ...]:
    """Everything that stops the whole cluster now.

    While anything else does, nobody claims the cluster, so a missing claim is then no news.
    """
    holds = tuple(hold for guard in CLUSTER_GUARDS if (hold := guard(view, cases)) is not None)
    return tuple(h for h in holds if h.reason is not HoldReason.EPOCH_NOT_CLAIMED) or holds


def move_hold(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The first reason not to move this VM now, wherever to."""
    return next((h for g in MOVE_GUARDS if (h := g(view, want, seen)) is not None), None)


def register_hold(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The first reason not to register this VM now."""
    return next((h for g in REGISTER_GUARDS if (h := g(view, want, seen)) is not None), None)


def start_hold(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The first reason not to start this VM's role now, room apart."""
    return next((h for g in START_GUARDS if (h := g(view, want, seen)) is not None), None)


def configure_hold(view: View, want: VMDesired, seen: VMObserved, change: Change) -> Hold | None:
    """The first reason not to write a setting of this VM now; `change` would be the first."""
    hold = next((h for g in CONFIGURE_GUARDS if (h := g(view, want, seen)) is not None), None)
    return hold or pace.setting_rests(view, want, change)


def suspend_hold(view: View, want: MaintenanceDesired, seen: NodeObserved) -> Hold | None:
    """The first reason not to suspend this node now."""
    return next((h for g in SUSPEND_GUARDS if (h := g(view, want, seen)) is not None), None)


def resume_hold(view: View, want: MaintenanceDesired, seen: NodeObserved) -> Hold | None:
    """The first reason not to resume this node now."""
    return next((h for g in RESUME_GUARDS if (h := g(view, want, seen)) is not None), None)


def folders_hold(view: View, want: Declared, seen: NodeObserved, change: Change) -> Hold | None:
    """The first reason not to set the default folders of this node now."""
    hold = next((h for g in FOLDER_GUARDS if (h := g(view, want, seen)) is not None), None)
    return hold or pace.setting_rests(view, want, change)


def create_hold(view: View, want: VMDesired) -> Hold | None:
    """The first reason not to create this VM now, room apart."""
    return (
        permission.paused(view, want, None)
        or permission.local_account(view, want)
        or pace.keeps_failing(view, want, None)
        or evidence.absence_unconfirmed(view, want)
        or pace.refused(view, want, ActionKind.CREATE)
    )


def draft_holds(view: View, actions: Sequence[Action]) -> dict[str, Hold]:
    """By key, the first reason why an action of the draft may not be part of the plan.

    One guard at a time: what it holds is planned around before the next one judges.
    """
    for guard in DRAFT_GUARDS:
        held: dict[str, Hold] = {}
        for hold in guard(view, actions):
            held.setdefault(hold.key, hold)
        if held:
            return held
    return {}
