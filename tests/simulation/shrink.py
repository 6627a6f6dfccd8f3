"""A run that failed, made small: the fewest faults and changes with which the same still fails.

What is printed has the seed, the commit and a `scenario.yaml` for tests/scenarios: the world, the
policy, the specs, and the faults as steps. A fault for which that language has no sentence becomes
a comment; whoever commits the scenario finds the nearest step for it.
"""

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import yaml

from tests.simulation.drawing import Options
from tests.simulation.faults import Fault, Gap, Kind
from tests.simulation.found import written
from tests.simulation.play import Result, play

Item = TypeVar("Item")
RUNS_MAX = 120
"""A shrunk list that is not the shortest is still short."""

_SENTENCES: dict[Kind, str] = {
    Kind.REPLY_LOST: "fate loses the reply to the next move",
    Kind.REQUEST_LOST: "fate loses the next move",
    Kind.DELAYED: "fate delivers the next move 40 s late",
    Kind.ONE_WAY_PARTITION: "fate makes {node} deaf to the controller",
    Kind.NODE_CRASH: "fate kills node {node}",
    Kind.REBOOT: "fate kills node {node}",
    Kind.PAUSE: "admin drains {node}",
    Kind.MIGRATION_FAILS: "fate breaks the next migration of {vm}",
    Kind.FOREIGN_MOVE: "admin moves {vm} to {node}",
    Kind.BALANCER_WAVE: "admin turns the balancer on",
    Kind.BACKUP_LOCK: "backup of {vm} begins",
    Kind.VM_STATE_CHANGE: "admin shuts {vm} down",
    Kind.CONTROLLER_CRASH: "fate kills the controller",
    Kind.JOURNAL_ERROR: "fate fills the disk of the journal",
}
_ENDS: dict[Kind, str] = {
    Kind.ONE_WAY_PARTITION: "fate lets {node} hear the controller again",
    Kind.NODE_CRASH: "fate brings node {node} back",
    Kind.REBOOT: "fate brings node {node} back",
    Kind.PAUSE: "admin resumes {node}",
    Kind.BALANCER_WAVE: "admin turns the balancer off",
    Kind.BACKUP_LOCK: "backup of {vm} ends",
    Kind.VM_STATE_CHANGE: "admin starts {vm}",
    Kind.CONTROLLER_CRASH: "supervisor starts the controller",
    Kind.JOURNAL_ERROR: "admin makes room on the disk of the journal",
}


def shrink(failed: Result) -> Result:
    """The smallest run that was found in which the same invariant fails."""
    invariant = failed.violations[0].invariant
    best = failed
    runs = 0

    def still_fails(options: Options) -> bool:
        nonlocal best, runs
        runs += 1
        if runs > RUNS_MAX:
            return False
        result = play(options)
        if any(v.invariant == invariant for v in result.violations):
            best = result
            return True
        return False

    _fewest(failed.options.faults, lambda f: still_fails(replace(best.options, faults=tuple(f))))
    _fewest(best.options.changes, lambda c: still_fails(replace(best.options, changes=tuple(c))))
    return best


def _fewest(items: Sequence[Item], fails: Callable[[Sequence[Item]], bool]) -> None:
    """Leave out ever smaller parts while it goes on failing (delta debugging)."""
    kept = list(items)
    size = max(len(kept) // 2, 1)
    while kept:
        parts = [kept[i : i + size] for i in range(0, len(kept), size)]
        for part in parts:
            fewer = [item for item in kept if item not in part]
            if fails(fewer):
                kept = fewer
        if size == 1:
            return
        size //= 2


def told(small: Result) -> str:
    """Everything that is needed to see it again, as text."""
    options = small.options
    lines = [
        f"seed {options.seed}, {options.size.nodes} x {options.size.vms}, commit {commit()}",
        *(f"  {violation}" for violation in small.violations[:5]),
        "faults:",
        *(f"  {fault}" for fault in options.faults),
        *(f"  {change.at_seconds:.0f} s: people declare anew" for change in options.changes),
        "scenario.yaml:",
        scenario(small),
    ]
    return "\n".join(lines)


def keep(small: Result, parent: Path) -> Path:
    """Write the run as a scenario directory, and as it is played; gives the directory."""
    invariant = re.sub(r"\W+", "_", small.violations[0].invariant.lower())
    folder = parent / f"seed_{small.options.seed}_{invariant}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.yaml").write_text(scenario(small))
    (folder / "run.yaml").write_text(written(small.options))
    return folder


def scenario(small: Result) -> str:
    """The run as a scenario directory's file."""
    options = small.options
    steps = [step for fault in options.faults for step in _steps(fault)]
    steps += [{"at": round(c.at_seconds), "specs": dict(c.specs)} for c in options.changes]
    timed = sorted((s for s in steps if "at" in s), key=lambda step: step["at"])
    document = {
        "title": f"{small.violations[0].invariant} does not hold (seed {options.seed})",
        "story": str(small.violations[0]),
        "world": dict(options.world),
        "config": dict(options.config),
        "specs": {name: dict(spec) for name, spec in options.specs.items()},
        "steps": [*(s for s in steps if "before" in s), *timed],
        "until": "converged",
        "ends": {},
    }
    comments = [f"# not a step yet: {f}" for f in options.faults if f.kind not in _SENTENCES]
    return "\n".join([*comments, yaml.safe_dump(document, sort_keys=False, width=100)])


def _steps(fault: Fault) -> list[dict[str, object]]:
    names = {"vm": fault.vm, "node": fault.node}
    if fault.kind not in _SENTENCES:
        return []
    begin: dict[str, object] = {"do": _SENTENCES[fault.kind].format(**names)}
    when: dict[str, object] = {"at": round(fault.at_seconds)}
    steps = [{**({"before": "move"} if fault.gap is Gap.BEFORE else when), **begin}]
    if fault.kind in _ENDS:
        end = round(fault.at_seconds + fault.seconds)
        steps.append({"at": end, "do": _ENDS[fault.kind].format(**names)})
    return steps


@cache
def commit() -> str:
    """The commit that is checked out, if git can tell."""
    here = Path(__file__).parent
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"
