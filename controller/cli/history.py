"""`history`: what was done to a VM or a node, when, why, by whom, and how long it took."""

from typing import Annotated, Any

import typer

from controller.cli.client import URL_DEFAULT, UrlOption, ask
from controller.cli.tables import Output, OutputOption, Table, cells, say, show
from controller.model.source import short


def history(
    name: Annotated[str, typer.Argument(help="A VM or a node.")],
    url: UrlOption = URL_DEFAULT,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the last 90 days of a VM or a node, as the journal of a running controller has them."""
    entries = ask(url, "history", name)["history"]
    if not entries:
        say(f"nothing is known of {name} in the last 90 days")
    if entries or output in (Output.JSON, Output.YAML):
        show([_table(entries)], entries, output)


def _table(entries: list[dict[str, Any]]) -> Table:
    rows = (
        (
            entry["at"][:19],
            entry["vm"],
            entry["what"],
            _way(entry),
            entry["by"],
            entry["why"],
            "" if entry["seconds"] is None else f"{entry['seconds']:.0f} s",
            entry["result"],
            short(entry["revision"] or ""),
            entry["cluster"],
        )
        for entry in entries
    )
    columns = (
        "AT (UTC)",
        "VM",
        "WHAT",
        "WAY",
        "BY",
        "WHY",
        "TOOK",
        "RESULT",
        "REVISION",
        "CLUSTER",
    )
    return Table(columns=columns, rows=cells(rows), wide=2)


def _way(entry: dict[str, Any]) -> str:
    if entry["target"] is None:
        return ""
    return f"{entry['source'] or 'new'} -> {entry['target']}"
