"""Haste, fights and orders of people, judged when a command leaves: by the wire and by truth.

Each rule accuses only where no doubt is left: where a guard counts on its own memory, the rule
counts what that memory must hold at least.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from controller.model.names import same_name
from tests.simulation.evidence import UP
from tests.simulation.orders import Leg, Order

if TYPE_CHECKING:
    from tests.simulation.checker import Checker

DAY_SECONDS = 86_400.0
MOVES_A_DAY = 3
UNKNOWN_OUTCOMES = 3
FAILURES, OF_THE_LAST, FAILURE_PAUSE_SECONDS = 3, 10, 1800.0
STABLE_SECONDS = 600.0
VOTERS_MIN = 3
SEEN_SECONDS = 300.0
"""After so long at most the controller has seen how a command ended."""
AGAIN_ONLY_LATER = frozenset(
    {"roleNameFree", "folderFree", "disksFree", "disksExist", "mediaExists", "volumeHasRoom"}
)
"""Conditions that no look shows: what was refused for one of them would only be refused again."""

Found = Iterator[str]


def not_a_fight(c: "Checker", order: Order) -> Found:
    """I17: at most so many moves of a VM in a day, while its spec is what it was."""
    if order.kind != "moveRole":
        return
    since = max(c.declared_at(order), order.at_seconds - DAY_SECONDS, c.clock_jumped_seconds)
    moves = [
        o
        for o in c.others_of(order)
        if o.kind == "moveRole" and o.shown and o.at_seconds > since and o.life == c.journal_life
    ]
    hops = sum(o.hop for o in moves)
    if len(moves) - hops + (hops + 1) // 2 >= MOVES_A_DAY and hops % 2 == 0:
        yield f"{c.what(order)} for the {len(moves) + 1}th time"


def outcomes_known(c: "Checker", order: Order) -> Found:
    """I19, AMB: not while several commands may or may not have left."""
    unknown = [
        o
        for o in c.orders
        if o.unknown
        and o.leg in (Leg.TRAVELLING, Leg.LOST)
        and order.at_seconds - o.at_seconds < c.limits.settle_seconds
        and o.life == c.journal_life
        and c.clock_jumped_seconds < o.at_seconds
    ]
    if len(unknown) >= UNKNOWN_OUTCOMES:
        yield f"{c.what(order)} while {len(unknown)} outcomes are unknown"


def few_failures(c: "Checker", order: Order) -> Found:
    """I19, FAIL: not for a while after several of the last commands had no effect."""
    seen_by = order.at_seconds - SEEN_SECONDS
    if c.thawed_seconds > seen_by:  # a process that stood still saw nothing end
        return
    known = [o for o in c.orders if o.accepted and o.ended_seconds and o.ended_seconds < seen_by]
    known = [o for o in known if o.life == c.journal_life][-OF_THE_LAST:]
    failed = [o for o in known if o.kind == "moveRole" and not _got_there(c, o)]
    if len(failed) < FAILURES or len({o.vm_id for o in failed}) < 2:
        return
    last = max(o.ended_seconds or 0.0 for o in failed)
    undone = not any(o.landed and (o.ended_seconds or 0.0) > last for o in c.orders)
    unjumped = c.clock_jumped_seconds < failed[0].at_seconds
    if undone and unjumped and order.at_seconds - last < FAILURE_PAUSE_SECONDS:
        yield f"{c.what(order)} after {len(failed)} failures"


def _got_there(c: "Checker", order: Order) -> bool:
    """Whether the VM came to its target since, were it by a failover: that is what can be seen."""
    moves = c.world.moves.get(order.vm_id or "", ())
    return any(
        same_name(move.target, order.target) and move.at_seconds >= order.at_seconds
        for move in moves
    )


def steady_target(c: "Checker", order: Order) -> Found:
    """R3 (H24): a node that had been shown away takes nothing for a while."""
    if order.kind not in ("moveRole", "createVm"):
        return
    away = c.evidence.away.get(order.target.lower())
    lately = away is not None and order.at_seconds - away < STABLE_SECONDS - 1.0
    if away is not None and lately and c.clock_jumped_seconds < away:
        yield f"{c.what(order)}: {order.target} was away {order.at_seconds - away:.0f} s ago"


def quorum_is_safe(c: "Checker", order: Order) -> Found:
    """R4: with a node shown away and few votes left, nothing is started."""
    voting = 0
    for node in c.world.cluster.nodes:
        view = c.evidence.view_of(node)
        paused = 2
        if view is None or (view["state"] in (UP, paused) and not view["status"] & 3):
            voting += 1
    if voting < min(VOTERS_MIN, len(c.world.cluster.nodes)):
        yield f"{c.what(order)} with {voting} nodes that vote"


def not_stopped(c: "Checker", order: Order) -> Found:
    """I19, freeze and paused: a second after people said stop, nothing leaves."""
    for stop in c.stops:
        about = stop.what in ("", c.name_of(order.vm_id).lower(), order.name or "")
        about = about or stop.what in (order.source.lower(), order.target.lower())
        if about and order.at_seconds - stop.at_seconds > 1.0:
            yield f"{c.what(order)}, stopped since {stop.at_seconds}: {stop.what or 'everything'}"


def not_asked_again(c: "Checker", order: Order) -> Found:
    """R5: what was refused for what no look shows is asked again after a rest."""
    for other in c.others_of(order):
        recent = order.at_seconds - other.at_seconds < c.limits.cooldown_seconds - 1.0
        same = other.kind == order.kind and other.life == c.journal_life
        final = other.replied and other.refused_for in AGAIN_ONLY_LATER
        if same and recent and final and c.clock_jumped_seconds < other.at_seconds:
            yield f"{c.what(order)} again, refused for {other.refused_for}"


def patient_with_one(c: "Checker", order: Order) -> Found:
    """R6: what failed twice in a row for one VM is not tried again at once."""
    own = [o for o in c.others_of(order) if o.accepted and o.life == c.journal_life]
    last = own[-2:]
    if len(last) < 2 or not all(o.kind == "moveRole" and not o.landed for o in last):
        return
    ended = last[-1].ended_seconds
    if ended is None or c.clock_jumped_seconds > last[0].at_seconds:
        return
    if order.at_seconds - ended < 2 * c.limits.settle_seconds - 1.0:
        yield f"{c.what(order)} after two failures, the last at {ended}"


def whole(c: "Checker", order: Order) -> Found:
    """R7 (H40): what was made by half is left to a person."""
    if order.kind not in ("registerVm", "startRole"):
        return
    for other in c.orders:
        made = other.kind == "createVm" and other.job is not None
        if made and other.job is not None and other.job.vm_id == order.vm_id:
            broke_off = other.job.state != "Succeeded" and other.job.step in ("disks", "media")
            if broke_off and other.life == c.journal_life:
                yield f"{c.what(order)}, made by half"


def failback_is_over(c: "Checker", order: Order) -> Found:
    """R8 (H36): not from a node to which the cluster itself brings roles back just now."""
    view = c.evidence.view_of(order.source)
    if order.kind in ("moveRole", "setRole") and view is not None and view.get("failback") == 1:
        yield f"{c.what(order)} during a failback"


def few_vanished(c: "Checker", order: Order) -> Found:
    """I18, SHRINK: not while many VMs have vanished from the specs and nobody agreed."""
    if c.shrunk_seconds is None:
        return
    asked = c.evidence.asked.get(order.source.lower(), order.at_seconds)
    if asked > c.shrunk_seconds + 2.0:
        yield f"{c.what(order)}, and many VMs vanished from the specs at {c.shrunk_seconds}"
