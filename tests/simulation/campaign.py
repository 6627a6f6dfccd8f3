"""Many seeds in a row, each noted as it is done: a campaign can be stopped, and goes on later.

    nice -n 15 python -m tests.simulation.campaign --years 20

plays seeds until so much cluster time was simulated at this commit; `--seeds a-b` plays just those.
Seeds are small clusters (3 nodes, 10 VMs), each tenth a large one (4 nodes, 40 VMs). Every seed is
a line of build/simulation.jsonl; one that failed is shrunk, kept as a scenario below build/found,
and the campaign goes on. The exit status is 1 if any failed.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.simulation.drawing import LARGE, SMALL, Options, draw
from tests.simulation.play import Result, play
from tests.simulation.shrink import commit, keep, shrink, told

HOURS_A_YEAR = 8760.0
FIRST_SEED = 60
"""Those before are played by `make test`."""
LARGE_EACH = 10
BUILD = Path(__file__).parents[2] / "build"


@dataclass(slots=True)
class Campaign:
    """What was played, summed up."""

    runs: int = 0
    hours: float = 0.0
    restless_hours: float = 0.0
    """Of them with faults, being mended, or converging; the rest is silence."""
    cpu_seconds: float = 0.0
    faults: int = 0
    commands: int = 0
    failed: list[int] = field(default_factory=list)
    """Seeds."""

    def add(self, result: Result) -> None:
        """One run more."""
        self.note(line_of(result))

    def note(self, line: dict[str, object]) -> None:
        """The same, from its line."""
        self.runs += 1
        for name in ("hours", "restless_hours", "cpu_seconds", "faults", "commands"):
            setattr(self, name, getattr(self, name) + line[name])
        if line["violations"]:
            self.failed.append(int(str(line["seed"])))

    def __str__(self) -> str:
        years = self.hours / HOURS_A_YEAR
        return (
            f"{self.runs:,} runs, {years:.2f} cluster-years ({self.hours:,.0f} h,"
            f" {self.restless_hours:,.0f} h of them not silent), {self.faults:,} faults,"
            f" {self.commands:,} commands, {len(self.failed)} runs with violations,"
            f" {self.cpu_seconds:,.0f} s of one core"
            f" ({self.hours / max(self.cpu_seconds, 1e-9):.0f} h a second)"
        )


def judged(options: Options) -> Result:
    """Play it; AssertionError with all that is needed to see it again when it is not as it must."""
    result = play(options)
    assert not result.violations, told(shrink(result))
    return result


def sized(seed: int) -> Options:
    """The run of that number in the long campaign."""
    return draw(seed, LARGE if seed % LARGE_EACH == 0 else SMALL)


def line_of(result: Result) -> dict[str, object]:
    """What is kept of a run."""
    options = result.options
    return {
        "commit": commit(),
        "seed": options.seed,
        "size": f"{options.size.nodes}x{options.size.vms}",
        "hours": round(result.simulated_seconds / 3600, 4),
        "restless_hours": round(result.restless_seconds / 3600, 4),
        "cpu_seconds": round(result.cpu_seconds, 3),
        "faults": len(options.faults),
        "commands": result.commands,
        "violations": [str(violation) for violation in result.violations],
    }


def go_on(notes: Path, *, years: float | None, seeds: range | None) -> Campaign:
    """Play what is missing at this commit; what is noted already counts and is not played again."""
    here = commit()
    known: dict[int, dict[str, object]] = {}
    if notes.exists():
        lines = [json.loads(line) for line in notes.read_text().splitlines()]
        known = {line["seed"]: line for line in lines if line["commit"] == here}
    done = Campaign()
    notes.parent.mkdir(parents=True, exist_ok=True)
    with notes.open("a") as file:
        for seed in _wanted(done, years, seeds):
            line = known.get(seed)
            if line is None:
                line = line_of(_played(seed))
                file.write(json.dumps(line) + "\n")
                file.flush()
            done.note(line)
    return done


def _wanted(done: Campaign, years: float | None, seeds: range | None) -> Iterator[int]:
    for seed in seeds if seeds is not None else count(FIRST_SEED):
        if years is not None and done.hours >= years * HOURS_A_YEAR:
            return
        yield seed


def _played(seed: int) -> Result:
    result = play(sized(seed))
    if result.violations:
        small = shrink(result)
        folder = keep(small, BUILD / "found")
        print(f"{told(small)}\nkept in {folder}", file=sys.stderr, flush=True)
    return result


def seed_range(text: str) -> range:
    """`60-99`, both of them too."""
    first, last = text.split("-")
    return range(int(first), int(last) + 1)


def from_environment() -> tuple[float | None, range | None]:
    """(years, seeds) of SIMULATION_YEARS or SIMULATION_SEEDS; a tenth of a year where neither."""
    seeds = os.environ.get("SIMULATION_SEEDS")
    if seeds is not None:
        return None, seed_range(seeds)
    return float(os.environ.get("SIMULATION_YEARS", "0.1")), None


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--years", type=float, help="until so many cluster-years are simulated")
    what.add_argument("--seeds", type=seed_range, help="just these, as in 60-999")
    parser.add_argument("--notes", type=Path, default=BUILD / "simulation.jsonl")
    given = parser.parse_args()
    done = go_on(given.notes, years=given.years, seeds=given.seeds)
    print(f"commit {commit()}: {done}")
    for seed in done.failed:
        print(f"  seed {seed} failed")
    return int(bool(done.failed))


if __name__ == "__main__":
    raise SystemExit(main())
