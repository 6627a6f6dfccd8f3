"""The controller as a process of a simulation: the production engine, with all that befalls it.

Like `tests.support.process.Site`, whose ports it uses, but on the simulation's own wire, with a
clock that can be set wrong, a process that can be frozen, and specs that can be spoiled.
"""

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml

from controller.adapters.local.journal import SqliteJournal
from controller.adapters.specs.directory import DirectorySource
from controller.adapters.winrm.actuator import ClusterActuator
from controller.adapters.winrm.observer import ClusterObserver
from controller.adapters.winrm.parsing import parse_observation
from controller.engine.aside import Aside
from controller.engine.desired import Declarations
from controller.engine.executor import Executor
from controller.engine.fitness import Fitness
from controller.engine.manager import SPECS_EVERY_SECONDS, Manager
from controller.engine.memory import Memory
from controller.engine.reporter import Reporter
from controller.engine.verbs import Verbs
from controller.model.checkup import Check, CheckName, CheckResult
from controller.model.desired import DesiredState
from controller.model.document import Document
from controller.ports import StatusSink
from tests.simulation.wire import Wire
from tests.support.process import (
    Disk,
    Lifeline,
    MachineClock,
    MortalActuator,
    MortalClock,
    MortalJournal,
    MortalObserver,
    MortalSource,
    Watched,
    holder_number,
    is_death,
)

T = TypeVar("T")

STOP_SECONDS = 10.0
"""Within these an orderly stop must be over."""
_HEAD = b"apiVersion: ownernode.io/v1alpha1\nkind: VirtualMachinePlacement\nmetadata: {name: "
SPOILT: tuple[bytes, ...] = (
    b"",
    b"---\n",
    b"null\n",
    b"\x00\xff\xfe garbage",
    _HEAD + b"x",
    _HEAD + b"NAME}\nspec: {cluster: demo, vm: {name: VM}, owners: {prefered: [HV01]}}\n",
    _HEAD + b"NAME}\nspec: {cluster: demo, vm: {name: VM, name: WM}}\n",
)
"""What a file holds after a bad commit; none of it is a valid placement."""


class WrongClock(MortalClock):
    """The engine's clock; it may have been set wrong."""

    def __init__(self, line: Lifeline, site: "Site") -> None:
        super().__init__(line, MachineClock())
        self._site = site

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._site.clock_offset_seconds)


class PatientClock(MortalClock):
    """The clock of whoever watches the specs; in the long silence it looks more rarely."""

    def __init__(self, line: Lifeline, site: "Site") -> None:
        super().__init__(line, MachineClock())
        self._site = site

    async def sleep(self, seconds: float) -> None:
        assert seconds == SPECS_EVERY_SECONDS
        await super().sleep(max(seconds, self._site.patience_seconds))


class Site:
    """One cluster's controller: its specs, its state directory, its comings and goings."""

    def __init__(
        self,
        *,
        wire: Wire,
        cluster: Document,
        folder: Path,
        sinks: Sequence[StatusSink],
        stand_still: Callable[[float], None],
        number: int = 0,
    ) -> None:
        """`stand_still` lets time pass for everybody but the process; `number` tells rivals."""
        self._number = number
        self.cluster = cluster
        self.disk = Disk()
        self.journal = folder / "state" / "journal.sqlite"
        self.clock_offset_seconds = 0.0
        self.unfit: tuple[Check, ...] = ()
        """What is wrong with nodes, as an examination finds it."""
        self.patience_seconds = SPECS_EVERY_SECONDS
        self._wire = wire
        self._specs = folder / "specs"
        self._files = self._specs
        """Where they lie now: elsewhere while they can't be read."""
        self._backup = folder / "backup"
        self.verbs: Verbs | None = None
        self.memory: Memory | None = None
        self.onlooker: Callable[[str], object] = lambda moment: None
        """Told of each port call of the controller, twice."""
        self._sinks = tuple(sinks)
        self._stand_still = stand_still
        self._line: Lifeline | None = None
        self._stopping: Lifeline | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._freeze_seconds = 0.0
        self._thawed_seconds = float("-inf")
        self._specs_version = 0
        self._declared: Mapping[str, Mapping[str, Any]] = {}
        self._maintained: Mapping[str, Mapping[str, Any]] = {}
        self._read: dict[str, tuple[object, Any]] = {}
        """Node -> its last reply, and what was read in it."""
        self.errors: list[Exception] = []
        """What ended a cycle as no cycle should end."""
        for made in (self._specs, self.journal.parent):
            made.mkdir(parents=True, exist_ok=True)

    # ---- specs

    def declare(self, placements: Mapping[str, Mapping[str, Any]]) -> None:
        """Let the directory hold these placements and no others: one file each, by name."""
        self._declared = placements
        self._write_all("VirtualMachinePlacement", placements)

    def maintain(self, maintenances: Mapping[str, Mapping[str, Any]]) -> None:
        """The same of documents about nodes."""
        self._maintained = maintenances
        self._write_all("NodeMaintenance", maintenances)

    def _write_all(self, kind: str, specs: Mapping[str, Mapping[str, Any]]) -> None:
        for old in self._files.iterdir():
            if old.stem not in self._declared and old.stem not in self._maintained:
                old.unlink()
                self._specs_version += 1
        for name, spec in specs.items():
            document = {
                "apiVersion": "ownernode.io/v1alpha1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": {"cluster": self.cluster.name, **spec},
            }
            text = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, explicit_end=True)
            self._write(name, text.encode())

    def spoil(self, chance: random.Random) -> Callable[[], None]:
        """A bad commit ruins some files; gives what mends them."""
        files = sorted(self._files.iterdir())
        hit = chance.sample(files, k=chance.randint(1, len(files)))
        for path in hit:
            text = chance.choice(SPOILT).replace(b"NAME", path.stem.encode())
            self._write(path.stem, text)

        return lambda: self.declare(self._declared)

    @property
    def specs_are_hidden(self) -> bool:
        """Whether the directory can't be read now."""
        return self._files != self._specs

    def hide_specs(self) -> None:
        """The directory is gone: its share is not there, or Git can't be reached."""
        if not self.specs_are_hidden:
            self._files = self._specs.rename(self._specs.with_name("specs-away"))
            self._specs_version += 1

    def show_specs(self) -> Mapping[str, Mapping[str, Any]]:
        """It is back, with what people have declared since."""
        if self.specs_are_hidden:
            self._files = self._files.rename(self._specs)
            self._specs_version += 1
        return self._declared

    def _write(self, name: str, text: bytes) -> None:
        path = self._files / f"{name}.yaml"
        if path.exists() and path.read_bytes() == text:
            return
        path.write_bytes(text)
        self._specs_version += 1
        # Files that look old enough are not read again and again (see SETTLING_SECONDS).
        os.utime(path, (path.stat().st_atime - 10, path.stat().st_mtime - 10))

    async def _examine(self, _: DesiredState) -> tuple[Check, ...]:
        passed = tuple(
            Check(node=node.name, name=CheckName.RIGHTS, result=CheckResult.PASS, found="")
            for node in self._wire.world.cluster.nodes.values()
        )
        return (*passed, *self.unfit)

    # ---- life and death

    @property
    def is_alive(self) -> bool:
        """Whether a controller is running."""
        return self._line is not None and self._line.alive and not self._tasks[-1].done()

    def start(self, cluster: Document | None = None) -> None:
        """Start a controller, which knows what the journal and the directory tell it."""
        assert not self.is_alive, "there is one already"
        self.cluster = cluster or self.cluster
        self._line = Lifeline(self._at)
        self._tasks.append(asyncio.create_task(self._live(self._line), name="controller"))

    @property
    def is_stopping(self) -> bool:
        """Whether a controller was told to stop and has not ended yet."""
        return self.is_alive and self._stopping is self._line

    def kill_if_alive(self) -> None:
        """`kill -9`, now: from here on it does nothing any more."""
        if self._line is not None and self._line.alive:
            self._line.alive = False
            self._tasks[-1].cancel()

    def stop(self) -> None:
        """An orderly stop, as by SIGTERM. `overdue` tells whether it took too long."""
        if not self.is_alive:
            return
        task, line = self._tasks[-1], self._line
        self._stopping = line
        task.cancel()
        loop = asyncio.get_running_loop()

        def check() -> None:
            since_thaw_seconds = loop.time() - self._thawed_seconds
            if not task.done() and since_thaw_seconds < STOP_SECONDS:
                loop.call_later(STOP_SECONDS - since_thaw_seconds, check)  # it was asleep
                return
            self.overdue = self.overdue or not task.done()
            assert line is not None
            line.alive = False

        loop.call_later(STOP_SECONDS, check)

    overdue: bool = False
    """Whether an orderly stop took longer than it may."""

    def freeze(self, seconds: float) -> None:
        """SIGSTOP: at its next port call the process stands still that long."""
        self._freeze_seconds = seconds

    def lose_journal(self) -> None:
        """The disk with the state directory is gone, and an empty one is in its place."""
        shutil.rmtree(self.journal.parent)
        self.journal.parent.mkdir()

    def keep_journal(self) -> None:
        """A backup of the machine takes the state directory as it is on the disk now."""
        shutil.copytree(self.journal.parent, self._backup, dirs_exist_ok=True)

    def restore_journal(self) -> None:
        """The machine is what it was when it was backed up."""
        if self._backup.exists():
            self.lose_journal()
            shutil.copytree(self._backup, self.journal.parent, dirs_exist_ok=True)

    async def end(self) -> None:
        """Kill what runs; programming errors come out here."""
        self.kill_if_alive()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, BaseException) and not is_death(result):
                raise result

    def _at(self, moment: str) -> bool:
        """A frozen process notices nothing: time has passed when its call goes on."""
        self.onlooker(moment)
        # Between the last check and the wire no process could notice, so it is not frozen there.
        if self._freeze_seconds and not moment.startswith("actuator"):
            seconds, self._freeze_seconds = self._freeze_seconds, 0.0
            self._stand_still(seconds)
            self._thawed_seconds = asyncio.get_running_loop().time()
        return False

    async def _read_once(self, function: Callable[..., T], *args: Any) -> T:
        """While nothing changes a node's words are the same object, which need not be read anew."""
        if function is not parse_observation:
            return function(*args)
        data = args[0]
        node = str(data.get("node"))
        known = self._read.get(node)
        if known is None or known[0] is not data:
            known = self._read[node] = data, function(*args)
        reply: T = known[1]
        return reply

    async def _live(self, line: Lifeline) -> None:
        clock = WrongClock(line, self)
        aside = Aside()
        journal = MortalJournal(line, SqliteJournal(self.journal), self.disk)
        memory = self.memory = Memory(journal, aside)
        source = DirectorySource(self._specs, self.journal.parent / "specs")
        desired = Declarations(
            clusters=[self.cluster],
            sources=[MortalSource(line, source, lambda: self._specs_version)],
            aside=aside,
        )
        seeds = tuple(self.cluster.model.spec.connection.nodes)
        observer = ClusterObserver(
            cluster=self.cluster.name,
            seeds=seeds,
            caller=self._wire,
            clock=clock,
            aside=self._read_once,
        )
        actuator = MortalActuator(line, ClusterActuator(self._wire), lambda action, intent: None)
        reconciler = Watched(
            errors=self.errors,
            cluster=self.cluster.name,
            desired=desired,
            observer=MortalObserver(line, observer),
            executor=Executor(actuator=actuator, memory=memory, clock=clock),
            memory=memory,
            reporter=Reporter(self._sinks),
            clock=clock,
            aside=aside,
            fitness=Fitness(self._examine, clock),
            holder=holder_number(1000 * self._number + len(self._tasks)),
        )
        self.verbs = Verbs(
            memory=memory,
            reporter=reconciler.reporter,
            clusters=[self.cluster.name],
            clock=clock,
            wake=lambda cluster: None,
        )
        watch = PatientClock(line, self)
        try:
            await Manager(desired=desired, reconcilers=[reconciler], clock=watch).run()
        finally:
            journal.close()
            aside.close()
