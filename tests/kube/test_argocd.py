"""The health script for Argo CD, run by a Lua as Argo CD runs it: `obj` in, a status out."""

import subprocess
from pathlib import Path

import pytest

from tests.kube.api_server import ROOT

SCRIPT = ROOT / "deploy/argocd/health.lua"


@pytest.fixture(scope="module")
def lua() -> Path:
    """A Lua of Debian's."""
    ran = subprocess.run(
        [str(ROOT / ".ci/debian"), "lua", "lua5.4"], capture_output=True, text=True, check=False
    )
    if ran.returncode != 0:
        pytest.skip(f"no Lua: {ran.stderr.strip()[-200:]}")
    return Path(ran.stdout.strip()) / "usr/bin/lua5.4"


def conditions(*found: tuple[str, str]) -> str:
    entries = (
        f'{{type="{kind}", status="{status}", reason="R", message="m"}}' for kind, status in found
    )
    return f"status={{observedGeneration=2, conditions={{{', '.join(entries)}}}}}"


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("", "Progressing"),
        ("status={}", "Progressing"),
        (conditions(("Ready", "True")), "Healthy"),
        (conditions(("Ready", "True")).replace("=2", "=1"), "Progressing"),
        (conditions(("Ready", "False"), ("Reconciling", "True")), "Progressing"),
        (conditions(("Ready", "Unknown")), "Progressing"),
        (conditions(("Ready", "False"), ("Stalled", "True")), "Degraded"),
        (conditions(("Ready", "True")) + ", spec={suspend=true}", "Suspended"),
    ],
)
def test_health_follows_the_conditions(status: str, health: str, lua: Path, tmp_path: Path) -> None:
    """Never healthy by a status of an older generation."""
    program = tmp_path / "health.lua"
    obj = f"obj = {{metadata={{generation=2}}, {status}}}"
    program.write_text(
        f"{obj}\nlocal function judge()\n{SCRIPT.read_text()}\nend\nprint(judge().status)\n"
    )
    ran = subprocess.run([str(lua), str(program)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == health
