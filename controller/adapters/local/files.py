"""The state directory: held by one process at a time, with the file that stops it and its token."""

import fcntl
import logging
import os
import pwd
import secrets
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from controller.errors import SpecError
from controller.model.control import Stop, StopScope, StopSource

log = logging.getLogger(__name__)

REASON_CHARACTERS_MAX = 200
TOKEN_CHARACTERS_MIN = 20
TOKEN_BYTES_MAX = 1024


class StateLock:
    """Holds a state directory until released, or until the process is gone however it went.

    Two controllers with one journal would each act on intents that the other has not seen.
    """

    def __init__(self, directory: Path) -> None:
        """Make the directory if it is not there. Raises SpecError if it is held or unusable."""
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpecError(f"the state directory {directory} cannot be used: {error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise SpecError(
                f"the state directory {directory} is in use by process {holder}; "
                "stop it, or give this one a directory of its own"
            ) from error
        # For people only: the lock holds on a full disk too.
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another process have the directory."""
        os.close(self._file)


class StopFile:
    """The flag file: while it exists, nothing new is started. Its first line says why.

    It works with whatever reaches the machine: `touch`, a configuration management, a shell
    without our command line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, Stop] | None = None

    def look(self) -> Stop | None:
        """The stop that the file means, None without one. A file that can't be read stops, too."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._stop("unknown", f"{self._path}: {error.strerror}", datetime.now(UTC))
        if self._seen is None or self._seen[0] != found.st_mtime_ns:
            since = datetime.fromtimestamp(found.st_mtime, UTC)
            stop = self._stop(_user(found.st_uid), self._reason(), since)
            self._seen = (found.st_mtime_ns, stop)
        return self._seen[1]

    def _stop(self, owner: str, reason: str, since: datetime) -> Stop:
        return Stop(
            id="flag-file",
            scope=StopScope.EVERYTHING,
            name="",
            source=StopSource.FLAG_FILE,
            owner=owner,
            reason=reason,
            since=since,
        )

    def _reason(self) -> str:
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                line = file.readline(REASON_CHARACTERS_MAX)
        except OSError:
            line = ""
        told = "".join(c for c in line.strip() if c.isprintable())
        return told or f"the file {self._path} is there"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def read_token(path: Path, *, make: bool) -> str:
    """The token that lets people give orders; `make`: draw one if none is there.

    Where the disk takes none, it is one that nobody knows: without orders by the API the process is
    still of use, and a file that was left empty would keep it from starting for ever.
    Raises SpecError when others than the owner can read the file, or when it holds no token.
    """
    try:
        if make and not path.exists():
            token = secrets.token_urlsafe(32)
            if not _keep_token(path, token):
                return token
        with path.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            text = opened.read(TOKEN_BYTES_MAX)
    except OSError as error:
        raise SpecError(f"the token file {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise SpecError(
            f"the token file {path} can be read by others (mode {mode:04o}): chmod 600 {path}"
        )
    token = text.decode("ascii", "replace").strip()
    if len(token) < TOKEN_CHARACTERS_MIN or not token.isprintable():
        raise SpecError(
            f"the token file {path} holds no token: one line of at least {TOKEN_CHARACTERS_MIN} "
            "printable ASCII characters"
        )
    return token


def _keep_token(path: Path, token: str) -> bool:
    """Write it for its owner alone, or leave no file."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.critical("No token can be kept: orders by the API are refused", extra=_told(error))
        return False
    try:
        os.write(file, f"{token}\n".encode())
    except OSError as error:
        log.critical("No token can be kept: orders by the API are refused", extra=_told(error))
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(file)
    return True


def _told(error: OSError) -> dict[str, str]:
    return {"path": str(error.filename or ""), "reason": str(error.strerror)}
