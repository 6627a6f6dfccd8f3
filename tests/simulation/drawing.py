"""One seed makes a run: a world with its doubts, what people declare, the policy, and the faults.

The mix of faults is drawn too (swarm testing): a run with few kinds of fault goes deeper than one
with a little of everything. What is declared is feasible, so that once all faults are mended every
VM can get to where it belongs.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from controller.simulator.doubts import Doubts
from tests.simulation.faults import (
    CATALOGUE,
    IN_THE_GAP,
    LASTS_SECONDS,
    PEOPLE,
    Fault,
    Gap,
    Kind,
)

GIB = 1024**3
LATER_DOUBTS = ("affinity_rule_type", "default_folder_shown", "move_type_threshold_unset")
"""Drawn by a chance of their own, so that a seed still plays the world that it played before."""
KEPT_DOUBTS = frozenset({"role_cmdlets_over_winrm"})
"""If moves over WinRM are refused by Windows itself, nothing ever moves and nothing is proved."""
_APART = (Kind.DUPLICATED, Kind.GIT_OUTAGE, *PEOPLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a world is."""

    nodes: int
    vms: int


SMALL, LARGE = Size(nodes=3, vms=10), Size(nodes=4, vms=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """People declare something else at some time: valid, and as feasible as before."""

    at_seconds: float
    specs: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that decides a run."""

    seed: int
    size: Size
    world: Mapping[str, Any]
    config: Mapping[str, Any]
    """The spec of the FailoverCluster, but for the connection."""
    specs: Mapping[str, Mapping[str, Any]]
    faults: tuple[Fault, ...]
    changes: tuple[Change, ...] = ()
    safety_seconds: float = 3600.0
    tags: frozenset[str] = field(default_factory=frozenset)
    """What makes this run unlike others: `observe`, `unfit node`, ..."""

    @property
    def is_acting(self) -> bool:
        """Whether the controller may do anything at all."""
        return not self.tags


def draw(seed: int, size: Size = SMALL, kinds: Sequence[Kind] | None = None) -> Options:
    """Draw a run. `kinds` None: the mix of faults is drawn as well."""
    chance = random.Random(f"{seed} {size.nodes} {size.vms}")
    # Dice of their own: a seed's other faults stay what they were before these were added.
    apart = random.Random(f"{seed} {size.nodes} {size.vms} apart")
    tags = frozenset({chance.choice(("observe", "unfit node"))} if chance.random() < 0.04 else ())
    safety = chance.choice((1200.0, 2400.0, 4800.0))
    plan = _Drawn(chance, size)
    world = plan.world(tags)
    specs = plan.specs()
    changes = tuple(
        Change(at_seconds=chance.uniform(60, safety), specs=plan.changed(specs))
        for _ in range(chance.choice((0, 0, 1, 1, 2)))
    )
    return Options(
        seed=seed,
        size=size,
        world=world,
        config=_config(chance, tags),
        specs=specs,
        faults=_faults(chance, apart, plan, safety, kinds),
        changes=tuple(sorted(changes, key=lambda c: c.at_seconds)),
        safety_seconds=safety,
        tags=tags,
    )


@dataclass(slots=True)
class _Vm:
    name: str
    memory_gib: int
    node: int
    state: str = "Running"
    clustered: bool = True
    exists: bool = True
    managed: bool = True


class _Drawn:
    """The cluster of one run while it is being drawn."""

    def __init__(self, chance: random.Random, size: Size) -> None:
        self.chance = chance
        self.size = size
        self.nodes = [f"HV{n + 1:02}" for n in range(size.nodes)]
        self.vms = [self._vm(n) for n in range(size.vms)]
        total = sum(vm.memory_gib for vm in self.vms)
        fill = chance.choice((0.3, 0.45, 0.55))
        self.node_gib = max(int(total / size.nodes / fill), 24) + 8

    def world(self, tags: frozenset[str]) -> dict[str, Any]:
        """The world.yaml."""
        chance = self.chance
        self._spread()
        return {
            "cluster": {
                "name": "demo",
                "domain": "corp.example",
                "migrationsParallelMax": chance.choice((1, 1, 2, 4, None)),
                "moveTypeThreshold": chance.choice((0, 2000)),
            },
            "nodes": [
                {
                    "name": name,
                    "memory": f"{self.node_gib}Gi",
                    "migrationsMax": chance.choice((1, 2)),
                }
                for name in self.nodes
            ],
            "vms": [*(self._placed(vm) for vm in self.vms if vm.exists), *self._twin()],
            "timing": {
                "bandwidthBytesPerSecond": chance.choice((2.0e8, 1.0e9, 4.0e9)),
                "dirtyFactor": chance.choice((0.0, 0.2, 1.0)),
            },
            "doubts": _doubts(chance),
        }

    def specs(self) -> dict[str, dict[str, Any]]:
        """What is declared at first."""
        return {vm.name.lower(): self._spec(vm) for vm in self.vms if vm.managed}

    def changed(self, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The same with some VMs declared elsewhere, suspended or given up."""
        changed = {name: dict(spec) for name, spec in specs.items()}
        by_spec = {vm.name.lower(): vm for vm in self.vms}
        for name in self.chance.sample(sorted(changed), k=min(3, len(changed))):
            match self.chance.randrange(4):
                case 0 if by_spec[name].exists:
                    del changed[name]
                case 1:
                    changed[name]["suspend"] = True
                case _:
                    changed[name] = self._spec(by_spec[name])
        return changed

    def _vm(self, number: int) -> _Vm:
        chance = self.chance
        vm = _Vm(
            name=f"{chance.choice(('SQL', 'web', 'Dc'))}{number:02}",
            memory_gib=chance.choice((1, 2, 4, 4, 8)),
            node=0,
        )
        fate = chance.random()
        if fate < 0.06:
            vm.exists = False
        elif fate < 0.16:
            vm.clustered = False
            vm.state = chance.choice(("Running", "Off"))
        elif fate < 0.21:
            vm.state = chance.choice(("Off", "Off", "Saved", "Paused"))
        elif fate < 0.30:
            vm.managed = False
        return vm

    def _spread(self) -> None:
        """Put the VMs on nodes that have room for them."""
        free = [self.node_gib - 8] * len(self.nodes)
        for vm in self.vms:
            fitting = [n for n, room in enumerate(free) if room >= vm.memory_gib + 4]
            vm.node = self.chance.choice(fitting or [free.index(max(free))])
            free[vm.node] -= vm.memory_gib
        self._free = [self.node_gib - 8 - 4] * len(self.nodes)

    def _placed(self, vm: _Vm) -> dict[str, Any]:
        return {
            "name": vm.name,
            "node": self.nodes[vm.node],
            "memory": f"{vm.memory_gib}Gi",
            "state": vm.state,
            "clustered": vm.clustered,
            "priority": self.chance.choice((1000, 2000, 3000)),
            **self._oddities(vm),
        }

    def _oddities(self, vm: _Vm) -> dict[str, Any]:
        """A few VMs lie where they can't be made highly available, or may not run everywhere."""
        chance = self.chance
        if not vm.clustered and chance.random() < 0.3:
            return {"location": "D:\\VMs"}
        if vm.clustered and chance.random() < 0.06:
            disk = f"C:\\ClusterStorage\\Volume1\\{vm.name}\\os.vhdx"
            return {"disks": [{"path": disk}, {"path": "", "physicalDisk": 3}]}
        if vm.clustered and chance.random() < 0.1:
            others = [node for node in self.nodes if node != self.nodes[vm.node]]
            return {"possibleOwners": [self.nodes[vm.node], chance.choice(others)]}
        return {}

    def _twin(self) -> list[dict[str, Any]]:
        """Now and then an old copy of a VM lies on another node under the same name."""
        if self.chance.random() > 0.1:
            return []
        vm = self.chance.choice([vm for vm in self.vms if vm.exists])
        node = self.nodes[(vm.node + 1) % len(self.nodes)]
        return [
            {
                "name": vm.name.upper(),
                "node": node,
                "memory": "1Gi",
                "state": "Off",
                "clustered": False,
                "location": "D:\\Old",
            }
        ]

    def _spec(self, vm: _Vm) -> dict[str, Any]:
        """One placement, on a node that has room for it when all are where they belong."""
        chance = self.chance
        best = self._home_for(vm)
        others = [node for node in self.nodes if node != best]
        style = chance.random()
        owners: dict[str, Any] = {"preferred": [_cased(chance, best)]}
        if style < 0.35:
            owners["preferred"].append(_cased(chance, chance.choice(others)))
            owners["enforcement"] = chance.choice(("Required", "Preferred"))
            owners["failback"] = chance.choice(("WhenAvailable", "Never"))
        elif style < 0.5:
            owners["possible"] = [_cased(chance, n) for n in (best, chance.choice(others))]
        elif style < 0.6:
            owners = {"possible": [_cased(chance, n) for n in (best, chance.choice(others))]}
        spec: dict[str, Any] = {"vm": {"name": _cased(chance, vm.name)}, "owners": owners}
        if not vm.exists or (not vm.clustered and chance.random() < 0.8):
            spec["highAvailability"] = {"register": True}
            if chance.random() < 0.7 or not vm.exists:
                spec["highAvailability"]["start"] = "AfterRegistration"
        if not vm.exists:
            spec["template"] = _template(vm)
        elif chance.random() < 0.05:
            spec["suspend"] = True
        elif chance.random() < 0.05:
            spec["migration"] = {"kind": "Never"}
        return spec

    def _home_for(self, vm: _Vm) -> str:
        fitting = [n for n, room in enumerate(self._free) if room >= vm.memory_gib]
        stays = vm.node in fitting and self.chance.random() < 0.5
        node = vm.node if stays else self.chance.choice(fitting or [vm.node])
        self._free[node] -= vm.memory_gib
        return self.nodes[node]


def _cased(chance: random.Random, name: str) -> str:
    """Windows does not tell case."""
    return chance.choice((name, name, name.lower(), name.upper(), name.title()))


def _template(vm: _Vm) -> dict[str, Any]:
    return {
        "generation": 2,
        "memory": {"startup": f"{vm.memory_gib}Gi"},
        "processors": {"count": 1},
        "location": "C:\\ClusterStorage\\Volume1",
        "disks": [{"path": "os.vhdx", "create": {"size": "20Gi"}}],
    }


def _doubts(chance: random.Random) -> dict[str, Any]:
    """Every behaviour of Windows that nobody knows for sure, one way or the other."""
    hints = {n: h for n, h in sorted(get_type_hints(Doubts).items()) if n not in KEPT_DOUBTS}
    drawn = {n: chance.choice(get_args(h)) for n, h in hints.items() if n not in LATER_DOUBTS}
    apart = random.Random(repr(drawn))
    return drawn | {name: apart.choice(get_args(hints[name])) for name in LATER_DOUBTS}


def _config(chance: random.Random, tags: frozenset[str]) -> dict[str, Any]:
    per_node = chance.choice((1, 1, 2))
    config: dict[str, Any] = {
        "mode": "Observe" if "observe" in tags else "Enforce",
        "interval": chance.choice(("15s", "30s", "60s", "120s")),
        "migration": {"perNode": per_node, "perCluster": chance.choice((2, 3, 4))},
        "brakes": {"cooldown": chance.choice(("10s", "60s", "300s"))},
        "foreignMoves": {"respect": chance.choice(("20s", "120s", "900s"))},
        "timing": {"settle": chance.choice(("10s", "60s"))},
        "balancer": chance.choice(("Refuse", "Refuse", "Coexist")),
    }
    reserve = chance.choice((None, "10%", "2Gi"))
    if reserve is not None:
        config["capacity"] = {"memoryReserve": reserve}
    return config


def _faults(
    chance: random.Random,
    apart: random.Random,
    plan: _Drawn,
    safety: float,
    kinds: Sequence[Kind] | None,
) -> tuple[Fault, ...]:
    if kinds is None:
        share = chance.choice((0.0, 0.1, 0.1, 0.25, 0.5))
        drawn = [k for k in CATALOGUE if k not in _APART and chance.random() < share]
        struck = [chance.choice(drawn) for _ in range(chance.randint(2, 14) if drawn else 0)]
        more = apart.choice((0, 0, 0, 1, 2, 4))
    else:
        struck = [chance.choice(list(kinds)) for _ in range(3 * len(kinds))]
        struck[: len(kinds)] = kinds
        more = 0
    faults = [_fault(chance, plan, safety, kind) for kind in struck]
    faults += [_fault(apart, plan, safety, apart.choice(_APART)) for _ in range(more)]
    return tuple(sorted(faults, key=lambda fault: (fault.at_seconds, fault.salt)))


def _fault(chance: random.Random, plan: _Drawn, safety: float, kind: Kind) -> Fault:
    shortest, longest = LASTS_SECONDS.get(kind, (30.0, 900.0))
    return Fault(
        # Half of them come while the first moves are under way.
        at_seconds=round(chance.uniform(0, 120 if chance.random() < 0.5 else safety), 1),
        kind=kind,
        seconds=round(chance.uniform(shortest, longest), 1),
        node=chance.choice(plan.nodes),
        vm=chance.choice([vm.name for vm in plan.vms if vm.exists]),
        salt=chance.randrange(1 << 30),
        gap=chance.choice((Gap.NONE, Gap.NONE, Gap.BEFORE, Gap.BEFORE, Gap.AFTER))
        if kind in IN_THE_GAP
        else Gap.NONE,
    )
