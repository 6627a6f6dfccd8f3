"""Guards off and bugs put in: each must be noticed, or the simulation proves nothing.

`make test` plays each guard, bug and condition of the nodes once, with the seed at which it is
known to be noticed, and a share of the pairs. `make campaign` plays `KILL_SEEDS` seeds (10 unless
set) of each, takes away what stands behind each guard, plays every pair (or one of
`KILL_PAIRS_EACH`), and writes docs/kill-matrix.md.
"""

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from typing import TypeVar

import pytest

from controller.simulator.responder_conditions import CONDITIONS
from tests.simulation.bugs import seeded_bugs
from tests.simulation.guard_kills import guard_kills, not_killed
from tests.simulation.hazards_conditions import CONDITIONS_STAGED, NOT_STAGED, condition_kills
from tests.simulation.kill_page import PAGE, page
from tests.simulation.kills import Kill, Notice, notice
from tests.simulation.matrix import Row, bug_row, condition_row, is_harm, pair, row
from tests.simulation.stage import By

T = TypeVar("T")

GUARDS = tuple(guard_kills())
BUGS = tuple(seeded_bugs())
CONDITION_KILLS = tuple(condition_kills())
PAIRS = tuple(combinations(range(len(GUARDS)), 2))
PAIRS_EACH = 120
"""One pair of so many is played by `make test`."""
KNOWN_SEED = 0
BUGS_MIN = 40


@pytest.mark.parametrize("kill", [*GUARDS, *BUGS], ids=lambda kill: kill.name)
def test_a_kill_is_noticed(kill: Kill) -> None:
    """The run finds nothing while all is there, and harm when the guard is off or the bug in."""
    assert not kill.run(KNOWN_SEED).violations
    assert is_harm(notice(kill, [KNOWN_SEED]))


@pytest.mark.parametrize("kill", CONDITION_KILLS, ids=lambda kill: kill.name)
def test_a_condition_of_the_nodes_is_missed(kill: Kill) -> None:
    """Without it a command has its effect where it was not planned for any more."""
    assert not kill.run(KNOWN_SEED).violations
    assert is_harm(notice(kill, [KNOWN_SEED], By.EFFECTS))


def test_every_condition_of_the_nodes_is_staged_or_says_why_not() -> None:
    """None is added without a hazard."""
    assert CONDITIONS.keys() == CONDITIONS_STAGED.keys() | NOT_STAGED.keys()


@pytest.mark.parametrize("number", range(0, len(PAIRS), PAIRS_EACH))
def test_a_pair_is_noticed(number: int) -> None:
    """Two guards off together do not hide each other."""
    assert is_harm(_pair(number))


def test_the_page_has_every_kill_and_none_unnoticed() -> None:
    """docs/kill-matrix.md is of this code: each guard of the tables, each bug, by its name."""
    told = PAGE.read_text()
    lines = [line for line in told.splitlines() if line.startswith("| ")]
    firsts = {line.split(" | ")[0].removeprefix("| ").strip("`") for line in lines}
    assert {kill.name for kill in (*GUARDS, *BUGS, *CONDITION_KILLS)} <= firsts
    assert not not_killed()
    assert len(BUGS) >= BUGS_MIN
    assert "nothing**" not in told
    counts = [(a, b) for a, b in re.findall(r"\| ([\d,]+) of ([\d,]+)(?: \||,)", told)]
    assert len(counts) > len(BUGS)
    assert all(noticed == "0" or noticed == of for noticed, of in counts)


@pytest.mark.campaign
@pytest.mark.timeout(86_400)
def test_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything, over many seeds and with all that stands behind; the page is written anew."""
    guards = _at_once(_guard_row, range(len(GUARDS)))
    bugs = _at_once(_bug_row, range(len(BUGS)))
    each = int(os.environ.get("KILL_PAIRS_EACH", "1"))
    pairs = _at_once(_pair, range(0, len(PAIRS), each))
    conditions = _at_once(_condition_row, range(len(CONDITION_KILLS)))
    told = page(guards, bugs, conditions, pairs, pairs_there=len(PAIRS))
    PAGE.write_text(told)
    with capsys.disabled():
        print(f"\n{told}")
    rows = (*guards, *bugs, *conditions)
    assert not [found.name for found in rows if not found.is_noticed or found.alarms]
    assert not [found.kill for found in pairs if not is_harm(found)]


def _at_once(work: Callable[[int], T], numbers: Sequence[int]) -> list[T]:
    """A kill is in place for a whole process, so each process plays one at a time."""
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(work, numbers))


def _seeds() -> range:
    return range(int(os.environ.get("KILL_SEEDS", "10")))


def _guard_row(number: int) -> Row:
    return row(GUARDS[number], _seeds())


def _bug_row(number: int) -> Row:
    return bug_row(BUGS[number], _seeds())


def _condition_row(number: int) -> Row:
    return condition_row(CONDITION_KILLS[number], _seeds())


def _pair(number: int) -> Notice:
    a, b = PAIRS[number]
    return pair(GUARDS[a], GUARDS[b], range(3))
