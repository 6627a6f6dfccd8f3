"""All that a few controllers can do to one another's claims, in every order.

A small model around the production rules: each controller looks, claims, orders; each claim and
each order may be lost, arrive at any later time, or (a claim) break off between its two writes.
Every state that can be reached is reached.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from controller.model.control import Fence
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.planning.fencing import is_superseded, next_fence, shows_ours
from tests.builders import observed

NAMES = ("aaa", "bbb", "ccc")
LOOK = observed()


@dataclass(frozen=True, slots=True)
class Rival:
    """One process: what it remembers, and what of its own is still on the wire."""

    epoch: int | None = None
    superseded: bool = False
    claims: tuple[int, ...] = ()
    claims_left: int = 2
    order: int | None = None
    """The epoch that an order on its way carries."""


@dataclass(frozen=True, slots=True)
class World:
    """What the cluster database shows, and who had an effect last and who before."""

    epoch: int | None
    holder: str | None
    rivals: tuple[Rival, ...]
    acting: int | None = None
    was_acting: frozenset[int] = frozenset()


def followers(world: World) -> Iterator[World]:
    """Every state that one step leads to."""
    seen = replace(LOOK, epoch=world.epoch, epoch_holder=world.holder)
    for number, rival in enumerate(world.rivals):
        yield from _looks(world, seen, number, rival)
        for claim in rival.claims:
            yield from _claim_arrives(world, number, rival, claim)
        if rival.order is not None:
            yield _with(world, number, replace(rival, order=None))
            if (world.epoch, world.holder) == (rival.order, NAMES[number]):
                yield _effect(_with(world, number, replace(rival, order=None)), number)


def _looks(world: World, seen: ObservedState, number: int, rival: Rival) -> Iterator[World]:
    past = History(
        cluster="c", epoch=rival.epoch, holder=NAMES[number], superseded=rival.superseded
    )
    if rival.superseded or is_superseded(past, seen):
        yield _with(world, number, replace(rival, superseded=True))
    elif shows_ours(past, seen):
        yield _with(world, number, replace(rival, order=rival.epoch))
    elif rival.claims_left:
        fence: Fence = next_fence(past, seen)
        claims = (*rival.claims, fence.epoch)
        left = rival.claims_left - 1
        yield _with(
            world, number, replace(rival, epoch=fence.epoch, claims=claims, claims_left=left)
        )


def _claim_arrives(world: World, number: int, rival: Rival, claim: int) -> Iterator[World]:
    rest = tuple(c for c in rival.claims if c != claim)
    after = _with(world, number, replace(rival, claims=rest))
    yield after  # lost, or refused
    if world.epoch is None or world.epoch < claim:
        named = replace(after, holder=NAMES[number])
        yield named  # broken off after the holder's name
        yield replace(named, epoch=claim)


def _with(world: World, number: int, rival: Rival) -> World:
    rivals = (*world.rivals[:number], rival, *world.rivals[number + 1 :])
    return replace(world, rivals=rivals)


def _effect(world: World, number: int) -> World:
    if world.acting in (None, number):
        return replace(world, acting=number)
    return replace(world, acting=number, was_acting=world.was_acting | {world.acting})


def reach(start: World) -> set[World]:
    """Every state that can be reached."""
    found, todo = {start}, [start]
    while todo:
        for world in followers(todo.pop()):
            if world not in found:
                found.add(world)
                todo.append(world)
    return found


@pytest.mark.parametrize("epoch", [None, 5])
@pytest.mark.parametrize(("rivals", "claims"), [(2, 3), (3, 1)])
def test_controllers_never_take_turns(rivals: int, claims: int, epoch: int | None) -> None:
    """Once another's order took effect, ours never does again, whatever is late or lost."""
    start = World(
        epoch=epoch,
        holder=None if epoch is None else "old",
        rivals=(Rival(claims_left=claims),) * rivals,
    )
    worlds = reach(start)
    assert len(worlds) > 1000
    assert {world.acting for world in worlds} == {None, *range(rivals)}
    assert any(len(world.was_acting) == rivals - 1 for world in worlds)
    assert [world for world in worlds if world.acting in world.was_acting] == []


def test_no_two_are_shown_their_own_claim() -> None:
    """In no state would two act, even if both looked in the same instant."""
    for world in reach(World(epoch=None, holder=None, rivals=(Rival(claims_left=2),) * 2)):
        seen = replace(LOOK, epoch=world.epoch, epoch_holder=world.holder)
        acting = [
            name
            for name, rival in zip(NAMES, world.rivals, strict=False)
            if shows_ours(History(cluster="c", epoch=rival.epoch, holder=name), seen)
        ]
        assert len(acting) <= 1
