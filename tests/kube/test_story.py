"""A placement is applied with kubectl, its VM moves, and its status says so where people look."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kube.api_server import ApiServer
from tests.kube.story import condition, placement, replica, simulated, team, until

WITHIN = "--timeout=50s"
pytestmark = pytest.mark.timeout(180)


def events(server: ApiServer, name: str) -> list[dict[str, Any]]:
    """What `kubectl describe` shows of a placement."""
    found = server.kubectl("get", "events.events.k8s.io", "-n", "team-a", "-o", "json").stdout
    items: list[dict[str, Any]] = json.loads(found)["items"]
    return [item for item in items if item["regarding"]["name"] == name]


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
        until(
            lambda: (
                ("Settled", "Normal") in {(e["reason"], e["type"]) for e in events(server, "sql01")}
            ),
            "an Event tells that it settled",
        )
        server.kubectl("wait", "fcl/west", "--for=condition=Ready", "--timeout=30s")
        server.kubectl("annotate", "vmp/sql01", "-n", "team-a", "ownernode.io/reconcile-at=noon")
        handled = "--for=jsonpath={.status.lastHandledReconcileAt}=noon"
        server.kubectl("wait", "vmp/sql01", "-n", "team-a", handled, "--timeout=30s")
        assert condition(server.get("fcl", "west"), "Reachable")["status"] == "True"


def test_same_vm_from_a_folder_and_from_kubernetes_is_a_conflict(
    clean: ApiServer, tmp_path: Path
) -> None:
    """Neither source wins: both specs are frozen, and a VM of one source alone is moved."""
    server = clean
    team(server, "team-a")
    specs = tmp_path / "specs"
    specs.mkdir()
    for name, vm in (("file-sql01", "sql01"), ("file-web01", "WEB01")):
        document = placement(name, vm, "HV03")
        del document["metadata"]["namespace"]
        (specs / f"{name}.yaml").write_text(yaml.safe_dump(document))
    arguments = ("--specs", str(specs))
    with (
        simulated(tmp_path / "world") as cluster,
        replica(server, tmp_path / "a", arguments=arguments),
    ):
        server.apply(
            cluster, placement("sql01", "SQL01", "HV02"), placement("web02", "WEB02", "HV03")
        )
        server.kubectl("wait", "vmp/web02", "-n", "team-a", "--for=condition=Ready", WITHIN)
        item = server.get("vmp", "sql01", "team-a")
        stalled = condition(item, "Stalled")
        assert stalled["reason"] == "SpecConflict"
        assert "file-sql01.yaml" in stalled["message"]
        until(
            lambda: server.get("fcl", "west")["status"].get("summary") == "2/3",
            "the VM of the folder alone and that of Kubernetes alone are settled",
        )


def test_api_server_that_dies_and_comes_back_is_taken_up_again(
    clean: ApiServer, tmp_path: Path
) -> None:
    """Meanwhile nobody leads; afterwards a new placement is obeyed without a restart of ours."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a") as process:
        server.apply(cluster, placement("sql01", "SQL01", "HV02"))
        server.kubectl("wait", "vmp/sql01", "-n", "team-a", "--for=condition=Ready", WITHIN)
        assert server.server is not None
        server.server.kill()
        server.server.wait()
        log = tmp_path / "a/log"
        until(lambda: "Leading no longer" in log.read_text(), "it leads no longer")
        server.begin_server()
        server.apply(placement("web01", "WEB01", "HV02"))
        server.kubectl("wait", "vmp/web01", "-n", "team-a", "--for=condition=Ready", WITHIN)
        assert process.poll() is None
