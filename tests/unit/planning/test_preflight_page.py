"""docs/preflight.md is the table of checks as a page.

`python tests/unit/planning/test_preflight_page.py` writes the tables anew.
"""

from pathlib import Path

from controller.model.checks import CheckName
from controller.model.plan import ActionKind
from controller.planning.preflight import CHECKS, Check
from controller.planning.preflight.table import OF_PLACE, OF_VM

PAGE = Path(__file__).parents[3] / "docs" / "preflight.md"
MARK = "<!-- tables -->\n"
WORDS = {
    ActionKind.MOVE: "live move",
    ActionKind.REGISTER: "registration",
    ActionKind.CREATE: "creation",
    ActionKind.START: "start",
}


def rendered() -> str:
    """The part of the page below its mark."""
    parts = []
    for title, checks in (
        ("Of a node as the place for a VM", OF_PLACE),
        ("Of a VM, wherever it would go", OF_VM),
    ):
        parts.append(f"\n## {title}\n\n")
        parts.append(
            "| Check | What must be so | If not | If it can't be told | Facts | Remedy "
            "| Asked again by the node | Source |\n"
        )
        parts.append("|---|---|---|---|---|---|---|---|\n")
        parts += [row(check) for check in checks]
    return "".join(parts)


def row(check: Check) -> str:
    means = "; ".join(
        f"{verdict.value.lower()} a {WORDS[kind]}"
        if verdict.value == "Blocks"
        else f"warns at {WORDS[kind]}"
        for kind, verdict in check.on.items()
    )
    held = ", ".join(WORDS[kind] for kind in check.on if kind in check.holds_untold)
    untold = f"{held} waits" if held else "goes on"
    cells = (
        f"`{check.name.value}`",
        check.asks,
        means,
        f"{untold}: {check.untold}",
        ", ".join(fact.value for fact in check.needs) or "specs",
        check.remedy,
        f"`{check.again}`" if check.again else "",
        f"<{check.source}>" if check.source.startswith("http") else f"`{check.source}`",
    )
    return "| " + " | ".join(cells) + " |\n"


def test_the_page_is_the_table() -> None:
    """What an administrator reads is what is asked."""
    assert PAGE.read_text().partition(MARK)[2] == rendered()


def test_every_check_stands_in_the_table_once() -> None:
    """A name without a rule would be a promise that nobody keeps."""
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    # The cluster has no such node: there is nothing to ask about, so the planner says it.
    assert set(CheckName) - set(names) == {CheckName.NODE_EXISTS}


def test_every_condition_that_asks_again_is_in_the_protocol() -> None:
    """`again` names a condition that nodes know."""
    protocol = (PAGE.parent / "protocol.md").read_text()
    assert all(f"`{check.again}`" in protocol for check in CHECKS if check.again)


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + rendered())
