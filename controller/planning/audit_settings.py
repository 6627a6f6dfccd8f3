"""The audit's own reading of what may be written to a role, or to a VM that is off."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.model.desired import VMDesired
from controller.model.history import IntentState
from controller.model.names import fold, same_name
from controller.model.observed import VMObserved, VMState
from controller.model.plan import Action, ActionKind, AuditFinding
from controller.model.policy import NativePolicy
from controller.model.setting import Change, Setting
from controller.planning.audit_world import World, fault


def check_settings(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Every write is of a VM at rest, to what its spec says, in order, and not too many at once."""
    writes = [a for a in w.plan.actions if a.kind is ActionKind.CONFIGURE]
    for action in writes:
        want, vm = w.wants.get(action.key), w.vms.get(action.vm_id or "")
        if action.change is None or want is None or vm is None:
            yield fault("setting", action, f"what is to be set on {action.vm} is not clear")
            continue
        for detail in _faults(w, action, action.change, want, vm):
            yield fault("setting", action, detail)
        if action.wave == 0:
            yield from _rest(w, action, action.change, now)
    for actions in w.by_key.values():
        chain = [a.change.setting for a in actions if a.change is not None]
        if chain != [setting for setting in Setting if setting in chain]:
            yield fault("setting", actions[0], "its settings are not written in order")
    open_now = sum(1 for i in w.history.open_intents if i.kind == ActionKind.CONFIGURE)
    starting = [a for a in writes if a.wave == 0]
    if starting and open_now + len(starting) > w.desired.policy.settings_at_once_max:
        detail = f"{open_now + len(starting)} settings are written at once"
        yield fault("setting", starting[-1], detail)


def _faults(
    w: World, action: Action, change: Change, want: VMDesired, vm: VMObserved
) -> Iterator[str]:
    role, node = vm.role, w.nodes.get(fold(action.target))
    faults = [
        (not same_name(vm.owner, vm.host), f"{vm.owner} owns {vm.name}, {vm.host} runs it"),
        (not same_name(action.target, vm.owner), f"{vm.name} is on {vm.owner}"),
        (vm.migration is not None, f"{vm.name} is under way"),
        (vm.busy is not None, f"{vm.name}: {vm.busy}"),
        (node is None or not node.is_target, f"{action.target} is going away"),
    ]
    if role is not None:
        faults += [
            (role.queued, f"{vm.name} is queued to be moved"),
            (role.locked, f"the role of {vm.name} is locked"),
        ]
    yield from (detail for bad, detail in faults if bad)
    if change.setting is Setting.PROCESSOR_COMPATIBILITY:
        if not want.processor_compatibility or vm.state is not VMState.OFF:
            yield f"{vm.name} is {vm.state}, and its processors are set only while it is off"
        return
    if w.desired.policy.native_policy is not NativePolicy.MANAGE or role is None:
        yield f"the settings of {vm.name} are not ours"
        return
    if fold(role.name).startswith("scvmm "):
        yield f"another tool looks after {role.name}"
    if change.setting is Setting.POSSIBLE_OWNERS:
        yield from _possible(w, change, want, vm)
    elif change.after != _declared(w, change, want):
        yield f"{change.setting} {', '.join(change.after)} is not what the spec says"


def _possible(w: World, change: Change, want: VMDesired, vm: VMObserved) -> Iterator[str]:
    """Whoever owns it, runs it or is preferred is kept; else what the spec allows, and no more."""
    given = {fold(name) for name in change.after}
    known = {name: node.name for name, node in w.nodes.items()}
    kept = {fold(n) for n in (vm.owner, vm.host, *want.preferred) if n} & known.keys()
    allowed = {name for name, title in known.items() if want.allows(title)}
    if not kept <= given:
        yield f"{', '.join(sorted(kept - given))} would be no possible owner of {vm.name} any more"
    if given != allowed | kept:
        yield f"possible owners {', '.join(change.after)} are not what the spec allows"
    if len(given) < len(change.after) or len(given) < 2:
        yield f"{vm.name} would have {len(given)} possible owners"


def _declared(w: World, change: Change, want: VMDesired) -> tuple[str, ...]:
    match change.setting:
        case Setting.FAILBACK:
            return ("off",)
        case Setting.PRIORITY:
            return (str(want.priority),)
        case _:
            there = (w.nodes.get(fold(name)) for name in want.preferred)
            return tuple(node.name for node in there if node is not None)


def _rest(w: World, action: Action, change: Change, now: datetime) -> Iterator[AuditFinding]:
    """What we wrote not long ago and somebody set back is not written again yet."""
    for past in w.history.intents:
        same = past.key == action.key and past.change is not None
        same = same and past.change is not None and past.change.after == change.after
        same = same and past.change is not None and past.change.setting is change.setting
        if not same or past.state is not IntentState.DONE or past.closed_at is None:
            continue
        if now < past.closed_at + timedelta(seconds=w.desired.policy.cooldown_seconds):
            yield fault("cooldown", action, f"{change.setting} was written {past.closed_at}")
