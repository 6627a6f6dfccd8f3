"""Every order in which looks, commands, faults and other people can meet at a conditional move.

A small world: three nodes, some VMs that belong on the first and run on the second, one controller,
a number of faults to spend. The controller's memory is brought forward by the production `absorb`
and what it does next is what the production `decide` says; wire, nodes and cluster are modelled,
pessimistically. VMs are alike, so a state is the sorted tuple of their parts.

What is assumed: a command travels for less than `settle`, and `settle` is not longer than the
cooldown; a look is one moment, but may show an older one (a fault); an agent answers a repeated
command from memory.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from controller.model.desired import DesiredState
from controller.model.history import History, IntentState
from controller.model.observed import ObservedState
from controller.model.policy import Policy
from controller.planning.absorb import absorb
from controller.planning.decide import decide
from tests.builders import (
    NOW,
    desired,
    desired_state,
    history,
    intent,
    moving,
    node,
    observed,
    own_move,
    policy,
    vm,
)

NODES = ("N1", "N2", "N3")
HOME, START = 0, 1
NOWHERE = -1
SETTLE = timedelta(seconds=60)
SOON = timedelta(seconds=2)


class Command(NamedTuple):
    """One on the wire."""

    source: int
    target: int
    is_awaited: bool
    """Whether the controller that sent it still waits for the reply."""
    effects: int
    """How often its intent has had an effect."""


class Open(NamedTuple):
    """The intent that is open in the controller's memory, and so in its journal."""

    source: int
    target: int
    was_quiet: bool
    """Whether the last complete look showed nothing of it."""


class Seen(NamedTuple):
    """What the last look showed of a VM."""

    owner: int
    target: int
    """Where it is under way to, or NOWHERE."""


class Guest(NamedTuple):
    """One VM: the truth, what is on the wire for it, and what the controller knows."""

    owner: int = START
    flight: int = NOWHERE
    """Where it is under way to, by our command or another's."""
    flight_is_ours: bool = False
    wire: tuple[Command, ...] = ()
    intent: Open | tuple[()] = ()
    is_unsent: bool = False
    """The intent is durable and its command has not left."""
    seen: Seen | tuple[()] = ()
    """Empty: the controller that runs has not looked yet."""
    acted: bool = False
    """Whether a command was given on this look."""
    rests: bool = False
    """Whether our move was seen done less than `settle` ago."""


class State(NamedTuple):
    """All of it."""

    guests: tuple[Guest, ...]
    faults: int
    """How many are left."""
    shown_stale: bool = False
    """Whether a look ever showed an older moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What protects, each of which can be left out to see what it is for."""

    node_checks: bool = True
    agents_remember: bool = True
    settles_on_one_look: bool = False


class Harm(Exception):
    """An invariant is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of an exploration."""

    states: int
    steps: int
    harm: str | None
    path: tuple[str, ...] = ()
    """What led there, the shortest."""


def explore(vms: int, faults: int, rules: Rules) -> Found:
    """Breadth first, until every state was reached or harm was done; then with the way there."""
    start = State((Guest(),) * vms, faults)
    origins: dict[State, tuple[State, str] | None] = {start: None}
    todo, steps = deque([start]), 0
    while todo:
        state = todo.popleft()
        try:
            for what, after in followers(state, rules):
                steps += 1
                if after not in origins:
                    origins[after] = state, what
                    todo.append(after)
        except Harm as harm:
            path = tuple(reversed([*_path(origins, state)]))
            return Found(states=len(origins), steps=steps, harm=str(harm), path=path)
    return Found(states=len(origins), steps=steps, harm=None)


def explore_many(vms: int, faults: int, rules: Rules) -> Found:
    """The same for millions of states, of which only the hashes are remembered: no path.

    Two of ten million states share a 64-bit hash with a chance of one in 300,000.
    """
    start = State((Guest(),) * vms, faults)
    known, todo, steps = {hash(start)}, deque([start]), 0
    while todo:
        try:
            for _, after in followers(todo.popleft(), rules):
                steps += 1
                if (mark := hash(after)) not in known:
                    known.add(mark)
                    todo.append(after)
        except Harm as harm:
            return Found(states=len(known), steps=steps, harm=str(harm))
    return Found(states=len(known), steps=steps, harm=None)


def _path(origins: dict[State, tuple[State, str] | None], state: State) -> Iterator[str]:
    while (origin := origins[state]) is not None:
        state, what = origin
        yield what


def followers(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """Each step that can be next, and where it leads."""
    yield from _looks(state, rules)
    if state.faults:
        dead = tuple(
            g._replace(seen=(), is_unsent=False, acted=False, wire=_unawaited(g.wire))
            for g in state.guests
        )
        yield "the controller is killed", _state(dead, state, faults=1)
    before: Guest | None = None
    for number, guest in enumerate(state.guests):
        if guest == before:  # alike, and sorted: the same again
            continue
        before = guest
        for what, after, cost in _steps(guest, state, rules):
            rest = state.guests[:number] + state.guests[number + 1 :]
            yield f"VM {number}: {what}", _state((*rest, after), state, faults=cost)


def _state(guests: tuple[Guest, ...], state: State, *, faults: int, stale: bool = False) -> State:
    alike = tuple(sorted(guests))
    return State(alike, state.faults - faults, state.shown_stale or stale)


Step = tuple[str, Guest, int]
"""(what happens, the VM after it, faults spent)."""


def _steps(guest: Guest, state: State, rules: Rules) -> Iterator[Step]:
    yield from _acts(guest, state)
    for command in dict.fromkeys(guest.wire):
        rest = _without(guest.wire, command)
        after = _arrive(guest._replace(wire=rest), command, rules)
        yield "the command arrives", after, 0
        is_refused = after.flight == guest.flight and not command.effects
        if is_refused and command.is_awaited and command not in rest:
            yield "the command is refused, and the controller is told", after._replace(intent=()), 0
        if state.faults:
            yield "the command is lost", guest._replace(wire=rest), 1
            copies = tuple(sorted((*guest.wire, command)))
            if len(copies) < 3:
                yield "the command is doubled", guest._replace(wire=copies), 1
    if guest.flight != NOWHERE:
        there = guest._replace(owner=guest.flight, flight=NOWHERE, flight_is_ours=False)
        yield "it gets there", there, 0
        if state.faults:
            yield "the migration fails", there._replace(owner=guest.owner), 1
    if state.faults:
        for other in range(len(NODES)):
            if other == guest.owner:
                continue
            if guest.flight == NOWHERE:
                moved = guest._replace(flight=other, flight_is_ours=False)
                yield f"somebody moves it to {NODES[other]}", moved, 1
            failed_over = guest._replace(owner=other, flight=NOWHERE, flight_is_ours=False)
            yield f"its node dies and it fails over to {NODES[other]}", failed_over, 1


def _unawaited(wire: tuple[Command, ...]) -> tuple[Command, ...]:
    return tuple(sorted(command._replace(is_awaited=False) for command in wire))


def _without(wire: tuple[Command, ...], command: Command) -> tuple[Command, ...]:
    left = list(wire)
    left.remove(command)
    return tuple(left)


# ---- the controller


def _looks(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """It looks at once, or after `settle`, when what had left must have arrived."""
    if any(guest.is_unsent for guest in state.guests):
        return
    for late in (False, True):
        if late and any(guest.wire for guest in state.guests):
            continue
        when = "later" if late else "soon"
        true = tuple(_look(g, Seen(g.owner, g.flight), rules, late=late) for g in state.guests)
        yield f"a look, {when}", _state(true, state, faults=0)
        if not state.faults:
            continue
        for number, guest in enumerate(state.guests):
            if guest.seen and guest.seen != Seen(guest.owner, guest.flight):
                old = _look(guest, guest.seen, rules, late=late)
                shown = (*true[:number], old, *true[number + 1 :])
                yield (
                    f"a look, {when}, VM {number} stale",
                    _state(shown, state, faults=1, stale=True),
                )


def _look(guest: Guest, seen: Seen, rules: Rules, *, late: bool) -> Guest:
    known, one_look = guest.intent, rules.settles_on_one_look
    after, is_done = settled(known, seen, late=late, one_look=one_look) if known else ((), False)
    wire = guest.wire if after else _unawaited(guest.wire)
    rests = is_done or (guest.rests and not late)
    return guest._replace(intent=after, wire=wire, seen=seen, acted=False, rests=rests)


def _acts(guest: Guest, state: State) -> Iterator[Step]:
    if guest.is_unsent and guest.intent:
        if (guest.wire or guest.flight_is_ours) and not state.shown_stale:
            raise Harm("I2: a command leaves while an earlier one is under way")
        command = Command(guest.intent.source, guest.intent.target, True, 0)
        wire = tuple(sorted((*guest.wire, command)))
        yield "the command leaves", guest._replace(is_unsent=False, wire=wire), 0
        return
    if not guest.seen or guest.acted:
        return
    target = choice(guest.intent, guest.seen, rests=guest.rests)
    if target == NOWHERE:
        return
    if guest.intent:
        raise Harm("I1: an action is planned while an intent is open")
    opened = Open(guest.seen.owner, target, was_quiet=False)
    yield "an intent is opened", guest._replace(intent=opened, is_unsent=True, acted=True), 0


@cache
def settled(
    known: Open, seen: Seen, *, late: bool, one_look: bool
) -> tuple[Open | tuple[()], bool]:
    """What `absorb` makes of the intent at this look: what is open still; whether it is done."""
    now = NOW + (SETTLE if late else SOON)
    past = _memory(known, first_quiet_at=NOW if known.was_quiet else None)
    rules = policy(settle_seconds=0 if one_look else SETTLE.total_seconds())
    (after,) = absorb(past, _wish(rules), _snapshot(seen, now), now).intents
    if after.state is not IntentState.OPEN:
        return (), after.state is IntentState.DONE
    return known._replace(was_quiet=after.first_quiet_at is not None), False


@cache
def choice(known: Open | tuple[()], seen: Seen, *, rests: bool) -> int:
    """Where `decide` would send the VM now, or NOWHERE."""
    past = _memory(known)
    if rests:
        past = replace(past, moves=(own_move("v", NODES[START], NODES[HOME], ago_seconds=2),))
    plan, findings = decide(_wish(policy()), _snapshot(seen, NOW), past, NOW)
    assert findings == (), findings
    return next((NODES.index(action.target) for action in plan.actions), NOWHERE)


def _memory(known: Open | tuple[()], first_quiet_at: datetime | None = None) -> History:
    if not known:
        return history()
    made = intent("v", NODES[known.target], source=NODES[known.source])
    return history(intents=(replace(made, first_quiet_at=first_quiet_at),))


def _wish(rules: Policy) -> DesiredState:
    return desired_state(desired("v", NODES[HOME]), policy=rules)


def _snapshot(seen: Seen, at: datetime) -> ObservedState:
    rests = vm("v", NODES[seen.owner])
    shown = rests if seen.target == NOWHERE else moving(rests, NODES[seen.target])
    return observed(*(node(name) for name in NODES), shown, at=at)


# ---- the node


def _arrive(guest: Guest, command: Command, rules: Rules) -> Guest:
    """The node compares what the command was planned from, and acts or refuses."""
    if command.effects and rules.agents_remember:
        return guest
    is_so = guest.owner == command.source and guest.flight == NOWHERE
    if not is_so and rules.node_checks:
        return guest
    if not is_so:
        raise Harm("I3: a command takes effect on a VM that is not where it was planned from")
    if command.effects:
        raise Harm("I21: one intent has two effects")
    # Copies of it know that it had its effect.
    done = command._replace(effects=1)
    wire = tuple(sorted(done if c == command else c for c in guest.wire))
    return guest._replace(flight=command.target, flight_is_ours=True, wire=wire)
