"""What each declared VM is, before anybody asks where it should go: one verdict at most.

The questions are asked in order of how little they assume; the first answer stands. A case without
a verdict is at rest and clear, and placement decides whether it is settled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from controller.model.desired import StartPolicy, VMDesired
from controller.model.history import Intent, IntentState
from controller.model.names import fold, same_name
from controller.model.observed import RoleState, VMObserved
from controller.model.plan import ActionKind, Hold, HoldReason, Verdict
from controller.planning.cost import standing_cost
from controller.planning.holds import hold_on
from controller.planning.view import View, is_moving


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One declared VM and what is clear of it."""

    want: VMDesired
    seen: VMObserved | None = None
    home: str = ""
    """The owner node, folded; empty when there is none."""
    verdict: Verdict | None = None
    hold: Hold | None = None
    due: ActionKind | None = None
    """Create, Register or Start, when that is what comes first."""
    placed: bool = False
    """Whether it rests on a known node, so that placement may look at it."""


def classify(view: View, want: VMDesired) -> Case:
    """Say what the VM is as far as its own facts go."""
    match = view.matches[want.key]
    for question in _QUESTIONS:
        case = question(view, want, match.vm)
        if case is not None:
            return case
    return _case(want, match.vm, placed=True)


def _case(
    want: VMDesired,
    seen: VMObserved | None,
    *,
    verdict: Verdict | None = None,
    hold: Hold | None = None,
    due: ActionKind | None = None,
    placed: bool = False,
) -> Case:
    home = fold(seen.owner or "") if seen is not None else ""
    return Case(want=want, seen=seen, home=home, verdict=verdict, hold=hold, due=due, placed=placed)


def _suspended(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    if not want.suspended:
        return None
    return _case(
        want,
        seen,
        verdict=Verdict.SUSPENDED,
        hold=hold_on(want, HoldReason.SUSPENDED, spec=want.source),
    )


def _conflict(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    match = view.matches[want.key]
    if match.unclear is not None:
        found = ", ".join(
            f"{vm.id} on {vm.owner or 'no node'}"
            for vm in sorted(match.others, key=lambda vm: vm.id)
        )
        hold = hold_on(want, match.unclear, found=found)
    elif seen is not None and seen.id in view.claimed_twice:
        hold = hold_on(want, HoldReason.SPEC_CONFLICT, vm_id=seen.id, spec=want.source)
    else:
        return None
    return _case(want, seen, verdict=Verdict.CONFLICT, hold=hold)


def _under_way_by_us(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    intent = view.open_intents.get(want.key)
    if intent is None:
        return None
    verdict = {
        ActionKind.MOVE: Verdict.MOVING,
        ActionKind.REGISTER: Verdict.REGISTERING,
        ActionKind.CREATE: Verdict.CREATING,
        ActionKind.START: Verdict.STARTING,
        ActionKind.CONFIGURE: Verdict.CONFIGURING,
    }[ActionKind(intent.kind)]
    return _case(want, seen, verdict=verdict, hold=_outcome_open(view, want, intent))


def _outcome_open(view: View, want: VMDesired, intent: Intent) -> Hold | None:
    """Only where something is doubtful: a command that shows its work needs no explanation."""
    if not intent.unknown and intent.first_quiet_at is None:
        return None
    quiet = intent.first_quiet_at
    settle = timedelta(seconds=view.desired.policy.settle_seconds)
    return hold_on(
        want,
        HoldReason.OUTCOME_OPEN,
        until=quiet + settle if quiet is not None else None,
        action=ActionKind(intent.kind),
        target=intent.target,
        intent=intent.id,
        sent_at=intent.opened_at.isoformat(),
        reply="lost" if intent.unknown else "accepted",
        quiet_since=quiet.isoformat() if quiet is not None else "",
    )


def _absent(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    if seen is not None:
        return None
    if not view.sees_all:
        return _case(want, None, verdict=Verdict.UNKNOWN, hold=_view_incomplete(view, want))
    # Hyper-V draws the id of a new VM: a spec by id can only mean one that exists.
    if want.template is None or want.name is None:
        return _case(
            want, None, verdict=Verdict.MISSING, hold=hold_on(want, HoldReason.NO_TEMPLATE)
        )
    return _case(want, None, verdict=Verdict.MISSING, due=ActionKind.CREATE)


def _view_incomplete(view: View, want: VMDesired) -> Hold:
    silent = sorted(n.name for n in view.observed.nodes if not n.answered)
    gaps = sorted({g.node or "the cluster's lists" for g in view.observed.gaps})
    return hold_on(want, HoldReason.VIEW_INCOMPLETE, not_seen=", ".join(silent or gaps))


def _half_created(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    """What a creation of ours left behind when it broke off.

    A job that dies before it writes its mark leaves a VM without one, which an administrator's own
    of that name would look like too. The careful side: whose it is a person has to say, by making
    it highly available, removing it, or naming it by id in the spec.
    """
    if seen is None:
        return None
    if seen.creation_mark is None:
        unfinished = _unfinished_creation(view, want) if seen.role is None else None
        if unfinished is None:
            return None
        intent = unfinished.id
    elif seen.creation_mark.endswith(":creating"):
        intent = seen.creation_mark.removesuffix(":creating")
    else:
        return None
    if intent in view.running_jobs:
        return _case(want, seen, verdict=Verdict.CREATING)
    return _case(
        want,
        seen,
        verdict=Verdict.MISSING,
        hold=hold_on(want, HoldReason.HALF_CREATED, intent=intent, host=seen.host or ""),
    )


def _unfinished_creation(view: View, want: VMDesired) -> Intent | None:
    """Our last creation of it, if it was sent or perhaps sent and never seen done.

    One that was refused or not sent is closed by its reply, before looks could have settled it.
    """
    made = [i for i in view.history.intents if i.key == want.key and i.kind == ActionKind.CREATE]
    if not made or made[-1].state is not IntentState.NOT_DONE or made[-1].closed_at is None:
        return None
    settle = timedelta(seconds=view.desired.policy.settle_seconds)
    return made[-1] if made[-1].closed_at - made[-1].opened_at >= settle else None


def _moving(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    if seen is None or not is_moving(seen):
        return None
    migration = seen.migration
    target = (migration.target if migration is not None else None) or seen.owner or ""
    hold = None
    if standing_cost(want, view.desired.policy, home=seen.owner or "", node=target) > 0:
        hold = hold_on(
            want,
            HoldReason.MIGRATION_UNDER_WAY,
            phase=migration.phase.value if migration is not None else "Queued",
            source=seen.owner or "",
            target=migration.target if migration is not None else None,
        )
    return _case(want, seen, verdict=Verdict.MOVING, hold=hold)


def _owner_unclear(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    if seen is None:
        return None
    owner = view.nodes.get(fold(seen.owner or ""))
    if seen.host is None and (owner is None or not owner.answered):
        return _case(want, seen, verdict=Verdict.UNKNOWN, hold=_view_incomplete(view, want))
    if same_name(seen.host, seen.owner) and owner is not None:
        return None
    hold = hold_on(
        want, HoldReason.OWNER_DISAGREES, cluster=seen.owner or "", hypervisor=seen.host or ""
    )
    return _case(want, seen, verdict=Verdict.UNKNOWN, hold=hold)


def _unregistered(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    if seen is None or seen.role is not None or not want.register:
        return None
    return _case(
        want,
        seen,
        verdict=Verdict.UNREGISTERED,
        due=ActionKind.REGISTER,
        placed=True,
    )


def _not_started(view: View, want: VMDesired, seen: VMObserved | None) -> Case | None:
    if seen is None or seen.role is None or seen.role.state is not RoleState.OFFLINE:
        return None
    if want.start is not StartPolicy.AFTER_REGISTRATION:
        return None
    if not start_is_due(view.history.intents, want.key):
        return None
    return _case(want, seen, verdict=Verdict.NOT_STARTED, due=ActionKind.START)


def start_is_due(intents: tuple[Intent, ...], key: str) -> bool:
    """Whether we made or registered the VM and have not started it since: once, and no more."""
    due = False
    for intent in intents:
        if intent.key != key or intent.state is not IntentState.DONE:
            continue
        if intent.kind == ActionKind.CONFIGURE:
            continue
        due = intent.kind in (ActionKind.CREATE, ActionKind.REGISTER)
    return due


_QUESTIONS: tuple[Callable[[View, VMDesired, VMObserved | None], Case | None], ...] = (
    _suspended,
    _conflict,
    _under_way_by_us,
    _absent,
    _half_created,
    _moving,
    _owner_unclear,
    _unregistered,
    _not_started,
)
