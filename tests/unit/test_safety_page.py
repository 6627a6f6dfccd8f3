"""docs/safety.md is for people who decide: each proof that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_and_scenario_that_the_page_names_exists() -> None:
    """A promise whose proof was renamed away is a promise without proof."""
    page = (ROOT / "docs/safety.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    named = re.findall(r"`([\w./-]+)`", " ".join(row.rsplit("|", 2)[1] for row in rows))
    paths = {name for name in named if name.startswith("tests/")}
    scenarios = {name for name in named if re.fullmatch(r"[a-z]+(_[a-z]+)+", name)}
    assert len(paths) >= 12
    assert len(scenarios) >= 15
    assert not [path for path in sorted(paths) if not (ROOT / path).exists()]
    folders = {folder.name for folder in (ROOT / "tests/scenarios").iterdir() if folder.is_dir()}
    assert not sorted(scenarios - folders)
