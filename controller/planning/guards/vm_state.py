"""Guards that ask whether this VM can be moved, registered or started as it is now."""

from controller.model.desired import MigrationKind, VMDesired
from controller.model.names import same_name
from controller.model.observed import RoleState, VMObserved, VMState
from controller.model.plan import ActionKind, Hold, HoldReason
from controller.planning.disks import lacking_disks
from controller.planning.holds import hold_on
from controller.planning.preflight import in_the_way
from controller.planning.view import View


def migration_never(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """Its spec forbids it."""
    if want.migration is MigrationKind.LIVE:
        return None
    return hold_on(want, HoldReason.MIGRATION_NEVER, spec=want.source)


def not_clustered(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """Only a role is moved by the cluster."""
    if seen.role is not None or want.register:
        return None
    return hold_on(want, HoldReason.NOT_CLUSTERED, host=seen.host or "")


def not_running(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """A VM that does not run is somebody's doing, and is left alone."""
    if seen.state is VMState.RUNNING:
        return None
    return hold_on(want, HoldReason.NOT_RUNNING, state=seen.state.value)


def not_at_rest(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """It is between two states."""
    if seen.state in (VMState.RUNNING, VMState.OFF):
        return None
    return hold_on(want, HoldReason.BUSY, state=seen.state.value)


def not_off(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """Only a VM that is off is started: a saved or paused one was left so by somebody."""
    if seen.state is VMState.OFF:
        return None
    return hold_on(want, HoldReason.BUSY, state=seen.state.value)


def role_not_online(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The cluster moves a role live only while it is online."""
    if seen.role is None or seen.role.state is RoleState.ONLINE:
        return None
    return hold_on(want, HoldReason.ROLE_NOT_ONLINE, role=seen.role.state.value)


def locked(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """A backup, for instance, holds the role where it is."""
    if seen.role is None or not seen.role.locked:
        return None
    return hold_on(want, HoldReason.LOCKED, role=seen.role.name)


def busy(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """Hyper-V does something with it that a move would disturb."""
    if seen.busy is None:
        return None
    return hold_on(want, HoldReason.BUSY, status=seen.busy)


def preflight(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """A check of docs/preflight.md keeps it from being moved, wherever to."""
    check = in_the_way(ActionKind.MOVE, want, seen, view.around)
    if check is None:
        return None
    return hold_on(
        want, HoldReason.PREFLIGHT, check=check.name, found=check.found, remedy=check.remedy
    )


def not_startable(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """A check of docs/preflight.md keeps it from being started."""
    check = in_the_way(ActionKind.START, want, seen, view.around)
    if check is None:
        return None
    return hold_on(
        want, HoldReason.PREFLIGHT, check=check.name, found=check.found, remedy=check.remedy
    )


def high_availability_blocked(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """What a failover could not find elsewhere must not be registered."""
    check = in_the_way(ActionKind.REGISTER, want, seen, view.around)
    if check is None:
        return None
    return hold_on(
        want, HoldReason.HA_BLOCKED, check=check.name, found=check.found, remedy=check.remedy
    )


def host_unfit(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The node that would do it is going away, or does not answer."""
    node = next((n for n in view.nodes.values() if same_name(n.name, seen.host)), None)
    if node is not None and node.is_target:
        return None
    return hold_on(want, HoldReason.TARGET_UNFIT, host=seen.host or "")


def failback_under_way(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """The cluster itself brings roles back to that node."""
    node = view.observed.node(seen.owner)
    if node is None or not node.failback_in_progress:
        return None
    return hold_on(want, HoldReason.FAILBACK_UNDER_WAY, node=node.name)


def half_created(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """A VM of our making that lacks a disk of its template is not finished, whatever its mark."""
    ours = seen.creation_mark is not None or any(
        i.key == want.key and i.kind == ActionKind.CREATE for i in view.history.intents
    )
    lacking = lacking_disks(want, seen) if ours else ()
    if not lacking:
        return None
    return hold_on(want, HoldReason.HALF_CREATED, host=seen.host or "", lacking=", ".join(lacking))
