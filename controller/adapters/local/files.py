"""The state directory: held by one process at a time."""

import fcntl
import os
from pathlib import Path

from controller.errors import SpecError


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
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another process have the directory."""
        os.close(self._file)
