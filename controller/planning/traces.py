"""What nodes remember of moves of ours that are over, put to the moves that it is about.

It tells people why a move had no effect, and how long the guest stood still; nothing is decided by
it. What no node reports stays untold, and is never guessed from looks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from controller.model.history import History, Intent, IntentState, MoveTrace
from controller.model.plan import ActionKind


def moves_over(before: History, after: History) -> tuple[Intent, ...]:
    """The moves that left and ended in this cycle."""
    was_open = {intent.id for intent in before.open_intents}
    return tuple(i for i in just_ended(after) if i.id in was_open)


def just_ended(history: History) -> Iterator[Intent]:
    """The moves that the last look ended."""
    for intent in history.intents:
        over = intent.state is not IntentState.OPEN and intent.closed_at == history.last_look_at
        if over and not intent.refused and intent.kind == ActionKind.MOVE:
            yield intent


def with_traces(history: History, traces: Mapping[str, MoveTrace]) -> History:
    """The history with what is known now of these moves, by intent id."""
    told = {i.id: _told(i, traces[i.id]) for i in history.intents if i.id in traces}
    pauses = {(i.vm_id, i.opened_at): i.pause_seconds for i in told.values()}
    return replace(
        history,
        intents=tuple(told.get(i.id, i) for i in history.intents),
        results=tuple(
            replace(r, code=told[r.intent].code) if r.failed and r.intent in told else r
            for r in history.results
        ),
        moves=tuple(
            replace(m, pause_seconds=pauses.get((m.vm_id, m.started_at), m.pause_seconds))
            for m in history.moves
        ),
    )


def _told(intent: Intent, trace: MoveTrace) -> Intent:
    if intent.state is IntentState.DONE:
        return replace(intent, pause_seconds=trace.pause_seconds)
    # Of an earlier migration, perhaps, if this one was never seen under way.
    reason = trace.failure_code if intent.last_active_at is not None else None
    codes = (reason, *reversed(trace.codes), intent.code)
    return replace(intent, code=next((code for code in codes if code is not None), None))
