"""docs/git.md as a stranger follows it: its commands, typed in their order."""

import os
import re
import subprocess
from pathlib import Path

from controller.adapters.specs.git.address import OPTIONS, parse_address
from controller.adapters.specs.git.source import GitSource
from controller.model.source import SourceRefusal
from tests.support.repository import PLAIN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/git.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def bash(text: str, folder: Path, **more: str) -> None:
    environment = {**PLAIN, "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}", **more}
    done = subprocess.run(
        ["bash", "-e", "-c", text], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_pages_commands_make_a_repository_that_is_taken(tmp_path: Path) -> None:
    """An empty folder, a placement, a commit; then a signed one, by the signer it trusts."""
    bash(BLOCKS[0], tmp_path)
    folder = tmp_path / "placements"
    reading = GitSource(parse_address(f"git+file://{folder}?path=prod"), tmp_path / "a").read_now()
    assert [document.name for document in reading.documents] == ["sql01"], reading.findings
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / ".ssh/id_ed25519"]
    subprocess.run(key, check=True)
    (signing,) = (block for block in BLOCKS if "gpg.format ssh" in block)
    signers = tmp_path / "signers"
    typed = signing.replace("/etc/ownernode/signers", str(signers)).replace(
        "commit -S", "commit --allow-empty -S"
    )
    bash(typed, folder, HOME=str(home))
    address = parse_address(f"git+file://{folder}?path=prod&allowed-signers={signers}")
    reading = GitSource(address, tmp_path / "b").read_now()
    assert [document.name for document in reading.documents] == ["sql01"], reading.findings


def test_every_option_of_an_address_is_on_the_page() -> None:
    """And every reason why a revision is not taken."""
    known = {option for options in OPTIONS.values() for option in options}
    table = "".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    assert {o for o in known if f"`{o}`" not in table and f"`{o}=" not in table} == set()
    assert {r.value for r in SourceRefusal if f"| `{r.value}` |" not in PAGE} == set()
