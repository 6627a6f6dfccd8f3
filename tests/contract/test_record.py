"""`record` and back: a stranger's cluster, without its names, behind the same wire."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from controller.adapters.specs.once import choose_cluster, read_clusters
from controller.app.look import observe_once
from controller.app.recording import record
from controller.app.world import serve_world
from controller.model.observed import ObservedState
from controller.model.transcript import Transcript, read_transcript, write_transcript

TELLING = ("ACMEHV01", "acmehv02", "ACME-SQL", "acme-web", "Acme Blue", "acme.example", "acmecl")
WORLD = r"""
cluster: {name: acmecl, domain: acme.example}
nodes: [{name: ACMEHV01, switches: [Acme Blue]}, {name: acmehv02, switches: [Acme Blue]}]
volumes: [{name: Volume1}]
vms:
- {name: ACME-SQL, node: ACMEHV01, switch: Acme Blue, preferredOwners: [acmehv02]}
- {name: acme-web, node: acmehv02, switch: null, clustered: false}
"""


def played(world: str, folder: Path, act: Any) -> Any:
    """What `act` gives for the cluster's document, while the file is served."""
    folder.mkdir()
    file = folder / "world"
    file.write_text(world, encoding="utf-8")

    async def play() -> Any:
        async with serve_world(file, folder):
            return await act(choose_cluster(read_clusters(folder / "config.yaml"), None))

    return asyncio.run(play())


def form(seen: ObservedState) -> Mapping[str, Any]:
    """What is the same whatever things are called."""
    return {
        "nodes": [(n.state, n.answered, n.memory_total_bytes) for n in seen.nodes],
        "vms": sorted((vm.state, vm.role is None, len(vm.disk_paths)) for vm in seen.vms),
        "volumes": [(v.path, v.size_bytes) for v in seen.volumes],
        "complete": seen.is_complete,
    }


def test_recorded_cluster_is_seen_as_it_was(tmp_path: Path) -> None:
    """The same nodes, VMs and volumes under other names; not one of the old ones is left."""
    transcript: Transcript = played(WORLD, tmp_path / "real", record)
    text = write_transcript(transcript)
    assert [name for name in TELLING if name.lower() in text.lower()] == []
    assert read_transcript(text, "it") == transcript
    was: ObservedState = played(WORLD, tmp_path / "again", observe_once)
    now: ObservedState = played(text, tmp_path / "replayed", observe_once)
    assert form(now) == form(was)
    assert form(now)["complete"]
    assert len({vm.name for vm in now.vms}) == 2


def test_recording_says_what_it_settles_and_what_not(tmp_path: Path) -> None:
    """Levels and limits show at once; what no look can tell stays open, and is told so."""
    transcript: Transcript = played(WORLD, tmp_path / "real", record)
    answers = {fact.name: fact.answer for fact in transcript.facts}
    assert answers["functionalLevel"] == "level 12 on build 26100"
    assert answers["migrationLimit"] == "cluster 1, node 1: the same"
    assert answers["defaultFolders"] == "0 of 4 end with one"
    assert answers["moveTypeThreshold"] is None
    assert answers["groupState"] is None, "nothing was migrating"


def test_recorded_migration_settles_more(tmp_path: Path) -> None:
    """What a role and its properties look like while a VM is on its way."""
    moving = yaml.safe_load(WORLD)
    moving["timing"] = {"bandwidthBytesPerSecond": 1.0e6}
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "world").write_text(yaml.safe_dump(moving), encoding="utf-8")

    async def play() -> Transcript:
        async with serve_world(folder / "world", folder) as site:
            site.world.move_live("ACME-SQL", "acmehv02")
            site.clock.advance()
            site.world.advance_to(site.world.now + 5)
            return await record(choose_cluster(read_clusters(folder / "config.yaml"), None))

    answers = {fact.name: fact.answer for fact in asyncio.run(play()).facts}
    assert answers["groupState"] is not None
    assert answers["migrationState"] == "filled: state, progress"
