"""Two and three controllers at once, restored journals, wrong clocks: one epoch acts at a time."""

import pytest

from controller.simulator.responder_conditions import CONDITIONS
from tests.simulation.drawing import draw
from tests.simulation.rivals import play_rivals

SEEDS = (0, 2, 6, 8, 10)
"""In several of these more than one controller had effects."""


@pytest.mark.parametrize("count", [2, 3])
def test_effects_are_those_of_one_epoch_at_a_time(count: int) -> None:
    """Killed, restored from a backup, started anew, delayed, and with clocks of other days."""
    runs = [play_rivals(draw(seed), count) for seed in SEEDS]
    assert [violations for violations, _, _ in runs if violations] == []
    assert max(epochs for _, _, epochs in runs) > 1


def test_a_node_that_does_not_compare_epochs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of the second controller comes late, after the third has claimed the cluster."""
    monkeypatch.setitem(CONDITIONS, "epochCurrent", lambda case: None)
    violations, _, _ = play_rivals(draw(10), 3)
    assert [v.invariant for v in violations] == ["I5"]


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_effects_are_those_of_one_epoch_in_many_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred seeds of each."""
    options = [draw(seed) for seed in range(100)]
    runs = [play_rivals(o, count) for o in options if o.is_acting for count in (2, 3)]
    several = sum(epochs > 1 for _, _, epochs in runs)
    with capsys.disabled():
        print(
            f"\nrivals: {len(runs)} runs of two and three controllers, {several} with effects of"
            f" several epochs, {sum(effects for _, effects, _ in runs)} effects,"
            f" {sum(bool(violations) for violations, _, _ in runs)} runs with violations"
        )
    assert [violations for violations, _, _ in runs if violations] == []
