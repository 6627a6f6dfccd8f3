"""A real sshd that needs no root and no account on the machine, serving repositories.

It runs as an unprivileged user; the one account that it knows, `git`, comes from nss_wrapper
(cwrap.org), which gives a process a passwd file of its own.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PACKAGES = ("openssh-server", "libnss-wrapper", "libwrap0")
NOBODY = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class SshServer:
    """A server that runs, and the files of a client. Repositories go below `folder`."""

    port: int
    folder: Path
    key: Path
    known_hosts: Path

    def give(self, path: Path) -> None:
        """Let the server's user own what is served, else git refuses to serve it."""
        if os.getuid() == 0:
            for item in (path, *path.rglob("*")):
                shutil.chown(item, NOBODY, NOBODY)


@contextmanager
def ssh_server(keys: Path) -> Iterator[SshServer]:
    """Serve meanwhile; skips where no sshd can be had. The client's files are in `keys`."""
    fetched = subprocess.run(
        [ROOT / ".ci/debian", "sshd", *PACKAGES], capture_output=True, text=True, check=False
    )
    if fetched.returncode != 0:
        pytest.skip(f"no sshd can be had here: {fetched.stderr[-200:]}")
    programs = Path(fetched.stdout.strip())
    uid = NOBODY if os.getuid() == 0 else os.getuid()
    with tempfile.TemporaryDirectory(prefix="ownernode-sshd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for key in (folder / "host", keys / "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]
            subprocess.run(command, check=True)
        shutil.copy(keys / "user.pub", folder / "authorized")
        port = free_port()
        _configure(folder, uid, port)
        # The cache may lie in a home that the server's user can't enter.
        libraries = programs / "usr/lib/x86_64-linux-gnu"
        for file in (programs / "usr/sbin/sshd", *libraries.glob("lib*.so*")):
            shutil.copy(file, folder)
        public = (folder / "host.pub").read_text()
        (keys / "known_hosts").write_text(f"[localhost]:{port} {public}")
        server = SshServer(
            port=port, folder=folder, key=keys / "user", known_hosts=keys / "known_hosts"
        )
        server.give(folder)
        with _running(folder, uid):
            yield server


def _configure(folder: Path, uid: int, port: int) -> None:
    lines = (
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/authorized", "PidFile none", "StrictModes no", "UsePAM no",
        "PasswordAuthentication no",
    )  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    (folder / "passwd").write_text(f"git:x:{uid}:{uid}:git:{folder}:/bin/sh\n")
    (folder / "group").write_text(f"git:x:{uid}:\n")


@contextmanager
def _running(folder: Path, uid: int) -> Iterator[None]:
    environment = {
        "PATH": os.environ["PATH"],
        "LD_LIBRARY_PATH": str(folder),
        "LD_PRELOAD": str(folder / "libnss_wrapper.so"),
        "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
        "NSS_WRAPPER_GROUP": str(folder / "group"),
    }
    privilege = {"user": uid, "group": uid, "extra_groups": ()} if os.getuid() == 0 else {}
    with subprocess.Popen(
        [folder / "sshd", "-D", "-e", "-f", folder / "sshd_config"],
        env=environment,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        **privilege,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "Server listening" in said, said
        try:
            yield
        finally:
            process.terminate()
