"""The guard-kill matrix: what notices each kill, and what stops the harm where a guard is gone.

For each guard: off alone; off with what stands behind it in the process (the audit, the executor),
so that a command leaves; and, with only what nodes did judged, off with the conditions for which
the nodes refused as well. What is noticed only at the end had two barriers or more before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.simulator.responder_conditions import CONDITIONS
from tests.simulation.kills import (
    BROKEN,
    NO_AUDIT,
    Barrier,
    Kill,
    Notice,
    killed,
    notice,
    refusals,
    together,
)
from tests.simulation.stage import LIVE, PROMISE, TOLD, By

NEEDED_BY_OTHERS = frozenset({"vmHere", "roleExists", "targetExists"})
"""Later conditions of the nodes use what these find: without them nothing runs at all."""
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
    noticing: int
    runs: int
    """Of so many runs so many noticed it, while it was off alone."""
    alarms: int
    """Of as many runs with nothing killed."""
    steps: tuple[Step, ...] = ()

    @property
    def is_noticed(self) -> bool:
        """Whether the campaign notices it, with and without what stands behind it."""
        return all(is_harm(n) for n in (self.alone, *(step.notice for step in self.steps)))

    @property
    def is_masked(self) -> bool:
        """Whether no command left while only the guard was away."""
        return self.alone.invariants[:1] in ((AUDITED,), (TOLD,), (LIVE,))


def is_harm(found: Notice) -> bool:
    """Whether something was noticed, and not only that the product fell over the kill."""
    return bool(found.invariants) and BROKEN not in found.invariants


def row(kill: Kill, seeds: Sequence[int]) -> Row:
    """Find out about one guard."""
    found = _alone(kill, seeds)
    bare, steps = kill, list[Step]()
    audited = found.alone.invariants[:1] == (AUDITED,)
    for barriers in _barriers(kill, audited=audited):
        away = ", ".join(barrier.name for barrier in barriers)
        patches = [patch for barrier in barriers for patch in barrier.patches()]
        bare = together(kill, *patches, name=f"{kill.name} without {away}")
        steps = [Step(away=away, notice=notice(bare, seeds, By.COMMANDS))]
        if is_harm(steps[0].notice):
            break
    refused = sorted(refusals(bare, seeds[:3]) - NEEDED_BY_OTHERS)
    if refused:
        gone = [(CONDITIONS, name, lambda case: None) for name in refused]
        away = f"the node's {', '.join(refused)}"
        bare = together(bare, *gone, name=f"{bare.name}, {away}")
        steps.append(Step(away=away, notice=notice(bare, seeds, By.EFFECTS)))
    return replace(found, steps=tuple(steps))


_AUDIT = Barrier(name="the audit", patches=lambda: [NO_AUDIT])


def _barriers(kill: Kill, *, audited: bool) -> Iterator[list[Barrier]]:
    """What to take away with it, so that a command leaves: first the least that may do."""
    behind = [kill.behind] if kill.behind is not None else []
    if behind or audited:
        yield [_AUDIT] if audited else behind
    if behind:
        yield [_AUDIT, *behind]


def bug_row(bug: Kill, seeds: Sequence[int]) -> Row:
    """Find out about one bug; where the audit found it out, also without the audit."""
    found = _alone(bug, seeds)
    if found.alone.invariants[:1] != (AUDITED,):
        return found
    bare = together(bug, NO_AUDIT, name=f"{bug.name} without the audit")
    return replace(found, steps=(Step(away=_AUDIT.name, notice=notice(bare, seeds, By.COMMANDS)),))


def condition_row(condition: Kill, seeds: Sequence[int]) -> Row:
    """Find out about one condition of the nodes: by what they did, whatever they were asked."""
    return _alone(condition, seeds, By.EFFECTS)


def _alone(bug: Kill, seeds: Sequence[int], by: By = By.EVERYTHING) -> Row:
    each = [notice(bug, [seed], by) for seed in seeds]
    first = next((i for i, found in enumerate(each) if found.invariants), None)
    return Row(
        name=bug.name,
        alone=Notice(kill=bug.name, seeds=len(each))
        if first is None
        else replace(each[first], seeds=first + 1),
        noticing=sum(is_harm(found) for found in each),
        runs=len(each),
        alarms=sum(bool(bug.run(seed).violations) for seed in seeds),
    )


def pair(a: Kill, b: Kill, seeds: Sequence[int]) -> Notice:
    """Both off, in the runs of either."""
    name = f"{a.name} + {b.name}"
    for count, seed in enumerate(seeds):
        for nth, kill in enumerate((a, b), 1):
            # One after the other: a table that both shorten is shortened twice.
            with killed(a.patches()), killed(b.patches()):
                found = kill.run(seed).violations
            if found:
                return Notice(
                    kill=name,
                    seeds=2 * count + nth,
                    invariants=tuple(dict.fromkeys(v.invariant for v in found)),
                    detail=found[0].detail,
                )
    return Notice(kill=name, seeds=2 * len(seeds))


# ---- on paper


def in_words(found: Notice) -> str:
    """What noticed it."""
    if not found.invariants:
        return "**nothing**"
    by = ", ".join(_WORDS.get(name, name) for name in found.invariants)
    return f"{by}: {found.detail.replace('|', '/')[:90]}"


_WORDS: Mapping[str, str] = {
    PROMISE: "its promise",
    TOLD: "the report",
    AUDITED: "A1 (the audit)",
}


def guard_line(found: Row) -> str:
    """A line of the page for a guard."""
    behind = "; ".join(step.away for step in found.steps) or "nothing"
    then = "; ".join(in_words(step.notice) for step in found.steps) or "-"
    return _line(f"`{found.name}`", in_words(found.alone), _share(found), behind, then)


def bug_line(found: Row) -> str:
    """A line of the page for a bug."""
    then = "; ".join(f"without {step.away}: {in_words(step.notice)}" for step in found.steps)
    return _line(found.name, in_words(found.alone), _share(found), then or "-")


def condition_line(found: Row) -> str:
    """A line of the page for a condition."""
    return _line(f"`{found.name}`", in_words(found.alone), _share(found))


def _share(found: Row) -> str:
    return f"{found.noticing} of {found.runs}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
