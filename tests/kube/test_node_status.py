"""The maintenance of a node tells in its status how far it got, what remains there, and why."""

from pathlib import Path
from typing import Any

import pytest

from tests.kube.api_server import ApiServer
from tests.kube.story import condition, placement, replica, simulated, team, until

pytestmark = pytest.mark.timeout(180)
READY = ("--for=condition=Ready", "--timeout=50s")


def maintenance(**spec: Any) -> dict[str, Any]:
    """HV01 is to be empty."""
    return {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "NodeMaintenance",
        "metadata": {"name": "hv01"},
        "spec": {"cluster": "west", "node": "HV01", **spec},
    }


def test_status_says_what_remains_until_the_node_is_empty(clean: ApiServer, tmp_path: Path) -> None:
    """WEB01 is in no spec and stays; once it is in one the node becomes empty, which is Ready."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a"):
        server.apply(cluster, placement("sql01", "SQL01", "HV01"), maintenance())

        def status() -> dict[str, Any]:
            found: dict[str, Any] = server.get("hvnm", "hv01").get("status", {})
            return found

        until(lambda: status().get("phase") == "NotEmpty", "only what can't leave is there")
        found = status()
        assert found["cluster"] == "west"
        assert found["remainingCount"] == 1
        assert [(vm["vm"], vm["why"]) for vm in found["remaining"]] == [("WEB01", "NoSpec")]
        assert found["remaining"][0]["message"] in found["message"]
        item = {"status": found}
        assert condition(item, "Ready")["status"] == "False"
        assert condition(item, "Stalled")["reason"] == "NotEmpty"
        header, line = server.kubectl("get", "hvnm").stdout.splitlines()
        assert header.split() == ["NAME", "READY", "REASON", "NODE", "PHASE", "REMAINING", "AGE"]
        assert line.split()[:6] == ["hv01", "False", "NotEmpty", "HV01", "NotEmpty", "1"]

        server.apply(placement("web01", "WEB01", "HV01"))
        server.kubectl("wait", "hvnm/hv01", *READY)
        found = status()
        assert (found["phase"], found["remainingCount"], found["remaining"]) == ("Empty", 0, [])
        assert found["observedGeneration"] == 1

        server.apply(maintenance(suspend=True))
        until(lambda: status()["phase"] == "LeftAlone", "the edit was taken up")
        assert status()["observedGeneration"] == 2
        ready = condition({"status": status()}, "Ready")
        assert (ready["status"], ready["reason"]) == ("True", "Suspended")
