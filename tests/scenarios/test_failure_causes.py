"""For each error code that is known: a migration breaks off with it, and a person is told why."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.model.failures import CAUSES, in_words
from controller.model.report import ClusterReport
from controller.simulator.states import Stage
from tests.scenarios.play import Play, Scenario
from tests.support.virtual_time import run_virtual

WORLD = {
    "nodes": [{"name": "HV01"}, {"name": "HV02"}],
    "vms": [{"name": "WEB01", "node": "HV02", "memory": "8Gi"}],
}
WANT = {"web01": {"vm": {"name": "WEB01"}, "owners": {"preferred": ["HV01"]}}}


class Listener:
    """Keeps what every report had to say."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.sentences: list[str] = []
        self.pauses: list[float | None] = []

    async def show(self, report: ClusterReport) -> None:
        """A StatusSink."""
        self.events += report.events
        self.sentences += [vm.sentence for vm in report.vms]
        self.pauses += [m.pause_seconds for m in report.ended_moves]


def play(folder: Path, code: int | None, **doubts: str) -> Listener:
    """Move WEB01; the first try breaks off with that code."""
    scenario = Scenario(
        title="", story="", world=WORLD, config={"mode": "Enforce"}, specs=WANT,
        until="converged", ends={},
    )  # fmt: skip
    listener = Listener()

    async def story() -> None:
        run = Play(scenario, folder)
        run.world.doubts = replace(run.world.doubts, **doubts)
        if code is not None:
            run.world.break_next_migration("WEB01", hresult=code, stage=Stage.TRANSFER)
        run.site._sinks = (*run.site._sinks, listener)
        await run.run()

    run_virtual(story())
    return listener


@pytest.mark.parametrize("code", CAUSES, ids=lambda code: f"0x{code:08X}")
def test_a_broken_migration_is_told_in_words(tmp_path: Path, code: int) -> None:
    """By the node's events or by the role's private properties: as an event and at the VM."""
    words = in_words(code)
    told = play(tmp_path, code, migration_properties="absent" if code % 2 else "filled")
    assert [e for e in told.events if words in e and "had no effect" in e]
    assert [s for s in told.sentences if words in s]


def test_what_no_node_tells_is_not_made_up(tmp_path: Path) -> None:
    """Without the event a pause is not reported; looks are no measure of it."""
    told = play(tmp_path, None, pause_event="never")
    assert told.pauses == [None]
    assert [e for e in told.events if "is not reported" in e]


def test_a_pause_is_told_where_a_node_reports_it(tmp_path: Path) -> None:
    """As long as the node says."""
    told = play(tmp_path, None)
    assert told.pauses == [0.4]
    assert [e for e in told.events if "stood still for 0.4 s" in e]
