"""How long absorb, plan, audit and summary take for a whole cluster, in this process alone.

`python tests/bench/planning.py` prints a table.
"""

import gc
import random
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from controller.model.desired import DesiredState
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.planning.absorb import absorb
from controller.planning.decide import decide
from controller.planning.summary import summarise
from tests.bench.figures import Figure, figure, show
from tests.builders import NOW, desired, desired_state, history, node, observed, policy, vm

REPEATS = 7


def cluster(
    nodes: int, vms: int, *, drifted: int = 0, seed: int = 1
) -> tuple[DesiredState, ObservedState]:
    """A cluster at three quarters of its memory; `drifted` VMs are not on their first node."""
    chance = random.Random(seed)
    names = [f"HV{i:02}" for i in range(nodes)]
    sizes = [chance.choice((2, 4, 4, 8, 8, 16)) for _ in range(vms)]
    total = sum(sizes) / nodes / 0.75
    seen, wants = [], []
    for i, size in enumerate(sizes):
        home = names[i % nodes]
        away = chance.choice([n for n in names if n != home])
        host = away if i < drifted else home
        possible = tuple(f"HV{j:02}" for j in range(nodes))
        seen.append(vm(f"VM{i:05}", host, memory=size, role_changes={"possible_owners": possible}))
        others = chance.sample(names, 2)
        wants.append(
            desired(f"VM{i:05}", *dict.fromkeys((home, *others)), required=False, register=True)
        )
    world = observed(*(node(name, total=total) for name in names), *seen)
    limits = policy(moves_per_node_max=1, moves_per_cluster_max=2)
    return desired_state(*wants, policy=limits), world


def seconds(wanted: DesiredState, world: ObservedState) -> dict[str, float]:
    """CPU time by part, the best of several runs: other programs of the machine count little."""
    past: History = absorb(history(), wanted, world, NOW)
    best: dict[str, float] = {}
    report = None
    for _ in range(REPEATS):
        gc.collect()
        marks = [time.process_time()]
        past = absorb(past, wanted, world, NOW)
        marks.append(time.process_time())
        plan, findings = decide(wanted, world, past, NOW)
        assert findings == ()
        marks.append(time.process_time())
        report = summarise(
            wanted, world, past, plan, findings, (), cycle=1, acted=True, previous=report
        )
        marks.append(time.process_time())
        parts = ("absorb", "plan and audit", "summary")
        took = dict(zip(parts, (b - a for a, b in pairwise(marks)), strict=True))
        took["total"] = marks[-1] - marks[0]
        best = {part: min(best.get(part, value), value) for part, value in took.items()}
    return best


def figures() -> Iterator[Figure]:
    """Every figure with its goal."""
    cases = (
        ("planning 16 x 1,000, no drift", 16, 1000, 0, 50.0),
        ("planning 64 x 8,000, no drift", 64, 8000, 0, 250.0),
        ("planning 16 x 1,000, 1 % drift", 16, 1000, 10, None),
        ("planning 64 x 8,000, 1 % drift", 64, 8000, 80, None),
    )
    for name, nodes, vms, drifted, goal in cases:
        for part, value in seconds(*cluster(nodes, vms, drifted=drifted)).items():
            limit = goal if part == "total" else None
            yield figure(f"{name}: {part}", value * 1000, "ms", limit)


if __name__ == "__main__":
    show(figures())
