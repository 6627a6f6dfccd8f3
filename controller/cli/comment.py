"""A plan as a comment that a reviewer reads: what moves, at what cost and risk, what does not."""

from collections.abc import Iterable, Iterator, Sequence

from controller.cli.markdown import name, table, text
from controller.cli.tables import count
from controller.model.observed import ObservedState
from controller.model.plan import Action, ActionKind, AuditFinding, Plan
from controller.model.policy import GIB
from controller.planning.sentences import change_words, hold_sentence, why

ROWS_MAX = 100
"""Of a table: a comment may have 65,536 characters on GitHub, a million on GitLab."""
MARK = "<!-- ownernode plan"
"""How a script finds its own comment again."""
_DONE = {
    ActionKind.MOVE: ("move", ""),
    ActionKind.REGISTER: ("VM", " made highly available"),
    ActionKind.CREATE: ("VM", " created"),
    ActionKind.START: ("VM", " started"),
    ActionKind.CONFIGURE: ("setting", " written"),
    ActionKind.SUSPEND_NODE: ("node", " suspended for maintenance"),
    ActionKind.RESUME_NODE: ("node", " resumed after maintenance"),
    ActionKind.CONFIGURE_NODE: ("node", " given its default folders"),
}


def plan_comment(
    plan: Plan,
    observed: ObservedState,
    *,
    undeclared: Sequence[str] = (),
    vetoes: Sequence[AuditFinding] = (),
) -> str:
    """The whole comment. `undeclared`: VMs that the specs before the change declared."""
    lines = [f"{MARK} of {text(plan.cluster)} -->", f"### {_title(plan)}", ""]
    lines += _figures(plan)
    lines += _section("What would happen", _actions(plan.actions))
    lines += _section("Risks", _risks(plan, observed, vetoes))
    lines += _section("Refused or waiting, and why", _holds(plan))
    lines += _section("Impossible", _impossible(plan))
    if undeclared:
        names = ", ".join(map(name, undeclared[:ROWS_MAX]))
        lines += ["#### No longer declared", "", f"Nothing is done about {names}.", ""]
    seen = f"{plan.observed_at:%Y-%m-%d %H:%M} UTC"
    lines.append(
        f"<sub>Planned on what {text(plan.cluster)} showed at {seen} (plan "
        f"{name(plan.digest[:12])}). It is planned anew before anything is done.</sub>"
    )
    return "\n".join(lines)


def _title(plan: Plan) -> str:
    cluster = name(plan.cluster)
    if not plan.actions:
        return f"{cluster}: nothing moves"
    kinds = [action.kind for action in plan.actions]
    parts = []
    for kind, (noun, verb) in _DONE.items():
        if kinds.count(kind):
            parts.append(f"{count(kinds.count(kind), noun)}{verb}")
    return f"{cluster}: {', '.join(parts)}"


def _figures(plan: Plan) -> list[str]:
    if not plan.actions:
        return []
    moves, certificate = plan.moves, plan.certificate
    moved = sum(action.memory_bytes for action in moves)
    return table(
        ("Memory moved", "Estimated time", "Held", "Impossible", "That nothing costs less"),
        (
            (
                f"{moved / GIB:.1f} GiB",
                f"about {_minutes(certificate.seconds_estimated)}",
                str(len(plan.holds)),
                str(len(plan.impossible)),
                "is proved" if certificate.proved_optimal else "is not proved",
            ),
        ),
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return [f"#### {title}", "", *found] if found else []


def _actions(actions: Sequence[Action]) -> Iterator[str]:
    rows = tuple(
        (
            "at once" if action.wave == 0 else f"then ({action.wave})",
            action.kind.value,
            name(action.vm),
            name(action.source or "") or "new",
            name(action.target),
            f"{action.memory_bytes / GIB:.1f} GiB" if action.memory_bytes else "",
            text(f"{change_words(action.change)}; " if action.change else "") + text(why(action)),
        )
        for action in actions[:ROWS_MAX]
    )
    yield from _table(("When", "What", "VM", "From", "To", "Memory", "Why"), rows)
    yield from _rest(len(actions))


def _table(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[str]:
    return table(columns, rows) if rows else []


def _rest(rows: int) -> Iterator[str]:
    if rows > ROWS_MAX:
        yield from (f"and {rows - ROWS_MAX} more", "")


def _risks(plan: Plan, observed: ObservedState, vetoes: Sequence[AuditFinding]) -> Iterator[str]:
    lines = [f"**The audit vetoes it:** {text(v.rule)}: {text(v.detail)}" for v in vetoes]
    lines += [
        f"{name(gap.node or observed.cluster)} was not seen when this was planned: "
        f"{text(gap.detail)}"
        for gap in observed.gaps
    ]
    lines += [
        f"{name(action.vm)} moves {name(action.source or '')} → {name(action.target)} as a "
        f"stop-over: {text(why(action))}"
        for action in plan.moves
        if action.is_hop
    ]
    largest = max(plan.moves, key=lambda a: (a.memory_bytes, a.vm), default=None)
    if largest is not None and len(plan.moves) > 1:
        lines.append(
            f"The largest move is {name(largest.vm)}: {largest.memory_bytes / GIB:.1f} GiB, "
            f"about {_minutes(largest.seconds_estimated)}"
        )
    if lines:
        yield from (f"- {line}" for line in lines[:ROWS_MAX])
        yield ""


def _holds(plan: Plan) -> Iterator[str]:
    rows = tuple(
        (
            name(hold.vm) if hold.vm else "everything",
            hold.action.value if hold.action is not None else "",
            name(hold.target or ""),
            text(hold_sentence(hold)),
        )
        for hold in plan.holds[:ROWS_MAX]
    )
    yield from _table(("VM", "What", "To", "Why not"), rows)
    yield from _rest(len(plan.holds))


def _impossible(plan: Plan) -> Iterator[str]:
    rows = tuple(
        (", ".join(map(name, wish.vms)), text(wish.explanation), text(wish.resolution))
        for wish in plan.impossible[:ROWS_MAX]
    )
    yield from _table(("VM", "Why", "Way out"), rows)
