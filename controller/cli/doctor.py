"""`doctor`: is everything there that the controller needs, on every node."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from controller.cli.run import ConfigOption
from controller.cli.tables import Output, OutputOption, Table, cells, count, say, show
from controller.cli.target import ClusterMaybe

if TYPE_CHECKING:
    from controller.model.checkup import Check


def doctor(
    config: ConfigOption,
    cluster: ClusterMaybe = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check the way to each node and what is on it, and say what to do. Changes nothing.

    Exit status: 0 when nothing failed, else 1.
    """
    from controller.adapters.specs.once import choose_cluster, read_clusters
    from controller.app.examine import examine
    from controller.model.checkup import CheckResult

    checks = asyncio.run(examine(choose_cluster(read_clusters(config), cluster)))
    data = [
        {
            "node": c.node,
            "check": c.name.value,
            "result": c.result.value,
            "found": c.found,
            "remedy": c.remedy,
        }
        for c in checks
    ]
    columns = ("CHECK", "NODES", "RESULT", "FOUND", "WHAT TO DO")
    show([Table(columns=columns, rows=cells(_rows(checks)))], data, output)
    how_many = {r: sum(c.result is r for c in checks) for r in CheckResult}
    say(", ".join(f"{count(number, 'check')} {result}" for result, number in how_many.items()))
    if how_many[CheckResult.FAIL]:
        raise typer.Exit(1)


def _rows(checks: "Sequence[Check]") -> Iterator[Sequence[str]]:
    """One line for all nodes of which the same is said, check by check."""
    from controller.model.checkup import CheckName

    def said(check: "Check") -> tuple[int, str, str, str]:
        return order.index(check.name), check.result.value, check.found, check.remedy

    order = tuple(CheckName)
    everybody = {check.node for check in checks}
    for (at, result, found, remedy), group in groupby(sorted(checks, key=said), key=said):
        nodes = sorted({check.node for check in group})
        where = f"all {len(nodes)}" if len(nodes) == len(everybody) > 1 else ", ".join(nodes)
        yield order[at].value, where, result, found, remedy
