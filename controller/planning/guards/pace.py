"""Guards against haste: fights with others, nodes that flap, commands that fail or get lost."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from controller.model.desired import VMDesired
from controller.model.failures import in_words
from controller.model.history import IntentState, OwnMove, Result
from controller.model.names import fold, same_name
from controller.model.observed import VMObserved
from controller.model.plan import Action, ActionKind, Hold, HoldReason
from controller.model.policy import Policy
from controller.model.setting import Change
from controller.planning.holds import Declared, hold_on, hold_on_action, hold_on_cluster
from controller.planning.standing import Case
from controller.planning.view import View

_DAY: Final = timedelta(hours=24)
_IN_A_ROW: Final = 2
"""Once is chance."""
_PLACES: Final = (ActionKind.MOVE, ActionKind.CREATE)
NOT_SHOWN_BY_A_LOOK: Final = frozenset(
    {
        "roleNameFree",
        "folderFree",
        "disksFree",
        "disksExist",
        "mediaExists",
        "volumeHasRoom",
        "folderExists",
    }
)
"""Conditions of docs/protocol.md: refused by one of the others, the next look tells why."""


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


def keeps_failing(view: View, want: Declared, seen: VMObserved | None) -> Hold | None:
    """What failed twice in a row for one VM is tried again ever later, and holds up no other."""
    own = [r for r in view.history.results if r.key == want.key]
    failed = list(takewhile(lambda result: result.failed, reversed(own)))
    if len(failed) < _IN_A_ROW:
        return None
    policy = view.desired.policy
    wait = min(policy.settle_seconds * 2 ** len(failed), policy.failure_pause_seconds)
    until = failed[0].at + timedelta(seconds=wait)
    if view.now >= until:
        return None
    evidence = _failures(own, failed, "then it is tried again")
    return replace(hold_on(want, HoldReason.FAILURES, until=until), evidence=evidence)


def move_refused(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """See `refused`."""
    return refused(view, want, ActionKind.MOVE)


def register_refused(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """See `refused`."""
    return refused(view, want, ActionKind.REGISTER)


def start_refused(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """See `refused`."""
    return refused(view, want, ActionKind.START)


def configure_refused(view: View, want: VMDesired, seen: VMObserved) -> Hold | None:
    """See `refused`."""
    return refused(view, want, ActionKind.CONFIGURE)


def setting_rests(view: View, want: Declared, change: Change) -> Hold | None:
    """What we set and somebody set back is not set again at once: two would write for ever."""
    written = [
        i.closed_at
        for i in view.history.intents
        if i.key == want.key
        and i.state is IntentState.DONE
        and i.change is not None
        and (i.change.setting, i.change.after) == (change.setting, change.after)
        and i.closed_at is not None
    ]
    if not written:
        return None
    until = max(written) + timedelta(seconds=view.desired.policy.cooldown_seconds)
    if view.now >= until:
        return None
    return hold_on(
        want, HoldReason.COOLDOWN, until=until, set=change.setting.value, set_at=str(max(written))
    )


def refused(view: View, want: Declared, kind: ActionKind) -> Hold | None:
    """What nodes refuse in a row is asked again ever later.

    A first refusal says that the world had changed, and the next look shows how: then nothing has
    to wait. But what a node found that no look shows would only be refused again.
    """
    last = next((r for r in view.history.refusals if r.key == want.key and r.kind == kind), None)
    if last is None:
        return None
    policy = view.desired.policy
    hidden = last.detail.split(":")[0] in NOT_SHOWN_BY_A_LOOK
    if not hidden and last.count < _IN_A_ROW:
        return None
    first = policy.cooldown_seconds / 2 if hidden else policy.settle_seconds
    longest = max(policy.failure_pause_seconds, policy.cooldown_seconds)
    until = last.at + timedelta(seconds=min(first * 2**last.count, longest))
    if view.now >= until:
        return None
    return hold_on(
        want,
        HoldReason.REFUSED,
        until=until,
        action=kind,
        refused=last.detail,
        refusals=str(last.count),
        refused_at=last.at.isoformat(),
    )


def failures(view: View, cases: Sequence[Case]) -> Hold | None:
    """Too many of the last commands had no effect: nothing for a while."""
    results, policy = view.history.results, view.desired.policy
    failed = _failed_since_success(results, policy)
    if not failed:
        return None
    until = failed[-1].at + timedelta(seconds=policy.failure_pause_seconds)
    if view.now >= until:
        return None
    evidence = _failures(results, failed, "after a while one is tried")
    return hold_on_cluster(HoldReason.FAILURES, evidence, until)


def probe(view: View, actions: Sequence[Action]) -> Iterator[Hold]:
    """After the pause one command is tried; the rest follows when it is seen done."""
    results = view.history.results
    failed = _failed_since_success(results, view.desired.policy)
    if not failed:
        return
    # A VM that failed may be the trouble itself: another one tells more.
    suspects = {result.key for result in failed}
    keys = sorted(dict.fromkeys(a.key for a in actions), key=lambda key: key in suspects)
    tried = keys[0] if keys and not view.history.open_intents else None
    evidence = _failures(results, failed, "one is tried first")
    for action in actions:
        if action.key != tried:
            yield hold_on_action(action, HoldReason.FAILURES, evidence)


def _failed_since_success(results: Sequence[Result], policy: Policy) -> tuple[Result, ...]:
    """The failures that keep the brake on; empty: it is off.

    It is on from the failure that is one too many until a command that ended after the pause was
    done: that was the probe. Failures of one VM alone are that VM's trouble (`keeps_failing`).
    """
    failed: list[Result] = []
    pause = timedelta(seconds=policy.failure_pause_seconds)
    for result in results:
        if result.failed:
            failed.append(result)
        elif _is_on(failed, policy) and result.at >= failed[-1].at + pause:
            failed.clear()
    return tuple(failed) if _is_on(failed, policy) else ()


def _is_on(failed: Sequence[Result], policy: Policy) -> bool:
    return len(failed) >= policy.failures_max and len({r.key for r in failed}) > 1


def _failures(results: Sequence[Result], failed: Sequence[Result], release: str) -> dict[str, str]:
    causes = sorted({in_words(r.code) for r in failed if r.code is not None})
    told = {"causes": f": {'; '.join(causes)}"} if causes else {}
    return {
        **told,
        "failures": str(len(failed)),
        "commands": str(len(results)),
        "vms": ", ".join(sorted({r.vm for r in failed})),
        "release": release,
    }
