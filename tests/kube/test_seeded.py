"""Replicas over the real API server, faults by seed: one leader, no deletion missed, nothing twice.

`SEEDED_RUNS=200 FIRST_SEED=1000 make campaign` has the counts of the campaign.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from tests.kube.api_server import ApiServer
from tests.kube.seeded import Run
from tests.kube.troubles import befall, drawn, lost, overlong

QUICK_SEEDS = (1, 4)
RUNS = int(os.environ.get("SEEDED_RUNS", "200"))
FIRST = int(os.environ.get("FIRST_SEED", "1000"))
AT_ONCE = int(os.environ.get("SEEDED_AT_ONCE", "3"))
"""Runs that share the server, also when one of them kills it."""


def made(server: ApiServer, folder: Path, seed: int) -> tuple[Run, list[str]]:
    """A run, and what will befall it."""
    (folder / str(seed)).mkdir()
    run = Run(server, folder / str(seed), seed)
    return run, drawn(run)


async def play(*plays: tuple[Run, Callable[[Run], Awaitable[None]]]) -> None:
    """Runs beside one another."""
    async with asyncio.TaskGroup() as group:
        for run, troubles in plays:
            group.create_task(run.play(troubles), name=f"seed {run.seed}")


@pytest.mark.timeout(120)
def test_few_seeds_and_runs_that_must_fail(clean: ApiServer, tmp_path: Path) -> None:
    """Two seeds are well. A leader that stays too long, and a deletion missed, are found out.

    All at once, to save time.
    """
    few = [made(clean, tmp_path, seed) for seed in QUICK_SEEDS]
    hasty, blind = (made(clean, tmp_path, seed)[0] for seed in (7, 8))
    hasty.lease_seconds = (1.0, 9.0, 0.25)
    blind.patience_seconds = 9.0
    plays = [(run, partial(befall, names)) for run, names in few]
    asyncio.run(play(*plays, (hasty, overlong), (blind, lost)))
    assert {run.seed: run.wrong for run, _ in few} == {seed: [] for seed in QUICK_SEEDS}
    assert any(" lead for " in what for what in hasty.wrong), hasty.wrong
    assert any("mirrors what the server has" in what for what in blind.wrong), blind.wrong


@pytest.mark.campaign
def test_many_seeds(clean: ApiServer, tmp_path: Path) -> None:
    """Every kind of fault strikes, and the lead is had and lost many times."""
    began, figures = time.monotonic(), Counter[str]()
    wrong: list[str] = []
    for at in range(0, RUNS, AT_ONCE):
        seeds = range(FIRST + at, FIRST + min(at + AT_ONCE, RUNS))
        group = [made(clean, tmp_path, seed) for seed in seeds]
        asyncio.run(play(*((run, partial(befall, names)) for run, names in group)))
        for run, _ in group:
            figures += run.figures()
            wrong += [f"seed {run.seed}: {what}" for what in run.wrong]
        print(
            f"{at + len(group)} runs, {time.monotonic() - began:.0f} s, wrong: {wrong}", flush=True
        )
    for name, count in sorted(figures.items()):
        print(f"{name:<40} {count:>8}")
    assert wrong == []
