"""The real process is killed with SIGKILL twenty times while it moves VMs over WinRM on loopback.

While it dies and is started again the specs keep changing, so that there is always work in the
middle of which to die: three deaths of four strike while a VM is on its way, the others at any time
of the start. Judge is the simulator's truth.
"""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.app.world import serve_world
from controller.simulator.serve import SimulatedSite
from controller.simulator.states import Cause, VmState

KILLS = 20
SEED = 7
NODES = ("HV01", "HV02", "HV03")
VMS = tuple(f"WEB{number:02}" for number in range(1, 9))

# A migration takes three seconds or so: long enough to be killed in the middle of.
WORLD = f"""
cluster: {{name: demo, domain: demo.example}}
timing: {{bandwidthBytesPerSecond: 3.0e+9}}
nodes:
{"".join(f"- {{name: {node}, memory: 128Gi}}{chr(10)}" for node in NODES)}
vms:
{"".join(f"- {{name: {vm}, node: HV01, memory: 4Gi}}{chr(10)}" for vm in VMS)}
"""
CLUSTER = """
apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: demo}
spec:
  mode: Enforce
  interval: 1s
  brakes: {cooldown: 0s}
  timing: {settle: 2s}
"""


@pytest.mark.timeout(300)
def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Every VM ends where it is declared; none moved more often than its declaration changed."""
    asyncio.run(_twenty_kills(tmp_path))


async def _twenty_kills(place: Path) -> None:
    chance = random.Random(SEED)
    specs = place / "specs"
    specs.mkdir()
    declared: dict[str, str] = {}
    changes: Counter[str] = Counter()

    def declare(vm: str, node: str) -> None:
        changes[vm] += declared.get(vm, "HV01") != node
        declared[vm] = node
        _write(specs / f"{vm.lower()}.yaml", vm, node)

    for vm in VMS:
        declare(vm, chance.choice(NODES))
    world, declaration = place / "world.yaml", place / "declared.yaml"
    world.write_text(WORLD)
    declaration.write_text(CLUSTER)
    async with serve_world(world, place, declared=declaration) as site:
        for kill in range(KILLS):
            for vm in chance.sample(VMS, 2):
                declare(vm, chance.choice([n for n in NODES if n != declared[vm]]))
            process = await _start(place)
            if kill % 4:
                await _until(lambda: _in_flight(site))
            await asyncio.sleep(chance.uniform(0.0, 2.0))
            assert process.returncode is None, "it ended by itself"
            process.kill()
            await process.wait()
        process = await _start(place)
        try:
            await _until(lambda: _owners(site) == declared and not _in_flight(site))
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                status = await process.wait()
    assert status == 0
    moved = Counter({vm.name: len(vm.migrations) for vm in site.world.truth()})
    assert all(moved[vm] <= changes[vm] for vm in VMS), (moved, changes)
    for vm in site.world.truth():
        assert vm.state is VmState.Running
        assert all(move.live and move.cause is Cause.CONTROLLER for move in vm.migrations)


async def _start(place: Path) -> asyncio.subprocess.Process:
    options: dict[str, Any] = {
        "--config": place / "config.yaml",
        "--specs": place / "specs",
        "--state": place / "state",
        "--listen": "127.0.0.1:0",
    }
    words = [str(word) for option in options.items() for word in option]
    with (place / "controller.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller", "run", *words, stderr=log, stdout=log
        )


async def _until(is_true: Callable[[], bool]) -> None:
    """The truth rings no bell: only looking tells."""
    async with asyncio.timeout(90):
        while not is_true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _write(path: Path, vm: str, node: str) -> None:
    document = {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "VirtualMachinePlacement",
        "metadata": {"name": vm.lower()},
        "spec": {"cluster": "demo", "vm": {"name": vm}, "owners": {"preferred": [node]}},
    }
    path.write_text(yaml.safe_dump(document))


def _owners(site: SimulatedSite) -> dict[str, str]:
    return {vm.name: vm.owner_node for vm in site.world.truth()}


def _in_flight(site: SimulatedSite) -> bool:
    return any(vm.in_flight for vm in site.world.truth())
