"""`doctor` against the simulated cluster: what the README prints is what it says."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWNERNODE = [sys.executable, "-m", "controller"]
PORT_SHOWN = "15986"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The document of the example cluster, which is being served."""
    folder = tmp_path_factory.mktemp("site")
    command = [*OWNERNODE, "simulate", "--config", str(ROOT / "deploy/examples/world.yaml")]
    with subprocess.Popen(
        [*command, "--dir", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as simulator:
        assert simulator.stdout is not None
        yield Path(simulator.stdout.readline().strip())
        simulator.terminate()


def doctor(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [*OWNERNODE, "doctor", "--config", str(config), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_readme_shows_what_doctor_says(config: Path) -> None:
    """Line by line; but for the port, which is whatever was free."""
    (port,) = set(re.findall(r"127\.0\.1\.\d+:(\d+)", config.read_text(encoding="utf-8")))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("$ ownernode doctor --config sim/config.yaml\n")[2].partition("```")[0]
    said = doctor(config)
    assert said.stdout.replace(port, PORT_SHOWN).split() == shown.split()
    assert said.returncode == 0, said.stderr
    assert said.stderr == "60 checks pass, 4 checks warn, 0 checks fail\n"


def test_programs_get_each_check_of_each_node(config: Path) -> None:
    """In the order of the way to it, one node after another."""
    checks = json.loads(doctor(config, "-o", "json").stdout)
    assert [c["node"] for c in checks] == [f"HV0{n}" for n in (1, 2, 3, 4) for _ in range(16)]
    assert [c["check"] for c in checks[:4]] == ["name", "port", "TLS", "log-on"]


def test_failed_check_is_an_exit_status(config: Path, tmp_path: Path) -> None:
    """For whoever runs it in a script before an installation."""
    text = config.read_text(encoding="utf-8").replace("NTLM", "Basic")
    other = tmp_path / "config.yaml"
    other.write_text(text, encoding="utf-8")
    failed = doctor(other)
    assert failed.returncode == 1
    assert "a VM made by a local account can fail to migrate later" in failed.stdout
