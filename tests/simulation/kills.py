"""Parts of the product switched off or made wrong on purpose: each must be noticed.

A simulation that finds nothing proves nothing until it is known what it would have found. A kill
lasts for the runs made inside `killed`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from controller.planning import decide as decide_module
from tests.simulation.stage import By, Story, Told, tell

Patch = tuple[Any, str, Any]
"""(module, class or table; name; what stands there instead)."""
BROKEN = "no cycle ends in an error"
"""What an ill-made kill shows: the product fell over it, and no harm was noticed."""
NO_AUDIT: Patch = (decide_module, "audit", lambda *_: ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One guard less, or one bug more."""

    name: str
    patches: Callable[[], Sequence[Patch]]
    story: Callable[[int], Story]
    """Stages its hazard, by a seed."""
    behind: "Barrier | None" = None
    """What else of the process, beside the audit, is known to stand in the way."""

    def run(self, seed: int, by: By = By.EVERYTHING) -> Told:
        """One run, with nothing killed unless the caller sees to it."""
        return tell(self.story(seed), by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Something else that stops the same harm."""

    name: str
    patches: Callable[[], Sequence[Patch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What came of a kill."""

    kill: str
    seeds: int
    """Runs until it was noticed, or all that were made."""
    invariants: tuple[str, ...] = ()
    """Broken at that moment; none: nothing noticed it."""
    detail: str = ""


@contextmanager
def killed(patches: Sequence[Patch]) -> Iterator[None]:
    """Put the patches in place for a while."""
    with ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(_replaced(owner, name, value))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = owner[name] if isinstance(owner, dict) else owner.__dict__[name]
    _put(owner, name, value)
    try:
        yield
    finally:
        _put(owner, name, before)


def _put(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def notice(kill: Kill, seeds: Sequence[int], by: By = By.EVERYTHING) -> Notice:
    """Play seeds with the kill in place until something is noticed."""
    with killed(kill.patches()):
        for count, seed in enumerate(seeds, 1):
            told = kill.run(seed, by)
            if told.violations:
                first = told.violations[0]
                return Notice(
                    kill=kill.name,
                    seeds=count,
                    invariants=tuple(dict.fromkeys(v.invariant for v in told.violations)),
                    detail=first.detail,
                )
    return Notice(kill=kill.name, seeds=len(seeds))


def refusals(kill: Kill, seeds: Sequence[int]) -> frozenset[str]:
    """The conditions for which nodes refuse what leaves with the kill in place."""
    with killed(kill.patches()):
        runs = [kill.run(seed, By.EFFECTS) for seed in seeds]
    return frozenset().union(*(run.refused_for for run in runs))


def together(kill: Kill, *others: Patch, name: str) -> Kill:
    """The kill, and something else away as well."""
    return replace(kill, name=name, patches=lambda: [*kill.patches(), *others])
