"""The production engine on virtual time, with faults drawn from a seed, judged by the truth alone.

A run has a phase of faults, then heals, then must converge, then must stay silent for a day.
`make test` plays a share; `make campaign` plays `SIMULATION_SEEDS` seeds (2,000 unless set) and
prints how much simulated time that was.
"""

import os

import pytest

from tests.simulation.drawing import draw
from tests.simulation.play import Result, play
from tests.simulation.shrink import shrink, told

CHUNKS = 12
SEEDS_PER_CHUNK = 5
CAMPAIGN_FIRST_SEED = CHUNKS * SEEDS_PER_CHUNK


def _judged(seed: int) -> Result:
    result = play(draw(seed))
    assert not result.violations, told(shrink(result))
    return result


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_fault_leads_to_harm(chunk: int) -> None:
    """No invariant broken at any step, everything made good after it, then a day of silence."""
    for seed in range(chunk * SEEDS_PER_CHUNK, (chunk + 1) * SEEDS_PER_CHUNK):
        _judged(seed)


def test_a_seed_is_one_story() -> None:
    """What a seed found once, it finds again: equal commands at equal times."""
    assert play(draw(7)).trace == play(draw(7)).trace


@pytest.mark.campaign
def test_no_fault_leads_to_harm_in_many_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The same over many seeds, with the simulated time told."""
    count = int(os.environ.get("SIMULATION_SEEDS", "2000"))
    results = [_judged(CAMPAIGN_FIRST_SEED + number) for number in range(count)]
    hours = sum(result.simulated_seconds for result in results) / 3600
    seconds = sum(result.real_seconds for result in results)
    commands = sum(result.commands for result in results)
    with capsys.disabled():
        print(
            f"\n{count} runs, {hours:,.0f} simulated hours, {commands:,} commands,"
            f" {hours / seconds:.0f} simulated hours a second"
        )
