"""Run the test suites one after another, show how long each took, and close with the sum of all.

`python tests/suites.py [--campaign] [SUITE...]`: a suite is a folder of tests/. The last line has
pytest's own form, with the counts of all suites together.
"""

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
# Cheap and telling first. Suites that compute profit from both cores, and so does e2e, which mostly
# waits; those that start engines or foreign servers do not, and would disturb one another.
ORDER = (
    "unit", "properties", "scenarios", "contract", "simulation", "git", "protocol", "prometheus",
    "kube", "powershell", "crash", "e2e", "bench",
)  # fmt: skip
PARALLEL = frozenset(
    {"unit", "properties", "scenarios", "simulation", "contract", "git", "protocol", "crash", "e2e"}
)
NOTHING_COLLECTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRun:
    """One suite, run."""

    name: str
    seconds: float
    status: int
    counts: Counter[str]


def main() -> int:
    """Run what was asked for; 0 when every suite passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaign", action="store_true", help="only the tests of full counts")
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    arguments = parser.parse_args()
    runs = []
    for name in arguments.suites or suites():
        run = run_suite(name, campaign=arguments.campaign)
        if run.status == NOTHING_COLLECTED and arguments.campaign:
            continue
        print(f"suite {name}: {run.seconds:.1f} s", flush=True)
        runs.append(run)
    print(
        "\n".join(
            ("", "suite            time", *(f"{r.name:<12} {r.seconds:>6.1f} s" for r in runs))
        )
    )
    print(closing_line(runs))
    return int(any(r.status for r in runs) or not runs)


def suites() -> list[str]:
    """Every folder that holds tests: the known ones in order, then any other."""
    found = {p.relative_to(TESTS).parts[0] for p in TESTS.rglob("test_*.py")}
    return [n for n in ORDER if n in found] + sorted(found - set(ORDER))


def run_suite(name: str, *, campaign: bool) -> SuiteRun:
    """Run one folder in a pytest of its own, passing its output on as it comes."""
    command = [sys.executable, "-m", "pytest", str(TESTS / name)]
    command += ["-m", "campaign" if campaign else "not campaign"]
    command += ["-n", "2" if name in PARALLEL else "0"]
    if campaign:
        command += ["--timeout", "3600"]
    print(f"\nsuite {name}", flush=True)
    began = time.monotonic()
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS.parent) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if line.strip() else last
    return SuiteRun(
        name=name,
        seconds=time.monotonic() - began,
        status=process.returncode,
        counts=counts_in(last),
    )


def counts_in(line: str) -> Counter[str]:
    """`{"passed": 12, "skipped": 1}` of pytest's closing line."""
    words = re.findall(r"(\d+) (passed|failed|skipped|deselected|errors?|xfailed|xpassed)", line)
    return Counter({word.removesuffix("s"): int(count) for count, word in words})


def closing_line(runs: list[SuiteRun]) -> str:
    """All suites in the form of pytest's closing line."""
    total: Counter[str] = sum((r.counts for r in runs), Counter())
    words = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "error")
    parts = ", ".join(f"{total[w]} {w}" for w in words if total[w]) or "no tests ran"
    seconds = sum(r.seconds for r in runs)
    took = f"{seconds:.2f}s ({int(seconds // 60)}:{int(seconds % 60):02d})"
    return f" {parts} in {took} ".center(79, "=")


if __name__ == "__main__":
    raise SystemExit(main())
