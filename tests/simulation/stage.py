"""Runs made to provoke one hazard: a small world, a past, deeds at their times, and a promise.

The drawn runs meet a given hazard by luck; a staged one meets it each time, and still differs from
seed to seed in what must not matter: sizes, speeds, intervals and the doubtful facts of Windows.
Beside the invariants each is judged by the promise that its hazard endangers, in plain terms: which
command must not leave, when. Without a guard killed no staged run may accuse anybody.
"""

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, get_args, get_type_hints

from controller.adapters.local.journal import SqliteJournal
from controller.model.history import History
from controller.model.plan import HoldReason
from controller.model.report import ClusterReport
from controller.simulator.doubts import Doubts
from tests.simulation.checker import CLAIM, Checker, Rule, Violation
from tests.simulation.drawing import KEPT_DOUBTS, Change, Options, Size
from tests.simulation.invariants import ON_COMMAND, ON_EFFECT, ON_REPORT
from tests.simulation.orders import Order
from tests.simulation.play import Play, fast_disk, quiet
from tests.simulation.wire import Trap
from tests.support.in_process import Call
from tests.support.virtual_time import run_virtual

CLUSTER = "demo"
PROMISE, TOLD, LIVE = "promise", "told", "L1"
"""What a run accuses: its own promise is broken, its hold is not told, what is due is not done."""
FOREVER = 1e9
Deed = Callable[["Staged"], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One staged run."""

    options: Options
    before: tuple[Deed, ...] = ()
    """Done to the world before the controller starts."""
    deeds: tuple[tuple[float, Deed], ...] = ()
    """Seconds, and what happens then."""
    past: History | None = None
    """What the journal tells of the time before; None: there is no journal."""
    promises: tuple[Rule, ...] = ()
    """Asked of each command that leaves."""
    effects: tuple[Rule, ...] = ()
    """Asked of each command that a node acted on."""
    told: tuple[Rule, ...] = ()
    """Asked of each report."""
    moments: Mapping[str, Deed] = field(default_factory=dict)
    """Port call of the controller -> what happens right then, the first time."""
    ends: tuple[Rule, ...] = ()
    """Asked when the time is up."""


class Staged(Play):
    """A play of one story."""

    story: Story

    async def run(self) -> None:
        """Only the time of the hazard: nothing is mended."""
        story, moments = self.story, dict(self.story.moments)
        for deed in story.before:
            deed(self)
        if story.past is not None:
            journal = SqliteJournal(self.site.journal)
            journal.load(story.past.cluster)
            journal.keep(story.past.cluster, story.past, ())
            journal.close()
        self._late += [(at, lambda deed=deed: deed(self)) for at, deed in story.deeds]
        self.site.onlooker = lambda moment: moments.pop(moment, _nothing)(self)
        self.declare(self.options.specs)
        self.start_controller()
        if await self._safety():
            for rule in story.ends:
                for detail in rule(self.checker, None):
                    self.checker.accuse(LIVE, detail)
        await self.site.end()


def _nothing(play: Staged) -> None:
    """No deed at that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a staged run."""

    violations: tuple[Violation, ...]
    refused_for: frozenset[str]
    """The conditions for which nodes did nothing."""
    commands: int


class By(Enum):
    """What a run is judged by."""

    EVERYTHING = auto()
    COMMANDS = auto()
    """What left the controller, and what came of it; no report."""
    EFFECTS = auto()
    """What nodes did: they may be asked anything."""


def tell(story: Story, by: By = By.EVERYTHING) -> Told:
    """Play a story."""
    with tempfile.TemporaryDirectory(prefix="ownernode-stage-", dir=fast_disk()) as folder:
        run = Staged(story.options, Path(folder))
        run.story = story
        judge = run.checker
        judge.on_effect = {**ON_EFFECT, PROMISE: story.effects}
        commands = {PROMISE: story.promises, **ON_COMMAND}
        judge.on_command = commands if by is not By.EFFECTS else {}
        judge.on_report = {**ON_REPORT, TOLD: story.told} if by is By.EVERYTHING else {}
        with quiet():
            run_virtual(run.run())
    return Told(
        violations=tuple(judge.violations),
        refused_for=frozenset(o.refused_for for o in judge.orders if o.refused_for),
        commands=len(judge.orders),
    )


class CommandTrap(Trap):
    """Lies in wait for commands on VMs, and lets claims of the cluster pass."""

    def takes(self, call: Call) -> bool:
        """Whether this call falls into it."""
        return call.operation != CLAIM and Trap.takes(self, call)


# ---- promises


def never(
    kind: str = "", vm: str = "", *, since: float = 0.0, until: float = FOREVER, why: str = ""
) -> Rule:
    """No such command, about that VM, between these times; empty: of any kind, about any."""

    def rule(c: Checker, order: Order) -> Any:
        about = vm.lower() in ("", c.name_of(order.vm_id).lower(), order.name or "")
        if about and kind in ("", order.kind) and since <= order.at_seconds < until:
            yield f"{c.what(order)}{': ' * bool(why)}{why}"

    return rule


def at_most(count: int, kind: str, vm: str = "") -> Rule:
    """No more than so many commands of that kind, about a VM or altogether."""

    def rule(c: Checker, order: Order) -> Any:
        named = (o for o in c.orders if o.kind == kind)
        given = [o for o in named if vm.lower() in ("", c.name_of(o.vm_id).lower(), o.name)]
        if len(given) > count:
            yield f"{c.what(order)} for the {len(given)}th time"

    return rule


def told(*reasons: HoldReason, since: float = 1.0, until: float = FOREVER) -> Rule:
    """Each report between these times names a hold for one of the reasons."""

    def rule(c: Checker, report: ClusterReport) -> Any:
        if not since <= c.world.now < until:
            return
        held = {hold.reason for hold in (*report.plan.holds, *report.cluster_holds)}
        if not held & set(reasons):
            yield f"nobody is told of {', '.join(reasons)}"

    return rule


def ends_on(vm: str, node: str) -> Rule:
    """The VM is where it belongs in the end."""

    def rule(c: Checker, _: object) -> Any:
        there = c.world.vm(vm).node
        if there.lower() != node.lower():
            yield f"{vm} is still on {there}"

    return rule


def held_back(
    kind: str, vm: str, prepare: Callable[..., Options]
) -> Callable[..., Callable[[int], Story]]:
    """Stages runs in which that command is due and must not leave, each in its own state of things.

    `prepare` gives the options of a run, from a draft and whatever else is named.
    """

    def staged(
        *before: Deed,
        past: History | None = None,
        reason: HoldReason | None = None,
        until: float = FOREVER,
        times: int = 0,
        **given: Any,
    ) -> Callable[[int], Story]:
        """Until then it must not leave, or not more often; `reason` is told meanwhile."""
        promise = at_most(times, kind, vm) if times else never(kind, vm, until=until)
        return lambda seed: Story(
            options=prepare(Draft(seed), **given),
            before=before,
            past=past or History(cluster=CLUSTER, trusted=True),
            promises=(promise,),
            # How often a command was given says nothing of what a node did.
            effects=() if times else (promise,),
            told=(told(reason),) if reason is not None else (),
        )

    return staged


def around_each(begin: Deed, end: Deed) -> Deed:
    """Whenever a node is sent a command it is so, and at no look."""

    def of_commands(deed: Deed, play: Staged) -> Callable[[Call], None]:
        def strike(call: Call) -> None:
            if call.operation != CLAIM:
                deed(play)

        return strike

    def lie_in_wait(play: Staged) -> None:
        play.wire.before += [of_commands(begin, play)] * 100
        play.wire.after += [of_commands(end, play)] * 100

    return lie_in_wait


def restart(at: float, seconds: float = 5.0) -> tuple[tuple[float, Deed], ...]:
    """The process is killed, and started again a little later."""
    return (
        (at, lambda play: play.site.kill_if_alive()),
        (at + seconds, lambda play: play.start_controller()),
    )


# ---- small worlds


@dataclass(slots=True)
class Draft:
    """A story in the making: its dice, and what differs from seed to seed."""

    seed: int
    chance: random.Random = field(init=False)
    vms: list[dict[str, Any]] = field(default_factory=list)
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"stage {self.seed}")

    def vm(self, name: str, node: str = "HV01", gib: int | None = None, **more: Any) -> None:
        """A VM of the world."""
        size = gib or self.chance.choice((1, 2, 4, 6))
        number = len(self.vms) + 1
        vm_id = f"{number:08x}-0000-4000-8000-0000000000aa"
        self.vms.append({"name": name, "node": node, "memory": f"{size}Gi", "id": vm_id, **more})

    def want(self, name: str, *preferred: str, **more: Any) -> dict[str, Any]:
        """A declared VM; gives its spec."""
        cased = self.chance.choice((name, name.lower(), name.title()))
        spec: dict[str, Any] = {"vm": {"name": cased}, **more}
        if preferred:
            spec["owners"] = {"preferred": list(preferred), **more.get("owners", {})}
        self.specs[name.lower()] = spec
        return spec

    def due(self, name: str = "A1", target: str = "HV02", **more: Any) -> None:
        """A VM on HV01 that belongs elsewhere."""
        self.vm(name, **more)
        self.want(name, target)

    def queue(self, count: int = 8) -> None:
        """Moves for some minutes: each is slow, and one node takes part in all."""
        for number in range(count):
            self.due(f"A{number + 1}", gib=self.chance.choice((4, 5, 6)))

    def options(
        self,
        *,
        seconds: float = 120.0,
        nodes: int = 3,
        node_gib: int = 128,
        cluster: Mapping[str, Any] | None = None,
        timing: Mapping[str, float] | None = None,
        changes: Sequence[tuple[float, Mapping[str, Mapping[str, Any]]]] = (),
        files: Sequence[Mapping[str, Any]] = (),
        tags: Sequence[str] = (),
        migrations: int = 2,
        settle: str = "10s",
        doubts: Mapping[str, str] | None = None,
        **config: Any,
    ) -> Options:
        """The run's options. `config` replaces parts of a usual policy; `doubts` settles some."""
        chance = self.chance
        speed = chance.choice((2.0e8, 3.0e8))
        world = {
            "cluster": {
                "name": CLUSTER,
                "domain": "corp.example",
                "migrationsParallelMax": migrations,
                **(cluster or {}),
            },
            "nodes": [
                {"name": f"HV{n + 1:02}", "memory": f"{node_gib}Gi", "migrationsMax": migrations}
                for n in range(nodes)
            ],
            "vms": self.vms,
            "files": list(files),
            "timing": {"bandwidthBytesPerSecond": speed, **(timing or {})},
            "doubts": {**_doubts(chance), **(doubts or {})},
        }
        return Options(
            seed=self.seed,
            size=Size(nodes=nodes, vms=len(self.vms)),
            world=world,
            config={**_policy(chance), "timing": {"settle": settle}, **config},
            specs=self.specs,
            faults=(),
            changes=tuple(Change(at_seconds=at, specs=specs) for at, specs in changes),
            safety_seconds=seconds,
            tags=frozenset(tags),
        )


def _policy(chance: random.Random) -> dict[str, Any]:
    return {
        "mode": "Enforce",
        "interval": chance.choice(("10s", "15s", "20s")),
        "migration": {"perNode": 1, "perCluster": 2},
        "brakes": {"cooldown": "60s"},
        "foreignMoves": {"respect": "60s"},
        "balancer": "Refuse",
    }


def _doubts(chance: random.Random) -> dict[str, Any]:
    hints = sorted(get_type_hints(Doubts).items())
    return {n: chance.choice(get_args(hint)) for n, hint in hints if n not in KEPT_DOUBTS}


def template(*disks: str) -> dict[str, Any]:
    """A VM to create on the shared volume."""
    return {
        "generation": 2,
        "memory": {"startup": "1Gi"},
        "processors": {"count": 1},
        "location": "C:\\ClusterStorage\\Volume1",
        "disks": [{"path": d, "create": {"size": "20Gi"}} for d in disks or ("os.vhdx",)],
    }
