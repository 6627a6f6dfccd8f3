"""Debian's Prometheus and promtool, fetched once into a cache folder."""

import functools
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/ownernode.rules.yaml"


@functools.cache
def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; skips where there is none, fails where CI=true."""
    command = [ROOT / ".ci/debian", "prometheus", "prometheus"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return f"{found.stdout.strip()}/usr/bin/{name}"
    if os.environ.get("CI") == "true":
        pytest.fail(found.stderr)
    pytest.skip(f"no {name} here: {found.stderr.strip()}")


def promtool(*arguments: str | Path, text: str = "") -> str:
    """What promtool says; fails unless it is content."""
    done = subprocess.run(
        [program("promtool"), *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
