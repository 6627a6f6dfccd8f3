"""The guard-kill matrix: what notices each kill, and what stops the harm where a guard is gone.

For each guard: off alone; off with what stands behind it in the process (the audit, the executor),
so that a command leaves; and, with only what nodes did judged, off with the conditions for which
the nodes refused as well. What is noticed only at the end had two barriers or more before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.simulator.responder_conditions import CONDITIONS
from tests.simulation.kills import NO_AUDIT, Barrier, Kill, Notice, notice, refusals, together
from tests.simulation.stage import LIVE, TOLD, By

AUDITED = "A1"
"""What the checker says where the audit found what the planner should not have planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The kill with something more away."""

    away: str
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kill and all that was found out about it."""

    name: str
    alone: Notice
    steps: tuple[Step, ...] = ()

    @property
    def is_noticed(self) -> bool:
        """Whether the campaign notices it, with and without what stands behind it."""
        return all(n.invariants for n in (self.alone, *(step.notice for step in self.steps)))


def row(kill: Kill, seeds: Sequence[int]) -> Row:
    """Find out about one guard."""
    alone = notice(kill, seeds)
    steps: list[Step] = []
    audited = alone.invariants[:1] == (AUDITED,)
    barriers = [Barrier(name="the audit", patches=lambda: [NO_AUDIT])] if audited else []
    if kill.behind is not None:
        barriers.append(kill.behind)
    bare = kill
    if barriers:
        away = ", ".join(barrier.name for barrier in barriers)
        patches = [patch for barrier in barriers for patch in barrier.patches()]
        bare = together(kill, *patches, name=f"{kill.name} without {away}")
        steps.append(Step(away=away, notice=notice(bare, seeds, By.COMMANDS)))
    refused = sorted(refusals(bare, seeds[:3]) - {"vmHere", "roleExists", "targetExists"})
    if refused:
        gone = [(CONDITIONS, name, lambda case: None) for name in refused]
        away = "the node's " + ", ".join(refused)
        bare = together(bare, *gone, name=f"{bare.name}, {away}")
        steps.append(Step(away=away, notice=notice(bare, seeds, By.EFFECTS)))
    return Row(name=kill.name, alone=alone, steps=tuple(steps))


def bug_row(bug: Kill, seeds: Sequence[int]) -> Row:
    """Find out about one bug."""
    return Row(name=bug.name, alone=notice(bug, seeds))


def is_masked(found: Row) -> bool:
    """Whether no command left while only the guard was away."""
    return found.alone.invariants[:1] in ((AUDITED,), (TOLD,), (LIVE,))
