"""One story, whatever keeps the placements: they converge, an edit moves, a bad edit only says so.

Placements come from a folder, from Git and from Kubernetes; the controller and WinRM are real.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube.sources import BAD, Commits, Folder, Objects, Source
from tests.kube.story import condition, until
from tests.support.forge import Api

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(params=["directory", "git", "kubernetes"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    """The placements of a team, kept in this way."""
    match request.param:
        case "directory":
            yield Folder(tmp_path)
        case "git":
            with Api().serving() as api:
                yield Commits(tmp_path, api)
        case _:
            yield Objects(tmp_path, request.getfixturevalue("clean"))


def test_placements_converge_an_edit_moves_and_a_bad_edit_only_says_so(source: Source) -> None:
    """Three VMs are moved, then one again; a bad edit moves none, till mended; nor does absence."""
    wanted = {"SQL01": "HV02", "WEB01": "HV03", "WEB02": "HV01"}
    for vm, node in wanted.items():
        source.put(vm, node)
    with source.followed():
        until(lambda: source.settled() == wanted, "three misplaced VMs converge")

        source.put("WEB01", "HV02")
        wanted["WEB01"] = "HV02"
        until(lambda: source.settled() == wanted, "the edit moved its VM")

        source.put("SQL01", "HV03", template=BAD)
        said = until(lambda: source.complaint("SQL01"), "the author is told")
        assert "con is a device in Windows" in said
        assert "stays in force" in said
        assert source.faults() >= 1
        assert source.settled() == wanted

        source.put("SQL01", "HV03")
        wanted["SQL01"] = "HV03"
        until(lambda: source.settled() == wanted, "the mended edit moved its VM")
        assert source.faults() == 0
        moved = {vm: [move["target"] for move in source.moves(vm)] for vm in wanted}
        assert moved == {"SQL01": ["HV02", "HV03"], "WEB01": ["HV03", "HV02"], "WEB02": ["HV01"]}
        if isinstance(source, Objects):
            told_by_kubectl(source)

        source.remove("WEB02")
        left = until(lambda: source.status()["undeclared"], "whoever left the specs is listed")
        assert [vm["vm"] for vm in left] == ["WEB02"]
        assert source.status()["unmanagedVms"] == 1
        assert len(source.moves("WEB02")) == 1


def told_by_kubectl(source: Objects) -> None:
    """`kubectl get`, `wait` and `describe` tell the same, where people look."""
    server = source.server
    server.kubectl("wait", "vmp/web02", "-n", "team-a", "--for=condition=Ready", "--timeout=30s")
    status = server.get("vmp", "sql01", "team-a")["status"]
    assert (status["node"], status["verdict"], status["observedGeneration"]) == (
        "HV03",
        "Settled",
        3,
    )
    header, line = server.kubectl("get", "vmp/sql01", "-n", "team-a").stdout.splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "NODE", "WANTED", "AGE"]
    assert line.split()[:5] == ["sql01", "True", "Settled", "HV03", "HV03"]
    until(
        lambda: ("Settled", "Normal") in {(e["reason"], e["type"]) for e in source.events("SQL01")},
        "an Event tells that it settled",
    )
    server.kubectl("wait", "fcl/west", "--for=condition=Ready", "--timeout=30s")
    server.kubectl("annotate", "vmp/sql01", "-n", "team-a", "ownernode.io/reconcile-at=noon")
    handled = "--for=jsonpath={.status.lastHandledReconcileAt}=noon"
    server.kubectl("wait", "vmp/sql01", "-n", "team-a", handled, "--timeout=30s")
    assert condition(server.get("fcl", "west"), "Reachable")["status"] == "True"
