"""A controller as a process beside a simulated cluster, in virtual time: born, killed, born again.

It is the production engine with its real journal, directory of specs, observer and actuator; only
the wire is replaced by the world itself. Every port passes through a `Lifeline`: what is dead can
neither see nor do anything, whatever clean-up code Python still runs.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from controller.adapters.local.journal import SqliteJournal
from controller.adapters.specs.directory import DirectorySource
from controller.adapters.winrm.actuator import ClusterActuator
from controller.adapters.winrm.observer import ClusterObserver
from controller.engine.aside import Aside
from controller.engine.desired import Declarations
from controller.engine.executor import Executor
from controller.engine.fitness import Fitness
from controller.engine.manager import Manager
from controller.engine.memory import Memory
from controller.engine.reconciler import Reconciler
from controller.engine.reporter import Reporter
from controller.engine.verbs import Verbs
from controller.errors import JournalBroken
from controller.model.checkup import Check, CheckName, CheckResult
from controller.model.control import Fence, Order, Stop, StopScope, StopSource
from controller.model.desired import DesiredState
from controller.model.document import Document
from controller.model.history import History, Intent, MoveTrace
from controller.model.observed import ObservedState
from controller.model.plan import Action
from controller.model.report import Outcome
from controller.ports import SpecReading, StatusSink
from controller.simulator.world import World
from tests.support.in_process import Call, Disturbance, InProcessCaller
from tests.support.virtual_time import EPOCH, VirtualClock


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


class Lifeline:
    """What ties one process's ports to the world. `at` is told of each port call, twice."""

    def __init__(self, at: Callable[[str], bool] | None = None) -> None:
        self.alive = True
        self._at = at

    def touch(self, moment: str) -> None:
        """Go on, unless the process is dead or dies here (`at` returned True)."""
        if self.alive and self._at is not None and self._at(moment):
            self.alive = False
        if not self.alive:
            raise Killed(moment)


class MachineClock(VirtualClock):
    """The time of the controller's machine, which may be wrong."""

    def __init__(self) -> None:
        self.error = timedelta()

    def now(self) -> datetime:
        return super().now() + self.error


class MortalClock:
    """The engine's clock, which stops with the process."""

    def __init__(self, line: Lifeline, clock: MachineClock) -> None:
        self._line = line
        self._clock = clock

    def now(self) -> datetime:
        self._line.touch("clock.now")
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        self._line.touch("clock.sleep")
        await self._clock.sleep(seconds)
        self._line.touch("clock.sleep done")


class MortalSource:
    """Scans the directory only when somebody wrote there: a scan a second costs most of a run."""

    def __init__(self, line: Lifeline, source: DirectorySource, version: Callable[[], int]) -> None:
        self._line = line
        self._source = source
        self._version = version
        self._read: tuple[int, SpecReading] | None = None

    async def read(self) -> SpecReading:
        self._line.touch("specs.read")
        version = self._version()
        if self._read is None or self._read[0] != version:
            self._read = version, await self._source.read()
        self._line.touch("specs.read done")
        return self._read[1]


class MortalObserver:
    def __init__(self, line: Lifeline, observer: ClusterObserver) -> None:
        self._line = line
        self._observer = observer

    async def observe(self) -> ObservedState:
        self._line.touch("observer.observe")
        observed = await self._observer.observe()
        self._line.touch("observer.observe done")
        return observed

    async def trace(self, intent: Intent) -> MoveTrace | None:
        return await self._observer.trace(intent)

    async def close(self) -> None:
        """Nothing to let go of: what is on the wire stays on the wire."""


class MortalActuator:
    """Also tells the witness of each command, at the moment at which it leaves."""

    def __init__(
        self,
        line: Lifeline,
        actuator: ClusterActuator,
        leaving: Callable[[Action, str], None],
    ) -> None:
        self._line = line
        self._actuator = actuator
        self._leaving = leaving

    async def claim(self, fence: Fence, node: str) -> str | None:
        self._line.touch("actuator.claim")
        wrong = await self._actuator.claim(fence, node)
        self._line.touch("actuator.claim done")
        return wrong

    async def submit(self, action: Action, intent_id: str, fence: Fence) -> Outcome:
        self._line.touch(f"actuator.submit {action.kind}")
        self._leaving(action, intent_id)
        outcome = await self._actuator.submit(action, intent_id, fence)
        self._line.touch(f"actuator.submit {action.kind} done")
        return outcome


class MortalJournal:
    def __init__(self, line: Lifeline, journal: SqliteJournal, disk: "Disk") -> None:
        self._line = line
        self._journal = journal
        self._disk = disk

    def load(self, cluster: str) -> History:
        self._line.touch("journal.load")
        history = self._journal.load(cluster)
        self._line.touch("journal.load done")
        return history

    def open_intent(self, cluster: str, intent: Intent) -> None:
        self._line.touch("journal.open_intent")
        self._disk.write()
        self._journal.open_intent(cluster, intent)
        self._line.touch("journal.open_intent done")

    def keep(self, cluster: str, history: History, outcomes: Sequence[Outcome]) -> None:
        self._line.touch("journal.keep")
        self._disk.write()
        self._journal.keep(cluster, history, outcomes)
        self._line.touch("journal.keep done")

    def note(self, order: Order) -> None:
        self._line.touch("journal.note")
        self._disk.write()
        self._journal.note(order)
        self._line.touch("journal.note done")

    def close(self) -> None:
        self._journal.close()


class Disk:
    """Where the journal lies. (What SQLite does on a full one is a test of the journal's own.)"""

    def __init__(self) -> None:
        self.is_full = False

    def write(self) -> None:
        if self.is_full:
            raise JournalBroken("database or disk is full")


@dataclass(frozen=True, kw_only=True)
class Watched(Reconciler):
    """Remembers what ended a cycle: the engine only logs it and goes on."""

    errors: list[Exception]

    async def reconcile(self) -> float:
        try:
            return await Reconciler.reconcile(self)
        except Exception as error:
            self.errors.append(error)
            raise


class Wire:
    """What lies between the controller and the nodes, and what fate does to it."""

    def __init__(self, world: World) -> None:
        self.caller = InProcessCaller(world, VirtualClock(), disturb=self._disturb)
        self.dark: set[str] = set()
        """Folded names of the nodes that we cannot reach."""
        self.arrives_late: Callable[[Call], None] = lambda call: None
        self._next: dict[str, list[Disturbance]] = {}
        self._before: dict[str, list[Callable[[], None]]] = {}

    def befall(self, operation: str, disturbance: Disturbance) -> None:
        """Let this befall the next call of the operation."""
        self._next.setdefault(operation, []).append(disturbance)

    def before(self, operation: str, deed: Callable[[], None]) -> None:
        """Do this right before the next call of the operation reaches its node."""
        self._before.setdefault(operation, []).append(deed)

    def _disturb(self, call: Call) -> Disturbance:
        if call.node.lower() in self.dark:
            return Disturbance(unreachable=True)
        if self._before.get(call.operation):
            self._before[call.operation].pop(0)()
        planned = self._next.get(call.operation)
        disturbance = planned.pop(0) if planned else Disturbance()
        if disturbance.delay_seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(disturbance.delay_seconds, self.arrives_late, call)
        return disturbance


class Site:
    """One world, one directory of specs, one state directory; a controller comes and goes."""

    def __init__(
        self,
        *,
        world: World,
        cluster: Document,
        folder: Path,
        sinks: Sequence[StatusSink] = (),
        leaving: Callable[[Action, str, Path], None] | None = None,
        at: Callable[[str], bool] | None = None,
        wire: Wire | None = None,
    ) -> None:
        """`wire` is that of another site, whose controller is then this one's rival."""
        self.world = world
        self.wire = wire or Wire(world)
        self._first_holder = 1 if wire is None else 101
        self.disk = Disk()
        self.clock = MachineClock()
        self.journal = folder / "state" / "journal.sqlite"
        self._cluster = cluster
        self._specs = folder / "specs"
        self._specs_version = 0
        self._sinks = tuple(sinks)
        self._leaving = leaving
        self._at = at
        self.verbs: Verbs | None = None
        self.stop_file: str | None = None
        """What is in the file that stops everything; None while there is none."""
        """Of the controller that runs."""
        self.powershell: dict[str, str] = {}
        """Versions that an examination finds, by folded name of the node, where not 5.1."""
        self._line: Lifeline | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._errors: list[Exception] = []
        for made in (self._specs, self.journal.parent):
            made.mkdir(parents=True, exist_ok=True)

    async def _examine(self, _: DesiredState) -> tuple[Check, ...]:
        """What an examination finds: every node passes whose PowerShell is of our version."""
        versions = {n.name: self.powershell.get(key) for key, n in self.world.cluster.nodes.items()}
        return tuple(
            Check(
                node=name,
                name=CheckName.POWERSHELL,
                result=CheckResult.FAIL if version else CheckResult.PASS,
                found=f"{version}, not 5.1" if version else "5.1.26100.1",
                remedy="install Windows Management Framework 5.1" if version else "",
            )
            for name, version in versions.items()
        )

    # ---- specs

    def declare(
        self,
        placements: Mapping[str, Mapping[str, Any]],
        maintenances: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """Let the directory hold these documents and no others: one file each, by name."""
        kinds = dict.fromkeys(placements, "VirtualMachinePlacement")
        kinds |= dict.fromkeys(maintenances, "NodeMaintenance")
        for old in self._specs.iterdir():
            if old.stem not in kinds:
                old.unlink()
        for name, spec in {**placements, **maintenances}.items():
            document = {
                "apiVersion": "ownernode.io/v1alpha1",
                "kind": kinds[name],
                "metadata": {"name": name},
                "spec": {"cluster": self._cluster.name, **spec},
            }
            path = self._specs / f"{name}.yaml"
            # The end marker says that a document that became shorter was not cut off.
            text = yaml.safe_dump(document, sort_keys=False, explicit_end=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        self._specs_version += 1

    # ---- life and death

    def start(self) -> None:
        """Start a controller, which knows what the journal and the directory tell it."""
        assert self._line is None or not self._line.alive, "there is one already"
        self._line = Lifeline(self._at)
        self._tasks.append(asyncio.create_task(self._live(self._line), name="controller"))

    def kill(self) -> None:
        """`kill -9`, now: from here on it does nothing any more."""
        assert self._line is not None
        self._line.alive = False
        self._tasks[-1].cancel()

    @property
    def is_alive(self) -> bool:
        """Whether a controller is running. A programming error in one comes out here."""
        if self._errors:
            raise self._errors[0]
        if self._line is not None and self._line.alive and self._tasks[-1].done():
            self._tasks[-1].result()
        return self._line is not None and self._line.alive

    async def end(self) -> None:
        """Kill what runs and wait until all is out of the way; programming errors come out here."""
        if self.is_alive:
            self.kill()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, BaseException) and not is_death(result):
                raise result
        if self._errors:
            raise self._errors[0]

    def lose_journal(self) -> None:
        """The disk with the state directory is gone, and an empty one is in its place."""
        shutil.rmtree(self.journal.parent)
        self.journal.parent.mkdir()

    def copy_journal(self, folder: Path) -> None:
        """Keep the state directory as it is on the disk now, as a backup of the machine would."""
        shutil.copytree(self.journal.parent, folder / "state", dirs_exist_ok=True)

    async def _live(self, line: Lifeline) -> None:
        clock = MortalClock(line, self.clock)
        aside = Aside()
        journal = MortalJournal(line, SqliteJournal(self.journal), self.disk)
        memory = Memory(journal, aside, self._look_at_stop_file)
        source = DirectorySource(self._specs, self.journal.parent / "specs")
        desired = Declarations(
            clusters=[self._cluster],
            sources=[MortalSource(line, source, lambda: self._specs_version)],
            aside=aside,
        )
        seeds = tuple(self._cluster.model.spec.connection.nodes)
        observer = ClusterObserver(
            cluster=self._cluster.name, seeds=seeds, caller=self.wire.caller, clock=self.clock
        )
        actuator = MortalActuator(line, ClusterActuator(self.wire.caller), self._command_leaves)
        reconciler = Watched(
            errors=self._errors,
            cluster=self._cluster.name,
            desired=desired,
            observer=MortalObserver(line, observer),
            executor=Executor(actuator=actuator, memory=memory, clock=clock),
            memory=memory,
            reporter=Reporter(self._sinks),
            clock=clock,
            aside=aside,
            fitness=Fitness(self._examine, clock),
            holder=holder_number(self._first_holder + len(self._tasks) - 1),
        )
        self.verbs = Verbs(
            memory=memory,
            reporter=reconciler.reporter,
            clusters=[self._cluster.name],
            clock=clock,
            wake=lambda cluster: None,
        )
        try:
            await Manager(desired=desired, reconcilers=[reconciler], clock=clock).run()
        finally:
            journal.close()
            aside.close()

    def _look_at_stop_file(self, _: str) -> tuple[Stop, ...]:
        if self.stop_file is None:
            return ()
        stop = Stop(
            id="flag-file",
            scope=StopScope.EVERYTHING,
            name="",
            source=StopSource.FLAG_FILE,
            owner="operator",
            reason=self.stop_file,
            since=EPOCH,
        )
        return (stop,)

    def _command_leaves(self, action: Action, intent_id: str) -> None:
        if self._leaving is not None:
            self._leaving(action, intent_id, self.journal)


def holder_number(number: int) -> str:
    """The GUID under which the process of that number claims."""
    return f"00000000-0000-4000-8000-{number:012}"


def is_death(error: BaseException) -> bool:
    """Whether nothing but the process's end is in it."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_death(inner) for inner in error.exceptions)
    return isinstance(error, Killed | asyncio.CancelledError)
