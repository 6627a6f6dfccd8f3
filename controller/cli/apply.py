"""`apply`: bring a cluster to its declaration once, in sight of a person."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.run import ConfigOption, SpecsOption, StateOption
from controller.cli.tables import say
from controller.cli.target import ClusterMaybe

if TYPE_CHECKING:
    from controller.model.document import Document
    from controller.model.plan import Plan
    from controller.model.report import ClusterReport
    from controller.settings import Settings

NOT_CONVERGED = 1


def apply(
    config: ConfigOption,
    specs: SpecsOption,
    plan_file: Annotated[
        Path | None,
        typer.Argument(metavar="[PLANFILE]", exists=True, help="Only if this plan still fits."),
    ] = None,
    state: StateOption = Path("/var/lib/ownernode"),
    cluster: ClusterMaybe = None,
    timeout_minutes: Annotated[
        float, typer.Option("--timeout", min=0.01, help="Minutes after which to give up.")
    ] = 60.0,
) -> None:
    """Converge once, with live progress. Exit status: 0 converged, 1 not.

    With PLANFILE (`plan --out`) nothing is done unless the cluster and the specs still lead to the
    same actions. The journal in --state is the controller's: stop a running one first.
    """
    from controller.adapters.specs import once
    from controller.app import look
    from controller.cli.process import run_until_stopped
    from controller.errors import SpecError
    from controller.model.json_documents import read_plan
    from controller.model.policy import Mode
    from controller.settings import Settings

    clusters = once.read_clusters(config)
    document = once.choose_cluster(clusters, cluster)
    desired = look.declare(document, look.read_specs(specs), clusters=clusters)
    if desired.policy.mode is not Mode.ENFORCE:
        raise SpecError(f"{desired.cluster} is in mode {desired.policy.mode}: nothing is applied")
    if plan_file is not None:
        wanted = read_plan(once.bytes_of(plan_file), str(plan_file))
        now, _ = look.plan_once(desired, asyncio.run(look.observe_once(document)))
        _must_fit(wanted, now)
    settings = Settings(config=config, specs=tuple(specs), state=state)
    work = _converge(settings, document, timeout_minutes * 60)
    raise typer.Exit(run_until_stopped(work, when_stopped=NOT_CONVERGED))


async def _converge(settings: "Settings", document: "Document", timeout_seconds: float) -> int:
    from controller.app.process import Controller
    from controller.cli.live import Watch
    from controller.cli.process import Latest, is_over

    latest = Latest()
    with (
        Watch("Ctrl-C stops; what has begun goes on in the cluster.") as watch,
        Controller(settings, [document], [watch, latest]) as controller,
    ):
        work = asyncio.create_task(controller.run(), name="controller")
        over = asyncio.create_task(latest.first(is_over), name="until it is over")
        try:
            await asyncio.wait(
                (work, over), timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            over.cancel()
            work.cancel()
            await asyncio.gather(work, over, return_exceptions=True)
    return _verdict(latest.report)


def _verdict(report: "ClusterReport | None") -> int:
    """Say how it ended."""
    from controller.cli.views import report_summary
    from controller.planning.sentences import hold_sentence

    if report is None:
        say("the cluster could not be observed")
        return NOT_CONVERGED
    say(report_summary(report))
    if report.converged:
        return 0
    for hold in report.cluster_holds:
        say(f"nothing is done: {hold_sentence(hold)}")
    for veto in report.audit:
        say(f"the audit vetoes the plan: {veto.rule}: {veto.detail}")
    return NOT_CONVERGED


def _must_fit(wanted: "Plan", now: "Plan") -> None:
    """Refuse a plan whose actions are not those that the cluster needs now."""
    from controller.errors import SpecError

    if wanted.cluster != now.cluster:
        raise SpecError(f"the plan is for cluster {wanted.cluster}, not for {now.cluster}")
    asked, needed = _lines(wanted), _lines(now)
    if asked == needed:
        return
    gone = [f"  no longer: {line}" for line in asked if line not in needed]
    new = [f"  now: {line}" for line in needed if line not in asked]
    order = [] if gone or new else ["  the same actions in another order"]
    raise SpecError(
        "\n".join(("the plan no longer fits the cluster; make a new one:", *gone, *new, *order))
    )


def _lines(plan: "Plan") -> list[str]:
    return [
        f"{a.kind} {a.vm} {a.source or '-'} -> {a.target} (wave {a.wave}, {a.vm_id or 'new'})"
        for a in plan.actions
    ]
