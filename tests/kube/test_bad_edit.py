"""A bad edit takes no placement out of force, though the process that knew the good one is dead."""

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kube.api_server import ApiServer
from tests.kube.story import condition, holder, placement, replica, simulated, team, until

pytestmark = pytest.mark.timeout(180)


def bad() -> dict[str, Any]:
    """A placement that the server takes, and we don't: con is a device in Windows."""
    document = placement("sql01", "SQL01", "HV03")
    document["spec"]["template"] = {
        "generation": 2,
        "memory": {"startup": "2Gi"},
        "processors": {"count": 1},
        "location": "C:\\ClusterStorage\\Volume1\\con",
        "disks": [{"path": "os.vhdx", "create": {"size": "1Gi"}}],
    }
    return document


def refusal(server: ApiServer) -> str:
    """Why the placement as it is now is not taken."""
    found = condition(server.get("vmp", "sql01", "team-a"), "Stalled")
    return str(found["message"]) if found.get("reason") == "SpecRefused" else ""


def declared(server: ApiServer, count: int) -> bool:
    """Whether the last look at the cluster knew of so many placements, and of their refusal."""
    found = server.get("fcl", "west").get("status", {})
    return bool(found.get("vms", {}).get("declared") == count)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_last_good_version_outlives_the_process_and_the_leader(
    clean: ApiServer, tmp_path: Path
) -> None:
    """Killed, edited badly, begun again: in force. On an empty volume it is not, as it says."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster:
        with replica(server, tmp_path / "a") as first:
            server.apply(cluster, placement("sql01", "SQL01", "HV02"))
            server.kubectl(
                "wait", "vmp/sql01", "-n", "team-a", "--for=condition=Ready", "--timeout=50s"
            )
            kill(first)
        server.apply(bad())
        with replica(server, tmp_path / "a") as again:
            until(lambda: "(generation 1 stays in force)" in refusal(server), "the refusal is told")
            until(lambda: declared(server, 1), "it is in force")
            kill(again)
        with replica(server, tmp_path / "empty"):
            until(lambda: declared(server, 0), "nothing is in force")
            message = until(lambda: refusal(server), "the refusal is told")
            assert "stays in force" not in message
        assert server.get("vmp", "sql01", "team-a")["status"].get("node", "HV02") == "HV02"


def test_replica_that_waited_knows_the_last_good_version(clean: ApiServer, tmp_path: Path) -> None:
    """It never led while the placement was good, and the leader is killed once it is bad."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster, ExitStack() as stack:
        first = stack.enter_context(replica(server, tmp_path / "a"))
        until(lambda: holder(server) == "a", "a leads")
        stack.enter_context(replica(server, tmp_path / "b"))
        server.apply(cluster, placement("sql01", "SQL01", "HV02"))
        server.kubectl(
            "wait", "vmp/sql01", "-n", "team-a", "--for=condition=Ready", "--timeout=50s"
        )
        kept = tmp_path / "b/state/kubernetes/others/last-good.json"
        until(lambda: kept.exists() and "sql01" in kept.read_text(), "b has judged it")
        server.apply(bad())
        until(lambda: "stays in force" in refusal(server), "a tells the refusal")
        kill(first)
        until(lambda: holder(server) == "b", "b leads")
        server.apply(placement("web01", "WEB01", "HV02"))
        server.kubectl(
            "wait", "vmp/web01", "-n", "team-a", "--for=condition=Ready", "--timeout=50s"
        )
        until(lambda: declared(server, 2), "both are in force")
        assert "(generation 1 stays in force)" in refusal(server)
