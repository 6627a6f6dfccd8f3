"""The real process is killed with SIGKILL while it moves VMs over WinRM on loopback; or is stopped.

While it dies and is started again the specs keep changing, so that there is always work in the
middle of which to die: three deaths of four strike while a VM is on its way, the others at any time
of the start. Only the controller dies; the cluster stays up. Judge is the simulator's truth.

`KILLS=1000 STOPS=50 make campaign` are the counts of the campaign; `make test` plays a few.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.adapters.local.journal import SqliteJournal
from controller.app.world import serve_world
from controller.simulator.serve import SimulatedSite
from controller.simulator.states import Cause, VmState
from tests.support.ports import own_port

KILLS, KILLS_CAMPAIGN = 5, int(os.environ.get("KILLS", "1000"))
STOPS, STOPS_CAMPAIGN = 1, int(os.environ.get("STOPS", "50"))
SEED = 7
SHELLS = 20
"""A killed controller leaves a shell on each node for ten minutes, and Windows allows 30 a user:
whoever dies more often only looks, until they time out. Here the services are restarted instead."""
ZOMBIE = f"127.0.0.1:{own_port(19474)}"
NODES = ("HV01", "HV02", "HV03")
VMS = tuple(f"WEB{number:02}" for number in range(1, 9))

# A migration takes two seconds or so: long enough to be killed in the middle of.
WORLD = f"""
cluster: {{name: demo, domain: demo.example}}
timing: {{bandwidthBytesPerSecond: 4.0e+9, setUpSeconds: 0.5, switchOverSeconds: 0.5}}
nodes:
{"".join(f"- {{name: {node}, memory: 128Gi}}{chr(10)}" for node in NODES)}
vms:
{"".join(f"- {{name: {vm}, node: HV01, memory: 4Gi}}{chr(10)}" for vm in VMS)}
"""
# A kill between the intent and the command is a command without effect, and many of those in a row
# would hold everything for half an hour.
CLUSTER = """
apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: demo}
spec:
  mode: Enforce
  interval: 1s
  brakes: {cooldown: 0s, changesPerCommit: 100%}
  timing: {settle: 2s, failurePause: 5s}
"""


@pytest.mark.timeout(300)
def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Every VM ends where it is declared; none moved more often than its declaration changed."""
    asyncio.run(_kills(tmp_path, KILLS))


@pytest.mark.campaign
@pytest.mark.timeout(14_400)
def test_a_thousand_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """The same, a thousand times."""
    began = time.monotonic()
    asyncio.run(_kills(tmp_path, KILLS_CAMPAIGN))
    print(f"{KILLS_CAMPAIGN} kills, {(time.monotonic() - began) / KILLS_CAMPAIGN:.1f} s each")


@pytest.mark.timeout(300)
def test_a_process_that_was_stopped_acts_no_more_when_it_wakes(tmp_path: Path) -> None:
    """SIGSTOP in the middle of its work; another takes over and finishes; SIGCONT.

    It wakes with a plan, with sessions and perhaps with commands half sent. Not one is carried out.
    """
    asyncio.run(_stops(tmp_path, STOPS))


@pytest.mark.campaign
@pytest.mark.timeout(14_400)
def test_fifty_stopped_processes_act_no_more_when_they_wake(tmp_path: Path) -> None:
    """The same at fifty drawn moments."""
    asyncio.run(_stops(tmp_path, STOPS_CAMPAIGN))


class Declared:
    """The specs, and how often each VM's changed."""

    def __init__(self, specs: Path, chance: random.Random) -> None:
        specs.mkdir()
        self._specs = specs
        self._chance = chance
        self.nodes: dict[str, str] = {}
        self.changes: Counter[str] = Counter()
        for vm in VMS:
            self._declare(vm, chance.choice(NODES))

    def change(self, count: int) -> None:
        """So many VMs belong elsewhere from now on."""
        for vm in self._chance.sample(VMS, count):
            others = [n for n in NODES if n != self.nodes[vm]]
            self._declare(vm, self._chance.choice(others))

    def _declare(self, vm: str, node: str) -> None:
        self.changes[vm] += self.nodes.get(vm, "HV01") != node
        self.nodes[vm] = node
        _write(self._specs / f"{vm.lower()}.yaml", vm, node)


async def _kills(place: Path, kills: int) -> None:
    chance = random.Random(SEED)
    declared = Declared(place / "specs", chance)
    async with _site(place) as site:
        for kill in range(kills):
            declared.change(2)
            process = await _start(place, "state")
            if kill % 4:
                await _until(lambda: _in_flight(site))
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            assert process.returncode is None, "it ended by itself"
            process.kill()
            await process.wait()
            if kill % SHELLS == SHELLS - 1:
                for server in site.servers.values():
                    await server.kill_shells()
        process = await _start(place, "state")
        try:
            await _until(lambda: _owners(site) == declared.nodes and not _in_flight(site))
        finally:
            await _end(process)
    _judge(site, declared, place / "state")


async def _stops(place: Path, stops: int) -> None:
    chance = random.Random(SEED)
    declared = Declared(place / "specs", chance)
    async with _site(place) as site:
        for number in range(stops):
            declared.change(4)
            sleeper = await _start(place, f"state-{number}", listen=ZOMBIE)
            try:
                await _replaced(place, site, declared, sleeper, number, chance.uniform(0.0, 1.0))
            finally:
                sleeper.kill()
                await sleeper.wait()
    _judge(site, declared, place / f"state-{stops}")


async def _replaced(
    place: Path,
    site: SimulatedSite,
    declared: Declared,
    sleeper: asyncio.subprocess.Process,
    number: int,
    delay_seconds: float,
) -> None:
    """It is stopped in its work, another finishes that and goes, and it wakes."""
    await _until(lambda: _in_flight(site))
    await asyncio.sleep(delay_seconds)
    sleeper.send_signal(signal.SIGSTOP)
    # It holds its state directory: whoever takes over has a copy, as from a backup.
    shutil.copytree(place / f"state-{number}", place / f"state-{number + 1}")
    heir = await _start(place, f"state-{number + 1}")
    declared.change(4)
    try:
        await _until(lambda: _owners(site) == declared.nodes and not _in_flight(site))
    finally:
        await _end(heir)
    before = sum(len(vm.migrations) for vm in site.world.truth())
    sleeper.send_signal(signal.SIGCONT)
    await _until_superseded()
    after = sum(len(vm.migrations) + vm.in_flight for vm in site.world.truth())
    assert after == before, "it acted when it woke"


def _judge(site: SimulatedSite, declared: Declared, state: Path) -> None:
    """No double command, no lost intent, no VM that was ever off."""
    moved = Counter({vm.name: len(vm.migrations) for vm in site.world.truth()})
    assert all(moved[vm] <= declared.changes[vm] for vm in VMS), (moved, declared.changes)
    past = SqliteJournal(state / "journal.sqlite").past("demo")
    intended = Counter(command.intent.vm for command in past.commands)
    assert all(moved[vm] <= intended[vm] for vm in VMS), (moved, intended)
    for vm in site.world.truth():
        assert vm.state is VmState.Running
        assert all(move.live and move.cause is Cause.CONTROLLER for move in vm.migrations)


@asynccontextmanager
async def _site(place: Path) -> AsyncIterator[SimulatedSite]:
    world, declaration = place / "world.yaml", place / "declared.yaml"
    world.write_text(WORLD)
    declaration.write_text(CLUSTER)
    async with serve_world(world, place, declared=declaration) as site:
        yield site


async def _start(
    place: Path, state: str, *, listen: str = "127.0.0.1:0"
) -> asyncio.subprocess.Process:
    options: dict[str, Any] = {
        "--config": place / "config.yaml",
        "--specs": place / "specs",
        "--state": place / state,
        "--listen": listen,
    }
    words = [str(word) for option in options.items() for word in option]
    with (place / "controller.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller", "run", *words, stderr=log, stdout=log
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await process.wait() == 0


async def _until_superseded() -> None:
    """The process that woke has looked, and knows that it only looks from now on."""

    def holds() -> set[str]:
        with urllib.request.urlopen(f"http://{ZOMBIE}/api/v1/status", timeout=10) as answer:
            (report,) = json.load(answer)["clusters"]
        return {hold["reason"] for hold in report["clusterHolds"]}

    async with asyncio.timeout(90):
        while "Superseded" not in await asyncio.to_thread(holds):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


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
