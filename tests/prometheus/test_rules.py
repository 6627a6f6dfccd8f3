"""The rules: promtool's approval, the timing of each alert, a runbook for each, one source."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus.programs import ROOT, RULES, promtool

CASES = ROOT / "tests/prometheus/rules_test.yaml"


def alerts() -> list[dict[str, Any]]:
    """Every alert of the rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_promtool_takes_the_rules() -> None:
    """Syntax, names and templates, judged by the program that will load them."""
    assert "SUCCESS" in promtool("check", "rules", RULES)


def test_each_alert_fires_in_time_and_clears(tmp_path: Path) -> None:
    """Too early wakes people for nothing, too late is too late."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    cases["rule_files"] = ["rules.yaml"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases), encoding="utf-8")
    promtool("test", "rules", tmp_path / "cases.yaml")


def test_each_alert_is_shown_firing_and_quiet() -> None:
    """An alert without a case of its own was never seen to fire."""
    tests = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    shown = [case for test in tests for case in test["alert_rule_test"]]
    for alert in alerts():
        mine = [case for case in shown if case["alertname"] == alert["alert"]]
        assert any(case["exp_alerts"] for case in mine), alert["alert"]
        assert any(not case["exp_alerts"] for case in mine), alert["alert"]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    """Whoever is woken at night is told what it means, where to look and what to do."""
    names = {alert["alert"] for alert in alerts()}
    assert {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} == names
    for alert in alerts():
        page = ROOT / alert["annotations"]["runbook"]
        text = page.read_text(encoding="utf-8")
        assert page.stem == alert["alert"]
        for part in ("**At risk:**", "## Look", "## Do", "**Clears**"):
            assert part in text, (page.name, part)


@pytest.mark.parametrize("script", ["deploy/prometheus/generate.py", "deploy/grafana/generate.py"])
def test_what_is_generated_is_fresh(script: str) -> None:
    """PrometheusRule and dashboards are made from their source and from nothing else."""
    command = [sys.executable, ROOT / script, "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
