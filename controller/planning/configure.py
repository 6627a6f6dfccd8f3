"""Settings that are written: of VMs at rest on which nothing else is done, one after another.

The whole chain of a VM is in the plan, each write behind the one before it; only the first may
start. Whatever else the plan does with a VM comes first, and its settings are looked at anew then.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from controller.model.desired import VMDesired
from controller.model.observed import VMObserved
from controller.model.plan import Action, ActionKind, ActionReason, Hold, HoldReason
from controller.model.setting import Change
from controller.planning.guards import configure_hold
from controller.planning.holds import hold_on
from controller.planning.native import may_be_set, settings_due
from controller.planning.standing import Case
from controller.planning.view import View


@dataclass(slots=True)
class Settings:
    """What is written, and what holds the rest, by VMDesired key."""

    actions: list[Action] = field(default_factory=list)
    held: dict[str, Hold] = field(default_factory=dict)


def configure(
    view: View, cases: Iterable[Case], acting: Set[str], guarded: Mapping[str, Hold]
) -> Settings:
    """Every setting that is due; `acting` are the keys of VMs with which something else is done."""
    settings = Settings()
    policy = view.desired.policy
    open_now = sum(1 for i in view.open_intents.values() if i.kind == ActionKind.CONFIGURE)
    free = policy.settings_at_once_max - open_now
    for case in cases:
        want, seen = case.want, case.seen
        if seen is None or case.verdict is not None or want.key in acting:
            continue
        # What counts only during a maintenance is not written into the cluster.
        if want.key in view.otherwise:
            continue
        due = tuple(settings_due(want, seen, view.observed, policy))
        # Of a VM that is not off, all but what only its own configuration holds.
        now = tuple(change for change in due if may_be_set(change, seen))
        hold = _hold(view, want, seen, due, now, guarded.get(want.key))
        if hold is not None and hold.action is ActionKind.CONFIGURE:
            settings.held[want.key] = hold
        if hold is None or hold.reason is HoldReason.NEEDS_OFF:
            wave = 0 if free > 0 else 1
            chain = _chain(want, seen, now, wave)
            settings.actions += chain
            free -= 1 if chain else 0
    return settings


def _hold(
    view: View,
    want: VMDesired,
    seen: VMObserved,
    due: tuple[Change, ...],
    now: tuple[Change, ...],
    guarded: Hold | None,
) -> Hold | None:
    if not due:
        return None
    hold = guarded or (configure_hold(view, want, seen, now[0]) if now else None)
    if hold is not None:
        return hold if guarded is not None else replace(hold, action=ActionKind.CONFIGURE)
    if now == due:
        return None
    return hold_on(want, HoldReason.NEEDS_OFF, action=ActionKind.CONFIGURE, state=seen.state.value)


def _chain(
    want: VMDesired, seen: VMObserved, changes: tuple[Change, ...], wave: int
) -> tuple[Action, ...]:
    chain: list[Action] = []
    for change in changes:
        chain.append(
            Action(
                id=f"configure:{want.key}:{change.setting}:{','.join(change.after)}",
                kind=ActionKind.CONFIGURE,
                key=want.key,
                vm=want.title,
                vm_id=seen.id,
                source=seen.owner,
                target=seen.owner or "",
                reason=ActionReason.NOT_AS_DECLARED,
                wave=wave + len(chain),
                after=(chain[-1].id,) if chain else (),
                change=change,
            )
        )
    return tuple(chain)
