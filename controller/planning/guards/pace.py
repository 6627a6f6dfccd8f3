"""Guards against haste: fights with others, nodes that flap, commands that fail or get lost."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from controller.model.desired import VMDesired
from controller.model.history import OwnMove, Result
from controller.model.names import fold, same_name
from controller.model.observed import VMObserved
from controller.model.plan import Action, ActionKind, Hold, HoldReason
from controller.model.policy import Policy
from controller.planning.holds import hold_on, hold_on_action, hold_on_cluster
from controller.planning.standing import Case
from controller.planning.view import View

_DAY: Final = timedelta(hours=24)
_PLACES: Final = (ActionKind.MOVE, ActionKind.CREATE)


def foreign_move(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """What somebody else moved is left there for a while."""
    move = view.last_foreign.get(seen.id)
    if move is None or move.failover or not same_name(move.target, seen.owner):
        return None
    until = move.seen_at + timedelta(seconds=view.desired.policy.foreign_respect_seconds)
    if view.now >= until:
        return None
    return hold_on(
        want,
        HoldReason.FOREIGN_MOVE,
        until=until,
        moved_from=move.source,
        moved_to=move.target,
        seen_at=move.seen_at.isoformat(),
    )


def cooldown(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """What we moved rests for a while."""
    moves = view.own_moves.get(seen.id, ())
    if not moves or view.on_hop(seen.id):
        return None
    until = moves[-1].seen_at + timedelta(seconds=view.desired.policy.cooldown_seconds)
    if view.now >= until:
        return None
    return hold_on(
        want,
        HoldReason.COOLDOWN,
        until=until,
        moved_at=moves[-1].seen_at.isoformat(),
        moved_from=moves[-1].source,
    )


def contested(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """Moved too often in a day at an unchanged spec; a hop and its return count once."""
    mark = view.history.specs.get(want.key)
    since = mark.since if mark is not None else datetime.min.replace(tzinfo=UTC)
    moves = [
        move
        for move in view.own_moves.get(seen.id, ())
        if move.started_at >= since and view.now - move.seen_at < _DAY
    ]
    times = _times_moved(moves)
    if times < view.desired.policy.moves_per_vm_per_day_max or view.on_hop(seen.id):
        return None
    until = moves[0].seen_at + _DAY
    return hold_on(want, HoldReason.CONTESTED, until=until, moves=str(times))


def _times_moved(moves: Sequence[OwnMove]) -> int:
    hops = sum(1 for move in moves if move.hop)
    return len(moves) - hops + (hops + 1) // 2


def node_not_stable(view: View, actions: Sequence[Action]) -> Iterator[Hold]:
    """A node that was away proves itself first. The VM waits: elsewhere it would move twice."""
    for action in actions:
        since = view.history.node_up_since.get(fold(action.target))
        if since is None or action.kind not in _PLACES:
            continue
        until = since + timedelta(seconds=view.desired.policy.node_stable_seconds)
        if view.now < until:
            evidence = {"node": action.target, "up_since": since.isoformat()}
            yield hold_on_action(action, HoldReason.NODE_NOT_STABLE, evidence, until)


def outcomes_unknown(view: View, cases: Sequence[Case]) -> Hold | None:
    """Of too many open commands nobody knows whether they left."""
    unknown = [i for i in view.history.open_intents if i.unknown]
    if len(unknown) < view.desired.policy.unknown_outcomes_max:
        return None
    evidence = {"outcomes_unknown": str(len(unknown)), "vms": ", ".join(i.vm for i in unknown[:10])}
    return hold_on_cluster(HoldReason.OUTCOMES_UNKNOWN, evidence)


def failures(view: View, cases: Sequence[Case]) -> Hold | None:
    """Too many of the last commands had no effect: nothing for a while."""
    failed = _failed_since_success(view.history.results, view.desired.policy)
    if not failed:
        return None
    until = failed[-1].at + timedelta(seconds=view.desired.policy.failure_pause_seconds)
    if view.now >= until:
        return None
    return hold_on_cluster(HoldReason.FAILURES, _failures(view, failed, "then one is tried"), until)


def probe(view: View, actions: Sequence[Action]) -> Iterator[Hold]:
    """After the pause one command is tried; the rest follows when it is seen done."""
    failed = _failed_since_success(view.history.results, view.desired.policy)
    if not failed:
        return
    first = next((a.key for a in actions if a.wave == 0), None)
    if view.history.open_intents:
        first = None
    evidence = _failures(view, failed, "one is tried first")
    for action in actions:
        if action.key != first:
            yield hold_on_action(action, HoldReason.FAILURES, evidence)


def _failed_since_success(results: Sequence[Result], policy: Policy) -> tuple[Result, ...]:
    """The failures that keep the brake on; empty: it is off.

    It is on from the failure that is one too many until a command that ended after the pause was
    done: that was the probe.
    """
    failed: list[Result] = []
    pause = timedelta(seconds=policy.failure_pause_seconds)
    for result in results:
        if result.failed:
            failed.append(result)
        elif len(failed) >= policy.failures_max and result.at >= failed[-1].at + pause:
            failed.clear()
    return tuple(failed) if len(failed) >= policy.failures_max else ()


def _failures(view: View, failed: Sequence[Result], release: str) -> dict[str, str]:
    return {
        "failures": str(len(failed)),
        "commands": str(len(view.history.results)),
        "vms": ", ".join(dict.fromkeys(r.vm for r in failed)),
        "release": release,
    }
