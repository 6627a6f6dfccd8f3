"""A controller whose state folder takes no writes stays up, says so, and only looks."""

import asyncio
import json
import os
import resource
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.app.world import serve_world
from controller.simulator.serve import SimulatedSite
from tests.support.ports import own_port

ROOT = Path(__file__).parents[2]
ADDRESS = f"127.0.0.1:{own_port(19473)}"
CYCLES = 4
WORLD = """
cluster: {name: demo, domain: demo.example}
nodes: [{name: HV01, memory: 64Gi}, {name: HV02, memory: 64Gi}]
vms: [{name: SQL01, node: HV01, memory: 4Gi}]
"""
CLUSTER = """
apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: demo}
spec: {mode: Enforce, interval: 1s}
"""
SPEC = {
    "apiVersion": "ownernode.io/v1alpha1",
    "kind": "VirtualMachinePlacement",
    "metadata": {"name": "sql01"},
    "spec": {"cluster": "demo", "vm": {"name": "SQL01"}, "owners": {"preferred": ["HV02"]}},
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("state", ["new", "used", "damaged"])
def test_without_a_journal_it_only_looks_and_says_so(tmp_path: Path, state: str) -> None:
    """A full disk at the first start, at a later one, and a journal that is damaged.

    Ending instead would end in a loop of restarts, in which nobody looks at the cluster.
    """
    asyncio.run(_only_looks(tmp_path, state))


async def _only_looks(place: Path, state: str) -> None:
    (place / "specs").mkdir()
    (place / "specs/sql01.yaml").write_text(yaml.safe_dump(SPEC))
    (place / "world.yaml").write_text(WORLD)
    (place / "declared.yaml").write_text(CLUSTER)
    world, declared = place / "world.yaml", place / "declared.yaml"
    async with serve_world(world, place, declared=declared) as site:
        if state != "new":
            await _watch(place, site, full=False, cycles=1)
        if state == "damaged":
            (place / "state/journal.sqlite").write_bytes(b"SQLite format 3\0" + bytes(8192))
        before = _orders(site)
        status, said = await _watch(place, site, full=state != "damaged", cycles=CYCLES)
        assert _orders(site) == before
    (report,) = status["clusters"]
    assert "JournalBroken" in {hold["reason"] for hold in report["clusterHolds"]}
    assert "The journal is broken: from now on this process only observes" in said


async def _watch(
    place: Path, site: SimulatedSite, *, full: bool, cycles: int
) -> tuple[dict[str, Any], str]:
    """Run a controller through so many cycles; its last status, and its log."""

    def no_file_grows() -> None:
        if full:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    options = ("--config", place / "config.yaml", "--specs", place / "specs")
    options += ("--state", place / "state", "--listen", ADDRESS)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", "run", *map(str, options),
        cwd=ROOT, stderr=asyncio.subprocess.PIPE, preexec_fn=no_file_grows,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    said = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(60):
            while not (clusters := (status := await _status())["clusters"]) or (
                clusters[0]["cycle"] < cycles
            ):
                assert process.returncode is None, (await said).decode()
                await asyncio.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    return status, (await said).decode()


async def _status() -> dict[str, Any]:
    def read() -> Any:
        with urllib.request.urlopen(f"http://{ADDRESS}/api/v1/status", timeout=10) as answer:
            return json.load(answer)

    try:
        found: dict[str, Any] = await asyncio.to_thread(read)
    except OSError:
        return {"clusters": []}
    return found


def _orders(site: SimulatedSite) -> int:
    return sum(len(vm.migrations) + vm.in_flight for vm in site.world.truth())
