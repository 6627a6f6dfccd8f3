"""docs/gitops.md as a newcomer follows it: every command, in its order, in one shell."""

import os
import re
import subprocess
from pathlib import Path

from tests.support.ports import free_port
from tests.support.repository import PLAIN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gitops.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TERMINALS = {
    "ownernode simulate": "until test -s sim/config.yaml; do sleep 0.2; done",
    "ownernode run": "until ownernode status 2>status.err | grep Settled; do sleep 0.2; done",
}
"""What runs in a terminal of its own, and how one sees there that it has begun."""


def typed() -> str:
    """The page as one script; what it leaves running ends with the script."""
    lines = ["trap 'kill $(jobs -p)' EXIT"]
    for block in BLOCKS:
        ready = next((r for begins, r in TERMINALS.items() if block.startswith(begins)), None)
        lines.append(block if ready is None else f"{block.strip()} >>terminal.log 2>&1 &\n{ready}")
    return "\n".join(lines)


def test_an_empty_repository_becomes_a_reviewed_merged_and_observed_move(tmp_path: Path) -> None:
    """And the folder that is taken away afterwards moves nothing."""
    url = f"127.0.0.1:{free_port()}"
    environment = {
        **PLAIN,
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        "WORLD": str(ROOT / "deploy/examples/world.yaml"),
        "OWNERNODE_LISTEN": url,
        "OWNERNODE_URL": f"http://{url}",
    }
    script = typed().replace("http://127.0.0.1:9464", f"http://{url}")
    done = subprocess.run(
        ["timeout", "100", "bash", "-e", "-c", script], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said, log = done.stdout, (tmp_path / "terminal.log").read_text()
    assert done.returncode == 0, f"{said}\n{done.stderr}\n{log}"
    comment, rest = said.split("<!-- ownernode plan of demo -->")[1].split("not merged", 1)
    assert "1 move" in comment
    assert "<code>WEB01</code> | <code>HV01</code> | <code>HV04</code>" in comment
    assert "did you mean 'preferred'?" in comment
    assert len(re.findall(r"WEB01 +Move +HV01 -> HV04 .*Done", rest)) >= 1, rest
    assert re.search(r"^ownernode_moves", rest, re.MULTILINE)
    assert "prod: is not in this revision" in rest.replace("prod:0:0", "prod")
    assert log.count("Ordered to move") == 1
