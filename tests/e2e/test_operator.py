"""An operator's day with real processes: look, plan, apply, run, ask, stop."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.ports import own_port

ROOT = Path(__file__).parents[2]
OWNERNODE = [sys.executable, "-m", "controller"]
WORLD = """
cluster: {name: ops, domain: ops.example}
timing: {bandwidthBytesPerSecond: 2.0e+10, setUpSeconds: 0.5, switchOverSeconds: 0.5}
nodes: [{name: HV01}, {name: HV02}]
vms:
  - {name: SQL01, node: HV02}
  - {name: WEB01, node: HV01}
"""
OLD_WORLD = WORLD.replace("{name: ops", "{functionalLevel: 8, name: ops")
"""Of Windows Server 2012 R2."""
SQL01 = """apiVersion: ownernode.io/v1alpha1
kind: VirtualMachinePlacement
metadata: {name: sql01}
spec: {cluster: ops, vm: {name: SQL01}, owners: {preferred: [HV01]}}
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [*OWNERNODE, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder with `site/config.yaml` of a simulated cluster that is being served, and `specs`."""
    world = getattr(request, "param", WORLD)
    (tmp_path / "world.yaml").write_text(world, encoding="utf-8")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/sql01.yaml").write_text(SQL01, encoding="utf-8")
    command = [*OWNERNODE, "simulate", "--config", str(tmp_path / "world.yaml")]
    with subprocess.Popen(
        [*command, "--dir", str(tmp_path / "site")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as simulator:
        assert simulator.stdout is not None
        assert simulator.stdout.readline().strip() == str(tmp_path / "site/config.yaml")
        yield tmp_path
        simulator.send_signal(signal.SIGTERM)
        assert simulator.wait(timeout=10) == 0


def set_mode(place: Path, mode: str) -> Path:
    """The configuration with another mode and an interval for impatient people."""
    path = place / "site/config.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["spec"] |= {"mode": mode, "interval": "1s"}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_look_plan_and_apply(place: Path) -> None:
    """A snapshot plans as the cluster does; a plan is applied, and refused once it is stale."""
    config, specs = place / "site/config.yaml", place / "specs"
    seen = run("snapshot", "--config", config, "--out", place / "snapshot.json")
    assert seen.returncode == 0, seen.stderr
    of_file = run("plan", "--specs", specs, "--snapshot", place / "snapshot.json", "-o", "json")
    plan = run("plan", "--specs", specs, "--config", config, "--out", place / "plan.json")
    assert plan.returncode == 0, plan.stderr
    (move,) = json.loads((place / "plan.json").read_text(encoding="utf-8"))["actions"]
    assert (move["vm"], move["source"], move["target"]) == ("SQL01", "HV02", "HV01")
    assert json.loads(of_file.stdout)["actions"] == [move]
    changes = run("plan", "--specs", specs, "--config", config, "--detailed-exitcode")
    assert changes.returncode == 2

    common = ("--config", config, "--specs", specs, "--state", place / "state")
    observing = run("apply", *common)
    assert (observing.returncode, "mode Observe" in observing.stderr) == (1, True)
    set_mode(place, "Enforce")
    applied = run("apply", place / "plan.json", *common)
    assert applied.returncode == 0, applied.stderr
    assert "converged" in applied.stderr
    stale = run("apply", place / "plan.json", *common)
    assert stale.returncode == 1
    assert "no longer fits" in stale.stderr
    nothing = run("plan", "--specs", specs, "--config", config, "--detailed-exitcode")
    assert nothing.returncode == 0, nothing.stdout


def test_run_and_ask(place: Path) -> None:
    """A controller in Observe tells what it would do and does not do it; SIGTERM ends it with 0."""
    config = set_mode(place, "Observe")
    url = f"http://127.0.0.1:{own_port(19465)}"
    command = [*OWNERNODE, "run", "--config", config, "--specs", place / "specs"]
    command += ["--state", place / "state", "--listen", url.removeprefix("http://")]
    command += ["--log-format", "json"]
    with subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as controller:
        wait_until_ready(url)
        second = run(*(str(part) for part in command[3:]))
        assert second.returncode == 1
        assert f"in use by process {controller.pid}" in second.stderr
        status = run("status", "--url", url, "-o", "json")
        (report,) = json.loads(status.stdout)["clusters"]
        assert [(vm["vm"], vm["verdict"], vm["owner"]) for vm in report["vms"]] == [
            ("SQL01", "Misplaced", "HV02")
        ]
        assert report["unmanagedVms"] == 1
        assert report["acted"] is False
        explained = run("explain", "sql01", "--url", url)
        assert explained.returncode == 0, explained.stderr
        assert "move SQL01 from HV02 to HV01" in explained.stdout
        unknown = run("explain", "NOBODY", "--url", url)
        assert (unknown.returncode, "NOBODY" in unknown.stderr) == (1, True)
        controller.send_signal(signal.SIGTERM)
        assert controller.wait(timeout=10) == 0
        assert controller.stderr is not None
        logged = [json.loads(line) for line in controller.stderr.read().splitlines()]
    assert [entry["level"] for entry in logged] == ["INFO"] * len(logged)
    assert "SQL01" in json.dumps(logged[0]["events"])


def wait_until_ready(url: str) -> None:
    """Ask /readyz until it says yes."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail("the controller did not become ready")


@pytest.mark.parametrize("place", [OLD_WORLD], indirect=True)
def test_nothing_is_applied_to_nodes_that_doctor_fails(place: Path) -> None:
    """The examination comes before the first command, and says what to mend."""
    common = ("--specs", place / "specs", "--state", place / "state")
    held = run("apply", "--config", set_mode(place, "Enforce"), *common)
    assert held.returncode == 1
    assert "functional level on HV01: 8" in held.stderr
    assert "Update-ClusterFunctionalLevel" in held.stderr
    assert "Ordered" not in held.stderr
