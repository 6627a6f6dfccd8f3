"""How long Prometheus waits for /metrics of 8,000 VMs, and how late the event loop is meanwhile.

`python tests/bench/scraping.py` prints a table. Measured is the making of the page, in this process
alone: what HTTP adds does not grow with the number of VMs.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from controller.adapters.prometheus.metrics import Metrics, Traffic
from controller.app.process import collect_seldom
from controller.model.report import ClusterReport
from controller.planning.absorb import absorb
from controller.planning.decide import decide
from controller.planning.summary import summarise
from tests.bench.figures import Figure, figure, show
from tests.bench.planning import cluster
from tests.builders import NOW, history

NODES, VMS = 64, 8_000
REPEATS = 7
SCRAPE_MS, LAG_MS = 100.0, 50.0
WAKE_SECONDS = 0.005


def figures() -> Iterator[Figure]:
    """Every figure with its goal; goals are upper bounds."""
    shown = report()
    collect_seldom()  # as `ownernode run` does once it has started
    for what, per_vm in (("", False), (" with --vm-metrics", True)):
        seconds, late_seconds = asyncio.run(scrape(shown, per_vm=per_vm))
        size = f"{NODES} nodes x {VMS:,} VMs"
        yield figure(f"scrape of /metrics{what}, {size}", seconds * 1000, "ms", SCRAPE_MS)
        yield figure(f"loop late during a scrape{what}, {size}", late_seconds * 1000, "ms", LAG_MS)


def report() -> ClusterReport:
    """What a cycle over the whole cluster reports; 1 % of the VMs are not in their place."""
    wanted, world = cluster(NODES, VMS, drifted=VMS // 100)
    past = absorb(history(), wanted, world, NOW)
    plan, findings = decide(wanted, world, past, NOW)
    return summarise(wanted, world, past, plan, findings, (), cycle=1, acted=True, previous=None)


async def scrape(shown: ClusterReport, *, per_vm: bool) -> tuple[float, float]:
    """Median seconds of a scrape, and the median of the longest delay of a wake-up in each."""
    nothing = Traffic(requests={}, logon_failures=0)
    metrics = Metrics(version="bench", fetched=dict, traffic=lambda _: nothing, per_vm=per_vm)
    await metrics.show(shown)
    rounds = [await _scraped(metrics) for _ in range(REPEATS)]
    took, late = zip(*rounds, strict=True)
    return statistics.median(took), statistics.median(late)


async def _scraped(metrics: Metrics) -> tuple[float, float]:
    late = [0.0]

    async def wake_up() -> None:
        while True:
            due = time.perf_counter() + WAKE_SECONDS
            await asyncio.sleep(WAKE_SECONDS)
            late.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        waking = group.create_task(wake_up(), name="wake up")
        began = time.perf_counter()
        page = await metrics.render()
        took = time.perf_counter() - began
        waking.cancel()
    assert b"ownernode_vms{" in page
    return took, max(late)


if __name__ == "__main__":
    show(figures())
