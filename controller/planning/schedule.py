"""Order moves so that memory and limits hold at every instant, with hops where full nodes swap.

First an order is found in which the moves could run one by one; moves for which there is none are
locked, and a locked knot is opened by a hop: a stop of one VM on a third node. Then the order is
replayed with everything that may run at once. The same replay with equal durations gives the waves,
with estimated ones the time.

Two moves into a node that is short of room keep their order, so what the order proved stays true.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller.model.names import fold
from controller.model.plan import HoldReason
from controller.model.policy import Policy
from controller.planning.guards import canary_width, domain_at_work
from controller.planning.view import View

WAVE_SECONDS: Final = 1.0
"""In the replay that counts waves every move lasts as long as every other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move of the plan."""

    key: str
    title: str
    memory_bytes: int
    source: str
    target: str
    urgent: bool
    """Whether it mends a hard rule, or makes room for that."""
    waits: bool = False
    """Whether something else of the same VM (its registration) has to be done before."""
    hop_for: str | None = None
    """Title of the VM for whose sake it is a stop on the way."""
    returns: bool = False
    """Whether it goes on from a hop of this plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A step with its wave, and the steps (by position) that must be done before it."""

    step: Step
    wave: int
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Why a step is not of the first wave."""

    reason: HoldReason
    node: str = ""
    domain: str = ""
    """The fault domain that it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Every step in order, or the knot that nothing opens."""

    timed: tuple[Timed, ...] = ()
    blocked: Mapping[str, Blocked]
    """By key: the first reason why its first step does not start now."""
    locked: tuple[Step, ...] = ()
    seconds_estimated: float = 0.0
    seconds_bound: float = 0.0
    spare: Mapping[str, int]
    """Room of each node that is left at every instant of the plan."""


def schedule(
    view: View, moves: Iterable[Step], hop_nodes: Callable[[str], Sequence[str]]
) -> Schedule:
    """Order the moves. `hop_nodes` names the fit nodes of a VM, by key.

    When `locked` is not empty, nothing else of the result is meant to be used.
    """
    policy = view.desired.policy
    ranked = _ranked(view, tuple(moves))
    ordered, locked = _opened(view, ranked, hop_nodes)
    if locked:
        return Schedule(locked=locked, blocked={}, spare={})
    width = canary_width(view, len({step.key for step in ordered}))
    waves = _Replay(view, ordered, lambda memory_bytes: WAVE_SECONDS, width).run()
    times = _Replay(view, ordered, lambda memory_bytes: move_seconds(policy, memory_bytes)).run()
    numbered = [(round(start / WAVE_SECONDS), i) for i, start in enumerate(waves.starts)]
    timed, spare = _with_dependencies(view, [(wave, ordered[i]) for wave, i in sorted(numbered)])
    return Schedule(
        timed=timed,
        blocked=waves.blocked,
        seconds_estimated=times.end,
        seconds_bound=_seconds_bound(view, ordered),
        spare=spare,
    )


def move_seconds(policy: Policy, memory_bytes: int) -> float:
    """How long a move is expected to take."""
    return policy.move_overhead_seconds + memory_bytes / policy.bandwidth_bytes_per_second


def _ranked(view: View, moves: Sequence[Step]) -> list[Step]:
    """Hard rules first, then what keeps the busiest node busy, the longest first, then by name."""
    load: dict[str, int] = {}
    for move in moves:
        for node in (move.source, move.target):
            load[node] = load.get(node, 0) + move.memory_bytes
    return sorted(
        moves,
        key=lambda m: (
            not m.urgent,
            -max(load[m.source], load[m.target]),
            -m.memory_bytes,
            m.key,
        ),
    )


def _opened(
    view: View, moves: list[Step], hop_nodes: Callable[[str], Sequence[str]]
) -> tuple[list[Step], tuple[Step, ...]]:
    """Put the moves in a possible order, with as few hops as it takes; and what stays locked."""
    spare = dict(view.room_now)
    for move in moves:
        spare[move.target] -= move.memory_bytes
    hops: list[Step] = []
    while True:
        way = _OneByOne(view, hops, moves).run()
        if not way.locked:
            return way.ordered, ()
        hop = _best_hop(way.locked, way.room, spare, hop_nodes, {h.key for h in hops})
        if hop is None:
            return [], tuple(way.locked)
        spare[hop.target] -= hop.memory_bytes
        hops.append(hop)
        moves = [
            replace(m, source=hop.target, returns=True) if m.key == hop.key else m for m in moves
        ]


class _OneByOne:
    """Hops and moves run one at a time, as far as there is an order for them."""

    def __init__(self, view: View, hops: list[Step], moves: list[Step]) -> None:
        self.ordered: list[Step] = []
        self.locked = [*hops, *moves]
        self.room = dict(view.room_later)
        self._hopping = {hop.key for hop in hops}

    def run(self) -> "_OneByOne":
        """Who frees a node that others wait for goes first, then who enters a node that can hold
        all who still come: else a small guest takes the last room and locks the rest."""
        while self.locked:
            asked: dict[str, int] = {}
            for step in self.locked:
                asked[step.target] = asked.get(step.target, 0) + step.memory_bytes
            needed = {p.target for p in self.locked if p.memory_bytes > self.room[p.target]}
            roomy = {node for node, memory in asked.items() if memory <= self.room[node]}
            if not (
                self._take(sources=needed, most=1)
                or self._take(targets=roomy)
                or self._take(most=1)
            ):
                break
        return self

    def _take(
        self,
        *,
        sources: Collection[str] | None = None,
        targets: Collection[str] | None = None,
        most: int | None = None,
    ) -> int:
        """Run every step of these that can run, in order; say how many."""
        left: list[Step] = []
        taken = 0
        for step in self.locked:
            wanted = (
                (sources is None or step.source in sources)
                and (targets is None or step.target in targets)
                and (most is None or taken < most)
            )
            if wanted and self._is_able(step):
                self._run(step)
                taken += 1
            else:
                left.append(step)
        self.locked = left
        return taken

    def _is_able(self, step: Step) -> bool:
        waits = step.returns and step.key in self._hopping
        return step.memory_bytes <= self.room[step.target] and not waits

    def _run(self, step: Step) -> None:
        self.ordered.append(step)
        self.room[step.target] -= step.memory_bytes
        self.room[step.source] += step.memory_bytes
        if step.hop_for is not None:
            self._hopping.discard(step.key)


def _best_hop(
    locked: list[Step],
    room: Mapping[str, int],
    spare: Mapping[str, int],
    hop_nodes: Callable[[str], Sequence[str]],
    hopped: set[str],
) -> Step | None:
    """The smallest VM whose leaving lets another in, on the roomiest node that may take it.

    Where no single one is enough, the largest that leaves such a node is the first of several.
    """
    found: list[tuple[tuple[int, int, str, int, str], Step]] = []
    for entrant in locked:
        lacking = entrant.memory_bytes - room[entrant.target]
        for leaver in locked:
            if leaver.source != entrant.target or leaver.key in hopped or leaver.waits:
                continue
            enough = leaver.memory_bytes >= lacking
            size = leaver.memory_bytes if enough else -leaver.memory_bytes
            for node in hop_nodes(leaver.key):
                if node in (leaver.source, leaver.target) or spare[node] < leaver.memory_bytes:
                    continue
                rank = (not enough, size, leaver.key, -spare[node], node)
                step = replace(leaver, target=node, hop_for=entrant.title)
                found.append((rank, step))
    return min(found, key=lambda item: item[0])[1] if found else None


class _Replay:
    """Start whatever may start, in order, at each completion; note when each step starts."""

    def __init__(
        self,
        view: View,
        ordered: Sequence[Step],
        seconds: Callable[[int], float],
        starts_now_max: int | None = None,
    ) -> None:
        self.starts = [-1.0] * len(ordered)
        self.blocked: dict[str, Blocked] = {}
        self.end = 0.0
        self._view = view
        self._ordered = ordered
        self._seconds = seconds
        self._now = 0.0
        self._room = dict(view.room_now)
        self._slots = dict(view.slots_used)
        self._under_way = len(view.flights)
        self._sources = [flight.source for flight in view.flights]
        self._starts_now_max = starts_now_max
        self._started = 0
        self._on_hop = {s.key for s in ordered if s.hop_for is not None}
        self._tight = _tight(view, ordered)
        # (end, number): a step of the plan, or below zero a move that is under way already.
        self._running = [
            (seconds(f.vm.memory_bytes), -1 - number) for number, f in enumerate(view.flights)
        ]
        heapq.heapify(self._running)

    def run(self) -> "_Replay":
        """Replay to the end."""
        pending = list(range(len(self._ordered)))
        while pending:
            pending = self._start_what_may(pending)
            self._finish_next()
        while self._running:
            self._finish_next()
        self.end = self._now
        return self

    def _start_what_may(self, pending: list[int]) -> list[int]:
        left: list[int] = []
        taken: set[str] = set()
        for at, i in enumerate(pending):
            if self._now > 0.0 and self._under_way >= max(self._view.cluster_limit, 1):
                return left + pending[at:]
            step = self._ordered[i]
            why = self._why_not(step, taken)
            if why is None:
                self._start(i, step)
                continue
            left.append(i)
            if step.target in self._tight:
                taken.add(step.target)
            if self._now == 0.0 and not step.returns:
                self.blocked.setdefault(step.key, why)
        return left

    def _why_not(self, step: Step, taken: set[str]) -> Blocked | None:
        at_start = self._now == 0.0
        if step.returns and step.key in self._on_hop:
            return Blocked(reason=HoldReason.NO_ROOM_YET, node=step.target)
        if step.memory_bytes > self._room[step.target] or step.target in taken:
            return Blocked(reason=HoldReason.NO_ROOM_YET, node=step.target)
        # A limit of nought forbids every start now; later it may have been raised.
        least = 0 if at_start else 1
        for node in (step.source, step.target):
            if self._slots.get(node, 0) >= max(self._view.node_limit, least):
                return Blocked(reason=HoldReason.NODE_LIMIT, node=node)
        if self._under_way >= max(self._view.cluster_limit, least):
            return Blocked(reason=HoldReason.CLUSTER_LIMIT)
        at_work = domain_at_work(self._view.desired.policy, step.source, self._sources)
        if at_work is not None:
            return Blocked(reason=HoldReason.FAULT_DOMAIN, node=step.source, domain=at_work)
        if at_start and self._starts_now_max is not None and self._started >= self._starts_now_max:
            return Blocked(reason=HoldReason.CANARY)
        if step.waits and at_start:
            return Blocked(reason=HoldReason.OUTCOME_OPEN)
        return None

    def _start(self, i: int, step: Step) -> None:
        self.starts[i] = self._now
        self._room[step.target] -= step.memory_bytes
        for node in (step.source, step.target):
            self._slots[node] = self._slots.get(node, 0) + 1
        self._under_way += 1
        self._sources.append(step.source)
        self._started += 1
        heapq.heappush(self._running, (self._now + self._seconds(step.memory_bytes), i))

    def _finish_next(self) -> None:
        """Go to the next completion and take everything that ends then."""
        if not self._running:
            # Only what waits for a registration is left, or what a limit of nought forbids.
            assert self._now == 0.0, "a move that was proved possible cannot start"
            self._now = self._seconds(0)
            return
        self._now = self._running[0][0]
        while self._running and self._running[0][0] <= self._now:
            _, number = heapq.heappop(self._running)
            self._under_way -= 1
            self._sources.remove(self._source(number))
            for node in self._land(number):
                self._slots[node] -= 1

    def _source(self, number: int) -> str:
        return (
            self._view.flights[-1 - number].source if number < 0 else self._ordered[number].source
        )

    def _land(self, number: int) -> set[str]:
        if number < 0:
            flight = self._view.flights[-1 - number]
            if fold(flight.vm.host or "") == flight.source and flight.source in self._room:
                self._room[flight.source] += flight.vm.memory_bytes
            return {flight.source, *flight.targets}
        step = self._ordered[number]
        self._room[step.source] += step.memory_bytes
        if step.hop_for is not None:
            self._on_hop.discard(step.key)
        return {step.source, step.target}


def _tight(view: View, ordered: Iterable[Step]) -> frozenset[str]:
    """Nodes that could not take in all who come, nobody having left."""
    asked: dict[str, int] = {}
    for step in ordered:
        asked[step.target] = asked.get(step.target, 0) + step.memory_bytes
    return frozenset(node for node, memory in asked.items() if memory > view.room_now[node])


def _with_dependencies(
    view: View, numbered: Sequence[tuple[int, Step]]
) -> tuple[tuple[Timed, ...], dict[str, int]]:
    """Say which departures each arrival rests on, and what room is left on each node throughout.

    The departures of a node are taken in order, as many as all its arrivals so far need: so of two
    arrivals one rests on all that the other rests on, and every order of completions is legal.
    """
    leaving: dict[str, list[int]] = {}
    hops: dict[str, int] = {}
    for i, (_, step) in enumerate(numbered):
        leaving.setdefault(step.source, []).append(i)
        if step.hop_for is not None:
            hops[step.key] = i
    arrived: dict[str, int] = {}
    spare = dict(view.room_now)
    timed = []
    for wave, step in numbered:
        node = step.target
        arrived[node] = arrived.get(node, 0) + step.memory_bytes
        room = view.room_now[node] if wave == 0 else view.room_later[node]
        after: list[int] = []
        for i in leaving.get(node, ()):
            if room >= arrived[node]:
                break
            after.append(i)
            room += numbered[i][1].memory_bytes
        spare[node] = min(spare[node], room - arrived[node])
        if step.returns and hops[step.key] not in after:
            after.append(hops[step.key])
        timed.append(Timed(step=step, wave=wave, after=tuple(sorted(after))))
    return tuple(timed), spare


def _seconds_bound(view: View, ordered: Iterable[Step]) -> float:
    """No schedule is shorter: the busiest node, the cluster's limit, and each VM's own way."""
    policy = view.desired.policy
    busy: dict[str, float] = {}
    way: dict[str, float] = {}
    for step in ordered:
        seconds = move_seconds(policy, step.memory_bytes)
        for node in (step.source, step.target):
            busy[node] = busy.get(node, 0.0) + seconds
        way[step.key] = way.get(step.key, 0.0) + seconds
    if not way:
        return 0.0
    by_node = max(busy.values()) / max(view.node_limit, 1)
    by_cluster = sum(way.values()) / max(view.cluster_limit, 1)
    return max(by_node, by_cluster, *way.values())
