"""`plan`: what would happen, in order, and why."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.run import SpecsOption
from controller.cli.tables import Output, OutputOption, say, say_unseen, show
from controller.cli.target import ClusterMaybe, ConfigMaybe, SnapshotMaybe, Target

CHANGES = 2
"""Exit status of --detailed-exitcode, as of `terraform plan`."""


def plan(
    specs: SpecsOption,
    config: ConfigMaybe = None,
    snapshot: SnapshotMaybe = None,
    cluster: ClusterMaybe = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the plan to this file, for `apply`.")
    ] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there is something to do.")
    ] = False,
    since: Annotated[
        list[str] | None,
        typer.Option(
            "--since", help="Specs before the change: brakes on what changes count as they would."
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what would happen, in order, and why; nothing is changed.

    Exit status: 0; with --detailed-exitcode 0 nothing to do, 2 changes; 1 for an error.
    """
    from controller.app.look import plan_once
    from controller.cli.comment import plan_comment
    from controller.cli.views import plan_summary, plan_tables
    from controller.model.json_documents import as_json, write_document

    target = Target(config=config, snapshot=snapshot, cluster=cluster)
    desired, observed = target.states(specs)
    before = target.desired(since, observed) if since else None
    made, vetoes = plan_once(desired, observed, before)
    for finding in desired.findings:
        say(str(finding))
    say_unseen(observed)
    if out is not None:
        out.write_text(write_document(made), encoding="utf-8")
    if output is Output.MARKDOWN:
        declared = {want.key for want in desired.vms}
        gone = [w.title for w in (before.vms if before else ()) if w.key not in declared]
        print(plan_comment(made, observed, undeclared=gone, vetoes=vetoes))
    else:
        show(plan_tables(made), as_json(made), output)
    say(plan_summary(made))
    for veto in vetoes:
        say(f"the audit vetoes it: {veto.rule}: {veto.detail}")
    if vetoes:
        raise typer.Exit(1)
    if detailed_exitcode and made.actions:
        raise typer.Exit(CHANGES)
