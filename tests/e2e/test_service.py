"""The process as systemd sees it: ready, alive, stopping."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Nobody listens there: it is ready all the same, and its status says what it cannot see.
CONFIG = """
apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: away}
spec:
  connection:
    nodes: [hv01.away.example]
    addresses: {HV01: "127.0.1.77:9"}
    authentication: NTLM
    credentials: {env: OWNERNODE_NOBODY}
"""


@pytest.mark.timeout(90)
def test_systemd_is_told_when_it_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    """READY=1, then WATCHDOG=1 again and again, and STOPPING=1 as the last word."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "controller", "run", "--listen", "127.0.0.1:0"]
    for name in ("config.yaml", "specs", "state"):
        command += [f"--{name.split('.')[0]}", str(tmp_path / name)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "200000",
        }
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        ) as process:
            said = [systemd.recv(100).decode() for _ in range(4)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        while said[-1] != "STOPPING=1":
            said.append(systemd.recv(100).decode())
    assert said[0] == "READY=1"
    assert set(said[1:-1]) == {"WATCHDOG=1"}
