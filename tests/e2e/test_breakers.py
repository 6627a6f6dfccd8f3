"""What was found by breaking things and is not mended yet: each test fails until it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.tables import say
from controller.model.desired import DiskTemplate
from tests.builders import VOLUME, created, history, node, observed, template, vm
from tests.unit.planning.planned import plan_for

DARK = """apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: dark}
spec:
  connection:
    nodes: [hv01.dark.example]
    addresses: {HV01: "127.0.9.1:9"}
    authentication: Basic
    credentials: {env: NO_SUCH_VARIABLE}
"""


@pytest.mark.xfail(strict=True, reason="no rule knows whose disk it is")
def test_a_disk_of_another_vm_is_never_attached() -> None:
    """A spec names the disk of a VM that no spec names: to boot from it would destroy it."""
    disk = DiskTemplate(path=rf"{VOLUME}\OLD01\OS.vhdx", create_bytes=None)
    thief = created("THIEF", "HV01", template=template(disks=(disk,)))
    world = observed(node("HV01"), node("HV02"), vm("OLD01", "HV02"))
    plan = plan_for(world, thief, past=history(absent_cycles={thief.key: 2}))
    assert plan.actions == ()


@pytest.mark.xfail(strict=True, reason="seeds count as observed nodes")
def test_a_snapshot_of_nothing_is_no_success(tmp_path: Path) -> None:
    """docs/commands.md: exit 1 when nothing could be observed; a script goes by that."""
    config = tmp_path / "dark.yaml"
    config.write_text(DARK, encoding="utf-8")
    command = [sys.executable, "-m", "controller", "snapshot", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stderr


@pytest.mark.xfail(strict=True, reason="say() prints what a node sent as it came")
def test_what_a_node_says_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Error texts of a node reach the terminal in `not seen:` lines of plan and snapshot."""
    say("not seen: HV01: Failed, \x1b[2J\x1b]0;title\x07")
    assert "\x1b" not in capsys.readouterr().err
