"""`explain`: why a VM is where it is, what would move it, and what stands in the way."""

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.client import URL_DEFAULT, UrlOption, ask
from controller.cli.tables import Output, OutputOption, Table, cells, show
from controller.cli.target import ClusterMaybe, ConfigMaybe, SnapshotMaybe, Target
from controller.errors import SpecError


def explain(
    vm: Annotated[str, typer.Argument(help="Name of the VM or of its spec, or its id.")],
    url: UrlOption = URL_DEFAULT,
    specs: Annotated[
        Path | None, typer.Option("--specs", exists=True, help="Without a running controller.")
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
        if specs is None:
            raise SpecError("give --specs with --config or --snapshot")
        from controller.app import explain_once

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
