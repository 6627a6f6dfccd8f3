"""Two sources that contradict each other, and an API server that comes and goes."""

from pathlib import Path

import pytest
import yaml

from tests.kube.api_server import ApiServer
from tests.kube.story import condition, placement, replica, simulated, team, until

WITHIN = "--timeout=50s"
pytestmark = pytest.mark.timeout(180)


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
