"""`demo`: a simulated cluster, a controller that puts it right, and people who meddle."""

import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from controller.cli.tables import say
from controller.errors import SpecError

if TYPE_CHECKING:
    from controller.cli.live import Watch
    from controller.cli.process import Latest
    from controller.model.report import ClusterReport
    from controller.simulator.serve import SimulatedSite

PORT = 9464
CONVERGES_SECONDS = 240.0
"""Three times what it takes on a slow machine; past it `--once` gives up."""
MEDDLES_AFTER_SECONDS = 8.0
MEDDLES_WITH, MEDDLES_TO = "FILE01", "HV04"


class Scenario(StrEnum):
    """What there is to be seen."""

    CONVERGE = "converge"
    BAD_COMMIT = "bad-commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a story is played on. `examples` has what the story brings along."""

    site: "SimulatedSite"
    latest: "Latest"
    watch: "Watch"
    specs: Path
    examples: Path
    once: bool


def demo(
    scenario: Annotated[
        Scenario,
        typer.Option(
            envvar="SCENARIO", help="converge: from drift to the declaration; bad-commit: brakes."
        ),
    ] = Scenario.CONVERGE,
    once: Annotated[
        bool, typer.Option("--once", envvar="ONCE", help="End when converged.")
    ] = False,
) -> None:
    """Watch a simulated failover cluster converge: real WinRM on loopback, specs, page, metrics.

    On a terminal it stays up until Ctrl-C. With --once, or without a terminal, it ends when the
    story is told and the cluster is as declared. Exit status: 0 converged, 1 not.
    """
    from controller.cli.process import run_until_stopped

    once = once or not (sys.stdin.isatty() and sys.stderr.isatty())
    with tempfile.TemporaryDirectory(prefix="ownernode-demo-") as place:
        work = _demo(_examples(), Path(place), scenario, once=once)
        status = run_until_stopped(work, when_stopped=1 if once else 0)
    raise typer.Exit(status)


def _examples() -> Path:
    """The examples of the source tree, or those that are packed into the wheel."""
    package = Path(__file__).parents[1]
    for place in (package / "_examples", package.parent / "deploy" / "examples"):
        if (place / "world.yaml").is_file():
            return place
    raise SpecError("the demo's examples are missing from this installation")


async def _demo(examples: Path, place: Path, scenario: Scenario, *, once: bool) -> int:
    from controller.adapters.http.server import bind
    from controller.adapters.specs.once import read_clusters
    from controller.app.process import Controller
    from controller.app.repository import make_repository
    from controller.app.world import serve_world
    from controller.cli.live import Watch
    from controller.cli.process import Latest
    from controller.settings import Settings

    examples = examples if scenario is Scenario.CONVERGE else examples / scenario.value
    specs = shutil.copytree(examples / "specs", place / "specs")
    source = make_repository(specs)
    latest = Latest()
    world, declared = examples / "world.yaml", examples / "config.yaml"
    async with serve_world(world, place, declared=declared) as site:
        try:
            listening = bind("127.0.0.1", PORT)
        except SpecError:
            listening = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        watch = Watch(
            f"page {url}/   metrics {url}/metrics",
            f"specs {specs}: a Git repository; give a VM another node in one of its files,",
            f"  then: git -C {specs} commit -a -m 'Move it', and watch",
            f"orders: export OWNERNODE_URL={url} OWNERNODE_TOKEN_FILE={place}/state/token",
            f"WinRM at {', '.join(sorted(site.addresses.values()))}; Ctrl-C ends",
        )
        settings = Settings(config=place / "config.yaml", specs=(source,), state=place / "state")
        clusters = read_clusters(place / "config.yaml")
        with Controller(settings, clusters, [latest, watch]) as controller, watch:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(controller.serve(listening), name="controller")
                stage = Stage(
                    site=site, latest=latest, watch=watch, specs=specs, examples=examples, once=once
                )
                status = await _told(stage, scenario)
                serving.cancel()
    return status


async def _told(stage: Stage, scenario: Scenario) -> int:
    """Tell the story to its end; on a terminal, stay up after it."""
    from controller.cli.views import report_summary

    try:
        async with asyncio.timeout(CONVERGES_SECONDS if stage.once else None):
            match scenario:
                case Scenario.CONVERGE:
                    await _meddling(stage)
                case Scenario.BAD_COMMIT:
                    await _bad_commit(stage)
                case _:
                    assert_never(scenario)
    except TimeoutError:
        report = stage.latest.report
        seen = report_summary(report) if report else "nothing was observed"
        say(f"not converged within {CONVERGES_SECONDS:.0f} s: {seen}")
        return 1
    if not stage.once:
        await asyncio.Event().wait()
    return 0


async def _meddling(stage: Stage) -> None:
    """Converge, let an administrator move a VM, see it respected and undone."""
    from controller.model.names import same_name

    def is_meddled(report: "ClusterReport") -> bool:
        return any(vm.vm == MEDDLES_WITH and same_name(vm.owner, MEDDLES_TO) for vm in report.vms)

    latest, watch = stage.latest, stage.watch
    await latest.first(lambda report: report.converged)
    watch.tell("The cluster is as declared.")
    await asyncio.sleep(MEDDLES_AFTER_SECONDS)
    stage.site.clock.advance()
    stage.site.world.move_live(MEDDLES_WITH, MEDDLES_TO)
    watch.tell(f"An administrator moves {MEDDLES_WITH} to {MEDDLES_TO} by hand.")
    await latest.first(is_meddled)
    await latest.first(lambda report: report.converged)
    watch.tell("The cluster is as declared again.")


async def _bad_commit(stage: Stage) -> None:
    """A commit that is meant goes out behind a canary; one that is not meets a brake.

    What waits is approved in a second terminal, or the commit is taken back; where nobody is there
    to do either, it is taken back here.
    """
    from controller.planning.approvals import waiting_for_approval

    latest, watch = stage.latest, stage.watch
    await latest.first(lambda report: report.converged)
    watch.tell("The cluster is as declared. A commit moves the four databases to HV04: few enough.")
    _commit(stage, "meant")
    await latest.first(lambda report: not report.converged)
    await latest.first(lambda report: report.converged)
    watch.tell("One went first, then two, then the rest. Now a search-and-replace goes wrong:")
    watch.tell("a commit sends all web and application servers to HV04, twelve VMs.")
    _commit(stage, "bad")
    report = await latest.first(lambda report: bool(waiting_for_approval(report)))
    (hold,) = waiting_for_approval(report)
    digest = hold.evidence["digest"]
    watch.tell(f"{hold.reason} holds them all. No VM moves until a person says yes to exactly this")
    watch.tell(f"(ownernode approve {digest}) or the commit is taken back.")
    if stage.once:
        await asyncio.sleep(MEDDLES_AFTER_SECONDS)
        watch.tell("Nobody says yes, and the commit is taken back.")
        shutil.copytree(stage.examples / "specs", stage.specs, dirs_exist_ok=True)
        _commit(stage, "meant")
    await latest.first(lambda report: report.converged)
    moved = sum(len(vm.migrations) for vm in stage.site.world.truth()) - 4
    watch.tell(f"The cluster is as declared. VMs that the bad commit moved: {moved}.")


def _commit(stage: Stage, name: str) -> None:
    from controller.app.repository import commit_all

    shutil.copytree(stage.examples / "commits" / name, stage.specs, dirs_exist_ok=True)
    commit_all(stage.specs, f"The {name} commit")
