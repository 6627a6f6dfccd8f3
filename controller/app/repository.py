"""A Git repository of the demo's own, to commit to and to follow."""

import os
import shutil
import subprocess
from pathlib import Path

from controller.errors import SpecError

_WHO = (("user.name", "demo"), ("user.email", "demo@demo.example"), ("commit.gpgSign", "false"))


def make_repository(folder: Path) -> str:
    """Make the folder a repository with everything in it committed; give the source's address."""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    for name, value in _WHO:
        _git(folder, "config", name, value)
    commit_all(folder, "The placements as they are wanted")
    return f"git+file://{folder}?interval=1s&name=specs"


def commit_all(folder: Path, message: str) -> None:
    """Commit whatever was changed in the folder; nothing if nothing was."""
    _git(folder, "add", "--all")
    if _git(folder, "status", "--porcelain"):
        _git(folder, "commit", "--quiet", "--message", message)


def _git(folder: Path, *arguments: str) -> str:
    # The person's own settings, such as hooks or signatures, are none of the demo's business.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    if shutil.which("git") is None:
        raise SpecError("git is missing here; install it: apt install git")
    ran = subprocess.run(  # noqa: S603  # our own words only
        ["git", "-C", str(folder), *arguments],  # noqa: S607  # git as PATH has it, as a person's
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise SpecError(f"git {arguments[0]} failed in {folder}: {ran.stderr.strip()}")
    return ran.stdout
