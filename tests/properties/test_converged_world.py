"""What is as declared stays untouched, however often it is looked at."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.model.report import ClusterReport
from controller.simulator.config import load_world
from tests.scenarios.play import cluster_document
from tests.support.process import Site
from tests.support.virtual_time import run_virtual

CYCLES = 1000
NODES = ("HV01", "HV02", "HV03", "HV04")


class Counted:
    """Counts cycles, and those that were not converged (a StatusSink)."""

    def __init__(self) -> None:
        self.cycles = 0
        self.unconverged: list[int] = []
        self._another = asyncio.Event()

    async def show(self, report: ClusterReport) -> None:
        self.cycles += 1
        self._another.set()
        if not report.converged:
            self.unconverged.append(self.cycles)

    async def more(self, number: int) -> None:
        """Wait for so many cycles."""
        until = self.cycles + number
        while self.cycles < until:
            self._another.clear()
            await self._another.wait()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_moves_in_a_converged_world(tmp_path: Path, seed: int) -> None:
    """A thousand cycles in Enforce: no command, and after the first looks no write either."""
    world_text, specs = converged(random.Random(seed))
    world = load_world(world_text)
    counted = Counted()
    site = Site(
        world=world,
        cluster=cluster_document({"mode": "Enforce"}),
        folder=tmp_path,
        sinks=[counted],
    )
    site.declare(specs)
    before = {vm.id: vm.owner_node for vm in world.truth()}

    async def main() -> tuple[int, int]:
        site.start()
        await counted.more(3)
        written = commits(site.journal)
        await counted.more(CYCLES)
        changed = commits(site.journal)
        await site.end()
        return written, changed

    written, changed = run_virtual(main())
    # The claim of the cluster (its holder, its epoch), once at the start, is no command on a VM.
    assert [c.cmdlet for c in world.commands] == ["Set-ClusterParameter"] * len(world.commands)
    assert len(world.commands) <= 2
    assert {vm.id: vm.owner_node for vm in world.truth()} == before
    assert counted.unconverged == []
    assert changed == written


def commits(journal: Path) -> int:
    """Grows with each commit: the size of the write-ahead log."""
    return journal.with_name(journal.name + "-wal").stat().st_size


def converged(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A small world in which every VM is on its first choice, or anywhere if it has none."""
    vms, specs = [], {}
    for number in range(12):
        name, node = f"VM{number:02}", chance.choice(NODES)
        state = chance.choice(("Running", "Running", "Running", "Off"))
        vms.append({"name": name, "node": node, "memory": "4Gi", "state": state})
        if chance.random() < 0.75:
            others = chance.sample([n for n in NODES if n != node], 2)
            preferred = chance.choice(([node], [node, *others], []))
            specs[name.lower()] = {"vm": {"name": name}, "owners": {"preferred": preferred}}
    world = {
        "cluster": {"name": "demo", "domain": "corp.example"},
        "nodes": [{"name": node, "memory": "64Gi"} for node in NODES],
        "vms": vms,
    }
    return yaml.safe_dump(world), specs
