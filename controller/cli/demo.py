"""`demo`: a simulated cluster, a controller that puts it right, a meddling administrator."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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


def demo(
    once: Annotated[
        bool, typer.Option("--once", envvar="ONCE", help="End when converged.")
    ] = False,
) -> None:
    """Watch a simulated failover cluster converge: real WinRM on loopback, specs, page, metrics.

    On a terminal it stays up until Ctrl-C. With --once, or without a terminal, it ends when the
    cluster is as declared again after an administrator meddled. Exit status: 0 converged, 1 not.
    """
    from controller.cli.process import run_until_stopped

    once = once or not (sys.stdin.isatty() and sys.stderr.isatty())
    with tempfile.TemporaryDirectory(prefix="ownernode-demo-") as place:
        work = _demo(_examples(), Path(place), once=once)
        status = run_until_stopped(work, when_stopped=1 if once else 0)
    raise typer.Exit(status)


def _examples() -> Path:
    """The examples of the source tree, or those that are packed into the wheel."""
    package = Path(__file__).parents[1]
    for place in (package / "_examples", package.parent / "deploy" / "examples"):
        if (place / "world.yaml").is_file():
            return place
    raise SpecError("the demo's examples are missing from this installation")


async def _demo(examples: Path, place: Path, *, once: bool) -> int:
    from controller.adapters.http.server import bind
    from controller.adapters.specs.once import read_clusters
    from controller.app.process import Controller
    from controller.app.world import serve_world
    from controller.cli.live import Watch
    from controller.cli.process import Latest
    from controller.settings import Settings

    specs = shutil.copytree(examples / "specs", place / "specs")
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
            f"specs {specs} (edit one and watch)",
            f"orders: export OWNERNODE_URL={url} OWNERNODE_TOKEN_FILE={place}/state/token",
            f"WinRM at {', '.join(sorted(site.addresses.values()))}; Ctrl-C ends",
        )
        settings = Settings(config=place / "config.yaml", specs=specs, state=place / "state")
        clusters = read_clusters(settings.config)
        with Controller(settings, clusters, [latest, watch]) as controller, watch:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(controller.serve(listening), name="controller")
                status = await _story(site, latest, watch, once=once)
                serving.cancel()
    return status


async def _story(site: "SimulatedSite", latest: "Latest", watch: "Watch", *, once: bool) -> int:
    """Converge, let an administrator move a VM, see it respected and undone."""
    from controller.cli.views import report_summary
    from controller.model.names import same_name

    def is_meddled(report: "ClusterReport") -> bool:
        return any(vm.vm == MEDDLES_WITH and same_name(vm.owner, MEDDLES_TO) for vm in report.vms)

    try:
        async with asyncio.timeout(CONVERGES_SECONDS if once else None):
            await latest.first(lambda report: report.converged)
            watch.tell("The cluster is as declared.")
            await asyncio.sleep(MEDDLES_AFTER_SECONDS)
            site.clock.advance()
            site.world.move_live(MEDDLES_WITH, MEDDLES_TO)
            watch.tell(f"An administrator moves {MEDDLES_WITH} to {MEDDLES_TO} by hand.")
            await latest.first(is_meddled)
            await latest.first(lambda report: report.converged)
            watch.tell("The cluster is as declared again.")
    except TimeoutError:
        seen = report_summary(latest.report) if latest.report else "nothing was observed"
        say(f"not converged within {CONVERGES_SECONDS:.0f} s: {seen}")
        return 1
    if not once:
        await asyncio.Event().wait()
    return 0
