"""What people say by annotations, who may place VMs, and what is refused where its author looks."""

from pathlib import Path

import pytest

from tests.kube.api_server import ApiServer
from tests.kube.story import by_secret, condition, placement, replica, simulated, team, until

pytestmark = pytest.mark.timeout(240)


def test_tenants_conflicts_and_refusals_are_told_in_the_status(
    clean: ApiServer, tmp_path: Path
) -> None:
    """Four placements that move nothing, each with its own reason, beside one that is obeyed."""
    server = clean
    team(server, "team-a")
    team(server, "team-b")
    device = placement("device", "WEB02", "HV01")
    device["spec"]["template"] = {
        "generation": 2,
        "memory": {"startup": "2Gi"},
        "processors": {"count": 1},
        "location": "C:\\ClusterStorage\\Volume1\\con",
        "disks": [{"path": "os.vhdx", "create": {"size": "1Gi"}}],
    }
    other = placement("other", "WEB01", "HV02")
    other["spec"]["cluster"] = "east"
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a"):
        server.apply(
            cluster,
            placement("one", "SQL01", "HV02"),
            placement("two", "SQL01", "HV03"),
            placement("foreign", "WEB01", "HV03", namespace="team-b"),
            device,
            other,
            placement("web01", "WEB01", "HV02"),
        )

        def stalled(kind: str, name: str, space: str = "team-a") -> tuple[str, str]:
            found = condition(server.get(kind, name, space), "Stalled")
            return found.get("reason", ""), found.get("message", "")

        until(lambda: stalled("vmp", "one")[0] == "SpecConflict", "conflict told")
        assert stalled("vmp", "two")[0] == "SpecConflict"
        reason, message = stalled("vmp", "foreign", "team-b")
        assert reason == "NotTaken"
        assert message.startswith("team-b may not place VMs in west")
        reason, message = stalled("vmp", "device")
        assert reason == "SpecRefused"
        assert "con is a device in Windows" in message
        assert stalled("vmp", "other") == (
            "NotTaken",
            "no cluster east is configured (expected west)",
        )
        server.kubectl(
            "wait", "vmp/web01", "-n", "team-a", "--for=condition=Ready", "--timeout=60s"
        )
        assert server.get("vmp", "web01", "team-a")["status"]["node"] == "HV02"


def test_annotation_approves_exactly_the_plan_of_its_digest(
    clean: ApiServer, tmp_path: Path
) -> None:
    """In Suggest the status shows digest and actions; only that digest lets them go."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a"):
        cluster["spec"]["mode"] = "Suggest"
        server.apply(cluster, placement("sql01", "SQL01", "HV02"))

        def waiting() -> list[str]:
            plan = server.get("fcl", "west").get("status", {}).get("plan", {})
            return list(plan.get("waitingForApproval", ()))

        until(waiting, "a plan waits")
        plan = server.get("fcl", "west")["status"]["plan"]
        assert plan["actions"] == {"Move": 1}
        assert plan["first"][0].startswith("Move SQL01: HV01 -> HV02, because")
        annotate = ("annotate", "--overwrite", "fcl", "west")
        server.kubectl(*annotate, "ownernode.io/approve=0000")
        server.kubectl(*annotate, "ownernode.io/pause=look first")
        until(
            lambda: any("look first" in h for h in server.get("fcl", "west")["status"]["holds"]),
            "the pause shows",
        )
        assert condition(server.get("vmp", "sql01", "team-a"), "Ready")["status"] == "False"
        server.kubectl(*annotate, "ownernode.io/pause-")

        def approve() -> bool:
            for digest in waiting():
                server.kubectl(*annotate, f"ownernode.io/approve={digest}")
            status = server.get("vmp", "sql01", "team-a")["status"]
            return bool(status.get("node") == "HV02" and status["verdict"] == "Settled")

        until(approve, "the approved move is done")
        taken = server.get("fcl", "west")["status"]["approval"]
        assert taken != "0000"


def test_account_of_a_secret_is_read_again_when_it_changes(
    clean: ApiServer, tmp_path: Path
) -> None:
    """A wrong password is told; the right one in the same secret lets the controller in."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster:
        secret = by_secret(cluster, tmp_path / "world")
        account = secret["stringData"]
        with replica(server, tmp_path / "a"):
            server.apply(secret | {"stringData": account | {"password": "wrong"}}, cluster)
            until(
                lambda: condition(server.get("fcl", "west"), "Reachable").get("status") == "False",
                "it can't log on",
            )
            server.apply(secret, placement("sql01", "SQL01", "HV02"))
            server.kubectl(
                "wait", "vmp/sql01", "-n", "team-a", "--for=condition=Ready", "--timeout=50s"
            )
        log = (tmp_path / "a/log").read_text()
        assert account["password"] not in log
