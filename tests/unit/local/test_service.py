"""What systemd is told, over a socket like its own."""

import os
import socket
from pathlib import Path

import pytest

from controller.adapters.local.service import notify, watchdog_seconds


@pytest.mark.parametrize("abstract", [False, True])
def test_states_reach_whoever_started_us(
    abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A datagram each, to a socket in the file system or to an abstract one."""
    name = f"\0ownernode-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name)
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        for state in ("READY=1", "WATCHDOG=1", "STOPPING=1"):
            notify(state)
            assert systemd.recv(100).decode() == state


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_a_process_that_nobody_watches_runs_all_the_same(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, in a container, or with a socket that is gone."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [("30000000", None, 15.0), ("30000000", "1", None), ("", None, None), ("0", None, None)],
)
def test_the_watchdog_is_fed_at_twice_its_pace(
    microseconds: str, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sd_watchdog_enabled(3) has it; another process' watchdog is none of ours."""
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert watchdog_seconds() == seconds
