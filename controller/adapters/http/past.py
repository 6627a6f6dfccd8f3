"""What was done to a VM or a node in the last 90 days, as JSON: by us, by others, by order."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from controller.model.history import Intent, IntentState, Past, PastCommand
from controller.model.names import fold, same_name
from controller.model.plan import ActionKind
from controller.planning.sentences import failure_words, pause_words

ENTRIES_MAX = 1000
"""The latest ones."""


def history_of(
    past: Past, cluster: str, name: str, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Everything about the VM or node of that name, oldest first. `names`: VM id -> name."""
    known = {c.intent.vm_id: c.intent.vm for c in past.commands if c.intent.vm_id} | dict(names)
    entries = [
        *(_command(c) for c in past.commands if _concerns(name, _subjects(c))),
        *_foreign(past, known, name),
        *_orders(past, name),
    ]
    entries.sort(key=lambda entry: entry["at"])
    return [{"cluster": cluster, **entry} for entry in entries[-ENTRIES_MAX:]]


def _concerns(name: str, subjects: tuple[str | None, ...]) -> bool:
    return any(same_name(name, subject) for subject in subjects)


def _subjects(command: PastCommand) -> tuple[str | None, ...]:
    i = command.intent
    return i.vm, i.vm_id, i.source, i.target, i.key.partition(":")[2]


def _command(command: PastCommand) -> dict[str, Any]:
    intent = command.intent
    took = None
    if intent.state is IntentState.DONE and intent.closed_at is not None:
        took = (intent.closed_at - intent.opened_at).total_seconds()
    return _entry(
        intent.opened_at,
        vm=intent.vm,
        what=intent.kind,
        source=intent.source,
        target=intent.target,
        by="us, a stop on the way" if intent.hop else "us",
        why=command.why,
        revision=intent.revision,
        seconds=took,
        result=intent.state.value + (f": {told}" if (told := _told(intent)) else ""),
    )


def _told(intent: Intent) -> str:
    """What is known of how it ended."""
    if intent.state is IntentState.NOT_DONE:
        return failure_words(intent) if intent.code or intent.detail else ""
    moved = intent.state is IntentState.DONE and intent.kind == ActionKind.MOVE
    return pause_words(intent.pause_seconds) if moved else ""


def _foreign(past: Past, known: Mapping[str, str], name: str) -> Iterator[dict[str, Any]]:
    for move in past.foreign:
        vm = known.get(move.vm_id, move.vm_id)
        if _concerns(name, (vm, move.vm_id, move.source, move.target)):
            yield _entry(
                move.seen_at,
                vm=vm,
                what="Move",
                source=move.source,
                target=move.target,
                by="failover" if move.failover else "somebody else",
            )


def _orders(past: Past, name: str) -> Iterator[dict[str, Any]]:
    """Those that name it, and those that concern everything."""
    for order in past.orders:
        what = fold(order.what)
        names_one = what.startswith(("vm ", "node "))
        if not names_one or f" {fold(name)} of " in what:
            by = f"{order.owner}, by order"
            yield _entry(order.at, what=f"{order.verb} {order.what}", by=by, why=order.reason)


def _entry(at: datetime, **values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("vm", "what", "source", "target", "by", "why", "revision", "seconds", "result")
    )
    return {"at": at.isoformat(timespec="milliseconds"), **empty, **values}
