"""Two replicas: one leads, the other takes over, and what must be known goes with the lead."""

import signal
from pathlib import Path

import pytest

from controller.adapters.kube.memory import DATA_CHARACTERS_MAX, unpacked
from tests.kube.api_server import ApiServer
from tests.kube.story import condition, holder, placement, replica, simulated, team, until

pytestmark = pytest.mark.timeout(180)


def is_ready(server: ApiServer, name: str, node: str) -> bool:
    item = server.get("vmp", name, "team-a")
    ready = condition(item, "Ready").get("status") == "True"
    return ready and item["status"]["node"] == node


def test_killed_leader_is_followed_by_one_with_an_empty_disk(
    clean: ApiServer, tmp_path: Path
) -> None:
    """Bindings and moves come from the FailoverCluster's status; the other goes on from there."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a") as first:
        server.apply(cluster, placement("sql01", "SQL01", "HV02"))
        until(lambda: is_ready(server, "sql01", "HV02"), "SQL01 settled on HV02")
        assert holder(server) == "a"
        before = server.get("fcl", "west")["status"]["memory"]
        assert len(before["data"]) < DATA_CHARACTERS_MAX
        with replica(server, tmp_path / "b"):
            first.send_signal(signal.SIGKILL)
            first.wait()
            until(lambda: holder(server) == "b", "b took over")
            server.apply(placement("sql01", "SQL01", "HV03"))
            until(lambda: is_ready(server, "sql01", "HV03"), "SQL01 settled on HV03")
        after = server.get("fcl", "west")["status"]["memory"]
        assert after["term"] != before["term"]
        moves = [(m.source, m.target) for m in unpacked("west", after["data"]).moves]
        assert moves == [("HV01", "HV02"), ("HV02", "HV03")]


def test_stopped_leader_sends_nothing_when_it_wakes(clean: ApiServer, tmp_path: Path) -> None:
    """SIGSTOP while leading: the rival leads, and the woken one neither acts nor writes."""
    server = clean
    team(server, "team-a")
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a") as first:
        server.apply(cluster, placement("sql01", "SQL01", "HV02"))
        until(lambda: is_ready(server, "sql01", "HV02"), "SQL01 settled on HV02")
        with replica(server, tmp_path / "b"):
            first.send_signal(signal.SIGSTOP)
            until(lambda: holder(server) == "b", "b took over")
            server.apply(placement("sql01", "SQL01", "HV03"))
            until(lambda: is_ready(server, "sql01", "HV03"), "SQL01 settled on HV03")
            term = server.get("fcl", "west")["status"]["memory"]["term"]
            first.send_signal(signal.SIGCONT)
            log = tmp_path / "a/log"
            until(lambda: "Leading no longer" in log.read_text(), "a noticed")
            server.apply(placement("web01", "WEB01", "HV02"))
            until(lambda: is_ready(server, "web01", "HV02"), "WEB01 settled on HV02")
            memory = server.get("fcl", "west")["status"]["memory"]
            assert (memory["term"], holder(server)) == (term, "b")
            targets = [m.target for m in unpacked("west", memory["data"]).moves]
            assert targets == ["HV02", "HV03", "HV02"]


def test_leader_that_ends_hands_over_at_once(clean: ApiServer, tmp_path: Path) -> None:
    """On SIGTERM the Lease is free; nobody waits for it to run out."""
    server = clean
    with replica(server, tmp_path / "a", lease="60/40/0.5") as first:
        until(lambda: holder(server) == "a", "a leads")
        with replica(server, tmp_path / "b", lease="60/40/0.5"):
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=15) == 0
            until(lambda: holder(server) == "b", "b leads", seconds=20)
