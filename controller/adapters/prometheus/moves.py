"""Follows the moves of this controller from report to report: phases, whole time, memory moved.

What is known is what looks saw: a phase shorter than the time between two looks is not seen, and
each length is right to about that time (two seconds while something moves).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from controller.adapters.prometheus.table import MovePhase
from controller.model.names import same_name
from controller.model.plan import ActionKind
from controller.model.report import ClusterReport, VMReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """One move under way."""

    key: str
    target: str
    began_at: datetime
    memory_bytes: int
    phase: MovePhase | None = None
    since: datetime | None = None
    """When the phase was first seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A phase that is over, or a whole move that was seen done, with the memory that it moved."""

    phase: MovePhase
    seconds: float
    memory_bytes: int = 0


class Moves:
    """The moves of one cluster."""

    def __init__(self) -> None:
        self._moving: dict[str, Moving] = {}

    def follow(self, report: ClusterReport) -> Iterator[Timed]:
        """What ended since the last report; call it once with each."""
        at = report.observed_at
        memory = {o.intent_id: o.action.memory_bytes for o in report.outcomes}
        seen = {vm.key: vm for vm in report.vms}
        open_now = {
            vm.intent.id: vm
            for vm in report.vms
            if vm.intent is not None and vm.intent.kind == ActionKind.MOVE
        }
        for intent_id in sorted(self._moving.keys() - open_now.keys()):
            yield from _ended(self._moving.pop(intent_id), seen, at)
        for intent_id, vm in open_now.items():
            assert vm.intent is not None, "it was chosen for having one"
            move = self._moving.get(intent_id) or Moving(
                key=vm.key,
                target=vm.intent.target,
                began_at=vm.intent.opened_at,
                memory_bytes=memory.get(intent_id, 0),
            )
            phase = _phase(vm)
            if phase is not move.phase:
                yield from _phase_over(move, at)
                move = replace(move, phase=phase, since=at)
            self._moving[intent_id] = move


def _phase(vm: VMReport) -> MovePhase | None:
    if vm.migration is None or vm.migration.phase.value not in {*MovePhase}:
        return None
    return MovePhase(vm.migration.phase.value)


def _phase_over(move: Moving, at: datetime) -> Iterator[Timed]:
    if move.phase is not None and move.since is not None:
        yield Timed(phase=move.phase, seconds=(at - move.since).total_seconds())


def _ended(move: Moving, seen: dict[str, VMReport], at: datetime) -> Iterator[Timed]:
    yield from _phase_over(move, at)
    vm = seen.get(move.key)
    if vm is not None and same_name(vm.owner, move.target):
        seconds = (at - move.began_at).total_seconds()
        yield Timed(phase=MovePhase.WHOLE, seconds=seconds, memory_bytes=move.memory_bytes)
