"""Plays one run: safety with faults, then everything mended, then progress, then a day of silence.

All in virtual time and in one thread; a run is a function of its options. What the checker finds
ends it. The engine, planning, journal, observer and actuator are those of production.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from controller.model.checkup import Check, CheckName, CheckResult
from controller.model.document import Document
from controller.model.report import ClusterReport
from controller.simulator.cmdlet_errors import Refusal
from controller.simulator.config import load_world
from controller.simulator.states import VmState
from controller.simulator.world import World
from tests.scenarios.play import cluster_document
from tests.simulation.checker import CLAIM, Checker, Violation
from tests.simulation.deeds import PLAYED
from tests.simulation.drawing import Options
from tests.simulation.faults import Fault, Gap, called
from tests.simulation.invariants import AT_END, ON_COMMAND, ON_EFFECT, ON_REPORT, ON_STEP
from tests.simulation.limits import read_limits
from tests.simulation.mending import mend
from tests.simulation.people import End, agree
from tests.simulation.places import discontent, out_of_place, rest_for_a_day
from tests.simulation.site import STOP_SECONDS, Site
from tests.simulation.wants import Specs
from tests.simulation.wire import Wire
from tests.support.in_process import Call
from tests.support.virtual_time import VirtualLoop, run_virtual

TICK_SECONDS = 5.0
GAP_SECONDS = 1.2
CALM_SECONDS = 4 * 3600.0
"""By then the mended cluster has all its nodes and VMs back, or the heal is wrong."""
SLACK_SECONDS = 3600.0
"""For convergence, beside respect, cooldown and the moves themselves."""
SILENCE_SECONDS = 24 * 3600.0
SILENT_INTERVAL = "30m"
SILENT_PATIENCE_SECONDS = 600.0
"""How rarely the specs are looked at while nobody changes them."""
TASKS_MAX, TASKS_PER_NODE = 50, 8
DAY = 86_400.0

OLD_POWERSHELL = Check(
    node="HV02",
    name=CheckName.POWERSHELL,
    result=CheckResult.FAIL,
    found="4.0, not 5.1",
    remedy="install Windows Management Framework 5.1",
)
"""A check of a node that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a run."""

    options: Options
    violations: tuple[Violation, ...]
    simulated_seconds: float
    restless_seconds: float
    """Of them before the silence: with faults, being mended, or converging."""
    cpu_seconds: float
    commands: int
    moves: int
    held: dict[str, int]
    """How often each invariant was asked."""
    trace: tuple[str, ...]
    """Commands and true moves in order: what makes two runs the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How things were before any fault: what a heal goes back to."""

    reserve_bytes: Mapping[str, int]
    volume_bytes: int
    running: frozenset[str]
    """Ids of the VMs that ran."""


@dataclass(slots=True)
class Play:
    """One run while it is played."""

    options: Options
    folder: Path
    world: World = field(init=False)
    wire: Wire = field(init=False)
    site: Site = field(init=False)
    checker: Checker = field(init=False)
    usual: Usual = field(init=False)
    report: ClusterReport | None = None
    orders: list[asyncio.Task[None]] = field(default_factory=list)
    declared: Specs = field(default_factory=dict)
    silent_since: float | None = None
    _config: Document = field(init=False)
    _running: dict[int, End] = field(default_factory=dict)
    _late: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _began: dict[str, str] = field(default_factory=dict)
    """Id of each VM that was out of its place at the start -> its node then."""

    def __post_init__(self) -> None:
        self.world = load_world(yaml.dump(dict(self.options.world), Dumper=yaml.CSafeDumper))
        self.world.cluster.quarantine_seconds = 900.0
        self._config = cluster_document(self.options.config)
        journal = self.folder / "state" / "journal.sqlite"
        self.checker = Checker(
            world=self.world,
            limits=read_limits(self.options),
            journal=journal,
            on_command=ON_COMMAND,
            on_effect=ON_EFFECT,
            on_step=ON_STEP,
            on_report=ON_REPORT,
            at_end=AT_END,
        )
        self.wire = Wire(self.world, lambda: asyncio.get_running_loop().time(), self.checker)
        self.site = Site(
            wire=self.wire,
            cluster=self._config,
            folder=self.folder,
            sinks=[self],
            stand_still=self._stand_still,
        )
        if "unfit node" in self.options.tags:
            self.site.unfit = (OLD_POWERSHELL,)
        self._watch_every_event()
        cluster = self.world.cluster
        self.usual = Usual(
            reserve_bytes={node.name: node.reserve_bytes for node in cluster.nodes.values()},
            volume_bytes=cluster.volumes[0].other_bytes,
            running=frozenset(vm.id for vm in cluster.vms.values() if vm.state is VmState.Running),
        )

    async def show(self, report: ClusterReport) -> None:
        """Take the controller's report (a StatusSink)."""
        self.wire.come_to_now()
        self.report = report
        self.checker.report(report)

    # ---- the run

    async def run(self) -> None:
        """Safety, heal, progress, silence; ends early when something is wrong."""
        self.declare(self.options.specs)
        self._began = discontent(self.checker)
        self.start_controller()
        if not await self._safety():
            return
        if self.options.is_acting:
            if await self._heal() and await self._converges():
                await self._silence()
        elif self.wire.commands:
            self.checker.accuse("I32", f"{len(self.wire.commands)} commands: {self.options.tags}")
        await self.site.end()

    def start_controller(self) -> None:
        """Start a controller unless one runs; one that stops is waited for."""
        if self.site.is_stopping:
            self.later(STOP_SECONDS, self.start_controller)
        elif not self.site.is_alive:
            self.report = None
            self.checker.process_started()
            self.site.start()

    def declare(self, specs: Specs) -> None:
        """People declare something else; nobody knows while the specs can't be read."""
        self.declared = specs
        self.site.declare(specs)
        if not self.site.specs_are_hidden:
            self.checker.declare(specs)

    def maintain(self, maintenances: Specs) -> None:
        """People declare which nodes are to be empty."""
        self.site.maintain(maintenances)
        self.checker.maintain(maintenances)

    async def _safety(self) -> bool:
        """Faults and changes, each at its time."""
        events: list[tuple[float, Callable[[], None]]] = [
            (fault.at_seconds, lambda fault=fault: self._strike(fault))
            for fault in self.options.faults
        ]
        events += [(c.at_seconds, lambda c=c: self.declare(c.specs)) for c in self.options.changes]
        self._late += events
        return await self._pass(self.options.safety_seconds)

    async def _pass(
        self,
        seconds: float,
        until: Callable[[], bool] = lambda: False,
        tick_seconds: float = TICK_SECONDS,
    ) -> bool:
        """Let time pass; False when something was found wrong on the way."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end and not until():
            due = min([at for at, _ in self._late], default=end)
            # What strikes in a gap comes at its own time, so the tick is short while it may.
            may_strike = self.wire.after or self.wire.before
            tick = min(tick_seconds, GAP_SECONDS) if may_strike else tick_seconds
            await asyncio.sleep(max(0.001, min(tick, due - loop.time(), end - loop.time())))
            self.wire.come_to_now()
            self._do_due(loop.time())
            if self._is_wrong():
                return False
        return True

    def _do_due(self, now: float) -> None:
        for event in sorted((e for e in self._late if e[0] <= now), key=lambda e: e[0]):
            self._late.remove(event)
            self.wire.changes += 1
            with suppress(Refusal, KeyError):
                event[1]()
            self.wire.changes += 1
            self.checker.step()

    def _stand_still(self, seconds: float) -> None:
        """The controller is frozen: everything else goes on, each thing at its time."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        end = loop.time() + seconds
        while loop.time() < end:
            due = min([at for at, _ in self._late if at > loop.time()], default=end)
            loop.leap(min(due, end) - loop.time())
            self.wire.come_to_now()
            self._do_due(loop.time())
        self.checker.thawed_seconds = loop.time()

    def _is_wrong(self) -> bool:
        for error in self.site.errors:
            self.checker.accuse("no cycle ends in an error", f"{type(error).__name__}: {error}")
        self.site.errors.clear()
        if self.site.overdue:
            self.checker.accuse("L9", "an orderly stop took longer than 10 s")
        tasks = len(asyncio.all_tasks())
        if tasks > TASKS_MAX + TASKS_PER_NODE * len(self.world.cluster.nodes):
            self.checker.accuse("I31", f"{tasks} tasks")
        return bool(self.checker.violations)

    # ---- faults

    def later(self, seconds: float, deed: Callable[[], None]) -> None:
        """Do something after a while."""
        self._late.append((asyncio.get_running_loop().time() + seconds, deed))

    def vm_names(self) -> list[str]:
        """Every VM by a name that is its alone."""
        return sorted(vm.name for vm in self.world.cluster.vms.values())

    def _strike(self, fault: Fault) -> None:
        def at_command(call: Call) -> None:
            names = {vm.id: vm.name for vm in self.world.cluster.vms.values()}
            turned = called(call, fault, names.get)
            if fault.gap is Gap.AFTER:  # a job has begun by then
                self.later(GAP_SECONDS, lambda: self._begin(turned))
                return
            with suppress(Refusal, KeyError):
                self._begin(turned)

        match fault.gap:
            case Gap.NONE:
                self._begin(fault)
            case Gap.BEFORE:
                self.wire.before.append(at_command)
            case Gap.AFTER:
                self.wire.after.append(at_command)

    def _begin(self, fault: Fault) -> None:
        end = PLAYED[fault.kind](self, fault)
        self.wire.changes += 1
        if end is not None:
            self._running[fault.salt] = end
            self.later(fault.seconds, lambda: self._end(fault.salt))

    def _end(self, salt: int) -> None:
        end = self._running.pop(salt, None)
        if end is not None:
            with suppress(Refusal, KeyError, ValueError):
                end()
            self.wire.changes += 1

    # ---- after the faults

    async def _heal(self) -> bool:
        """Mend everything and wait until the cluster is whole and nothing old is on the wire."""
        for salt in tuple(self._running):
            self._end(salt)
        self.wire.before.clear()
        self.wire.after.clear()
        self.wire.traps.clear()
        self.checker.stops.clear()
        if not await self._pass(CALM_SECONDS, until=self._is_calm):
            return False
        if not self._is_calm():
            self.checker.accuse("heal", "the simulated cluster did not come to rest")
            return False
        self.report = None  # what was seen before is no sign that all is well now
        self.start_controller()
        return True

    def _is_calm(self) -> bool:
        is_whole = mend(self.world, self.usual.running)
        return is_whole and not self.wire.late and not self._late

    async def _converges(self) -> bool:
        """L1: everything gets to its place in time, by the truth and in the controller's eyes."""
        limits = self.checker.limits
        patience = limits.respect_seconds + limits.cooldown_seconds + SLACK_SECONDS
        patience += 20 * limits.interval_seconds
        if not await self._pass(patience, until=self._is_done):
            return False
        if not self._is_done() and rest_for_a_day(self.checker):
            # Moved by us as often as a VM may be in a day: then it has to wait for the next.
            self.site.patience_seconds = SILENT_PATIENCE_SECONDS
            await self._pass(DAY, until=self._is_done, tick_seconds=60.0)
        if not self._is_done():
            report = self.report
            told = [v.sentence for v in report.vms if v.verdict != "Settled"] if report else []
            missing = ", ".join(out_of_place(self.checker)) or "nothing"
            holds = [f"{h.vm} {h.reason}" for h in report.plan.holds] if report else []
            self.checker.accuse("L1", f"out of place: {missing}; told: {told}; holds: {holds}")
            return False
        return True

    def _is_done(self) -> bool:
        agree(self)
        at_rest = not self.world.cluster.migrations and not any(
            order.is_open for order in self.checker.orders
        )
        told = self.report is not None and self.report.converged
        return told and at_rest and not out_of_place(self.checker)

    async def _silence(self) -> None:
        """What has converged stays so for a day, also for a controller that starts anew."""
        before = len(self.wire.commands)
        self.silent_since = asyncio.get_running_loop().time()
        if not await self._pass(600.0):
            return
        self.site.kill_if_alive()
        slow = cluster_document({**self.options.config, "interval": SILENT_INTERVAL})
        self.checker.limits = replace(self.checker.limits, interval_seconds=1800.0)
        self.site.patience_seconds = SILENT_PATIENCE_SECONDS
        self.checker.process_started()
        self.site.start(slow)
        loop = asyncio.get_running_loop()
        end = loop.time() + SILENCE_SECONDS
        while loop.time() < end and not self._is_wrong():
            await asyncio.sleep(1800.0)
            self.wire.come_to_now()
        # The controller that starts anew claims the cluster once more.
        late = [call for call in self.wire.commands[before:] if call.operation != CLAIM]
        if late:
            self.checker.accuse("L1", f"{len(late)} commands after convergence: {late[0]}")
        if out_of_place(self.checker):
            self.checker.accuse("L1", f"it did not stay: {out_of_place(self.checker)}")
        self._judge_moves()
        self.checker.finish()

    def _judge_moves(self) -> None:
        """L3: without faults and changes, each VM that changed its place moved once, but for hops.

        A place that was full at the start counts too: the moves of others can make room there.
        """
        if self.options.faults or self.options.changes:
            return
        vms = self.world.cluster.vms
        needed = sum(vms[vm_id].node != node for vm_id, node in self._began.items())
        hops = sum(order.hop and order.landed for order in self.checker.orders)
        moves = len(self.checker.moved_by_us)
        if moves > needed + hops:
            self.checker.accuse("L3", f"{moves} moves, {needed} needed, {hops} hops")

    # ---- helpers

    def _watch_every_event(self) -> None:
        """Have the checker look after each event of the world, at the time of the event."""
        advance = self.world.advance_to

        def step_by_step(seconds: float) -> None:
            while (at := self.world.next_event_at()) is not None and at <= seconds:
                advance(at)
                self.wire.changes += 1
                self.checker.step()
            advance(seconds)

        self.world.advance_to = step_by_step  # type: ignore[method-assign]


def play(options: Options) -> Result:
    """Play one run in a fresh directory, as fast as it goes."""
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="ownernode-simulation-", dir=fast_disk()) as folder:
        run = Play(options, Path(folder))
        with quiet():
            seconds = run_virtual(_timed(run))
    trace = [f"{c.operation} {c.node} {sorted(c.arguments.items())}" for c in run.wire.commands]
    trace += [str(move) for move in run.checker.moved_by_us]
    return Result(
        options=options,
        violations=tuple(run.checker.violations),
        simulated_seconds=seconds,
        restless_seconds=seconds if run.silent_since is None else run.silent_since,
        cpu_seconds=time.process_time() - began,
        commands=len(run.wire.commands),
        moves=len(run.checker.moved_by_us),
        held=dict(run.checker.held),
        trace=tuple(trace),
    )


async def _timed(run: Play) -> float:
    await run.run()
    return asyncio.get_running_loop().time()


@contextmanager
def quiet() -> Iterator[None]:
    """A broken journal is told loudly; here it is broken on purpose."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def fast_disk() -> str | None:
    """Where an fsync costs nothing, if there is such a place: what it keeps is read in-process."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None
