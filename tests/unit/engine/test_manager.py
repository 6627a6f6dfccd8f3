"""What one process runs, and how it ends."""

import ast
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import controller.engine
from controller.engine.aside import Aside
from controller.engine.desired import Declarations
from controller.engine.manager import Manager
from controller.model.findings import Finding
from controller.model.report import ClusterReport
from controller.ports import SpecReading
from controller.simulator.config import load_world
from tests.scenarios.play import cluster_document
from tests.support.process import Site
from tests.support.virtual_time import VirtualClock, run_virtual

BAD = Finding(file="a.yaml", line=1, column=1, path="", message="is no mapping")


class Source:
    """A SpecSource that says what it is told to."""

    def __init__(self) -> None:
        self.reading = SpecReading(revision="r1", documents=(), findings=())

    async def read(self) -> SpecReading:
        return self.reading


def test_only_a_change_of_the_sources_changes_a_declaration() -> None:
    """A finding is a change too: it has to reach the next report."""
    source = Source()
    desired = Declarations(clusters=[cluster_document({})], sources=[source], aside=Aside())

    async def main() -> list[tuple[str, ...]]:
        changed = [await desired.refresh(), await desired.refresh()]
        source.reading = replace(source.reading, findings=(BAD,))
        return [*changed, await desired.refresh()]

    assert run_virtual(main()) == [("demo",), (), ("demo",)]
    assert desired.of("demo").findings == (BAD,)


class Broken(Source):
    """A source with a programming error in it, now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks = False

    async def read(self) -> SpecReading:
        if self.breaks:
            raise ZeroDivisionError
        return self.reading


def test_an_error_in_a_source_costs_time_and_not_the_process() -> None:
    """What was declared stays in force meanwhile, and a later change is still taken up."""
    source = Broken()
    desired = Declarations(clusters=[cluster_document({})], sources=[source], aside=Aside())

    async def main() -> None:
        parts: Sequence[Any] = [Sound()]
        manager = Manager(desired=desired, reconcilers=parts, clock=VirtualClock())
        running = asyncio.create_task(manager.run())
        await asyncio.sleep(10)
        source.breaks = True
        await asyncio.sleep(10)
        source.breaks = False
        source.reading = replace(source.reading, revision="r2")
        await asyncio.sleep(30)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main())
    assert desired.of("demo").revision == "r2"


class Sound:
    """A cluster's part of the manager, with cycles that never end."""

    def __init__(self) -> None:
        self.cluster = "demo"
        self.closed: list[str] = []
        self.executor = self
        self.observer = self

    async def reconcile(self) -> float:
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits that long")

    async def close(self) -> None:
        self.closed.append(f"at {asyncio.get_running_loop().time()}")


def test_a_stop_does_not_wait_for_a_cycle() -> None:
    """The node may hang for an hour: executor and observer are let go at once."""
    sound = Sound()
    parts: Sequence[Any] = [sound]

    async def main() -> None:
        desired = Declarations(clusters=[], sources=[], aside=Aside())
        manager = Manager(desired=desired, reconcilers=parts, clock=VirtualClock())
        running = asyncio.create_task(manager.run())
        await asyncio.sleep(100)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main())
    assert sound.closed == ["at 100.0", "at 100.0"]


class Kept:
    """Keeps every report (a StatusSink)."""

    def __init__(self) -> None:
        self.reports: list[ClusterReport] = []

    async def show(self, report: ClusterReport) -> None:
        self.reports.append(report)


def test_cycles_are_counted_and_events_told_once(tmp_path: Path) -> None:
    """The second report says nothing that the first has said already."""
    world = load_world("nodes: [{name: HV01}]\nvms: [{name: WEB01, node: HV01}]")
    kept = Kept()
    site = Site(world=world, cluster=cluster_document({}), folder=tmp_path, sinks=[kept])
    site.declare({"web01": {"vm": {"name": "WEB01"}, "owners": {"preferred": ["HV01"]}}})

    async def main() -> None:
        site.start()
        await asyncio.sleep(50)
        await site.end()

    run_virtual(main())
    assert [report.cycle for report in kept.reports] == [1, 2, 3, 4]
    assert kept.reports[0].events != ()
    assert kept.reports[-1].events == ()


def test_the_engine_uses_nothing_that_loses_results_or_order() -> None:
    """`wait` returns sets, `wait_for` swallows cancellations, threads have no order."""
    banned = {"wait", "wait_for", "to_thread", "as_completed", "run_coroutine_threadsafe"}
    found = [
        f"{path.name}:{node.lineno} {node.attr}"
        for path in sorted(Path(controller.engine.__path__[0]).glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in banned
        and isinstance(node.value, ast.Name)
        and node.value.id == "asyncio"
    ]
    assert found == []
