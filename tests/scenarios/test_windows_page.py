"""docs/windows.md says every doubt that the simulator can play, and points at code that exists."""

import re
from dataclasses import fields
from pathlib import Path

from controller.simulator.doubts import Doubts

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip()[1:-1].split("|")]
    for line in (ROOT / "docs/windows.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| **", "| belief"))
]


def test_every_switch_is_explained_once_and_every_explained_one_exists() -> None:
    """A doubt that nobody can read about is a doubt that nobody settles."""
    named = [match for row in ROWS for match in re.findall(r"^`(\w+)`", row[-1])]
    assert sorted(named) == sorted(field.name for field in fields(Doubts))


def test_each_belief_has_a_grade_and_rests_on_code_that_exists() -> None:
    """What is graded as documented or seen names its source; what is doubtful its switch."""
    for belief, source, grade, code, *switch in ROWS:
        assert grade in {"documented", "seen", "doubtful"}, belief
        assert (ROOT / code.strip("`")).exists(), code
        assert grade == "doubtful" or source, belief
        assert grade != "doubtful" or "".join(switch), belief
