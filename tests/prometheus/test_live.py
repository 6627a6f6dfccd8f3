"""A real Prometheus watches a controller at work: every alert fires for its cause, and clears.

The causes are real: a commit that is too big, a wrong password, a node without power, a process
that is starved. Three that a healthy controller can't be brought to show (no leader, a programming
error, an answer that stays lost) are shown by a page made of reports.
"""

import asyncio
import json
import signal
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.adapters.prometheus.metrics import CONTENT_TYPE, Metrics, Traffic
from controller.app.world import serve_world
from controller.model.report import ClusterReport
from tests.prometheus.live import Prometheus, command, controller, prometheus, until
from tests.prometheus.programs import ROOT
from tests.prometheus.test_rules import alerts
from tests.support import loopback, reports
from tests.support.ports import free_port

VMS = tuple(f"WEB{number:02}" for number in range(1, 9))
WORLD = f"""
cluster: {{name: demo, domain: demo.example, migrationsParallelMax: 2}}
timing: {{bandwidthBytesPerSecond: 4.0e+9, setUpSeconds: 0.5, switchOverSeconds: 0.5}}
nodes: [{{name: HV01, memory: 256Gi}}, {{name: HV02, memory: 256Gi}}, {{name: HV03, memory: 64Gi}}]
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
  migration: {perNode: 2, perCluster: 2}
  brakes: {cooldown: 0s, movesPerVMPerDay: 1, changesPerCommit: 10%}
  foreignMoves: {respect: 1s}
  timing: {settle: 2s, nodeStable: 1s}
"""


VARIABLES = {"cluster": ".*", "__rate_interval": "2m", "__range": "1h"}
"""What Grafana puts into the queries of its panels."""


def declare(specs: Path, vm: str, node: str, more: str = "") -> None:
    """One placement."""
    document = {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "VirtualMachinePlacement",
        "metadata": {"name": vm.lower()},
        "spec": {"cluster": "demo", "vm": {"name": vm}, "owners": {"preferred": [node]}},
    }
    (specs / f"{vm.lower()}.yaml").write_text(yaml.safe_dump(document) + more)


class MadePage:
    """A controller's page made of reports: what a healthy one can't be brought to show."""

    def __init__(self) -> None:
        self.leads = True
        traffic = Traffic(requests={}, logon_failures=0)
        self._metrics = Metrics(
            version="0", fetched=dict, traffic=lambda _: traffic, leads=lambda: self.leads
        )
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = asyncio.run(page._metrics.render())
                self.send_response(200)
                self.send_header("content-type", CONTENT_TYPE)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.handler = Handler

    async def show(self, report: ClusterReport) -> None:
        """Take a report of the cluster `made`."""
        await self._metrics.show(replace(report, cluster="made"))

    def fail_a_cycle(self) -> None:
        """As after an exception that nobody foresaw."""
        self._metrics.work.ended("made", failed=True)


@pytest.mark.timeout(300)
def test_every_alert_fires_for_its_cause_and_clears(tmp_path: Path) -> None:
    """And every panel and every rule has something to show."""
    asyncio.run(_story(tmp_path))


async def _story(place: Path) -> None:
    (place / "specs").mkdir()
    for vm in VMS:
        declare(place / "specs", vm, "HV01")
    for name, text in (("world", WORLD), ("declared", CLUSTER)):
        (place / f"{name}.yaml").write_text(text)
    target = f"127.0.0.1:{free_port()}"
    made = MadePage()
    world, declared = place / "world.yaml", place / "declared.yaml"
    with loopback.serving(made.handler) as page:
        jobs = {"ownernode": target, "made": page}
        async with (
            serve_world(world, place, declared=declared) as site,
            prometheus(place / "prometheus", jobs) as watcher,
        ):
            seen = Seen(watcher)
            await seen.fires("OwnernodeAbsent")
            async with controller(place, target) as process:
                await seen.is_over("OwnernodeAbsent")
                await _people(place, target, seen)
                await _fight(place, site.world, seen)
                await _outages(place, site.world, process, seen)
                await _panels(watcher)
            await _made(made, seen)
            assert seen.names == {alert["alert"] for alert in alerts()}


class Seen:
    """Which alerts were seen to fire and to clear again."""

    def __init__(self, watcher: Prometheus) -> None:
        self.watcher = watcher
        self.names: set[str] = set()

    async def fires(self, name: str) -> None:
        """Return once it fires."""
        await self.watcher.fires(name)

    async def is_over(self, name: str) -> None:
        """Return once it no longer fires; counts only what fired."""
        await self.watcher.is_over(name)
        self.names.add(name)


async def _people(place: Path, target: str, seen: Seen) -> None:
    """A canary, a forgotten stop, a commit so big that it waits for approval, a faulty spec."""
    specs = place / "specs"
    for vm in VMS[:4]:
        declare(specs, vm, "HV02")
    await seen.fires("OwnernodeBrakeEngaged")
    await seen.is_over("OwnernodeBrakeEngaged")

    async def all_done() -> bool:
        return bool(await seen.watcher.query("ownernode_drifted_vms{job='ownernode'} == 0"))

    await until("the canary and the rest are done", all_done)
    await seen.watcher.is_over("OwnernodeDriftTooOld")
    await command(place, target, "stop", "--reason", "cabling", "--owner", "anna")
    await seen.fires("OwnernodeStopForgotten")
    for vm in VMS:
        declare(specs, vm, "HV01" if vm in VMS[:4] else "HV02")
    await seen.fires("OwnernodeDriftTooOld")
    await command(place, target, "resume", "--reason", "done", "--owner", "anna")
    await seen.is_over("OwnernodeStopForgotten")
    await seen.fires("OwnernodeApprovalWaiting")
    waiting = json.loads(await command(place, target, "status", "-o", "json"))["waiting"]
    digest = waiting[0]["digest"]
    await command(place, target, "approve", digest, "--reason", "meant", "--owner", "anna")
    await seen.is_over("OwnernodeApprovalWaiting")
    await seen.is_over("OwnernodeDriftTooOld")
    declare(specs, VMS[0], "HV01", "  colour: red\n")
    await seen.fires("OwnernodeSpecsRefused")
    declare(specs, VMS[0], "HV01")
    await seen.is_over("OwnernodeSpecsRefused")


async def _fight(place: Path, world: Any, seen: Seen) -> None:
    """Somebody moves a VM away again; with one move a day the controller gives up."""
    world.move_live(VMS[7], "HV03")

    async def has_moved() -> bool:
        return world.truth_of(VMS[7]).owner_node == "HV03"

    await until("the administrator's move", has_moved)
    await seen.fires("OwnernodeContestedVM")
    declare(place / "specs", VMS[7], "HV03")
    await seen.is_over("OwnernodeContestedVM")


async def _outages(
    place: Path, world: Any, process: asyncio.subprocess.Process, seen: Seen
) -> None:
    """A node is isolated and silent, the process is starved, the password is wrong."""
    right = (place / "account").read_text()
    (place / "account").write_text("username=demo\npassword=wrong\n")
    world.crash_node("HV03")
    await seen.fires("OwnernodeObservationStale")
    world.boot_node("HV03")
    await seen.fires("OwnernodeLogonFailures")
    await seen.fires("OwnernodeNoSuccessfulCycle")
    await seen.is_over("OwnernodeLogonFailures")
    (place / "account").write_text(right)
    await seen.is_over("OwnernodeNoSuccessfulCycle")
    await seen.is_over("OwnernodeObservationStale")
    for _ in range(6):
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.4)
        process.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.4)
    await seen.fires("OwnernodeLoopLag")
    await seen.is_over("OwnernodeLoopLag")


async def _panels(watcher: Prometheus) -> None:
    """An empty panel looks like good news."""
    for path in sorted((ROOT / "deploy/grafana").glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for query in panel["targets"]:
                expression = query["expr"]
                for name, value in (
                    ("cluster", ".*"),
                    ("__rate_interval", "2m"),
                    ("__range", "1h"),
                ):
                    expression = expression.replace(f"${name}", value)
                assert await watcher.query(expression), (path.name, panel["title"], expression)


async def _made(made: MadePage, seen: Seen) -> None:
    report = reports.report()
    unknown = tuple(
        replace(vm, intent=replace(vm.intent, unknown=True)) if vm.intent else vm
        for vm in report.vms
    )
    await made.show(replace(report, vms=unknown))
    await seen.fires("OwnernodeOutcomeUnknown")
    await made.show(report)
    await seen.is_over("OwnernodeOutcomeUnknown")
    made.leads = False
    await seen.fires("OwnernodeNoLeader")
    made.leads = True
    await seen.is_over("OwnernodeNoLeader")
    made.fail_a_cycle()
    await seen.fires("OwnernodeCyclesFail")
    await seen.is_over("OwnernodeCyclesFail")
