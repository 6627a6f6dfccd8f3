"""The process ends in time although 64 nodes accept and never answer, and forgets nothing."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from controller.adapters.local.journal import SqliteJournal
from tests.support.ports import own_port

ROOT = Path(__file__).parents[2]
OWNERNODE = [sys.executable, "-m", "controller"]
NODES = tuple(f"HV{number:02}" for number in range(1, 65))
URL = f"http://127.0.0.1:{own_port(19472)}"
END_SECONDS = 10.0
INTERVAL_SECONDS = 1
WORLD = {
    "cluster": {"name": "big", "domain": "big.example"},
    "nodes": [{"name": node} for node in NODES],
    "vms": [{"name": "SQL01", "node": "HV02", "memory": "4Gi"}],
}


@pytest.mark.timeout(240)
def test_sigterm_ends_the_process_while_every_node_hangs(tmp_path: Path) -> None:
    """The simulator is frozen in the middle of a cycle: connections stay, answers never come."""
    config, simulator = serve(tmp_path)
    try:
        controller = run(tmp_path, config)
        try:
            wait_for_cycle(1)
            simulator.send_signal(signal.SIGSTOP)
            # By then the next cycle has begun, and a thread waits for each node.
            time.sleep(2 * INTERVAL_SECONDS)
            controller.send_signal(signal.SIGTERM)
            assert controller.wait(timeout=END_SECONDS) == 0
        finally:
            controller.kill()
    finally:
        simulator.send_signal(signal.SIGCONT)
        simulator.send_signal(signal.SIGTERM)
        simulator.wait(timeout=20)
    assert SqliteJournal(tmp_path / "state/journal.sqlite").load("big").open_intents == ()


def serve(place: Path) -> tuple[Path, subprocess.Popen[str]]:
    """64 nodes, and the configuration that reaches them."""
    (place / "world.yaml").write_text(yaml.safe_dump(WORLD))
    (place / "specs").mkdir()
    words = ["simulate", "--config", str(place / "world.yaml"), "--dir", str(place / "site")]
    simulator = subprocess.Popen(
        [*OWNERNODE, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert simulator.stdout is not None
    config = Path(simulator.stdout.readline().strip())
    document = yaml.safe_load(config.read_text())
    document["spec"] |= {"interval": f"{INTERVAL_SECONDS}s"}
    config.write_text(yaml.safe_dump(document))
    return config, simulator


def run(place: Path, config: Path) -> subprocess.Popen[bytes]:
    """The controller over them."""
    command = [*OWNERNODE, "run", "--config", str(config), "--specs", str(place / "specs")]
    command += ["--state", str(place / "state"), "--listen", URL.removeprefix("http://")]
    with (place / "controller.log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def wait_for_cycle(cycle: int) -> None:
    """All 64 nodes have answered once."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{URL}/api/v1/status", timeout=10) as answer:
                reports = json.load(answer)["clusters"]
        except OSError:
            reports = []
        if reports and reports[0]["cycle"] >= cycle and reports[0]["observationComplete"]:
            return
        time.sleep(0.2)
    pytest.fail("64 nodes were never seen")
