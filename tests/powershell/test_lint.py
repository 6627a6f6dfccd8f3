"""The node's scripts use only what exists, and never what could hurt."""

import json
from pathlib import Path

import pytest
from lint import digest, lint, parse_all, scripts, stored
from mistakes import MISTAKES

NAMES = [path.name for path in scripts()]


def functions() -> set[str]:
    return {name for parse in stored()["scripts"].values() for name in parse["functions"]}


def test_the_stored_parse_is_of_these_scripts() -> None:
    """A changed script is judged anew: `python tests/powershell/lint.py`, with an engine."""
    assert stored()["hashes"] == {path.name: digest(path) for path in scripts()}


@pytest.mark.parametrize("path", scripts(), ids=NAMES)
def test_a_script_says_only_what_it_may(path: Path) -> None:
    """Known cmdlets, parameters, properties, types; no verb that ends or removes; 5.1 and ASCII."""
    assert lint(stored()["scripts"][path.name], path.read_text(encoding="utf-8"), functions()) == []


@pytest.mark.parametrize("rule", MISTAKES)
def test_each_rule_finds_its_mistake(rule: str) -> None:
    """A rule that no mistake trips would be no rule."""
    found = lint(stored()["mistakes"][f"{rule}.ps1"], MISTAKES[rule], functions())
    assert rule in {finding.rule for finding in found}


def test_a_cmdlet_in_a_comment_is_no_breach() -> None:
    """Comments may name what the scripts must not do."""
    parse = {**stored()["scripts"]["bootstrap.ps1"], "commands": [], "members": []}
    assert lint(parse, "# never Stop-VM\n$a = 'x' # nor Remove-VM", set()) == []


@pytest.mark.parametrize("path", scripts(), ids=NAMES)
def test_a_script_is_short(path: Path) -> None:
    """A file is a page: 450 lines at most."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


@pytest.mark.engine
def test_the_engine_parses_them_as_stored(engine: Path) -> None:
    """What is judged without an engine is what an engine said."""
    texts = {f"{rule}.ps1": text for rule, text in MISTAKES.items()}
    try:
        parsed = parse_all(engine, texts)
    except json.JSONDecodeError:
        pytest.skip("this engine has no --lint")
    assert parsed == stored()
