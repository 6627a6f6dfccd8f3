"""docs/guards.md is what an operator goes by: it must name every hold, guard and figure rightly."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.cli.views import _holds
from controller.model.plan import Hold, HoldReason
from controller.model.policy import Policy
from controller.planning import guards
from controller.planning.make_plan import make_plan
from controller.planning.releases import RELEASES
from controller.planning.summary import summarise
from tests.builders import NOW, desired, desired_state, history, node, observed, vm

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
        *guards.CONFIGURE_GUARDS,
        *guards.SUSPEND_GUARDS,
        *guards.RESUME_GUARDS,
        *guards.FOLDER_GUARDS,
        *guards.DRAFT_GUARDS,
    )
    there = {f"{guard.__module__.rsplit('.', 1)[-1]}.{guard.__name__}" for guard in tables}
    beside = {
        "change.canary_width",
        "evidence.absence_unconfirmed",
        "pace.refused",
        "pace.setting_rests",
        "permission.local_account",
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


def test_explain_and_status_say_of_every_hold_what_the_page_says() -> None:
    """Whichever hold it is, a person sees its guard, and what or who releases it."""
    assert RELEASES.keys() == set(HoldReason)
    for reason, (guard, release) in RELEASES.items():
        rows = [row for row in ROWS if row[1].strip("`") == reason.value]
        guards_told = [name for row in rows for name in re.findall(r"`([\w.]+)`", row[0])]
        assert guard == (", ".join(guards_told) or "planning")
        assert release in [row[5] for row in rows]


@pytest.mark.parametrize("reason", HoldReason)
def test_every_hold_is_shown_with_guard_since_until_and_release(reason: HoldReason) -> None:
    """By `status`, on the cluster and on a VM; `explain` shows the same columns."""
    until = NOW + timedelta(minutes=5)
    for key in ("", "name:a"):
        held = Hold(key=key, vm="A", reason=reason, since=NOW, until=until)
        (row,) = _holds([held]).rows
        assert {"2026-03-01 12:00:00 UTC", "2026-03-01 12:05:00 UTC"} <= {*row}
        assert {*RELEASES[reason], reason.value} <= {*row}


def test_a_hold_is_told_since_it_was_first_seen() -> None:
    """As long as it is the same hold: another reason, or a pause in it, begins anew."""
    specs, world = (
        desired_state(desired("a", "n1")),
        observed(node("n1"), vm("a", "n2"), node("n2")),
    )
    report = None
    for minutes, stop_flag in ((0, "no"), (1, "no"), (2, None), (3, "no")):
        at = NOW + timedelta(minutes=minutes)
        seen = replace(world, started_at=at, completed_at=at, stop_flag=stop_flag)
        plan = make_plan(specs, seen, history(), at)
        report = summarise(
            specs, seen, history(), plan, (), (), cycle=1, acted=False, previous=report
        )
        since = [hold.since for hold in report.cluster_holds]
        assert since == ([] if stop_flag is None else [NOW if minutes < 2 else at])
