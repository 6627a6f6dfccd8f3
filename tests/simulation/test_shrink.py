"""A failure is handed over small, and as a scenario that the scenarios' player understands."""

import re
from pathlib import Path

import pytest

from controller.planning import guards
from tests.scenarios.play import Play, Scenario
from tests.scenarios.steps import _TABLE
from tests.simulation.drawing import SMALL, draw
from tests.simulation.faults import Kind
from tests.simulation.play import play
from tests.simulation.shrink import _ENDS, _SENTENCES, keep, shrink, told
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("sentence", [*_SENTENCES.values(), *_ENDS.values()])
def test_every_sentence_is_one_of_the_scenarios(sentence: str) -> None:
    """What is written must not be refused by the player of scenarios."""
    said = sentence.format(vm="SQL01", node="HV01")
    assert [pattern for pattern, _ in _TABLE if re.fullmatch(pattern, said)]


def test_what_is_found_is_handed_over_as_a_scenario_that_plays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without respect for what administrators move, a run of many faults shrinks to that one."""
    rest = tuple(g for g in guards.MOVE_GUARDS if g.__name__ != "foreign_move")
    monkeypatch.setattr(guards, "MOVE_GUARDS", rest)
    kinds = (Kind.FOREIGN_MOVE, Kind.REPLY_LOST, Kind.BACKUP_LOCK, Kind.CONTROLLER_CRASH)
    failed = next(
        result for seed in range(100) if (result := play(draw(seed, SMALL, kinds))).violations
    )
    small = shrink(failed)
    assert len(failed.options.faults) == 12
    assert [fault.kind for fault in small.options.faults] == [Kind.FOREIGN_MOVE]
    assert f"seed {failed.options.seed}, 3 x 10, commit " in told(small)

    folder = keep(small, tmp_path)
    story = Play(Scenario.load(folder), tmp_path / "played")
    run_virtual(story.run())
    log = "\n".join(story.narrator.lines)
    assert re.search(r"admin +moves ", log)
    assert "not a step yet" not in (folder / "scenario.yaml").read_text()
