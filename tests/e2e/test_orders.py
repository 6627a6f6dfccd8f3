"""People stop and resume a real controller while it moves VMs over WinRM on loopback.

Judge is the simulator's truth: after a stop counts, not one more migration is ordered, whatever the
way by which it came; and what was under way goes on.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.app.world import serve_world
from controller.simulator.serve import SimulatedSite
from tests.support.ports import own_port

ROOT = Path(__file__).parents[2]
OWNERNODE = [sys.executable, "-m", "controller"]
VMS = tuple(f"WEB{number:02}" for number in range(1, 19))
URL = f"http://127.0.0.1:{own_port(19471)}"
# What the promise allows between a file or a signal and the last command.
STOP_SECONDS = 1.0
WORLD = f"""
cluster: {{name: demo, domain: demo.example}}
timing: {{bandwidthBytesPerSecond: 2.0e+10, setUpSeconds: 0.5, switchOverSeconds: 0.5}}
nodes: [{{name: HV01, memory: 256Gi}}, {{name: HV02, memory: 256Gi}}]
vms:
{"".join(f"- {{name: {vm}, node: HV01, memory: 4Gi}}{chr(10)}" for vm in VMS)}
"""
CLUSTER = """
apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: demo}
spec: {mode: Enforce, interval: 1s, brakes: {cooldown: 0s}, timing: {settle: 2s}}
"""


class Stage:
    """A controller that has much to do, and the terminal beside it."""

    def __init__(self, place: Path, site: SimulatedSite) -> None:
        self.place = place
        self.site = site

    def ordered(self) -> int:
        """Migrations that anybody ever ordered and the cluster took."""
        return sum(len(vm.migrations) + vm.in_flight for vm in self.site.world.truth())

    async def until(self, is_true: Callable[[], bool]) -> None:
        """The truth rings no bell: only looking tells."""
        async with asyncio.timeout(60):
            while not is_true():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def more(self) -> None:
        """Until something new is ordered."""
        before = self.ordered()
        await self.until(lambda: self.ordered() > before)

    async def nothing_more(self) -> None:
        """Through four more cycles, the end of what is under way among them."""
        before, cycle = self.ordered(), await self.cycle()
        await self.until(lambda: not any(vm.in_flight for vm in self.site.world.truth()))
        while await self.cycle() < cycle + 4:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        assert self.ordered() == before

    async def cycle(self) -> int:
        """The number of the last cycle."""
        (report,) = (await self.status())["clusters"]
        return int(report["cycle"])

    async def status(self) -> dict[str, Any]:
        """What the API says."""

        def read() -> Any:
            with urllib.request.urlopen(f"{URL}/api/v1/status", timeout=10) as answer:
                return json.load(answer)

        found: dict[str, Any] = await asyncio.to_thread(read)
        return found

    async def waiting(self) -> str:
        """The digest of what waits for approval, once something does."""
        async with asyncio.timeout(60):
            while not (found := (await self.status())["waiting"]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return str(found[0]["digest"])

    async def command(self, *words: str, status: int = 0) -> str:
        """A command typed into the second terminal; what it says, or complains of."""
        process = await asyncio.create_subprocess_exec(
            *OWNERNODE,
            *words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={
                **os.environ,
                "OWNERNODE_URL": URL,
                "OWNERNODE_TOKEN_FILE": str(self.place / "state/token"),
            },
        )
        said, complained = await process.communicate()
        assert process.returncode == status, complained.decode()
        return (complained if status else said).decode()


@pytest.mark.timeout(300)
def test_no_command_leaves_after_a_stop_of_any_kind(tmp_path: Path) -> None:
    """By the API, the file, the cluster's flag, the signal: nothing new; then all is done once."""
    asyncio.run(_stops(tmp_path))


async def _stops(place: Path) -> None:
    (place / "specs").mkdir()
    for vm in VMS:
        declare(place / "specs", vm, "HV02")
    async with serve_world(
        _written(place, "world", WORLD), place, declared=_written(place, "declared", CLUSTER)
    ) as site:
        process = await start(place)
        stage = Stage(place, site)
        try:
            await stage.until(lambda: stage.ordered() >= 4)
            said = await stage.command("stop", "--reason", "fire drill", "--owner", "anna")
            assert "everything until resumed" in said
            await stage.nothing_more()
            (stop,) = (await stage.status())["stops"]
            assert (stop["source"], stop["owner"]) == ("API", "anna")
            await stage.command("resume", "--reason", "over", "--owner", "bert")
            await stage.more()

            (place / "state/STOP").write_text("storage is being rewired\n")
            await asyncio.sleep(STOP_SECONDS)
            await stage.nothing_more()
            assert "storage is being rewired" in await stage.command("status")
            (place / "state/STOP").unlink()
            await stage.more()

            site.world.stop_controllers("change freeze")
            await asyncio.sleep(STOP_SECONDS)
            await stage.nothing_more()
            assert "change freeze" in await stage.command("status")
            site.world.allow_controllers()
            await stage.more()

            process.send_signal(signal.SIGUSR1)
            await asyncio.sleep(STOP_SECONDS)
            await stage.nothing_more()
            process.kill()
            await process.wait()
            process = await start(place)
            await stage.until(lambda: (place / "state/token").exists())
            await _ready(stage)
            await stage.nothing_more()
            await stage.command("resume", "--reason", "over")
            await stage.until(lambda: _owners(site) == dict.fromkeys(VMS, "HV02"))
            history = await stage.command("history", "WEB01", "-o", "json")
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await process.wait() == 0
    assert all(len(vm.migrations) == 1 for vm in site.world.truth())
    entries = json.loads(history)
    assert [e["what"] for e in entries if e["by"] == "us"] == ["Move"]
    orders = [(e["what"].split()[0], e["by"], e["why"]) for e in entries if "order" in e["by"]]
    assert orders[:2] == [
        ("stop", "anna, by order", "fire drill"),
        ("resume", "bert, by order", "over"),
    ]
    assert ("stop", "signal, by order", "the process got SIGUSR1") in orders


@pytest.mark.timeout(120)
def test_a_plan_waits_for_approval_of_exactly_itself(tmp_path: Path) -> None:
    """The story of the README: look, pause, resume, approve; a wrong token moves nothing."""
    asyncio.run(_approval(tmp_path))


async def _approval(place: Path) -> None:
    (place / "specs").mkdir()
    declare(place / "specs", VMS[0], "HV02")
    world = _written(place, "world", WORLD)
    declared = _written(place, "declared", CLUSTER.replace("Enforce", "Suggest"))
    async with serve_world(world, place, declared=declared) as site:
        process = await start(place)
        stage = Stage(place, site)
        try:
            await _ready(stage)
            why = ("--reason", "agreed", "--owner", "anna")
            await stage.waiting()
            await stage.command("pause", VMS[0], *why, "--for", "2h")
            assert VMS[0] in await stage.command("status")
            while (await stage.status())["waiting"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await stage.command("resume", VMS[0], *why)
            digest = await stage.waiting()
            (place / "wrong").write_text("nobody-ever-gave-this-token\n")
            refused = await stage.command(
                "approve", digest, *why, "--token-file", str(place / "wrong"), status=1
            )
            assert "token" in refused
            assert "waits for approval" in await stage.command("approve", "d0", *why, status=1)
            await stage.nothing_more()
            assert stage.ordered() == 0
            await stage.command("approve", digest, *why)
            await stage.until(lambda: _owners(site)[VMS[0]] == "HV02")
            assert stage.ordered() == 1
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await process.wait() == 0


async def _ready(stage: Stage) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await stage.status())["clusters"]:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.1)


async def start(place: Path) -> asyncio.subprocess.Process:
    """A controller over what lies in the place."""
    options = {
        "--config": place / "config.yaml",
        "--specs": place / "specs",
        "--state": place / "state",
        "--listen": URL.removeprefix("http://"),
    }
    words = [str(word) for option in options.items() for word in option]
    with (place / "controller.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *OWNERNODE, "run", *words, cwd=ROOT, stderr=log, stdout=log
        )


def declare(specs: Path, vm: str, node: str) -> None:
    """One placement."""
    document = {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "VirtualMachinePlacement",
        "metadata": {"name": vm.lower()},
        "spec": {"cluster": "demo", "vm": {"name": vm}, "owners": {"preferred": [node]}},
    }
    (specs / f"{vm.lower()}.yaml").write_text(yaml.safe_dump(document))


def _written(place: Path, name: str, text: str) -> Path:
    path = place / f"{name}.yaml"
    path.write_text(text)
    return path


def _owners(site: SimulatedSite) -> dict[str, str]:
    return {vm.name: vm.owner_node for vm in site.world.truth()}
