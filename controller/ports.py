"""What the engine asks of the outside; adapters implement these.

A method that may block is async; whoever implements it keeps its threads to itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.model.control import Fence, Order
from controller.model.document import Document
from controller.model.findings import Finding
from controller.model.history import History, Intent, MoveTrace
from controller.model.observed import ObservedState
from controller.model.plan import Action
from controller.model.report import ClusterReport, Outcome
from controller.model.source import SourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecReading:
    """Everything in force in one source at one revision, and all that is wrong with it now."""

    revision: str
    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    state: SourceState | None = None
    """What runs, and why what is newer does not; of a source that is followed."""


class SpecSource(Protocol):
    """Where placements come from."""

    async def read(self) -> SpecReading:
        """Give what is in force now. Never raises for bad documents: they become findings."""
        ...


class Observer(Protocol):
    """The eyes on one cluster."""

    async def observe(self) -> ObservedState:
        """Look at every node at once. What could not be seen is a gap, never an exception."""
        ...

    async def trace(self, intent: Intent) -> MoveTrace | None:
        """Ask what is remembered of a move of ours that is over; never raises, ends in seconds."""
        ...

    async def close(self) -> None:
        """Let go of every connection; never raises, ends within seconds even if nodes hang."""
        ...


class Actuator(Protocol):
    """The hands on one cluster."""

    async def claim(self, fence: Fence, node: str) -> str | None:
        """Ask the node to write this claim into the cluster database; return what went wrong.

        None: it was written, as far as that node can tell. Only an observation says who holds the
        cluster. Never raises for what the cluster or the wire does.
        """
        ...

    async def submit(self, action: Action, intent_id: str, fence: Fence) -> Outcome:
        """Give one conditional command to the node concerned and return; never await its effect.

        Never raises for what the cluster or the wire does: that is an outcome.
        The conditions are the fence, which must be the cluster's, and the action's own: VM id,
        source as owner, target fit, nothing in flight.
        """
        ...


class Journal(Protocol):
    """Memory that survives `kill -9`; a method that can't keep its word raises JournalBroken."""

    def load(self, cluster: str) -> History:
        """Rebuild history. With nothing there: an empty, untrusted history."""
        ...

    def open_intent(self, cluster: str, intent: Intent) -> None:
        """Make the intent durable. Only when this has returned may the command leave."""
        ...

    def keep(self, cluster: str, history: History, outcomes: Sequence[Outcome]) -> None:
        """Make durable whatever of history changed: bindings, closed intents, moves, sightings."""
        ...

    def note(self, order: Order) -> None:
        """Make durable that somebody gave this order, before it takes effect."""
        ...

    def close(self) -> None:
        """Flush and let go of the file."""
        ...


class StatusSink(Protocol):
    """One who is shown each report: metrics, page, status API, log, terminal."""

    async def show(self, report: ClusterReport) -> None:
        """Take the report; never raises."""
        ...


class TurnWatch(Protocol):
    """One who sees the turns of the process come and go: a work queue's metrics."""

    def due(self, turn: str) -> None:
        """A cycle is due and has not begun."""
        ...

    def began(self, turn: str) -> None:
        """A cycle began."""
        ...

    def ended(self, turn: str, *, failed: bool) -> None:
        """The cycle ended; `failed` if in a programming error, so that it is tried again."""
        ...


class Clock(Protocol):
    """Time as the engine sees it; virtual in simulations."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
