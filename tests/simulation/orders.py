"""The commands of the controller, each followed from the wire to its end in truth."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from controller.simulator.inventory import Migration
from controller.simulator.jobs import Job
from controller.simulator.states import Cause, VmState
from controller.simulator.world import World
from tests.support.in_process import Call

ON_NODES = frozenset({"suspendNode", "resumeNode", "setFolders"})
AT_ONCE = ON_NODES | {"setRole", "setProcessor"}
"""Operations whose effect is there when the node answers."""


class Leg(Enum):
    """How far a command has come."""

    TRAVELLING = auto()
    """It left; no node has acted on it yet."""
    UNDER_WAY = auto()
    """A node accepted it, and its effect is not complete."""
    ENDED = auto()
    """Its effect is there, or has failed."""
    REFUSED = auto()
    """The node did nothing."""
    LOST = auto()
    """It will never reach a node."""


@dataclass(slots=True, kw_only=True)
class Order:
    """One command."""

    call: Call
    at_seconds: float
    life: int
    """Which journal it was written to: counts up each time a journal is lost."""
    hop: bool
    leg: Leg = Leg.TRAVELLING
    arrived_seconds: float | None = None
    ended_seconds: float | None = None
    accepted: int = 0
    """How often a node acted on it."""
    flight: Migration | None = None
    job: Job | None = None
    landed: bool = False
    """A move: whether the VM got there."""
    unknown: bool = False
    """Whether the controller was left in doubt about it."""
    replied: bool = False
    """Whether the node's answer reached the controller."""
    refused_for: str | None = None
    shown: bool = False
    """Whether the controller was shown that it got there."""

    @property
    def kind(self) -> str:
        """The operation of docs/protocol.md."""
        return self.call.operation

    @property
    def vm_id(self) -> str | None:
        """None for a creation."""
        vm_id: str | None = self.call.arguments.get("vmId")
        return vm_id

    @property
    def name(self) -> str | None:
        """Folded name of the VM to create."""
        name: str | None = self.call.arguments.get("name")
        return None if name is None else name.lower()

    @property
    def source(self) -> str:
        """The node that is asked to do it."""
        return self.call.node

    @property
    def target(self) -> str:
        """The node on which the VM is to be afterwards."""
        return str(self.call.arguments.get("target") or self.call.node)

    @property
    def is_on_node(self) -> bool:
        """Whether it is about a node and no VM."""
        return self.kind in ON_NODES

    @property
    def is_open(self) -> bool:
        """Whether it may still have an effect that is not there yet."""
        return self.leg in (Leg.TRAVELLING, Leg.UNDER_WAY)

    def follow(self, world: World) -> None:
        """Find out whether what was accepted has ended."""
        if self.leg is not Leg.UNDER_WAY or self._is_going_on(world):
            return
        self.leg = Leg.ENDED
        self.ended_seconds = world.now
        vm = world.cluster.vms.get(self.vm_id or "")
        self.landed = vm is not None and vm.node.lower() == self.target.lower()

    def _is_going_on(self, world: World) -> bool:
        if self.kind in AT_ONCE:
            return False
        if self.job is not None:
            return self.job.state == "Running" and not self.job.killed
        role = world.cluster.roles.get(self.vm_id or "")
        vm = world.cluster.vms.get(self.vm_id or "")
        if role is None or vm is None:
            return False
        if self.kind == "startRole":
            return vm.state is VmState.Starting
        waits = role.next_target is not None and role.next_target.lower() == self.target.lower()
        flight = world.cluster.migrations.get(vm.id)
        if flight is not None and flight is not self.flight and waits is False:
            mine = flight.cause is Cause.CONTROLLER and self.flight is None
            self.flight = flight if mine else self.flight
        return waits or (flight is not None and flight is self.flight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An intent as the file of the journal holds it."""

    id: str
    state: str
    kind: str
    hop: bool
    vm_id: str | None
    target: str


def read_intents(journal: Path) -> dict[str, Entry]:
    """Every intent in the file, as another process would find it now."""
    if not journal.exists():
        return {}
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as reader:
        try:
            rows = reader.execute("SELECT key, body FROM entries WHERE kind = 'intent'").fetchall()
        except sqlite3.Error:
            return {}
    return {key: _entry(key, json.loads(body)) for key, body in rows}


def is_empty(journal: Path) -> bool:
    """Whether a controller that starts now finds nothing in the file."""
    if not journal.exists():
        return True
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as reader:
        try:
            return reader.execute("SELECT count(*) FROM entries").fetchone() == (0,)
        except sqlite3.Error:
            return True


def read_intent(journal: Path, intent: str) -> Entry | None:
    """One intent of the file."""
    if not journal.exists():
        return None
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as reader:
        row = reader.execute(
            "SELECT body FROM entries WHERE kind = 'intent' AND key = ?", (intent,)
        ).fetchone()
    return None if row is None else _entry(intent, json.loads(row[0]))


def _entry(key: str, body: dict[str, Any]) -> Entry:
    return Entry(
        id=key,
        state=body["state"],
        kind=body["kind"],
        hop=body["hop"],
        vm_id=body["vm_id"],
        target=body["target"],
    )
