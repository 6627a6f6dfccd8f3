"""The file that stops everything, and the file that lets people resume."""

import os
import stat
from pathlib import Path

import pytest

from controller.adapters.local.files import REASON_CHARACTERS_MAX, StopFile, read_token
from controller.errors import SpecError
from controller.model.control import StopScope, StopSource


def test_the_file_stops_while_it_is_there(tmp_path: Path) -> None:
    """`touch` is enough; its first line, if any, is the reason."""
    file = tmp_path / "STOP"
    look = StopFile(file).look
    assert look() is None
    file.touch()
    stop = look()
    assert stop is not None
    assert (stop.scope, stop.source) == (StopScope.EVERYTHING, StopSource.FLAG_FILE)
    assert str(file) in stop.reason
    file.write_text("storage is rewired\nask bert\n")
    os.utime(file, ns=(1, 1))
    changed = look()
    assert changed is not None
    assert changed.reason == "storage is rewired"
    file.unlink()
    assert look() is None


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x1b[2J" + b"x" * 9999, b"\n"])
def test_any_content_stops(content: bytes, tmp_path: Path) -> None:
    """What it says is for people, bounded and printable; that it is there is what counts."""
    file = tmp_path / "STOP"
    file.write_bytes(content)
    stop = StopFile(file).look()
    assert stop is not None
    assert stop.reason.isprintable()
    assert 0 < len(stop.reason) <= max(REASON_CHARACTERS_MAX, len(str(file)) + 30)


def test_a_folder_or_a_place_that_cannot_be_looked_at_stops_too(tmp_path: Path) -> None:
    """Not known is not absent."""
    (tmp_path / "STOP").mkdir()
    assert StopFile(tmp_path / "STOP").look() is not None
    (tmp_path / "plain").touch()
    assert StopFile(tmp_path / "plain" / "STOP").look() is not None


def test_a_token_is_drawn_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """The next start finds the same one."""
    file = tmp_path / "token"
    token = read_token(file, make=True)
    assert len(token) >= 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_token(file, make=True) == token
    assert read_token(file, make=False) == token


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    """The sentence says what to type."""
    file = tmp_path / "token"
    read_token(file, make=True)
    file.chmod(mode)
    with pytest.raises(SpecError, match=f"chmod 600 {file}"):
        read_token(file, make=True)


@pytest.mark.parametrize("content", [b"", b"short\n", b"two lines of it\nand the second\n"])
def test_what_is_no_token_is_refused(content: bytes, tmp_path: Path) -> None:
    """An empty token would let everybody in."""
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_bytes(content)
    with pytest.raises(SpecError, match="holds no token"):
        read_token(file, make=False)


def test_a_named_token_file_must_be_there(tmp_path: Path) -> None:
    """Only the default one is made: a wrong path must not end in a token that nobody has."""
    with pytest.raises(SpecError, match="No such file"):
        read_token(tmp_path / "token", make=False)
