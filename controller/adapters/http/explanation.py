"""Why a VM is where it is, what would move it, and what stands in the way, as a JSON document."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from controller.model.desired import DesiredState, VMDesired
from controller.model.failures import CAUSES
from controller.model.history import History, Intent
from controller.model.names import same_name
from controller.model.observed import ObservedState, VMObserved
from controller.model.report import ClusterReport, VMReport
from controller.planning.candidates import Candidate, candidates
from controller.planning.releases import RELEASES
from controller.planning.sentences import SETTINGS, action_sentence, hold_sentence

SCHEMA = "ownernode.io/explanation/v1"
MOVES_SHOWN_MAX = 10
"""The latest ones."""


def explain(
    desired: DesiredState,
    observed: ObservedState,
    history: History,
    report: ClusterReport,
    vm: str,
) -> list[dict[str, Any]]:
    """Explain every VM of that name, spec name or id, without regard to case; none: empty."""
    wants = {want.key: want for want in desired.vms}
    found = [
        _declared(desired, observed, history, report, standing, wants.get(standing.key))
        for standing in report.vms
        if any(same_name(vm, name) for name in (standing.vm, standing.spec, standing.vm_id))
    ]
    declared = {standing.vm_id for standing in report.vms}
    found += [
        _undeclared(report, seen)
        for seen in observed.vms
        if seen.id not in declared and (same_name(vm, seen.name) or same_name(vm, seen.id))
    ]
    return found


def _declared(
    desired: DesiredState,
    observed: ObservedState,
    history: History,
    report: ClusterReport,
    standing: VMReport,
    want: VMDesired | None,
) -> dict[str, Any]:
    places = candidates(desired, observed, history, observed.completed_at, standing.key)
    hold = standing.hold
    return {
        "schema": SCHEMA,
        "cluster": report.cluster,
        "vm": standing.vm,
        "vmId": standing.vm_id,
        "spec": standing.spec,
        "source": want.source if want is not None else None,
        "verdict": standing.verdict.value,
        "owner": standing.owner,
        "declared": standing.declared,
        "sentence": standing.sentence,
        "observedAt": report.observed_at.isoformat(),
        "rules": _rules(want) if want is not None else None,
        "candidates": [_candidate(place) for place in places],
        "hold": None
        if hold is None
        else {
            "reason": hold.reason.value,
            "sentence": hold_sentence(hold),
            "since": _moment(hold.since),
            "until": _moment(hold.until),
            "guard": RELEASES[hold.reason][0],
            "releasedBy": RELEASES[hold.reason][1],
        },
        "plan": [
            {"wave": action.wave, "sentence": action_sentence(action)}
            for action in report.plan.actions
            if action.key == standing.key
        ],
        "impossible": [
            {"explanation": wish.explanation, "resolution": wish.resolution}
            for wish in report.plan.impossible
            if standing.vm in wish.vms
        ],
        "roleSettings": [
            {
                "setting": SETTINGS[change.setting],
                "now": ", ".join(change.before) or "none",
                "declared": ", ".join(change.after),
                "notWritten": change.not_written,
            }
            for change in standing.differs
        ],
        "highAvailability": [
            {
                "check": check.name,
                "verdict": check.verdict.value,
                "found": check.found,
                "remedy": check.remedy,
            }
            for check in standing.ha
        ],
        "lastFailure": _failure(standing.failed),
        "moves": sorted(_moves(history, standing.vm_id), key=lambda m: m["seenAt"])[
            -MOVES_SHOWN_MAX:
        ],
    }


def _undeclared(report: ClusterReport, seen: VMObserved) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "cluster": report.cluster,
        "vm": seen.name,
        "vmId": seen.id,
        "spec": None,
        "owner": seen.owner,
        "sentence": f"{seen.name} is on {seen.owner}; no spec names it, so it is never touched.",
        "observedAt": report.observed_at.isoformat(),
    }


def _rules(want: VMDesired) -> dict[str, Any]:
    return {
        "preferred": list(want.preferred),
        "possible": list(want.possible) if want.possible is not None else None,
        "enforcement": want.enforcement.value,
        "failback": want.failback.value,
        "register": want.register,
        "start": want.start.value,
        "priority": want.priority,
        "migration": want.migration.value,
        "suspend": want.suspended,
    }


def _candidate(place: Candidate) -> dict[str, Any]:
    return {
        "node": place.node,
        "isOwner": place.is_owner,
        "rank": place.rank,
        "fit": not place.unfit,
        "roomBytes": place.room_bytes,
        "costGib": place.cost_gib,
        "unfit": [
            {
                "check": against.name.value,
                "verdict": against.verdict.value,
                "found": against.found,
                "remedy": against.remedy,
            }
            for against in place.unfit
        ],
    }


def _moves(history: History, vm_id: str | None) -> Iterator[dict[str, Any]]:
    for own in history.moves:
        if own.vm_id == vm_id:
            by = "us, a stop on the way" if own.hop else "us"
            yield _move(own.source, own.target, own.seen_at, by, own.pause_seconds)
    for foreign in history.foreign:
        if foreign.vm_id == vm_id:
            by = "failover" if foreign.failover else "somebody else"
            yield _move(foreign.source, foreign.target, foreign.seen_at, by)


def _move(
    source: str, target: str, seen_at: datetime, by: str, pause_seconds: float | None = None
) -> dict[str, Any]:
    return {
        "seenAt": _moment(seen_at),
        "source": source,
        "target": target,
        "by": by,
        "pauseSeconds": pause_seconds,
    }


def _failure(move: Intent | None) -> dict[str, Any] | None:
    """Why the last move had no effect: by its code, in words, with what to do and who says so."""
    if move is None or move.code is None:
        return None
    cause = CAUSES.get(move.code)
    return {
        "at": _moment(move.closed_at),
        "target": move.target,
        "code": f"0x{move.code:08X}",
        "says": cause.says if cause is not None else None,
        "remedy": cause.remedy if cause is not None else None,
        "source": cause.source if cause is not None else None,
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None
