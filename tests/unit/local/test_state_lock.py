"""One state directory, one controller."""

import subprocess
import sys
from pathlib import Path

import pytest

from controller.adapters.local.files import StateLock
from controller.errors import SpecError


def test_a_second_instance_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    """Two controllers on one journal would act on each other's open intents."""
    lock = StateLock(tmp_path / "state")
    second = subprocess.run(
        [sys.executable, "-c", _TAKE, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "is in use by process" in second.stderr
    lock.release()


def test_a_directory_is_free_after_its_holder_is_gone(tmp_path: Path) -> None:
    """However it went: the kernel drops the lock with the process."""
    subprocess.run([sys.executable, "-c", _TAKE, str(tmp_path)], check=True)
    StateLock(tmp_path).release()


def test_an_unusable_directory_is_named(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(SpecError, match="cannot be used"):
        StateLock(tmp_path / "state")


_TAKE = """
import os, sys
from pathlib import Path
from controller.adapters.local.files import StateLock
from controller.errors import SpecError
try:
    StateLock(Path(sys.argv[1]))
except SpecError as error:
    sys.exit(str(error))
os._exit(0)
"""
