"""A bad edit of an object takes nothing out of force, also where the process ended in between."""

from pathlib import Path
from typing import Any

from controller.adapters.kube.kinds import CLUSTER, PLACEMENT
from controller.adapters.kube.source import Desk, Identity
from controller.app.kubernetes import FileShelf

SQL01: Identity = (PLACEMENT, ("team-a", "sql01"))
WEST: Identity = (CLUSTER, ("", "west"))
CONNECTION = {
    "nodes": ["hv01.corp.example"],
    "authentication": "NTLM",
    "credentials": {"file": "/run/secrets/hv"},
}


def placement(generation: int = 1, uid: str = "u1", **spec: Any) -> dict[str, Any]:
    """The object of SQL01, as an API server has it."""
    return {
        "metadata": {
            "name": "sql01", "namespace": "team-a", "uid": uid, "generation": generation,
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": {"cluster": "west", "vm": {"name": "SQL01"}} | spec,
    }  # fmt: skip


def cluster(generation: int = 1, **spec: Any) -> dict[str, Any]:
    """The object of the cluster west."""
    return {
        "metadata": {"name": "west", "uid": "c1", "generation": generation},
        "spec": {"connection": CONNECTION} | spec,
    }


def process(folder: Path) -> Desk:
    """What a process begins with that has that state folder."""
    return Desk(informers={}, shelf=FileShelf(folder))


GOOD = {"owners": {"preferred": ["HV02"]}}
BAD = {"owners": {"preferred": ["HV03"]}, "unheard": 1}


def test_bad_edit_while_the_process_was_away_leaves_the_last_good_version(tmp_path: Path) -> None:
    """Of placements and of clusters, with the generation that is in force."""
    process(tmp_path).look({SQL01: placement(3, **GOOD), WEST: cluster(5, interval="30s")})
    now = {SQL01: placement(4, **BAD), WEST: cluster(6, interval="30 seconds")}
    judged = process(tmp_path).look(now)
    for identity, generation in ((SQL01, 3), (WEST, 5)):
        document = judged[identity].document
        assert document is not None
        assert document.generation == generation
        assert judged[identity].faults
    assert (
        judged[SQL01].document
        == process(tmp_path / "b").look({SQL01: placement(3, **GOOD)})[SQL01].document
    )


def test_last_good_version_is_kept_over_many_restarts_while_the_edit_stays_bad(
    tmp_path: Path,
) -> None:
    """What was only recalled is as good as what was seen."""
    process(tmp_path).look({SQL01: placement(1, **GOOD)})
    for generation in (2, 3, 4):
        judged = process(tmp_path).look({SQL01: placement(generation, **BAD)})
        document = judged[SQL01].document
        assert document is not None
        assert document.generation == 1


def test_object_made_anew_has_no_past(tmp_path: Path) -> None:
    """Somebody deleted it and wrote another one under its name: the old one is not theirs."""
    process(tmp_path).look({SQL01: placement(**GOOD)})
    judged = process(tmp_path).look({SQL01: placement(1, uid="u2", **BAD)})
    assert judged[SQL01].document is None
    process(tmp_path).look({})
    judged = process(tmp_path).look({SQL01: placement(2, **BAD)})
    assert judged[SQL01].document is None


def test_damaged_or_full_disk_is_told_and_half_believed_by_nobody(tmp_path: Path) -> None:
    """A file with a flipped byte counts as empty; one that can't be written is a finding."""
    process(tmp_path).look({SQL01: placement(**GOOD)})
    path = tmp_path / "last-good.json"
    path.write_text(path.read_text().replace("HV02", "HV03"))
    desk = process(tmp_path)
    assert desk.look({SQL01: placement(2, **BAD)})[SQL01].document is None
    assert "are lost" in str(desk.lost[0])
    (tmp_path / "file").touch()
    desk = process(tmp_path / "file")
    assert desk.look({SQL01: placement(**GOOD)})[SQL01].document is not None
    assert not desk.is_kept
    assert "can't be" in str(desk.lost[-1])
    (tmp_path / "file").unlink()
    desk.look({SQL01: placement(**GOOD)})
    assert (desk.is_kept, desk.lost[1:]) == (True, ())
