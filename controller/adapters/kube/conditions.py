"""What is said of an object in its status, as kstatus, `kubectl wait`, Flux and Argo CD read it.

`Ready` says whether the object is as declared. `Reconciling` and `Stalled` are there only while
they are true: the first, that time or this program will change it; the second, that only a person
will (kstatus, "The Generic rules"). Nothing here changes from cycle to cycle while nothing happens.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.adapters.kube.api import Json
from controller.model.plan import (
    Hold,
    HoldReason,
    MaintenancePhase,
    MaintenanceStanding,
    Verdict,
)
from controller.model.policy import Mode
from controller.model.report import VMReport
from controller.planning.holds import WAITS_FOR_OTHERS
from controller.planning.sentences import maintenance_sentence

MESSAGE_CHARACTERS_MAX: Final = 1024
SPEC_REFUSED: Final = "SpecRefused"
"""Reason of an object that is not taken as it is."""

_AT_REST: Final = frozenset(
    {
        MaintenancePhase.PLANNED,
        MaintenancePhase.LEFT_ALONE,
        MaintenancePhase.EMPTY,
        MaintenancePhase.OVER,
    }
)
_NEEDS_A_PERSON: Final = frozenset({MaintenancePhase.NOT_EMPTY, MaintenancePhase.LEFT_ALONE})
_UNDER_WAY: Final = frozenset(
    {Verdict.MOVING, Verdict.CREATING, Verdict.REGISTERING, Verdict.STARTING, Verdict.CONFIGURING}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition, without its time."""

    type: str
    status: str
    reason: str
    message: str = ""


def conditions_of_vm(vm: VMReport, mode: Mode) -> tuple[Condition, ...]:
    """Where a VM stands."""
    reason = vm.hold.reason.value if vm.hold is not None else vm.verdict.value
    told = vm.sentence
    found = [_ready(vm, reason, told)]
    match vm.verdict:
        case Verdict.SETTLED | Verdict.SUSPENDED:
            pass
        case _ if _is_stalled(vm, mode):
            reason = "ModeObserve" if vm.hold is None and mode is Mode.OBSERVE else reason
            found.append(Condition(type="Stalled", status="True", reason=reason, message=told))
        case _:
            found.append(Condition(type="Reconciling", status="True", reason=reason, message=told))
    is_seen = vm.verdict is not Verdict.UNKNOWN
    found.append(
        Condition(
            type="Reachable",
            status="True" if is_seen else "False",
            reason="Seen" if is_seen else reason,
        )
    )
    if vm.verdict in (Verdict.SETTLED, Verdict.MISPLACED, Verdict.MOVING):
        is_right = vm.verdict is Verdict.SETTLED
        placed = "True" if is_right else "False"
        found.append(Condition(type="Placed", status=placed, reason=vm.verdict.value))
        if not is_right:
            drifted = f"on {vm.owner}, declared on {vm.declared}" if vm.declared else ""
            found.append(
                Condition(type="Drifted", status="True", reason=vm.verdict.value, message=drifted)
            )
    return tuple(found)


def conditions_of_maintenance(
    standing: MaintenanceStanding, hold: Hold | None, mode: Mode
) -> tuple[Condition, ...]:
    """How far the maintenance of a node got: ready when the node is empty, or need not be."""
    reason = hold.reason.value if hold is not None else standing.phase.value
    told = maintenance_sentence(standing, hold)
    # With `suspend: true` it is declared to be left alone, and it is.
    rests = standing.phase in _AT_REST and (hold is None or hold.reason is HoldReason.SUSPENDED)
    ready = Condition(type="Ready", status=str(rests), reason=reason, message=told)
    if rests:
        return (ready,)
    waits = hold is not None and hold.reason in WAITS_FOR_OTHERS
    stalled = waits or standing.phase in _NEEDS_A_PERSON or mode is Mode.OBSERVE
    kind = "Stalled" if stalled else "Reconciling"
    return (ready, Condition(type=kind, status="True", reason=reason, message=told))


def refused(reason: str, message: str) -> tuple[Condition, ...]:
    """An object that is not taken as it is: only whoever wrote it can mend that."""
    return (
        Condition(type="Ready", status="False", reason=reason, message=message),
        Condition(type="Stalled", status="True", reason=reason, message=message),
    )


def untouched() -> tuple[Condition, ...]:
    """An object that no cycle has looked at yet: without conditions it would count as done."""
    told = "No look at its cluster has taken it into account yet."
    return (
        Condition(type="Ready", status="Unknown", reason="Pending", message=told),
        Condition(type="Reconciling", status="True", reason="Pending", message=told),
    )


def _ready(vm: VMReport, reason: str, told: str) -> Condition:
    match vm.verdict:
        case Verdict.SETTLED:
            return Condition(type="Ready", status="True", reason=vm.verdict.value, message=told)
        case Verdict.SUSPENDED:  # it is declared to be left alone, and it is
            return Condition(type="Ready", status="True", reason=vm.verdict.value, message=told)
        case Verdict.UNKNOWN:
            return Condition(type="Ready", status="Unknown", reason=reason, message=told)
        case _:
            return Condition(type="Ready", status="False", reason=reason, message=told)


def _is_stalled(vm: VMReport, mode: Mode) -> bool:
    """Whether nothing but a person's decision will change what is said of it."""
    if vm.verdict in _UNDER_WAY or vm.intent is not None or vm.migration is not None:
        return False
    if vm.verdict in (Verdict.CONFLICT, Verdict.IMPOSSIBLE):
        return True
    if vm.hold is not None:
        return vm.hold.reason in WAITS_FOR_OTHERS | {HoldReason.CONTESTED}
    return mode is Mode.OBSERVE and vm.verdict is not Verdict.UNKNOWN


def written(
    conditions: Iterable[Condition],
    before: Sequence[Mapping[str, Any]],
    *,
    generation: int,
    now: str,
) -> list[Json]:
    """The conditions as they stand in a status; each keeps its time while it says the same."""
    known = {condition.get("type"): condition for condition in before}
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message[:MESSAGE_CHARACTERS_MAX],
            "observedGeneration": generation,
            "lastTransitionTime": known[condition.type]["lastTransitionTime"]
            if known.get(condition.type, {}).get("status") == condition.status
            else now,
        }
        for condition in sorted(conditions, key=lambda c: c.type)
    ]
