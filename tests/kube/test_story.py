"""A placement is applied with kubectl, its VM moves, and its status says so where people look."""

from pathlib import Path

import pytest

from tests.kube.api_server import ApiServer
from tests.kube.story import condition, placement, replica, simulated, team

WITHIN = "--timeout=50s"
pytestmark = pytest.mark.timeout(180)


def test_applied_placement_moves_its_vm_and_becomes_ready(clean: ApiServer, tmp_path: Path) -> None:
    """`kubectl apply`, `kubectl wait`, and `kubectl get vmp` tells the story."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a"):
        server.apply(cluster, placement("sql01", "SQL01", "HV02"))
        server.kubectl(
            "wait",
            "vmp/sql01",
            "-n",
            "team-a",
            "--for=condition=Ready",
            "--timeout=60s",
            timeout=70,
        )
        status = server.get("vmp", "sql01", "team-a")["status"]
        assert (status["node"], status["verdict"]) == ("HV02", "Settled")
        assert status["observedGeneration"] == 1
        header, line = server.kubectl("get", "vmp", "-n", "team-a").stdout.splitlines()
        assert header.split() == ["NAME", "READY", "REASON", "NODE", "WANTED", "AGE"]
        assert line.split()[:5] == ["sql01", "True", "Settled", "HV02", "HV02"]
        server.kubectl("wait", "fcl/west", "--for=condition=Ready", "--timeout=30s")
        assert condition(server.get("fcl", "west"), "Reachable")["status"] == "True"
