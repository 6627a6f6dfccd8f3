"""What a restart must not forget: ids bound, own moves, open intents, moves by others.

History is pure data. The journal holds the entries from which it is rebuilt; `planning/absorb.py`
brings it forward with each snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from controller.model.checkup import Check
from controller.model.control import Approval, Order, Stop
from controller.model.setting import Change


class IntentState(StrEnum):
    """How far an intent got, by what was *seen*; a return code never ends one."""

    OPEN = "Open"
    DONE = "Done"
    NOT_DONE = "NotDone"
    """Refused by the node, or two complete looks `settle` apart showed no effect, no movement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One command that was sent, or perhaps sent. Durable before the command leaves."""

    id: str
    kind: str
    """An ActionKind value; a string here because history is older than any enum."""
    key: str
    """The VMDesired's key."""
    vm: str
    """What a person calls the VM."""
    vm_id: str | None
    source: str | None
    target: str
    hop: bool
    revision: str
    opened_at: datetime
    state: IntentState = IntentState.OPEN
    closed_at: datetime | None = None
    detail: str = ""
    refused: bool = False
    """A node found a condition untrue and did nothing; `detail` begins with its name."""
    first_quiet_at: datetime | None = None
    """Start of the first complete observation that showed it neither done, queued nor under way."""
    last_active_at: datetime | None = None
    """Last observation that showed it under way."""
    code: int | None = None
    """Why it had no effect, as an HRESULT (`model.failures`), where a node told one."""
    pause_seconds: float | None = None
    """How long the guest stood still in a move that was done, where a node told."""
    unknown: bool = False
    """The reply was lost: whether it left at all is not known."""
    change: Change | None = None
    """Of a Configure: what it writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where a VM was last seen at rest, by a complete enough look."""

    vm_id: str
    owner: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMove:
    """A change of owner that we did not order."""

    vm_id: str
    source: str
    target: str
    seen_at: datetime
    failover: bool = False
    """The node it left was not Up or did not answer: nobody chose this, so nothing to respect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMove:
    """A move of ours that was seen done."""

    vm_id: str
    source: str
    target: str
    started_at: datetime
    seen_at: datetime
    hop: bool
    revision: str
    pause_seconds: float | None = None
    """How long the guest stood still, where a node told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTrace:
    """What a node remembers of a migration that is over."""

    codes: tuple[int, ...] = ()
    """HRESULTs in its events about that VM, oldest first."""
    failure_code: int | None = None
    """Of the last migration of that VM, whoever asked for it."""
    pause_seconds: float | None = None
    """How long the guest stood still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecMark:
    """How the spec of one VM changed. Digests cover what decides about the VM, not where it stands
    in which file."""

    key: str
    """The VMDesired's key."""
    digest: str
    """Of the spec as last seen."""
    since: datetime
    """When the spec was first seen so."""
    accepted: str
    """Of the spec that the VM last complied with, or that a person accepted; empty: of none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one of the last commands ended, for brakes to count."""

    intent: str
    key: str
    """The VMDesired's key."""
    vm: str
    failed: bool
    """It left, and had no effect. What a node refused because things had changed is no failure."""
    code: int | None = None
    """Why, as an HRESULT, where a node told one."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPlan:
    """In mode Suggest, the plan that waits for somebody's yes."""

    digest: str
    revision: str
    since: datetime
    """When this plan was first made."""
    actions: tuple[str, ...]
    """An identity of each action (`planning.approvals`)."""
    supersedes: str = ""
    """Digest of the plan that waited or was approved before it; empty: there was none."""
    because: str = ""
    """Why the former plan is not the plan any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """How often in a row nodes refused one kind of command for one VM at an unchanged spec."""

    key: str
    """The VMDesired's key."""
    kind: str
    """An ActionKind value."""
    count: int
    intent: str
    """The last one's id."""
    detail: str
    """The condition by which the last was refused, and what was found."""
    at: datetime
    """When the last was refused."""


def _empty() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The past of one cluster, as far as decisions need it."""

    cluster: str
    cluster_id: str | None = None
    """Of the cluster that this past is of, once it was seen whole: a name can change hands."""
    bound: Mapping[str, str] = field(default_factory=_empty)
    """VMDesired key -> VM id, once seen."""
    intents: tuple[Intent, ...] = ()
    """Open ones, and closed ones that rules still look at (creation marks, once-only starts)."""
    sightings: Mapping[str, Sighting] = field(default_factory=lambda: MappingProxyType({}))
    foreign: tuple[ForeignMove, ...] = ()
    moves: tuple[OwnMove, ...] = ()
    absent_since: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """Key -> start of the first of a run of complete observations without the VM."""
    absent_cycles: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    complete_cycles: int = 0
    """Successive complete observations since the process began or the journal was lost."""
    quiet_cycles: int = 0
    """Those of them, at the end, that showed nothing in flight."""
    epoch: int | None = None
    """The fencing epoch that this process claimed; None before it did."""
    holder: str = ""
    """GUID under which this process claims; drawn anew at each start, so never journalled."""
    unfit: tuple[Check, ...] = ()
    """What failed when this process last examined the nodes; of this process, never journalled."""
    superseded: bool = False
    """A newer epoch than ours was seen: another controller took over, and this one only looks."""
    stops: tuple[Stop, ...] = ()
    """In force, by anybody's order."""
    approvals: tuple[Approval, ...] = ()
    waiting: WaitingPlan | None = None
    """In mode Suggest, what waits for a yes: after a restart still the same."""
    specs: Mapping[str, SpecMark] = field(default_factory=lambda: MappingProxyType({}))
    """By VMDesired key, also of VMs that vanished from the specs until that is accepted."""
    nodes_away: frozenset[str] = frozenset()
    """Folded names of nodes not Up, or draining, isolated or quarantined, when last seen."""
    node_up_since: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """Folded name -> since when a node that was away is back. A node always seen Up is not here."""
    results: tuple[Result, ...] = ()
    """Of the last ten commands that ended, oldest first."""
    refusals: tuple[Refusals, ...] = ()
    """By key and kind: none where the last command was done, or the last refusal is a day old."""
    last_look_at: datetime | None = None
    """None before the first look of this process."""
    clock_jumped_at: datetime | None = None
    trusted: bool = False
    """Whether the journal was there at the start; else nothing acts before enough quiet cycles."""

    @property
    def open_intents(self) -> tuple[Intent, ...]:
        """Intents whose outcome is not seen yet."""
        return tuple(i for i in self.intents if i.state is IntentState.OPEN)

    def open_for(self, key: str) -> Intent | None:
        """The open intent on that VM; there is at most one."""
        return next((i for i in self.open_intents if i.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCommand:
    """One command that was given, or perhaps given."""

    intent: Intent
    why: str
    """Why it was due; empty when its process died before it knew what came of it."""
    result: str | None
    """An OutcomeResult value: what was known right after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was done to one cluster in the last 90 days, oldest first: for people, not for rules."""

    commands: tuple[PastCommand, ...]
    foreign: tuple[ForeignMove, ...]
    orders: tuple[Order, ...]
