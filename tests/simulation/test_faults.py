"""Every fault of the catalogue alone, and two together: no harm, then all is made good again.

`make test` plays each alone and a share of the pairs; `make campaign` all 780, `SIMULATION_PAIRS`
runs of each (one unless set), small and large in turn.
"""

import os
import random
from itertools import combinations

import pytest

from tests.simulation import wire
from tests.simulation.campaign import Campaign, judged
from tests.simulation.deeds import PLAYED
from tests.simulation.drawing import LARGE, SMALL, draw
from tests.simulation.faults import CATALOGUE, PEOPLE, Kind
from tests.simulation.play import play

PAIRS = tuple(combinations(CATALOGUE, 2))
SHARE = random.Random(2026).sample(PAIRS, k=20)
FIRST_SEED = 100_000
"""Far from the seeds of the long campaign."""


def test_every_fault_is_played() -> None:
    """Forty, by the catalogue, and what people do."""
    assert len(CATALOGUE) == 40
    assert len(PAIRS) == 780
    assert set(PLAYED) == set(Kind) == {*CATALOGUE, *PEOPLE}


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_no_single_fault_leads_to_harm(kind: Kind) -> None:
    """Three times in one run, at moments drawn by the seed, half of them amid the first moves."""
    judged(draw(FIRST_SEED + kind.value, SMALL, (kind,)))


@pytest.mark.parametrize("pair", SHARE, ids=lambda pair: "-".join(k.name.lower() for k in pair))
def test_no_two_faults_together_lead_to_harm(pair: tuple[Kind, Kind]) -> None:
    """A share, the same every time."""
    judged(draw(FIRST_SEED + 100 * pair[0].value + pair[1].value, SMALL, pair))


def test_a_repeated_command_needs_an_agent_that_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The move fails, and the copy of its command finds all as before.

    No condition can tell the copy from the command. That the agent answers a repeated call from
    memory is what keeps one intent from two effects.
    """
    kinds = (Kind.DUPLICATED, Kind.DUPLICATED, Kind.MIGRATION_FAILS)
    options = draw(FIRST_SEED + 5041, SMALL, kinds)
    judged(options)
    monkeypatch.setattr(wire, "AGENTS_REMEMBER", False)
    assert [v.invariant for v in play(options).violations] == ["I21"]


def test_a_vm_that_had_its_moves_of_a_day_waits_for_the_next() -> None:
    """A quorum that comes and goes, with failovers we made good three times; the fourth must wait.

    The cluster may take a day longer then, and no longer: it was called stuck.
    """
    judged(draw(FIRST_SEED + 5266, SMALL, (Kind.PARTIAL_ANSWER, Kind.QUORUM_LOSS)))


def test_a_node_that_only_others_call_isolated_was_away() -> None:
    """It still thought it was up, so the nodes disagreed: unknown, and taken for steady at once."""
    judged(draw(FIRST_SEED + 5458, SMALL, (Kind.LOGON_EXPIRED, Kind.ISOLATE)))


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_no_pair_of_faults_leads_to_harm(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them."""
    times = int(os.environ.get("SIMULATION_PAIRS", "1"))
    done, found = Campaign(), []
    for number, pair in enumerate(PAIRS * times):
        # Every twentieth run is a large one: it costs as much as ten.
        size = LARGE if number % 20 == 0 else SMALL
        result = play(draw(FIRST_SEED + 5000 + number, size, pair))
        done.add(result)
        found += [f"{pair[0].name} {pair[1].name}: {v}" for v in result.violations[:1]]
    with capsys.disabled():
        print(f"\nall {len(PAIRS)} pairs of the {len(CATALOGUE)} faults, {times} runs each: {done}")
    assert found == []
