"""Nodes that are to be empty for a while: what is due on each, and what their VMs do meanwhile.

A node is suspended without a drain, so that nothing but our own live moves empties it; then its VMs
are placed as if their specs did not name it. When the maintenance is over it is resumed without
failback, and the specs count as they are written again. What we suspended the history tells
(`absorb`): only that is emptied, and only that is resumed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from controller.model.desired import MaintenanceDesired, VMDesired
from controller.model.history import History, IntentState
from controller.model.names import fold
from controller.model.plan import (
    Action,
    ActionKind,
    ActionReason,
    Hold,
    HoldReason,
    MaintenancePhase,
    MaintenanceStanding,
    Remaining,
    Remains,
    Standing,
)
from controller.planning.guards import resume_hold, suspend_hold
from controller.planning.holds import hold_on
from controller.planning.view import View

_WHY: Mapping[HoldReason, Remains] = {
    HoldReason.NOT_RUNNING: Remains.OFF,
    HoldReason.ROLE_NOT_ONLINE: Remains.OFF,
    HoldReason.PINNED: Remains.PINNED,
    HoldReason.MIGRATION_NEVER: Remains.PINNED,
    HoldReason.PREFLIGHT: Remains.PINNED,
    HoldReason.RULES_CONFLICT: Remains.PINNED,
    HoldReason.NODE_UNKNOWN: Remains.PINNED,
    HoldReason.SUSPENDED: Remains.PINNED,
    HoldReason.NOT_CLUSTERED: Remains.NOT_CLUSTERED,
    HoldReason.HA_BLOCKED: Remains.NOT_CLUSTERED,
    HoldReason.NO_ROOM: Remains.NO_ROOM,
    HoldReason.NO_HOP: Remains.NO_ROOM,
    HoldReason.NODE_FAILURES: Remains.NO_ROOM,
}
"""All other holds pass by themselves, or at somebody's word."""


@dataclass(slots=True)
class Upkeep:
    """What the maintenances bring about; `view` has the specs of the VMs as they count meanwhile.

    Sets hold folded names of nodes.
    """

    view: View
    actions: list[Action] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    """By key of the node."""
    phases: dict[str, MaintenancePhase] = field(default_factory=dict)
    vacated: set[str] = field(default_factory=set)
    """VMs leave them."""
    closed: set[str] = field(default_factory=set)
    """No VM goes to them; their own may stay."""
    shunned: set[str] = field(default_factory=set)
    """No VM goes back to them by its preference alone."""


def suspended_by_us(history: History) -> frozenset[str]:
    """Folded names of the nodes that we suspended, and that nobody resumed since."""
    return frozenset(
        fold(i.target)
        for i in history.intents
        if i.kind == ActionKind.SUSPEND_NODE and i.state is IntentState.DONE
    )


def keep_up(view: View, guarded: Mapping[str, Hold]) -> Upkeep:
    """What is due on nodes. `guarded` holds what guards of the draft found against it, by key."""
    ours, upkeep = suspended_by_us(view.history), Upkeep(view=view)
    wanted = {fold(m.node): m for m in view.desired.maintenances}
    if not wanted and not ours:
        return upkeep
    for name in sorted({*wanted, *ours}):
        want = wanted.get(name) or MaintenanceDesired(
            key=f"node:{name}", spec_name="", node=view.title(name), source=""
        )
        upkeep.phases[want.key] = _step(upkeep, want, name in ours, guarded)
    upkeep.view = _meanwhile(view, upkeep)
    return upkeep


def _step(
    upkeep: Upkeep, want: MaintenanceDesired, is_ours: bool, guarded: Mapping[str, Hold]
) -> MaintenancePhase:
    """Decide about one node."""
    view, name = upkeep.view, fold(want.node)
    if want.contradicts or want.suspended:
        reason = HoldReason.SPEC_CONFLICT if want.contradicts else HoldReason.SUSPENDED
        specs = ", ".join((want.source, *want.contradicts))
        upkeep.holds[want.key] = hold_on(want, reason, specs=specs)
        return MaintenancePhase.LEFT_ALONE
    is_on = bool(want.source) and want.is_on(view.now)
    if want.is_over(view.now) and not want.returns:
        upkeep.shunned.add(name)
    intent = view.open_intents.get(want.key)
    if intent is not None:
        upkeep.closed.add(name)
        suspends = intent.kind == ActionKind.SUSPEND_NODE
        return MaintenancePhase.SUSPENDING if suspends else MaintenancePhase.ENDING
    if is_on and is_ours:
        upkeep.vacated.add(name)
        return MaintenancePhase.EMPTYING
    if is_on:
        return _suspend(upkeep, want, guarded)
    if is_ours:
        return _resume(upkeep, want, guarded)
    return MaintenancePhase.OVER if want.is_over(view.now) else MaintenancePhase.PLANNED


def _suspend(
    upkeep: Upkeep, want: MaintenanceDesired, guarded: Mapping[str, Hold]
) -> MaintenancePhase:
    view, name = upkeep.view, fold(want.node)
    hold = guarded.get(want.key) or _suspend_hold(upkeep, want)
    if hold is not None:
        kind = ActionKind.SUSPEND_NODE
        upkeep.holds[want.key] = replace(hold, action=kind, target=view.title(name))
        # What is under way there arrives, and nothing follows it, or the wait would never end.
        if hold.reason is HoldReason.NODE_IN_USE:
            upkeep.closed.add(name)
        return MaintenancePhase.WAITS
    upkeep.vacated.add(name)
    upkeep.actions.append(_action(view, want, ActionKind.SUSPEND_NODE, ActionReason.MAINTENANCE))
    return MaintenancePhase.SUSPENDING


def _suspend_hold(upkeep: Upkeep, want: MaintenanceDesired) -> Hold | None:
    view = upkeep.view
    node = view.nodes.get(fold(want.node))
    if node is None:
        nodes = ", ".join(n.name for n in view.nodes.values())
        return hold_on(want, HoldReason.NODE_UNKNOWN, found=f"{want.node} (it has {nodes})")
    first = next((a for a in upkeep.actions if a.kind is ActionKind.SUSPEND_NODE), None)
    if first is not None:
        return hold_on(want, HoldReason.NODE_AWAY, away=f"{first.target} (for its maintenance)")
    return suspend_hold(view, want, node)


def _resume(
    upkeep: Upkeep, want: MaintenanceDesired, guarded: Mapping[str, Hold]
) -> MaintenancePhase:
    view, name = upkeep.view, fold(want.node)
    node = view.nodes.get(name)
    if node is None:
        return MaintenancePhase.OVER
    hold = guarded.get(want.key) or resume_hold(view, want, node)
    if hold is not None:
        kind = ActionKind.RESUME_NODE
        upkeep.holds[want.key] = replace(hold, action=kind, target=view.title(name))
    else:
        upkeep.actions.append(
            _action(view, want, ActionKind.RESUME_NODE, ActionReason.MAINTENANCE_OVER)
        )
    return MaintenancePhase.ENDING


def _action(view: View, want: MaintenanceDesired, kind: ActionKind, reason: ActionReason) -> Action:
    node = view.title(fold(want.node))
    return Action(
        id=f"{kind.value.lower()}:{want.key}",
        kind=kind,
        key=want.key,
        vm=node,
        vm_id=None,
        source=node,
        target=node,
        reason=reason,
        wave=0,
    )


def _meanwhile(view: View, upkeep: Upkeep) -> View:
    """The view with the specs of VMs without the nodes that count for nothing meanwhile."""
    if not (upkeep.vacated or upkeep.closed or upkeep.shunned):
        return view
    vms = tuple(_without(view, want, upkeep) for want in view.desired.vms)
    otherwise = (new.key for new, old in zip(vms, view.desired.vms, strict=True) if new is not old)
    return replace(
        view,
        desired=replace(view.desired, vms=vms),
        vacated=frozenset(upkeep.vacated),
        otherwise=frozenset(otherwise),
    )


def _without(view: View, want: VMDesired, upkeep: Upkeep) -> VMDesired:
    seen = view.matches[want.key].vm
    home = fold(seen.owner or "") if seen is not None else ""
    left = upkeep.vacated | (upkeep.closed - {home})
    unloved = left | (upkeep.shunned - {home})
    preferred = tuple(n for n in want.preferred if fold(n) not in unloved)
    possible = want.possible
    if left:
        named = possible if possible is not None else [n.name for n in view.nodes.values()]
        possible = tuple(n for n in named if fold(n) not in left)
    if (preferred, possible) == (want.preferred, want.possible):
        return want
    return replace(want, preferred=preferred, possible=possible)


def after_suspension(node_actions: Iterable[Action], actions: Iterable[Action]) -> list[Action]:
    """All actions in their order: while a node is to be suspended, everything else comes after.

    So no wave has more in it than before, and nothing goes to the node in the same breath.
    """
    first = tuple(node_actions)
    suspension = next((a.id for a in first if a.kind is ActionKind.SUSPEND_NODE), None)
    if suspension is None:
        return [*first, *actions]
    later = (
        replace(
            action,
            wave=action.wave + 1,
            after=action.after if action.wave else (suspension, *action.after),
        )
        for action in actions
    )
    return [*first, *later]


def maintenance_standings(
    upkeep: Upkeep,
    standings: Iterable[Standing],
    holds: Iterable[Hold],
    actions: Iterable[Action],
) -> tuple[MaintenanceStanding, ...]:
    """Where each maintenance stands, with what remains on a node that is to be empty, and why."""
    if not upkeep.phases:
        return ()
    view, found = upkeep.view, []
    keys = {s.vm_id: s.key for s in standings if s.vm_id is not None}
    held = {hold.key: hold for hold in holds}
    leaving = {a.key for a in actions if a.kind is ActionKind.MOVE}
    wanted = {m.key: m for m in view.desired.maintenances}
    for key, phase in upkeep.phases.items():
        want, name = wanted.get(key), key.partition(":")[2]
        remaining: tuple[Remaining, ...] = ()
        if name in view.vacated:
            remaining = tuple(
                Remaining(vm=vm.name, vm_id=vm.id, why=_why(keys.get(vm.id), held, leaving))
                for vm in sorted(view.observed.vms, key=lambda vm: (fold(vm.name), vm.id))
                if name in (fold(vm.owner or ""), fold(vm.host or ""))
            )
        if phase is MaintenancePhase.EMPTYING:
            whys = {r.why for r in remaining}
            if not whys:
                phase = MaintenancePhase.EMPTY
            elif not whys & {Remains.LEAVES, Remains.WAITS}:
                phase = MaintenancePhase.NOT_EMPTY
        found.append(
            MaintenanceStanding(
                key=key,
                name=want.spec_name if want is not None else "",
                node=view.title(name),
                phase=phase,
                ends=want.end if want is not None else None,
                remaining=remaining,
                generation=want.generation if want is not None else 0,
            )
        )
    return tuple(found)


def _why(key: str | None, held: Mapping[str, Hold], leaving: set[str]) -> Remains:
    if key is None:
        return Remains.NO_SPEC
    hold = held.get(key)
    if key in leaving or hold is None:
        return Remains.LEAVES
    return _WHY.get(hold.reason, Remains.WAITS)
