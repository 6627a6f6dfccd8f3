"""Choose a node for each VM that may move, at the least cost; stay where nothing is gained.

The problem falls apart: only nodes that more VMs want than they have room for tie VMs together. All
others take their cheapest node at once. Each knot that is left is solved greedily and then searched
exhaustively within a bounded number of steps, so small ones end proved, large ones end good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

STEPS_MAX: Final = 4_000
"""Assignments tried per knot: some 10 ms; six VMs on four nodes need fewer."""
IMPROVEMENTS_MAX: Final = 8
"""Passes over a knot that look for room which others gave up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A VM that may move, and what each node that it may end on would cost."""

    key: str
    memory_bytes: int
    home: str
    options: tuple[tuple[int, str], ...]
    """(cost, node), cheapest first, ties by name. The home is always one of them."""

    @property
    def cheapest(self) -> int:
        """Cost of its best node, were it alone."""
        return self.options[0][0]


Places = dict[str, str]
"""VM key -> node."""


def lower_bound(pieces: Iterable[Piece], room: Mapping[str, int]) -> int:
    """Cost that no placement can stay below: each VM alone, where room could be made at all."""
    return sum(piece.cheapest for piece in with_room(pieces, room))


def with_room(pieces: Iterable[Piece], room: Mapping[str, int]) -> tuple[Piece, ...]:
    """Drop the nodes where a VM would not fit even if every other one left."""
    pieces = tuple(pieces)
    most = dict(room)
    for piece in pieces:
        most[piece.home] = most.get(piece.home, 0) + piece.memory_bytes
    return tuple(
        Piece(
            key=p.key,
            memory_bytes=p.memory_bytes,
            home=p.home,
            options=tuple(
                (cost, node)
                for cost, node in p.options
                if node == p.home or p.memory_bytes <= most[node]
            ),
        )
        for p in pieces
    )


def place(pieces: Iterable[Piece], room: Mapping[str, int]) -> Places:
    """Give every piece a node so that no node that takes one in is overfull; least cost first."""
    pieces = sorted(with_room(pieces, room), key=lambda p: (-p.memory_bytes, p.key))
    contested = _contested(pieces, room)
    free = dict(room)
    places: Places = {}
    tied: list[Piece] = []
    for piece in pieces:
        node = _best_alone(piece, contested, free)
        if node is None:
            tied.append(piece)
        else:
            _settle(piece, node, places, free)
    for knot in _knots(tied, contested):
        greedy = _improved(knot, _rejected_until_legal(knot, free), free)
        for piece, node in zip(knot, _searched(knot, greedy, free), strict=True):
            _settle(piece, node, places, free)
    return places


def total(pieces: Iterable[Piece], places: Mapping[str, str]) -> int:
    """Cost of a placement."""
    return sum(_cost(piece, places[piece.key]) for piece in pieces)


def is_legal(pieces: Iterable[Piece], places: Mapping[str, str], room: Mapping[str, int]) -> bool:
    """Whether every node that takes a VM in has the room in the end."""
    load: dict[str, int] = {}
    receives: set[str] = set()
    for piece in pieces:
        node = places[piece.key]
        if node != piece.home:
            load[node] = load.get(node, 0) + piece.memory_bytes
            load[piece.home] = load.get(piece.home, 0) - piece.memory_bytes
            receives.add(node)
    return all(load[node] <= room[node] for node in receives)


def _cost(piece: Piece, node: str) -> int:
    return next(cost for cost, option in piece.options if option == node)


def _settle(piece: Piece, node: str, places: Places, free: dict[str, int]) -> None:
    places[piece.key] = node
    if node != piece.home:
        free[node] -= piece.memory_bytes
        free[piece.home] = free.get(piece.home, 0) + piece.memory_bytes


def _contested(pieces: Iterable[Piece], room: Mapping[str, int]) -> frozenset[str]:
    """Nodes that could not hold all who might come, nobody leaving."""
    asked: dict[str, int] = {}
    for piece in pieces:
        for _, node in piece.options:
            if node != piece.home:
                asked[node] = asked.get(node, 0) + piece.memory_bytes
    return frozenset(node for node, memory in asked.items() if memory > room[node])


def _best_alone(piece: Piece, contested: frozenset[str], free: Mapping[str, int]) -> str | None:
    """The cheapest node where nobody competes; the roomiest of several, then by name."""
    best = [n for cost, n in piece.options if cost == piece.cheapest and n not in contested]
    if not best:
        return None
    if piece.home in best:
        return piece.home
    return min(best, key=lambda node: (-free[node], node))


def _knots(tied: Sequence[Piece], contested: frozenset[str]) -> list[list[Piece]]:
    """Group pieces that meet on a contested node, as guests or as those who would free room."""
    leader: dict[str, str] = {}

    def find(node: str) -> str:
        while leader.setdefault(node, node) != node:
            node = leader[node]
        return node

    meets = [[n for _, n in piece.options if n in contested] for piece in tied]
    for nodes in meets:
        for node in nodes[1:]:
            leader[find(node)] = find(nodes[0])
    groups: dict[str, list[Piece]] = {}
    for piece, nodes in zip(tied, meets, strict=True):
        groups.setdefault(find(nodes[0]), []).append(piece)
    return [groups[name] for name in sorted(groups)]


def _rejected_until_legal(knot: Sequence[Piece], free: Mapping[str, int]) -> list[str]:
    """Everybody asks for the best; overfull nodes turn away who loses least, until all is legal.

    Ends, because each refusal moves one piece further down its own list, whose end is its home.
    """
    at = [0] * len(knot)
    places = [piece.options[0][1] for piece in knot]
    while (node := _overfull(knot, places, free)) is not None:
        guests = [i for i, piece in enumerate(knot) if places[i] == node != piece.home]
        loser = min(guests, key=lambda i: (_regret(knot[i], at[i]), -knot[i].memory_bytes, i))
        at[loser] += 1
        places[loser] = knot[loser].options[at[loser]][1]
    return places


def _regret(piece: Piece, at: int) -> int:
    return piece.options[at + 1][0] - piece.options[at][0]


def _overfull(knot: Sequence[Piece], places: Sequence[str], free: Mapping[str, int]) -> str | None:
    load: dict[str, int] = {}
    receives: set[str] = set()
    for piece, node in zip(knot, places, strict=True):
        if node != piece.home:
            load[node] = load.get(node, 0) + piece.memory_bytes
            load[piece.home] = load.get(piece.home, 0) - piece.memory_bytes
            receives.add(node)
    return min((n for n in receives if load[n] > free[n]), default=None)


def _improved(knot: Sequence[Piece], places: list[str], free: Mapping[str, int]) -> list[str]:
    """Let pieces step up where room is left after all refusals."""
    for _ in range(IMPROVEMENTS_MAX):
        changed = False
        for i, piece in enumerate(knot):
            for _, node in piece.options:
                if node == places[i]:
                    break
                tried = [*places[:i], node, *places[i + 1 :]]
                if _overfull(knot, tried, free) is None:
                    places, changed = tried, True
                    break
        if not changed:
            break
    return places


def _searched(knot: Sequence[Piece], places: list[str], free: Mapping[str, int]) -> list[str]:
    """Look for something cheaper by depth-first search, cheapest options first, within a bound.

    `slack` is what a node would have left if every undecided piece still left it: when that is
    negative on a node that takes somebody in, no completion is legal.
    """
    best = list(places)
    best_cost = sum(_cost(p, n) for p, n in zip(knot, places, strict=True))
    ahead = [0] * (len(knot) + 1)
    for i in range(len(knot) - 1, -1, -1):
        ahead[i] = ahead[i + 1] + knot[i].cheapest
    if best_cost == ahead[0]:
        return best
    search = _Search(knot, free)
    for _ in range(STEPS_MAX):
        limit = best_cost - ahead[search.depth + 1] if search.depth < len(knot) else 0
        if not search.advance(limit):
            break
        if search.depth == len(knot):
            best, best_cost = search.places(), search.cost
            search.retreat()
    return best


class _Search:
    """The state of a depth-first search, with an explicit stack."""

    def __init__(self, knot: Sequence[Piece], free: Mapping[str, int]) -> None:
        self._knot = knot
        self._tried = [-1]
        self._slack = {n: free.get(n, 0) for p in knot for _, n in p.options}
        self._guests = dict.fromkeys(self._slack, 0)
        self.cost = 0
        for piece in knot:
            self._slack[piece.home] += piece.memory_bytes

    @property
    def depth(self) -> int:
        """How many pieces are decided."""
        return len(self._tried) - 1

    def places(self) -> list[str]:
        """The nodes of the decided pieces."""
        return [p.options[t][1] for p, t in zip(self._knot, self._tried[:-1], strict=True)]

    def advance(self, limit: int) -> bool:
        """Decide one more piece, its cost so far staying below `limit`; step back if none can.

        False when there is nothing left to try.
        """
        piece = self._knot[self.depth]
        self._tried[-1] += 1
        cost, node = piece.options[self._tried[-1] % len(piece.options)]
        # Options are sorted by cost: past the first that is too dear there is none.
        if self._tried[-1] < len(piece.options) and self.cost + cost < limit:
            self._take(piece, cost, node, 1)
            if self._is_open(piece.home) and self._is_open(node):
                self._tried.append(-1)
            else:
                self._take(piece, cost, node, -1)
            return True
        if self.depth == 0:
            return False
        self.retreat()
        return True

    def retreat(self) -> None:
        """Undo the last decision."""
        self._tried.pop()
        piece = self._knot[self.depth]
        cost, node = piece.options[self._tried[-1]]
        self._take(piece, cost, node, -1)

    def _take(self, piece: Piece, cost: int, node: str, sign: int) -> None:
        self.cost += sign * cost
        self._slack[node] -= sign * piece.memory_bytes
        self._guests[node] += sign * (node != piece.home)

    def _is_open(self, node: str) -> bool:
        return self._guests[node] == 0 or self._slack[node] >= 0
