"""One table, five ways to read it: aligned columns, wide, Markdown, JSON and YAML."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli import markdown

if TYPE_CHECKING:
    from controller.model.observed import ObservedState


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="How the data is printed on stdout.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text. The last `wide` columns are shown only with `-o wide` and in Markdown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wide: int = 0
    title: str = ""


def show(tables: Sequence[Table], data: Any, output: Output) -> None:
    """Print the tables, or the data that they were made from, to stdout.

    A table without rows is left out, unless it is the first: its header shows that the question
    was understood.
    """
    match output:
        case Output.JSON:
            print(json.dumps(data, indent=2, ensure_ascii=False))
        case Output.YAML:
            import yaml

            print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), end="")
        case _:
            shown = [*tables[:1], *(table for table in tables[1:] if table.rows)]
            print("\n\n".join(as_text(table, output) for table in shown))


def as_text(table: Table, output: Output) -> str:
    """The table as aligned columns or as Markdown, without a line feed at its end."""
    if output is Output.MARKDOWN:
        escaped = tuple(tuple(map(markdown.text, row)) for row in table.rows)
        head = [f"**{table.title}**", ""] if table.title else []
        return "\n".join([*head, *markdown.table(table.columns, escaped)]).rstrip("\n")
    kept = len(table.columns) - (0 if output is Output.WIDE else table.wide)
    rows = [table.columns[:kept], *(row[:kept] for row in table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(kept)]
    lines_ = ["   ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    title = [clean(table.title)] if table.title else []
    return "\n".join(line.rstrip() for line in (*title, *lines_))


def say(message: str) -> None:
    """Tell the person something that is not data, on one line."""
    print(clean(message), file=sys.stderr, flush=True)


def say_unseen(observed: "ObservedState") -> None:
    """Tell what of a cluster could not be seen, and why."""
    for gap in observed.gaps:
        say(f"not seen: {gap.node or observed.cluster}: {gap.reason.value}, {gap.detail}")


def clean(text: str) -> str:
    """The text without control characters: what a node says must not steer a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def cells(rows: Iterable[Iterable[object]]) -> tuple[tuple[str, ...], ...]:
    """Rows of anything as rows of clean text; None is empty."""
    return tuple(tuple("" if c is None else clean(str(c)) for c in row) for row in rows)


def count(number: int, noun: str) -> str:
    """`1 move`, `2 moves`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
