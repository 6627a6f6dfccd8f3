"""Never two leaders, and nobody acts whom the Lease does not name; whatever becomes of requests."""

import random
from collections import Counter

import pytest

from controller.adapters.kube.lease import LeaseTiming
from tests.simulation.leases import FAULTS, Play, run_play
from tests.support.virtual_time import run_virtual

QUICK, FULL = 24, 1000


def play(seed: int, **options: object) -> Play:
    """One run; two replicas or three."""
    found = Play(chance=random.Random(seed), **options)  # type: ignore[arg-type]
    run_virtual(run_play(found, 2 + seed % 2))
    return found


@pytest.mark.parametrize("seeds", [QUICK, pytest.param(FULL, marks=pytest.mark.campaign)])
def test_one_leader_at_most(seeds: int) -> None:
    """Over all runs each fault struck, and the lead was had and lost many times."""
    faults: Counter[str] = Counter()
    acts = terms = 0
    for seed in range(seeds):
        found = play(seed)
        assert found.wrong == [], f"seed {seed}"
        faults.update(found.faults)
        acts, terms = acts + found.acts, terms + found.terms
    print(f"{seeds} runs, {terms} terms, {acts} commands, faults {dict(sorted(faults.items()))}")
    assert faults.keys() == set(FAULTS)
    assert terms > 2 * seeds
    assert acts > 100 * seeds


def test_runs_find_a_leader_that_stays_too_long() -> None:
    """One that would lead longer than its rivals wait is found out."""
    hasty = LeaseTiming(duration_seconds=10, renew_seconds=15)
    assert any(play(seed, timing=hasty).wrong for seed in range(QUICK))


def test_runs_find_a_clock_that_stands_still() -> None:
    """A leader whose boot clock stops with it does wake up leading: only fences help there."""
    assert any(play(seed, freezes_clock=True).wrong for seed in range(QUICK))
