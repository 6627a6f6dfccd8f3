"""The comment at a pull request: what a reviewer reads, and what a hostile name can't do to it."""

import re
from dataclasses import replace
from pathlib import Path

from controller.cli.comment import ROWS_MAX, plan_comment
from controller.model.observed import Gap, GapReason
from controller.model.plan import ActionKind, ActionReason
from tests.support import reports

GOLDEN = Path(__file__).with_name("comment.md")
HOSTILE = "<img src=x>|`@everyone`[a](http://b)#1 ![t](//x) www.evil.example\n---\n# **HA**"


def test_the_comment_is_the_one_that_is_kept() -> None:
    """Moves, memory, time, risks, what waits, what is impossible, what is no longer declared."""
    text = plan_comment(reports.plan(), reports.snapshot(), undeclared=("OLD01",))
    assert text == GOLDEN.read_text(encoding="utf-8").rstrip("\n")


def test_a_plan_that_does_nothing_says_so_in_its_first_line() -> None:
    """Who reads only the title knows it."""
    idle = replace(reports.plan(), actions=(), holds=(), impossible=())
    text = plan_comment(idle, replace(reports.snapshot(), gaps=()))
    assert text.splitlines()[1] == "### <code>demo</code>: nothing moves"
    assert "|" not in text


def test_hostile_names_stay_names() -> None:
    """No HTML, link, image, mention, issue, cell or heading comes from a name or a sentence."""
    plan, seen = reports.plan(), reports.snapshot()
    action = replace(plan.actions[0], vm=HOSTILE, source=HOSTILE, reason=ActionReason.HOP)
    hold = replace(plan.holds[0], vm=HOSTILE, evidence={"source": HOSTILE, "target": HOSTILE})
    wish = replace(plan.impossible[0], vms=(HOSTILE,), explanation=HOSTILE, resolution=HOSTILE)
    bad = replace(
        plan, cluster=HOSTILE, actions=(action,), holds=(hold,), impossible=(wish,), digest=HOSTILE
    )
    gap = Gap(node=HOSTILE, reason=GapReason.FAILED, detail=HOSTILE)
    text = plan_comment(bad, replace(seen, gaps=(gap,)), undeclared=(HOSTILE,))
    ours = re.sub(r"</?(?:code|sub)>|<!-- ownernode plan of |-->|&#\d+;|\*\*|^#+ ", "", text)
    for active in ("<", ">", "`", "@", "[", "]", "*", "http:", "![", "www."):
        assert active not in ours.replace("\n#### ", "").replace("\n### ", ""), active
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.count("|") in (6, 8, 5, 4), line
    assert not re.search(r"^(?!### |#### )#", text, re.MULTILINE)


def test_ten_thousand_moves_are_still_a_comment() -> None:
    """A forge refuses a comment that is too long; what is left out is counted."""
    plan = reports.plan()
    moves = tuple(
        replace(plan.actions[0], id=f"a{i}", kind=ActionKind.MOVE, vm=f"VM{i:05}")
        for i in range(10_000)
    )
    text = plan_comment(replace(plan, actions=moves), reports.snapshot())
    assert len(text) < 65_536
    assert f"and {10_000 - ROWS_MAX} more" in text
