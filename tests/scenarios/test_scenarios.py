"""Stories of a cluster's life, each a directory: what it is, what happens, what must come of it.

`scenario.yaml` tells the story; `expected.log` is what was said and done, in virtual time. A change
of the log is a change of behaviour: `pytest tests/scenarios --update` writes it anew, and somebody
reads the difference. A bug begins as a scenario.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.simulator.states import NodeState
from tests.scenarios.play import Play, Scenario
from tests.support.virtual_time import run_virtual

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/scenario.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_story_goes_as_told(
    folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The log is the expected one, the ends are met, and no invariant was broken on the way."""
    play = Play(Scenario.load(folder), tmp_path)
    try:
        run_virtual(play.run())
    except Exception as error:
        error.add_note("\n".join(play.narrator.lines))
        raise
    check_ends(play, play.scenario.ends)
    log = "\n".join(play.narrator.lines) + "\n"
    expected = folder / "expected.log"
    if request.config.getoption("--update", default=False):
        expected.write_text(log)
    assert log == expected.read_text()


def test_there_are_enough_stories() -> None:
    """A renamed file must not make the suite pass by testing nothing."""
    assert len(FOLDERS) >= 90


def check_ends(play: Play, ends: Mapping[str, Any]) -> None:
    """Judge the end by the simulator's truth, and the verdicts by the last report."""
    truth = {vm.name: vm for vm in play.world.truth()}
    for end, wanted in ends.items():
        match end:
            case "owners":
                assert {name: truth[name].owner_node for name in wanted} == wanted
            case "states":
                assert {name: truth[name].state.name for name in wanted} == wanted
            case "clustered":
                assert [name for name in wanted if truth[name].is_clustered] == wanted
            case "absent":
                assert [name for name in wanted if name in truth] == []
            case "verdicts":
                assert play.report is not None
                found = {vm.vm: vm.verdict.value for vm in play.report.vms}
                assert {name: found[name] for name in wanted} == wanted
            case "nodes":
                nodes = play.world.cluster.nodes.values()
                found = {node.name: NodeState(node.state).name for node in nodes}
                assert {name: found[name] for name in wanted} == wanted
            case "maintenance":
                assert play.report is not None
                phases = {m.node: m.phase.value for m in play.report.plan.maintenances}
                assert phases == wanted
            case "orders":
                assert len(play.witness.orders) == wanted, play.witness.orders
            case "commands":
                assert len(play.world.commands) == wanted, play.world.commands
            case "roles":
                assert {name: _settings(play, name) for name in wanted} == wanted
            case "folders":
                nodes = play.world.cluster.nodes.values()
                found = {node.name: [node.vm_path, node.vhd_path] for node in nodes}
                assert {name: found[name] for name in wanted} == wanted
            case "folders told":
                assert play.report is not None
                assert [f.node for f in play.report.plan.folders] == wanted
            case "compatible":
                vms = {name: play.world.vm(name).processor_compatibility for name in wanted}
                assert vms == wanted
            case "differs":
                assert play.report is not None
                told = {vm.vm: [c.setting.value for c in vm.differs] for vm in play.report.vms}
                assert {name: told[name] for name in wanted} == wanted
            case "epoch":
                assert play.world.cluster.parameters["ownernodeepoch"][1] == wanted
            case "moves":
                moves = Counter(
                    {name: sum(m.live for m in truth[name].migrations) for name in wanted}
                )
                assert moves == wanted
            case _:
                raise AssertionError(f"no end is called {end!r}")


def _settings(play: Play, vm: str) -> dict[str, Any]:
    """A role's own settings, the possible owners of its two resources where they differ."""
    role = play.world.role(vm)
    owners = {"possible": role.possible}
    if role.possible != role.possible_configuration:
        owners["configuration"] = role.possible_configuration
    return {
        "failback": role.auto_failback,
        **owners,
        "preferred": role.preferred,
        "priority": role.priority,
    }
