"""Which VMs should end where: those that gain by it, and those that must make room for a hard rule.

First only VMs with something to gain are placed; that is the whole of nearly every cycle. A VM that
is right where it is comes into play only when a hard rule of another stays broken for want of room.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from controller.model.names import fold
from controller.model.plan import Hold, HoldReason
from controller.planning.cost import breaks_hard_rules, hard_broken, place_cost, standing_cost
from controller.planning.guards import move_hold
from controller.planning.holds import hold_on
from controller.planning.placement import Piece, Places, is_legal, lower_bound, place, total
from controller.planning.preflight import is_fit
from controller.planning.standing import Case
from controller.planning.view import View

EXACT_PIECES_MAX: Final = 10
EXACT_NODES_MAX: Final = 8
"""Up to here everybody's every node is weighed when room has to be made."""
EVICTED_TOGETHER_MAX: Final = 3
"""Innocent VMs moved for one; more only when all of a node's small ones must go."""
EVICTABLE_MAX: Final = 16
"""Cheapest VMs of a node that are weighed against one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The nodes that VMs should end on, and who can't be moved now."""

    movers: Mapping[str, Case]
    """By key: every VM that was placed, also those that stay."""
    pieces: tuple[Piece, ...]
    places: Mapping[str, str]
    held: Mapping[str, Hold]
    """By key: VMs that have something to gain and may not move."""
    because_of: Mapping[str, str]
    """Key of a VM that makes room -> title of the VM that needs it."""
    bound: int
    """Cost that no placement of the movers can stay below."""

    @property
    def cost(self) -> int:
        """Cost of the placement of the movers."""
        return total(self.pieces, self.places)


def choose(view: View, cases: Iterable[Case], fixed: Mapping[str, Hold]) -> Chosen:
    """Place every VM that may move. `fixed` holds VMs that were found not to be movable."""
    wanting, settled, held = _sorted(view, cases, fixed)
    pieces = tuple(_gaining(view, case) for case in wanting.values())
    places = place(pieces, view.room_later)
    # Each round holds at least one VM more, so there are no more rounds than VMs.
    while early := _early_second_choices(view, wanting, pieces, places):
        held |= early
        pieces = tuple(piece for piece in pieces if piece.key not in early)
        wanting = {key: case for key, case in wanting.items() if key not in early}
        places = place(pieces, view.room_later)
    chosen = Chosen(
        movers=wanting,
        pieces=pieces,
        places=places,
        held=held,
        because_of={},
        bound=lower_bound(pieces, view.room_later),
    )
    stuck = tuple(p for p in pieces if _is_stuck(p, places))
    if not stuck:
        return chosen
    return min(
        (chosen, *_with_room_made(view, chosen, stuck, settled)), key=lambda option: option.cost
    )


def _sorted(
    view: View, cases: Iterable[Case], fixed: Mapping[str, Hold]
) -> tuple[dict[str, Case], list[Case], dict[str, Hold]]:
    """Who may move and has something to gain, who is right where it is, and who is held."""
    wanting: dict[str, Case] = {}
    settled: list[Case] = []
    held: dict[str, Hold] = {}
    policy = view.desired.policy
    for case in cases:
        if not case.placed or case.seen is None:
            continue
        key, hold = case.want.key, fixed.get(case.want.key)
        if standing_cost(case.want, policy, home=case.home, node=case.home) == 0:
            if hold is None:
                settled.append(case)
            continue
        hold = hold or move_hold(view, case.want, case.seen)
        if hold is not None:
            held[key] = hold
        else:
            wanting[key] = case
    return wanting, settled, held


def _early_second_choices(
    view: View, wanting: Mapping[str, Case], pieces: Iterable[Piece], places: Places
) -> dict[str, Hold]:
    """Hold VMs that would take a second choice only because a move under way counts twice.

    Whether a node's figure holds what is on its way in is not told. Once that has landed the first
    choice may prove free, and a second move would follow. A broken hard rule does not wait.
    """
    free = {node: room + view.inbound.get(node, 0) for node, room in view.room_later.items()}
    for piece in pieces:
        if places[piece.key] != piece.home:
            free[places[piece.key]] -= piece.memory_bytes
            free[piece.home] += piece.memory_bytes
    holds: dict[str, Hold] = {}
    for piece in pieces:
        want, place = wanting[piece.key].want, places[piece.key]
        if place == piece.home or hard_broken(want, piece.home):
            continue
        for _, node in piece.options[: [n for _, n in piece.options].index(place)]:
            if node in view.inbound and piece.memory_bytes <= free[node]:
                title = view.title(node)
                hold = hold_on(want, HoldReason.NO_ROOM_YET, target=title, node=title)
                holds.setdefault(piece.key, hold)
    return holds


def node_options(view: View, case: Case) -> Iterator[str]:
    """Nodes on which the VM would gain something, were there room; not all of them are fit."""
    want = case.want
    if hard_broken(want, case.home) and not want.allows(case.home):
        yield from (n for n in view.nodes if n != case.home and want.allows(n))
        return
    named = (fold(n) for n in want.preferred[: want.rank(case.home)])
    yield from (n for n in dict.fromkeys(named) if n in view.nodes)


def _gaining(view: View, case: Case) -> Piece:
    here = _option(view, case, case.home)
    options = [_option(view, case, n) for n in node_options(view, case) if _fits(view, case, n)]
    return _piece(case, [here, *(o for o in options if o < here)])


def _anywhere(view: View, case: Case) -> Piece:
    """Every node where it would break no more of its own hard rules than it does now."""
    broken = hard_broken(case.want, case.home)
    nodes = [
        n
        for n in view.nodes
        if n == case.home or (hard_broken(case.want, n) <= broken and _fits(view, case, n))
    ]
    return _piece(case, [_option(view, case, n) for n in nodes])


def _piece(case: Case, options: list[tuple[int, str]]) -> Piece:
    assert case.seen is not None
    return Piece(
        key=case.want.key,
        memory_bytes=case.seen.memory_bytes,
        home=case.home,
        options=tuple(sorted(options)),
    )


def _option(view: View, case: Case, node: str) -> tuple[int, str]:
    assert case.seen is not None
    memory = case.seen.memory_bytes
    policy = view.desired.policy
    return place_cost(case.want, policy, memory_bytes=memory, home=case.home, node=node), node


def _fits(view: View, case: Case, node: str) -> bool:
    return is_fit(case.want, case.seen, view.nodes[node], view.around)


def _is_stuck(piece: Piece, places: Mapping[str, str]) -> bool:
    """Whether it breaks more hard rules than it would where it likes best."""
    cost = next(cost for cost, node in piece.options if node == places[piece.key])
    return breaks_hard_rules(cost) > breaks_hard_rules(piece.cheapest)


def _with_room_made(
    view: View, chosen: Chosen, stuck: tuple[Piece, ...], settled: list[Case]
) -> Iterator[Chosen]:
    """The same with VMs that are right where they are put in play, exactly if that is small."""
    wished = {node for piece in stuck for _, node in piece.options}
    near = [c for c in settled if c.home in wished]
    few = len(settled) + len(chosen.pieces) <= EXACT_PIECES_MAX
    if few and len(view.nodes) <= EXACT_NODES_MAX:
        near = settled
    evictable = {c.want.key: c for c in near if c.seen and move_hold(view, c.want, c.seen) is None}
    everybody = {**chosen.movers, **evictable}
    if len(everybody) <= EXACT_PIECES_MAX and len(view.nodes) <= EXACT_NODES_MAX:
        pieces = tuple(_anywhere(view, case) for case in everybody.values())
        places = place(pieces, view.room_later)
        yield _chosen_again(view, chosen, everybody, pieces, places)
    eviction = _Eviction(view, chosen, evictable)
    for piece in sorted(stuck, key=lambda p: (-p.memory_bytes, p.key)):
        eviction.make_room_for(piece)
    moved = {key: evictable[key] for key in eviction.pieces}
    yield _chosen_again(
        view,
        chosen,
        {**chosen.movers, **moved},
        (*chosen.pieces, *eviction.pieces.values()),
        eviction.places,
    )


def _chosen_again(
    view: View,
    chosen: Chosen,
    movers: Mapping[str, Case],
    pieces: tuple[Piece, ...],
    places: Places,
) -> Chosen:
    return Chosen(
        movers=movers,
        pieces=pieces,
        places=places,
        held=chosen.held,
        because_of=_beneficiaries(view, movers, places),
        # Room that can be made is no bound any more.
        bound=sum(piece.cheapest for piece in chosen.pieces),
    )


def _beneficiaries(
    view: View, movers: Mapping[str, Case], places: Mapping[str, str]
) -> dict[str, str]:
    """For each VM that gains nothing by its move, the one whose hard rule takes its room."""
    gained: dict[str, list[str]] = {}
    for key, case in movers.items():
        node = places[key]
        if node != case.home and hard_broken(case.want, node) < hard_broken(case.want, case.home):
            gained.setdefault(node, []).append(case.want.title)
    if not gained:
        return {}
    anyone = min(title for titles in gained.values() for title in titles)
    policy = view.desired.policy
    reasons = {}
    for key, case in movers.items():
        node, home = places[key], case.home
        here = standing_cost(case.want, policy, home=home, node=home)
        if node != home and standing_cost(case.want, policy, home=home, node=node) >= here:
            reasons[key] = min(gained.get(home, [anyone]))
    return reasons


class _Eviction:
    """Make room for one stuck VM after another by moving few and small VMs out of its way."""

    def __init__(self, view: View, chosen: Chosen, evictable: Mapping[str, Case]) -> None:
        self._view = view
        self._chosen = chosen
        self._evictable = evictable
        self.pieces: dict[str, Piece] = {}
        self.places: Places = dict(chosen.places)

    def make_room_for(self, stuck: Piece) -> None:
        """Take the cheapest set of moves that lets the VM in somewhere, if there is one."""
        base = self._cost(self.pieces, self.places)
        best: tuple[int, dict[str, Piece], Places] | None = None
        for _, node in stuck.options:
            if node == stuck.home:
                continue
            for pieces, places in self._ways(stuck, node):
                cost = self._cost(pieces, places)
                if cost < base and (best is None or cost < best[0]):
                    best = cost, pieces, places
        if best is not None:
            _, self.pieces, self.places = best

    def _cost(self, pieces: Mapping[str, Piece], places: Places) -> int:
        return total(self._chosen.pieces, places) + total(pieces.values(), places)

    def _ways(self, stuck: Piece, node: str) -> Iterator[tuple[dict[str, Piece], Places]]:
        wanted = {**self.places, stuck.key: node}
        lacking = stuck.memory_bytes - self._free(wanted, without=stuck.key).get(node, 0)
        here = [
            _anywhere(self._view, case)
            for key, case in self._evictable.items()
            if case.home == node and key not in self.pieces
        ]
        here.sort(key=lambda p: (p.memory_bytes, p.key))
        for group in _groups(here[:EVICTABLE_MAX], lacking) or (_all_needed(here, lacking),):
            way = self._sent_away(group, wanted, node)
            if way is not None:
                yield way

    def _sent_away(
        self, group: tuple[Piece, ...], wanted: Places, node: str
    ) -> tuple[dict[str, Piece], Places] | None:
        pieces, places = {**self.pieces}, {**wanted}
        for piece in sorted(group, key=lambda p: (-p.memory_bytes, p.key)):
            free = self._free(places, pieces=pieces)
            fitting = [
                (cost, -free.get(n, 0), n)
                for cost, n in piece.options
                if n not in (node, piece.home) and piece.memory_bytes <= free.get(n, 0)
            ]
            if not fitting:
                return None
            pieces[piece.key] = piece
            places[piece.key] = min(fitting)[2]
        everybody = (*self._chosen.pieces, *pieces.values())
        return (pieces, places) if is_legal(everybody, places, self._view.room_later) else None

    def _free(
        self,
        places: Mapping[str, str],
        *,
        pieces: Mapping[str, Piece] | None = None,
        without: str = "",
    ) -> dict[str, int]:
        free = dict(self._view.room_later)
        placed = self.pieces if pieces is None else pieces
        for piece in (*self._chosen.pieces, *placed.values()):
            node = places[piece.key]
            if node != piece.home and piece.key != without:
                free[node] -= piece.memory_bytes
                free[piece.home] += piece.memory_bytes
        return free


def _groups(pieces: list[Piece], lacking: int) -> list[tuple[Piece, ...]]:
    """Every small group whose leaving is enough, and no part of which is."""
    found = []
    for size in range(1, EVICTED_TOGETHER_MAX + 1):
        for group in combinations(pieces, size):
            memory = sum(p.memory_bytes for p in group)
            if lacking <= memory and memory - group[0].memory_bytes < lacking:
                found.append(group)
    return found


def _all_needed(pieces: list[Piece], lacking: int) -> tuple[Piece, ...]:
    """The largest VMs until they are enough: fewest moves, where no small group will do."""
    group: list[Piece] = []
    for piece in reversed(pieces):
        if lacking > 0:
            group.append(piece)
            lacking -= piece.memory_bytes
    return tuple(group)
