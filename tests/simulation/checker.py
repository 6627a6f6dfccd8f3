"""The independent judge: it sees the truth, the wire and the journal's file, never the controller.

It is told of every event of the world, every reply that reaches the controller and every command,
and holds the table `INVARIANTS` against them. What it finds is kept in `violations`; the first one
ends a run.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controller.model.names import same_name
from controller.model.report import ClusterReport
from controller.simulator.states import Cause
from controller.simulator.world import World
from tests.simulation.before import Before, truth_before
from tests.simulation.evidence import DOWN, JOINING, Evidence, Note, Shown
from tests.simulation.limits import Limits
from tests.simulation.orders import Entry, Leg, Order, is_empty, read_intent, read_intents
from tests.simulation.upkeeps import Upkeep, read_upkeeps
from tests.simulation.wants import Specs, Want, read_wants
from tests.simulation.wire import Reply
from tests.support.in_process import Call

_UNSURE = ("Moving", "Unknown")
SHRINK_VMS, SHRINK_SHARE = 2, 0.05
SPECS_READ_SECONDS = 1.5
"""A change of the specs is known after the next stat scan, one a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    at_seconds: float
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.at_seconds:.1f} s: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMove:
    """A change of owner that we did not order, and when the controller was first shown it."""

    vm_id: str
    source: str
    target: str
    at_seconds: float
    live: bool
    known: bool
    """Whether the controller had told where the VM was before."""
    shown_seconds: float | None = None
    judged: bool = False
    """Whether a report was made since it was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """People forbade the controller to act; folded name of a VM or a node, empty: altogether."""

    what: str
    at_seconds: float
    by_flag: bool = False
    """By the flag in the cluster."""


CLAIM = "claimEpoch"
"""No command on a VM: it only says whose commands count from then on."""
Rule = Callable[["Checker", Any], Iterator[str]]


@dataclass(slots=True, kw_only=True)
class Checker:
    """One run's judge."""

    world: World
    limits: Limits
    journal: Path
    on_command: Mapping[str, tuple[Rule, ...]]
    on_effect: Mapping[str, tuple[Rule, ...]]
    on_step: Mapping[str, tuple[Rule, ...]]
    on_report: Mapping[str, tuple[Rule, ...]]
    at_end: Mapping[str, tuple[Rule, ...]]
    evidence: Evidence = field(init=False)
    orders: list[Order] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    """How often each invariant was asked: one that never is proves nothing."""
    foreign: list[ForeignMove] = field(default_factory=list)
    moved_by_us: list[tuple[str, str, str]] = field(default_factory=list)
    """(VM id, source, target) of each move of ours that took place in truth."""
    journal_life: int = 0
    journal_is_new: bool = True
    """Whether the controller began with an empty journal and has not given a command since."""
    looks_quiet: int = 0
    quiet_seconds: float = -1.0
    """When the last reply of the last of those looks was made."""
    disk_is_full: bool = False
    stops: list[Stopped] = field(default_factory=list)
    shrunk_seconds: float | None = None
    """Since when so many VMs are gone from the specs that somebody has to agree."""
    clock_jumped_seconds: float = -1e9
    """When the controller's clock was last set: its waits may have been cut short by that."""
    thawed_seconds: float = -1e9
    """When the process last went on after it had stood still."""
    _declared: list[tuple[float, dict[str, Want]]] = field(default_factory=list)
    _maintained: list[tuple[float, tuple[Upkeep, ...]]] = field(default_factory=list)
    _bound: dict[str, frozenset[str]] = field(default_factory=dict)
    _before: dict[int, Before] = field(default_factory=dict)
    _shrunk_from: set[str] = field(default_factory=set)
    _told: dict[str, tuple[str, int]] = field(default_factory=dict)
    """VM id -> where the controller said it is, and in which life of the journal."""
    _moves: dict[str, int] = field(default_factory=dict)
    commands_seen: int = 0
    """How many of the world's commands were looked at."""

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.world)
        self._moves = {vm_id: len(moves) for vm_id, moves in self.world.moves.items()}

    # ---- what the play tells

    def declare(self, specs: Specs) -> None:
        """These placements are in force from now on, and no others."""
        if self._declared:
            before = self._shrunk_from or set(self.wants)
            gone = len(before - set(specs))
            if gone <= max(SHRINK_VMS, SHRINK_SHARE * len(before)):
                self.shrunk_seconds, self._shrunk_from = None, set()
            elif self.shrunk_seconds is None:
                self.shrunk_seconds, self._shrunk_from = self.world.now, before
        self._declared.append((self.world.now, read_wants(specs)))
        self._bind()

    def maintain(self, maintenances: Specs) -> None:
        """These documents about nodes are in force from now on, and no others."""
        self._maintained.append((self.world.now, read_upkeeps(maintenances)))

    def upkeeps_since(self, seconds: float) -> list[tuple[Upkeep, ...]]:
        """Every set of documents about nodes that was in force at some moment since."""
        later = [upkeeps for at, upkeeps in self._maintained if at > seconds]
        earlier = [upkeeps for at, upkeeps in self._maintained if at <= seconds]
        return [*earlier[-1:], *later] or [()]

    def resume(self, what: str, *, by_flag: bool = False) -> None:
        """People end every stop of that kind, however many there were."""
        self.stops = [s for s in self.stops if (s.what, s.by_flag) != (what, by_flag)]

    def process_started(self) -> None:
        """A controller starts, with what the journal's file tells it."""
        self.evidence.forget()
        self.looks_quiet, self.quiet_seconds = 0, -1.0
        self.journal_is_new = is_empty(self.journal)

    def journal_lost(self) -> None:
        """The file is gone, or an older one is in its place."""
        self.journal_life += 1
        self.shrunk_seconds = None
        self.evidence.away.clear()
        # With it goes the memory of what others moved, and until when that is respected.
        self.foreign = [replace(move, known=False) for move in self.foreign]
        # And what people stopped by a word to the process; the cluster's own flag stays.
        self.stops = [stop for stop in self.stops if stop.by_flag]

    # ---- what the wire tells (Onlooker)

    def note(self, node: str) -> Note:
        return self.evidence.note()

    def asks(self, node: str, at_seconds: float) -> None:
        self.evidence.asks(node, at_seconds)

    def shown(self, asked_seconds: float, reply: Reply, *, stale: bool) -> None:
        self.evidence.add(asked_seconds, reply, stale=stale)
        self._bind()
        self._show_moves(reply)
        self._count_quiet()

    def leaves(self, call: Call) -> None:
        self.step()
        if call.operation == CLAIM:
            if self.limits.mode == "Observe":
                self.accuse("I19", "a claim in mode Observe")
            return
        entry = read_intent(self.journal, str(call.arguments.get("intent")))
        order = Order(
            call=call,
            at_seconds=self.world.now,
            life=self.journal_life,
            hop=entry is not None and entry.hop,
        )
        self.orders.append(order)
        self._ask(self.on_command, order)
        self.journal_is_new = False

    def arrives(self, call: Call) -> None:
        if call.operation == CLAIM:
            return
        order = self._order(call)
        order.arrived_seconds = self.world.now
        self._before[call.number] = truth_before(self.world, order)

    def executed(self, call: Call, reply: Mapping[str, Any]) -> None:
        if call.operation == CLAIM:
            self.step()
            return
        order = self._order(call)
        data = reply["data"]
        order.refused_for = data.get("condition") if reply["ok"] else None
        submitted = reply["ok"] and data["outcome"] == "submitted"
        acted = submitted or len(self.world.commands) > self.before(order).cmdlets
        if submitted:
            order.accepted += 1
            order.leg = Leg.UNDER_WAY
            order.job = self.world.jobs.find(call.node, call.arguments["intent"])
            if order.flight is None and not self.before(order).in_flight:
                order.flight = self.world.cluster.migrations.get(order.vm_id or "")
        elif order.accepted == 0:
            order.leg = Leg.REFUSED
        if acted:
            self._ask(self.on_effect, order)
        self.step()

    def answered(self, call: Call, *, known: bool) -> None:
        if call.operation != CLAIM:
            self._order(call).unknown = not known
            self._order(call).replied = known

    def lost(self, call: Call) -> None:
        if call.operation == CLAIM:
            return
        order = self._order(call)
        if order.leg is Leg.TRAVELLING:
            order.leg = Leg.LOST

    # ---- what the world tells

    def step(self) -> None:
        """Something happened in the world."""
        for order in self.orders:
            if order.leg is Leg.UNDER_WAY:
                order.follow(self.world)
        self._notice_moves()
        self._ask(self.on_step, None)

    def report(self, report: ClusterReport) -> None:
        """The controller showed a report."""
        for vm in report.vms:
            if vm.vm_id is not None and vm.owner is not None and vm.verdict not in _UNSURE:
                self._told[vm.vm_id] = (vm.owner, self.journal_life)
        for node in self.world.cluster.nodes:
            view = self.evidence.view_of(node)
            # What is seen while the journal's disk is full is forgotten with the process.
            if view is not None and view["state"] in (DOWN, JOINING) and not self.disk_is_full:
                self.evidence.away[node] = self.world.now
        for i, move in enumerate(self.foreign):
            if move.shown_seconds is not None and not move.judged:
                # A node that we can't see has failed, by the rules of the controller.
                silent = self.evidence.last(move.source) is None
                self.foreign[i] = replace(move, judged=True, known=move.known and not silent)
        self._ask(self.on_report, report)

    def finish(self) -> None:
        """The run is over, and everything has come to rest."""
        self._ask(self.at_end, None)

    def accuse(self, invariant: str, detail: str) -> None:
        """Write down a violation."""
        self.violations.append(
            Violation(invariant=invariant, at_seconds=self.world.now, detail=detail)
        )

    # ---- what rules ask

    def before(self, order: Order) -> Before:
        """The truth right before the node acted."""
        return self._before[order.call.number]

    def wants_then(self, order: Order) -> list[Want]:
        """The placements of the command's VM, as they were declared since its evidence was read."""
        shown = self.evidence.last(order.source)
        asked = shown.asked_seconds if shown is not None else order.at_seconds
        return [
            want
            for wants in self.declared_since(asked - SPECS_READ_SECONDS)
            for want in wants.values()
            if self.is_meant(want, order)
        ]

    def declared_since(self, seconds: float) -> list[dict[str, Want]]:
        """Every declaration that was in force at some moment since."""
        later = [wants for at, wants in self._declared if at > seconds]
        earlier = [wants for at, wants in self._declared if at <= seconds]
        return [*earlier[-1:], *later]

    @property
    def wants(self) -> dict[str, Want]:
        """What is declared now."""
        return self._declared[-1][1]

    def declared_at(self, order: Order) -> float:
        """When what is declared of the command's VM was last changed."""
        latest = -1.0
        meant = {}
        for at, wants in self._declared:
            for want in wants.values():
                if self.is_meant(want, order) and meant.get(want.spec) != want:
                    meant[want.spec], latest = want, at
        return latest

    def what(self, order: Order) -> str:
        """The command in words."""
        if order.is_on_node:
            return f"{order.kind} {order.target}"
        vm = order.call.arguments.get("name") or self.name_of(order.vm_id)
        return f"{order.kind} {vm} {order.source} -> {order.target}"

    def is_meant(self, want: Want, order: Order) -> bool:
        """Whether the spec means the command's VM."""
        if order.vm_id is None:
            return want.name == order.name
        return order.vm_id in self.meant(want)

    def meant(self, want: Want) -> frozenset[str]:
        """Ids of the VMs that a spec may mean: those that bore its name when it was first seen."""
        if want.id is not None:
            return frozenset({want.id})
        return self._bound.get(want.name or "", frozenset())

    def others_of(self, order: Order) -> Iterator[Order]:
        """Earlier commands on the same VM."""
        for other in self.orders:
            same_vm = order.vm_id is not None and order.vm_id == other.vm_id
            same_vm |= order.is_on_node and same_name(order.target, other.target)
            if other is not order and (same_vm or (order.name and order.name == other.name)):
                yield other

    def role_shown(self, order: Order) -> Mapping[str, Any] | None:
        """The role as its owner showed it last."""
        shown = self.evidence.last(order.source)
        return shown.role(order.vm_id) if shown is not None else None

    def name_of(self, vm_id: str | None) -> str:
        """For people."""
        vm = self.world.cluster.vms.get(vm_id or "")
        return vm.name if vm is not None else str(vm_id)

    def intents(self) -> Mapping[str, Entry]:
        """What the journal's file holds."""
        return read_intents(self.journal)

    # ---- helpers

    def _ask(self, table: Mapping[str, tuple[Rule, ...]], subject: Any) -> None:
        for invariant, rules in table.items():
            self.held[invariant] += 1
            for rule in rules:
                for detail in rule(self, subject):
                    self.accuse(invariant, detail)

    def _order(self, call: Call) -> Order:
        return next(o for o in reversed(self.orders) if o.call.number == call.number)

    def _bind(self) -> None:
        """A name means the VMs that bear it when first seen, however they are called later."""
        if not self._declared:
            return
        for want in self.wants.values():
            if want.name is not None and not self._bound.get(want.name):
                self._bound[want.name] = frozenset(
                    vm.id for vm in self.world.cluster.vms.values() if vm.name.lower() == want.name
                )

    def _show_moves(self, reply: Reply) -> None:
        listed = {vm["id"] for vm in reply.data["vms"]}
        for order in self.orders:
            there = same_name(order.target, reply.node) and order.vm_id in listed
            there = there and order.vm_id not in reply.truth.flights
            if order.landed and there and reply.made_seconds >= (order.ended_seconds or 0.0):
                order.shown = True
        for i, move in enumerate(self.foreign):
            here = move.target.lower() == reply.node.lower()
            since = reply.made_seconds >= move.at_seconds
            if move.shown_seconds is None and here and since and move.vm_id in listed:
                self.foreign[i] = replace(move, shown_seconds=self.world.now)

    def _count_quiet(self) -> None:
        """Looks that showed every node, with nothing in flight in truth."""
        shown: list[Shown] = list(self.evidence.current())
        moving = {vm_id for s in shown for vm_id in s.note.flights}
        # Replies of one look, or of two at one moment, are no second look. Asked, not made: that a
        # node's provider repeats itself, nobody can tell who asks it.
        is_new = min((s.asked_seconds for s in shown), default=0.0) > self.quiet_seconds
        quiet = not any(self.evidence.shows_move(v) for v in moving)
        if is_new and quiet and self.evidence.is_complete():
            self.looks_quiet += 1
            self.quiet_seconds = max(s.asked_seconds for s in shown)

    def _notice_moves(self) -> None:
        for vm_id, moves in self.world.moves.items():
            for moved in moves[self._moves.get(vm_id, 0) :]:
                # A move that somebody asked for behind ours bears our name in the world's record.
                ordered = any(
                    o.vm_id == vm_id
                    and same_name(o.target, moved.target)
                    and (o.leg is Leg.UNDER_WAY or o.ended_seconds == self.world.now)
                    for o in self.orders
                )
                if moved.cause is Cause.CONTROLLER and ordered:
                    self.moved_by_us.append((vm_id, moved.source, moved.target))
                    if not moved.live:
                        self.accuse("I25", f"the guest of {self.name_of(vm_id)} noticed our move")
                    continue
                self.foreign.append(
                    ForeignMove(
                        vm_id=vm_id,
                        source=moved.source,
                        target=moved.target,
                        at_seconds=moved.at_seconds,
                        live=moved.live,
                        known=self._told.get(vm_id) == (moved.source, self.journal_life),
                    )
                )
            self._moves[vm_id] = len(moves)
