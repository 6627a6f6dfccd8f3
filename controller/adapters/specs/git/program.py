"""Runs git so that nothing but this call decides what it does.

No configuration of the machine, the user or a repository counts, no hook runs, nothing is asked,
one protocol is allowed, everything fetched is checked (`transfer.fsckObjects`), and time, output
and the size of every file written are bounded. What each setting means: git-config(1), git(1).
"""

import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.specs.git.address import Address
from controller.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a repository may cost. Nothing that holds specs comes near."""

    fetch_seconds: float = 300.0
    read_seconds: float = 60.0
    file_bytes: int = 1024**3
    """Of any file that git writes: the whole history is one pack."""
    listing_bytes: int = 32 * 1024**2
    """Of a list of files: about 300,000 names."""
    specs_bytes: int = 64 * 1024**2
    """Of all spec files together: eight times what 8,000 placements take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a run of git ended."""

    status: int
    """Exit status; negative: ended by that signal."""
    out: bytes
    err: str
    overrun: str = ""
    """Which limit ended it: `time` or `output`; else empty."""


class Stopped(Exception):
    """The process is ending; what git was doing does not matter any more."""


class Git:
    """git on one bare repository, for one address."""

    def __init__(self, address: Address, home: Path, limits: Limits) -> None:
        """`home`: a folder of this source alone, for the repository and the trusted keys."""
        self._address = address
        self._limits = limits
        self.mirror = home / "mirror.git"
        self.keyring = home / "keyring"
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(
        self, *arguments: str, given: bytes = b"", seconds: float, bytes_max: int = 1024**2
    ) -> Ran:
        """Run git and give what it said on stdout, at most `bytes_max` of it. Raises Stopped."""
        return self._run(["git", *self._settings(), *arguments], given, seconds, bytes_max)

    def import_keys(self, keys: bytes) -> bool:
        """Put GPG keys into the keyring; whether there were any that could be read.

        The exit status is not asked: it is 2 as well where the folder's path is too long for the
        socket of an agent, which nothing here needs.
        """
        command = ["gpg", "--no-tty", "--quiet", "--status-fd", "1", "--import"]
        told = self._run(command, keys, self._limits.read_seconds, 1024**2).out
        return b"[GNUPG:] IMPORT_OK" in told and b"[GNUPG:] IMPORT_PROBLEM" not in told

    def _run(self, command: Sequence[str], given: bytes, seconds: float, bytes_max: int) -> Ran:
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
            stdin.write(given)
            stdin.seek(0)
            process = self._begin(command, stdin.fileno(), stderr.fileno())
            late = threading.Event()
            timer = threading.Timer(seconds, _expire, [process, late])
            timer.daemon = True
            timer.start()
            try:
                assert process.stdout is not None
                with process.stdout:
                    out = process.stdout.read(bytes_max + 1)
                if len(out) > bytes_max:
                    _kill(process)
                # Not reaped yet, so that its number, which is its group's, can't be another's.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            finally:
                timer.cancel()
                timer.join()
                status = self._end(process)
            if self._stopped:
                raise Stopped
            stderr.seek(0)
            said = stderr.read(64 * 1024).decode("utf-8", "replace")
        overrun = "time" if late.is_set() else "output" if len(out) > bytes_max else ""
        return Ran(status=status, out=out[:bytes_max], err=said, overrun=overrun)

    def close(self) -> None:
        """End what runs, and let nothing more begin."""
        with self._guard:
            self._stopped = True
            if self._process is not None:
                _kill(self._process)

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        with self._guard:
            self._process = None
            _kill(process)
            return process.wait()

    def _begin(self, program: Sequence[str], stdin: int, stderr: int) -> subprocess.Popen[bytes]:
        blocks = self._limits.file_bytes // 512
        # The kernel keeps the limit, whatever git makes of a hostile pack (blocks: POSIX, ulimit).
        # Without the signal git says that a file is too large, instead of just ending.
        limit = f"trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""
        command = ["/bin/sh", "-c", limit, "sh", *program]
        with self._guard:
            if self._stopped:
                raise Stopped
            try:
                self._process = subprocess.Popen(  # noqa: S603  # arguments are checked or our own
                    command,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=self._environment(),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise SpecError(f"git can't be started: {error.strerror}") from error
            return self._process

    def _environment(self) -> dict[str, str]:
        files = self._address.files
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": str(self.keyring),
            "GNUPGHOME": str(self.keyring),
            "GIT_DIR": str(self.mirror),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": self._address.scheme,
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_SSH_COMMAND": _ssh(files),
        }
        if "credentials" in files:
            environment["OWNERNODE_GIT_CREDENTIALS"] = str(files["credentials"])
        return environment

    def _settings(self) -> list[str]:
        """Settings of the command line outrank those of the repository (git-config(1))."""
        address, files = self._address, self._address.files
        settings = dict(_SETTINGS)
        if "ca" in files:
            settings["http.sslCAInfo"] = str(files["ca"])
        if address.proxy is not None:
            settings["http.proxy"] = address.proxy
        if "credentials" in files:
            # Bound to the host, so that a proxy that asks for a log-on never sees it.
            settings[f"credential.https://{address.host}.helper"] = _HELPER
        if "allowed-signers" in files:
            settings["gpg.ssh.allowedSignersFile"] = str(files["allowed-signers"])
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


_HELPER = '!f() { test "$1" = get && cat "$OWNERNODE_GIT_CREDENTIALS"; }; f'
"""Read at each log-on, so that a rotated token is taken up; its lines are git-credential's own."""

_SETTINGS: Mapping[str, str] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.fsync": "committed",
    "transfer.fsckObjects": "true",
    "fetch.fsckObjects": "true",
    "fetch.unpackLimit": "1",
    "fetch.recurseSubmodules": "false",
    "transfer.bundleURI": "false",
    "credential.helper": "",
    "http.followRedirects": "false",
    "http.sslVerify": "true",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
    "gpg.program": "gpg",
    "gpg.ssh.program": "ssh-keygen",
    "gpg.x509.program": "/bin/false",
}


def _ssh(files: Mapping[str, Path]) -> str:
    if "ssh-key" not in files:
        return "/bin/false"
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{files["known-hosts"]}"',
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "ForwardAgent": "no",
        "PermitLocalCommand": "no",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
    }
    words = ["ssh", "-F", "/dev/null", "-i", str(files["ssh-key"])]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return shlex.join(words)


def _expire(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End git and whatever it started; its group is its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
