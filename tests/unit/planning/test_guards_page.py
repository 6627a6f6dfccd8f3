"""docs/guards.md is what an operator goes by: it must name every hold, guard and figure rightly."""

import re
from pathlib import Path

from controller.model.plan import HoldReason
from controller.model.policy import Policy
from controller.planning import guards

PAGE = (Path(__file__).parents[3] / "docs" / "guards.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith(("| `", "| —"))
]


def test_every_hold_has_its_row() -> None:
    """And no row tells of a hold that does not exist."""
    assert {row[1].strip("`") for row in ROWS} == {reason.value for reason in HoldReason}


def test_every_guard_has_its_row() -> None:
    """By module and function, in the section of its table; what is no guard has a dash."""
    told = {name for row in ROWS for name in re.findall(r"`([\w.]+)`", row[0])}
    tables = (
        *guards.CLUSTER_GUARDS,
        *guards.MOVE_GUARDS,
        *guards.REGISTER_GUARDS,
        *guards.START_GUARDS,
        *guards.DRAFT_GUARDS,
    )
    there = {f"{guard.__module__.rsplit('.', 1)[-1]}.{guard.__name__}" for guard in tables}
    beside = {
        "change.canary_width",
        "evidence.absence_unconfirmed",
        "pace.refused",
        "change.domain_at_work",
    }
    assert told == there | beside


def test_every_figure_is_the_default() -> None:
    """`name` value, as the policy has it."""
    figures = [pair for row in ROWS for pair in re.findall(r"`(\w+)` ([\d.()]+)", row[2])]
    assert len(figures) > 20
    policy = Policy()
    for name, figure in figures:
        value = getattr(policy, name)
        assert figure == ("()" if value == () else f"{value:g}")


def test_every_row_says_what_releases_it() -> None:
    """A hold that nobody can end would be a stop for good."""
    assert all(len(row) == 6 and row[3] and row[4] and row[5] for row in ROWS)
