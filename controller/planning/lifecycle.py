"""Registration, creation and start: the steps that bring a declared VM into being.

Each chain is shown whole: what comes later names what must be seen done before it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from controller.model.desired import Enforcement, StartPolicy, VMDesired
from controller.model.names import fold
from controller.model.observed import VMObserved, VMState
from controller.model.plan import Action, ActionKind, ActionReason, Hold, HoldReason
from controller.planning.disks import disk_holds
from controller.planning.guards import create_hold, register_hold, start_hold
from controller.planning.holds import gib, hold_on
from controller.planning.preflight import availability, is_fit, is_on_volume
from controller.planning.standing import Case
from controller.planning.view import View


@dataclass(slots=True)
class Lifecycle:
    """Actions of these kinds, and what holds the rest; both grow while the plan is made."""

    actions: list[Action] = field(default_factory=list)
    held: dict[str, Hold] = field(default_factory=dict)
    """By VMDesired key."""

    def registration(self, key: str) -> str | None:
        """Id of the action that registers the VM, if there is one."""
        wanted = (a.id for a in self.actions if a.key == key and a.kind is ActionKind.REGISTER)
        return next(wanted, None)


def register_and_start(view: View, cases: Iterable[Case]) -> tuple[Lifecycle, View]:
    """What is due on VMs that exist; and the view with the room taken that the starts need."""
    life = Lifecycle()
    taken: dict[str, int] = {}
    for case in cases:
        if case.seen is None:
            continue
        if case.due is ActionKind.REGISTER:
            hold = register_hold(view, case.want, case.seen)
            actions = _registration(view, case.want, case.seen, taken)
        elif case.due is ActionKind.START:
            hold = start_hold(view, case.want, case.seen)
            actions = [_start(view, case.want, case.seen, after=None)]
            if hold is None and not _has_room(view, case.seen, taken):
                hold = _no_room(view, case.want, case.seen)
        else:
            continue
        if hold is not None:
            life.held[case.want.key] = hold
            continue
        life.actions += actions
        for action in actions:
            node = fold(action.target)
            taken[node] = taken.get(node, 0) + action.memory_bytes
    return life, _with_less_room(view, taken)


def create(
    view: View, cases: Iterable[Case], spare: dict[str, int], life: Lifecycle
) -> dict[str, str]:
    """Add the creations that are due, on nodes with room to spare throughout the plan.

    `spare` shrinks by what they take. Gives the node of each created VM by key.
    """
    nodes: dict[str, str] = {}
    cases = [case for case in cases if case.due is ActionKind.CREATE]
    disks = disk_holds(view, (case.want for case in cases))
    for case in cases:
        target = _creation_target(view, case.want, spare)
        if isinstance(target, Hold):
            life.held[case.want.key] = target
            continue
        nodes[case.want.key] = target
        hold = create_hold(view, case.want) or disks.get(case.want.key)
        if hold is not None:
            life.held[case.want.key] = replace(hold, target=view.title(target))
            continue
        spare[target] -= _startup_bytes(case.want)
        life.actions += _creation(view, case.want, target)
    return nodes


def _with_less_room(view: View, taken: dict[str, int]) -> View:
    if not taken:
        return view
    return replace(
        view,
        room_now={n: room - taken.get(n, 0) for n, room in view.room_now.items()},
        room_later={n: room - taken.get(n, 0) for n, room in view.room_later.items()},
    )


def _registration(
    view: View, want: VMDesired, seen: VMObserved, taken: dict[str, int]
) -> list[Action]:
    register = _action(
        want,
        ActionKind.REGISTER,
        seen=seen,
        target=view.title(fold(seen.host or "")),
        reason=ActionReason.NOT_HIGHLY_AVAILABLE,
    )
    register = replace(register, checks=availability(want, seen, view.around))
    starts = want.start is StartPolicy.AFTER_REGISTRATION and seen.state is VMState.OFF
    if not starts or not _has_room(view, seen, taken):
        return [register]
    return [register, _start(view, want, seen, after=register)]


def _start(view: View, want: VMDesired, seen: VMObserved, after: Action | None) -> Action:
    made = [
        i.kind
        for i in view.history.intents
        if i.key == want.key and i.kind in (ActionKind.CREATE, ActionKind.REGISTER)
    ]
    created = ActionKind.CREATE in made
    action = _action(
        want,
        ActionKind.START,
        seen=seen,
        target=view.title(fold(seen.host or "")),
        reason=ActionReason.CREATED_BY_US if created else ActionReason.REGISTERED_BY_US,
        memory_bytes=seen.memory_startup_bytes,
    )
    return action if after is None else replace(action, wave=1, after=(after.id,))


def _creation(view: View, want: VMDesired, target: str) -> Iterator[Action]:
    node, reason = view.title(target), ActionReason.ABSENT
    create = replace(
        _action(want, ActionKind.CREATE, seen=None, target=node, reason=reason),
        template=want.template,
    )
    yield create
    if not want.register:
        return
    reason = ActionReason.NOT_HIGHLY_AVAILABLE
    register = replace(
        _action(want, ActionKind.REGISTER, seen=None, target=node, reason=reason),
        source=node,
        wave=1,
        after=(create.id,),
    )
    yield register
    if want.start is StartPolicy.AFTER_REGISTRATION:
        reason = ActionReason.CREATED_BY_US
        start = _action(want, ActionKind.START, seen=None, target=node, reason=reason)
        yield replace(
            start,
            source=node,
            wave=2,
            after=(register.id,),
            memory_bytes=_startup_bytes(want),
        )


def _action(
    want: VMDesired,
    kind: ActionKind,
    *,
    seen: VMObserved | None,
    target: str,
    reason: ActionReason,
    memory_bytes: int = 0,
) -> Action:
    return Action(
        id=f"{kind.value.lower()}:{want.key}:{fold(target)}",
        kind=kind,
        key=want.key,
        vm=want.title,
        vm_id=seen.id if seen is not None else None,
        source=seen.owner if seen is not None else None,
        target=target,
        reason=reason,
        wave=0,
        memory_bytes=memory_bytes,
    )


def _has_room(view: View, seen: VMObserved, taken: dict[str, int]) -> bool:
    host = fold(seen.host or "")
    return seen.memory_startup_bytes <= view.room_now.get(host, 0) - taken.get(host, 0)


def _no_room(view: View, want: VMDesired, seen: VMObserved) -> Hold:
    host = fold(seen.host or "")
    return hold_on(
        want,
        HoldReason.NO_ROOM,
        action=ActionKind.START,
        target=view.title(host),
        needs=gib(seen.memory_startup_bytes),
        room=gib(max(view.room_now.get(host, 0), 0)),
    )


def _creation_target(view: View, want: VMDesired, spare: dict[str, int]) -> str | Hold:
    """The best node that could start the VM at once, or why there is none."""
    assert want.template is not None
    if not is_on_volume(want.template.location, view.around.mounts):
        return hold_on(
            want,
            HoldReason.HA_BLOCKED,
            action=ActionKind.CREATE,
            location=want.template.location,
            remedy="name a folder on a cluster shared volume of this cluster",
        )
    strict = want.enforcement is Enforcement.REQUIRED and want.preferred
    named = want.preferred if strict else (want.possible or ())
    if named and not any(fold(n) in view.nodes for n in named):
        return hold_on(
            want, HoldReason.NODE_UNKNOWN, action=ActionKind.CREATE, nodes=", ".join(named)
        )
    fit = [
        (want.rank(node.name), -spare[name], name)
        for name, node in view.nodes.items()
        if is_fit(want, None, node, view.around)
        and (not strict or want.rank(node.name) < len(want.preferred))
    ]
    if not fit:
        nodes = ", ".join(named) or "every node"
        return hold_on(want, HoldReason.TARGET_UNFIT, action=ActionKind.CREATE, nodes=nodes)
    roomy = [choice for choice in fit if spare[choice[2]] >= _startup_bytes(want)]
    if not roomy:
        return hold_on(
            want,
            HoldReason.NO_ROOM,
            action=ActionKind.CREATE,
            needs=gib(_startup_bytes(want)),
            room="; ".join(f"{view.title(n)}: {gib(max(spare[n], 0))}" for *_, n in sorted(fit)),
        )
    return min(roomy)[2]


def _startup_bytes(want: VMDesired) -> int:
    return want.template.memory_startup_bytes if want.template is not None else 0
