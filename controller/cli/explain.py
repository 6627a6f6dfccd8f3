"""`explain`: why a VM is where it is, what would move it, and what stands in the way."""

from typing import Annotated, Any

import typer

from controller.cli.client import URL_DEFAULT, UrlOption, ask
from controller.cli.tables import Output, OutputOption, Table, cells, clean, show
from controller.cli.target import ClusterMaybe, ConfigMaybe, SnapshotMaybe, Target
from controller.errors import SpecError


def explain(
    vm: Annotated[str, typer.Argument(help="Name of the VM or of its spec, or its id.")],
    url: UrlOption = URL_DEFAULT,
    specs: Annotated[
        list[str] | None, typer.Option("--specs", help="Without a running controller.")
    ] = None,
    config: ConfigMaybe = None,
    snapshot: SnapshotMaybe = None,
    cluster: ClusterMaybe = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain one VM: verdict, rules, every node and why it is fit or not, holds, last moves.

    Asks the running controller at --url; with --config or --snapshot, and --specs, it looks itself.
    """
    if config is None and snapshot is None:
        found = ask(url, "explain", vm)["explanations"]
    else:
        if not specs:
            raise SpecError("give --specs with --config or --snapshot")
        from controller.app.look import explain_once

        desired, observed = Target(config=config, snapshot=snapshot, cluster=cluster).states(specs)
        found = explain_once(desired, observed, vm)
        if not found:
            raise SpecError(f"no spec and no VM is called {vm!r} in {observed.cluster}")
    if output in (Output.JSON, Output.YAML):
        show([], found, output)
        return
    for number, explanation in enumerate(found):
        if number:
            print()
        show(_tables(explanation), explanation, output)


def _tables(explanation: dict[str, Any]) -> list[Table]:
    """Sentence, rules, every node, what is planned or waits, checks, last moves."""
    head = Table(columns=(clean(explanation["sentence"]),), rows=())
    if explanation["spec"] is None:
        return [head]
    rules = explanation["rules"] or {}
    said = [(name, _said(value)) for name, value in rules.items() if value not in (None, [])]
    waits = explanation["hold"]
    return [
        head,
        Table(
            title=f"Rules ({explanation['source']})", columns=("RULE", "VALUE"), rows=cells(said)
        ),
        Table(
            title="Nodes",
            columns=("NODE", "FIT", "CHOICE", "ROOM", "WHY NOT", "COST"),
            rows=cells(_node(place) for place in explanation["candidates"]),
            wide=1,
        ),
        Table(
            title="Planned",
            columns=("WAVE", "WHAT"),
            rows=cells((step["wave"] or "now", step["sentence"]) for step in explanation["plan"]),
        ),
        Table(
            title="Waits",
            columns=("WHY", "SINCE", "UNTIL", "RELEASED BY", "GUARD", "REASON"),
            rows=cells([_wait(waits)] if waits else []),
        ),
        Table(
            title="Impossible",
            columns=("WHY", "WAY OUT"),
            rows=cells((w["explanation"], w["resolution"]) for w in explanation["impossible"]),
        ),
        Table(
            title="Settings of its role that are not as declared",
            columns=("SETTING", "NOW", "DECLARED", "WHY NOT WRITTEN"),
            rows=cells(part.values() for part in explanation["roleSettings"]),
        ),
        Table(
            title="High availability",
            columns=("CHECK", "VERDICT", "FOUND", "REMEDY"),
            rows=cells(check.values() for check in explanation["highAvailability"]),
        ),
        Table(
            title="Last moves",
            columns=("SEEN", "FROM", "TO", "BY"),
            rows=cells(move.values() for move in explanation["moves"]),
        ),
    ]


def _said(value: Any) -> str:
    match value:
        case list():
            return ", ".join(value)
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def _wait(hold: dict[str, Any]) -> tuple[object, ...]:
    told = (hold["since"], hold["until"], hold["releasedBy"], hold["guard"], hold["reason"])
    return hold["sentence"], *(part or "-" for part in told)


def _node(place: dict[str, Any]) -> tuple[object, ...]:
    choice = "-" if place["rank"] is None else place["rank"] + 1
    return (
        f"{place['node']}{' (here)' if place['isOwner'] else ''}",
        "yes" if place["fit"] else "no",
        choice,
        f"{place['roomBytes'] / 1024**3:.1f} GiB",
        "; ".join(f"{found['found']} ({found['remedy']})" for found in place["unfit"]),
        f"{place['costGib']:.0f} GiB",
    )
