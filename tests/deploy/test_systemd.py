"""The unit is one, it is as closed as we say, and what the process does stays within it."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.kube.api_server import ROOT, end_process
from tests.kube.story import simulated
from tests.support.ports import free_port
from tests.support.repository import Repository

UNIT = ROOT / "deploy/systemd/ownernode.service"
EXPOSURE_TENTHS_MAX = 11
"""What is left: the network, sockets, the host's root folder, the clock's device to read it."""
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
READY_SECONDS = 60


@cache
def program(name: str, package: str, *packages: str) -> tuple[str, dict[str, str]]:
    """A program of the machine, or Debian's unpacked; its path, and the environment it needs."""
    found = shutil.which(name)
    if found is not None:
        return found, dict(os.environ)
    done = subprocess.run(
        [ROOT / ".ci/debian", package, package, *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no {name} here: {done.stderr.strip()[-200:]}")
    folder = Path(done.stdout.strip())
    libraries = [folder / f"{lib}/x86_64-linux-gnu" for lib in ("usr/lib", "lib")]
    paths = (*libraries, *(path / "systemd" for path in libraries))
    (path,) = (p for p in (folder / "usr/bin" / name, folder / "bin" / name) if p.exists())
    return str(path), {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, paths))}


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze."""
    path, environment = program("systemd-analyze", "systemd", "libsystemd-shared")
    return subprocess.run(
        [path, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**environment, "SYSTEMD_COLORS": "0"},
    )


def settings(name: str) -> list[str]:
    """The values of a setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """`systemd-analyze verify`, with a program where the unit expects ours."""
    ours = tmp_path / "ownernode"
    ours.write_text("#!/bin/sh\n")
    ours.chmod(0o755)
    unit = tmp_path / "ownernode.service"
    unit.write_text(UNIT.read_text().replace("/opt/ownernode/bin/ownernode", str(ours)))
    done = analyze("verify", "--man=no", unit)
    assert [line for line in done.stderr.splitlines() if "ownernode.service" in line] == []
    unit.write_text(unit.read_text().replace("ProtectClock=", "ProtectClocks="))
    assert "ProtectClocks" in analyze("verify", "--man=no", unit).stderr


def test_its_exposure_stays_as_low_as_it_is() -> None:
    """1.1 of 10; each setting that is taken away would raise it."""
    threshold = f"--threshold={EXPOSURE_TENTHS_MAX}"
    done = analyze("security", "--offline=true", "--no-pager", threshold, UNIT)
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level for ownernode.service: " in done.stdout


def test_the_secret_is_a_credential() -> None:
    """It is in no environment and on no command line, and its file may belong to root alone."""
    assert settings("LoadCredential") == ["account:/etc/ownernode/account"]
    assert settings("DynamicUser") == ["yes"]
    assert not any("PASSWORD" in line.upper() for line in UNIT.read_text().splitlines())


@pytest.mark.timeout(240)
def test_the_process_stays_within_the_unit(tmp_path: Path) -> None:
    """Following Git and a cluster over WinRM it asks the kernel for nothing that the unit forbids.

    Under strace, and with what MemoryDenyWriteExecute= forbids forbidden by the kernel.
    """
    strace, environment = program("strace", "strace", "libunwind8", "libdw1", "libelf1")
    counts = tmp_path / "calls"
    port = free_port()
    placements = Repository(tmp_path / "placements")
    specs = sorted((ROOT / "deploy/examples/specs").glob("*.yaml"))
    placements.commit({path.name: path.read_text() for path in specs})
    environment |= {
        "OWNERNODE_SPECS": f"git+file://{placements.folder}",
        "OWNERNODE_CONFIG": str(tmp_path / "config.yaml"),
        "OWNERNODE_LISTEN": f"127.0.0.1:{port}",
    }
    arguments = settings("ExecStart")[0].split()[1:]
    arguments[arguments.index("${STATE_DIRECTORY}")] = str(tmp_path / "state")
    command = [
        strace,
        "-f",
        "-c",
        "-o",
        str(counts),
        sys.executable,
        "-m",
        "controller",
        *arguments,
    ]
    world = (ROOT / "deploy/examples/world.yaml").read_text()
    with simulated(tmp_path / "cluster", world) as cluster:
        cluster["metadata"]["name"] = "demo"
        del cluster["spec"]["allowedNamespaces"]
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(cluster))
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=deny_write_execute,
            )
        try:
            wait_ready(port, process, tmp_path / "log")
        finally:
            # strace passes nothing on: it ends when the one that it follows has ended.
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            for child in children.split():
                os.kill(int(child), signal.SIGTERM)
            process.wait(30)
            end_process(process)
    assert process.returncode == 0, (tmp_path / "log").read_text()
    made = {words[-1] for words in map(str.split, counts.read_text().splitlines()[2:-2])}
    assert made >= {"execve", "connect", "accept4", "openat"}
    if os.geteuid() == 0:
        made.discard("fchown")  # SQLite's, and only root's: a new file gets the old one's owner
    assert made - allowed() == set()


def deny_write_execute() -> None:
    """Let this process and all that it starts never turn memory that it wrote into a program."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel (before 6.3) has no PR_SET_MDWE")


def wait_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the controller has seen its cluster whole."""
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def allowed() -> set[str]:
    """The system calls that the unit's filters leave."""
    found: set[str] = set()
    for line in settings("SystemCallFilter"):
        for name in line.lstrip("~").split():
            calls = expanded(name)
            found = found - calls if line.startswith("~") else found | calls
    return found | expanded("@default")


@cache
def expanded(group: str) -> frozenset[str]:
    """Every call of a group such as @file-system, of its groups too."""
    if not group.startswith("@"):
        return frozenset({group})
    lines = analyze("syscall-filter", group).stdout.splitlines()
    names = [line.strip() for line in lines[1:] if line.strip() and "#" not in line]
    return frozenset[str]().union(*(expanded(name) for name in names))
