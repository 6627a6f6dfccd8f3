"""A green CI means that everything ran."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = """
import pytest
@pytest.fixture
def tool(): pytest.skip("no tool")
def test_in_a_fixture(tool): pass
def test_in_its_body(): pytest.skip("no tool")
@pytest.mark.skip(reason="marked")
def test_marked(): pass
@pytest.mark.xfail(strict=True)
def test_known_to_fail(): assert False
"""
MODULE = "import pytest; pytest.importorskip('no_such_module_at_all')"


@pytest.mark.parametrize(
    ("ci", "text", "closing"),
    [
        ("true", SKIPS, "1 failed, 1 xfailed, 2 errors in"),
        ("true", MODULE, "1 error in"),
        ("false", SKIPS, "3 skipped, 1 xfailed in"),
    ],
)
def test_what_is_skipped_fails_in_ci(ci: str, text: str, closing: str, tmp_path: Path) -> None:
    """A tool that is missing on the CI machine must not make its tests vanish."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CI": ci},
        cwd=tmp_path,
        timeout=60,
    )
    assert closing in done.stdout.splitlines()[-1]
