"""Plays one scenario: the world and the production engine on virtual time, step by step."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from controller.adapters.specs.documents import OPERATOR_KINDS, read_documents
from controller.model.document import Document
from controller.model.plan import Action
from controller.model.report import ClusterReport
from controller.simulator.config import load_world
from tests.scenarios.narrator import Narrator
from tests.scenarios.steps import operation_of, perform
from tests.scenarios.witness import Witness
from tests.support.in_process import Call
from tests.support.process import Site

# The witness looks this often, and steps happen on such instants.
TICK_SECONDS = 0.5
# A scenario that has not ended by then never will.
LONGEST_SECONDS = 1800.0
# What a step does needs time to show: nothing earlier after the last one counts as an end.
SETTLING_SECONDS = 35.0
# What has converged must stay so, without a further command.
SILENCE_SECONDS = 600.0

_SEEDS = ("hv01.corp.example", "hv02.corp.example")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario.yaml. Its `story` is for people; the rest is played."""

    title: str
    story: str
    world: Mapping[str, Any]
    config: Mapping[str, Any]
    """The spec of the FailoverCluster, but for the connection."""
    specs: Mapping[str, Mapping[str, Any]]
    """Name -> the spec of a VirtualMachinePlacement, but for the cluster."""
    until: str | float
    """`converged`, or seconds."""
    ends: Mapping[str, Any]
    maintenances: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name -> the spec of a NodeMaintenance, but for the cluster."""
    second: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As `specs`, for a second controller, should one be started."""
    steps: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def load(cls, folder: Path) -> "Scenario":
        """Read the folder's scenario.yaml."""
        given = yaml.safe_load((folder / "scenario.yaml").read_text())
        return cls(**{**given, "steps": tuple(given.get("steps", ()))})


class Play:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.narrator = Narrator()
        self.world = load_world(yaml.safe_dump(_world(scenario.world)))
        cluster = cluster_document(scenario.config)
        limits = cluster.model.spec.migration
        self.witness = Witness(
            self.world,
            self.narrator,
            per_node=limits.per_node,
            per_cluster=limits.per_cluster,
        )
        self.site = Site(
            world=self.world,
            cluster=cluster,
            folder=folder,
            sinks=[self.narrator, self],
            leaving=self._leaving,
            at=self._dies,
        )
        self.dies_at: str | None = None
        """The port call at which the controller is to die, once."""
        self.report: ClusterReport | None = None
        self.given: asyncio.Task[str] | None = None
        """The last order that a person gave."""
        self.second = Site(
            world=self.world,
            cluster=cluster,
            folder=folder / "second",
            sinks=[self.narrator.other("second")],
            leaving=self._leaving,
            wire=self.site.wire,
        )
        """A second controller on the same cluster, with its own state and specs."""
        self._last_step: float | None = None
        self.site.wire.arrives_late = self._arrives_late
        self._specs = scenario.specs
        self._maintenances = scenario.maintenances
        self._declare()
        self.second.declare(scenario.second)

    async def show(self, report: ClusterReport) -> None:
        """Keep the last report (a StatusSink)."""
        self.report = report
        self.witness.look()

    async def run(self) -> None:
        """Play every step, then on until the end, then ten minutes of silence if it converged."""
        loop = asyncio.get_running_loop()
        steps = [*self.scenario.steps]
        self._arm(steps)
        self._act_due(steps)
        self.start()
        while not self._is_over(steps, loop.time()):
            assert loop.time() < LONGEST_SECONDS, "no end in sight"
            await asyncio.sleep(TICK_SECONDS)
            self._tick(steps)
        if self.scenario.until == "converged":
            orders = len(self.witness.orders)
            lines = len(self.narrator.lines)
            silent_until = loop.time() + SILENCE_SECONDS
            while loop.time() < silent_until:
                await asyncio.sleep(TICK_SECONDS)
                self._tick(steps)
            assert len(self.witness.orders) == orders, self.narrator.lines[lines:]
        if self.given is not None:
            await self.given
        await self.site.end()
        await self.second.end()

    def start(self) -> None:
        """Start a controller."""
        self.narrator.say("supervisor", "starts the controller")
        self.narrator.forget()
        self.report = None
        self.site.start()

    def start_second(self) -> None:
        """Start another controller beside the first."""
        self.narrator.say("supervisor", "starts a second controller")
        self.witness.manage(spec["vm"]["name"] for spec in self.scenario.second.values())
        self.second.start()

    def _tick(self, steps: list[Mapping[str, Any]]) -> None:
        self.narrator.now_seconds = asyncio.get_running_loop().time()
        self.site.wire.caller.come_to_now()
        self.witness.look()
        self._act_due(steps)

    def _arm(self, steps: list[Mapping[str, Any]]) -> None:
        """Steps that happen in front of a command are done by the wire."""
        for step in [s for s in steps if "before" in s]:
            steps.remove(step)
            self.site.wire.before(operation_of(step["before"]), lambda step=step: self._do(step))

    def _act_due(self, steps: list[Mapping[str, Any]]) -> None:
        now = asyncio.get_running_loop().time()
        while steps and steps[0]["at"] <= now:
            self._do(steps.pop(0))

    def _do(self, step: Mapping[str, Any]) -> None:
        self._last_step = asyncio.get_running_loop().time()
        if "specs" in step:
            self.narrator.say("people", f"declare {', '.join(step['specs']) or 'nothing'}")
            self._specs = step["specs"]
            self._declare()
            return
        if "maintenances" in step:
            what = ", ".join(step["maintenances"]) or "no maintenance"
            self.narrator.say("people", f"declare {what}")
            self._maintenances = step["maintenances"]
            self._declare()
            return
        who, what = step["do"].split(" ", 1)
        if who != "supervisor":
            self.narrator.say(who, what)
        perform(self, step["do"])
        self.witness.look()

    def _declare(self) -> None:
        specs = self._specs
        self.site.declare(specs, self._maintenances)
        # An empty directory is a fault of the source: what was declared last stays in force.
        if specs:
            self.witness.manage(
                spec["vm"].get("name") or spec["vm"]["id"] for spec in specs.values()
            )

    def _is_over(self, steps: list[Mapping[str, Any]], now: float) -> bool:
        if steps:
            return False
        is_alive = self.site.is_alive
        if self.scenario.until != "converged":
            return now >= float(self.scenario.until)
        if self._last_step is not None and now < self._last_step + SETTLING_SECONDS:
            return False
        return is_alive and self.report is not None and self.report.converged

    def _leaving(self, action: Action, intent_id: str, journal: Path) -> None:
        self.witness.command_leaves(action, intent_id, journal)

    def _arrives_late(self, call: Call) -> None:
        self.narrator.now_seconds = asyncio.get_running_loop().time()
        self.narrator.say("fate", f"lets the late {call.operation} reach {call.node}")

    def _dies(self, moment: str) -> bool:
        self.narrator.now_seconds = asyncio.get_running_loop().time()
        if moment != self.dies_at:
            return False
        self.dies_at = None
        self.narrator.say("fate", f"kills the controller at {moment}")
        return True


def cluster_document(spec: Mapping[str, Any]) -> Document:
    """The operator's document of the simulated cluster."""
    document = {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "FailoverCluster",
        "metadata": {"name": "demo"},
        "spec": {
            "connection": {
                "nodes": list(_SEEDS),
                "authentication": "NTLM",
                "credentials": {"env": "OWNERNODE_ACCOUNT"},
            },
            **spec,
        },
    }
    text = yaml.safe_dump(document, sort_keys=False).encode()
    reading = read_documents({"config.yaml": text}, allowed=OPERATOR_KINDS)
    assert not reading.findings, reading.findings
    return reading.documents[0]


def _world(given: Mapping[str, Any]) -> dict[str, Any]:
    cluster = {"name": "demo", "domain": "corp.example", **given.get("cluster", {})}
    return {**given, "cluster": cluster}
