"""A controller: all configured clusters, their specs, the journal, and who sees the reports."""

import asyncio
import gc
import logging
import signal
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from socket import socket
from time import perf_counter
from typing import Any, ParamSpec, Self, TypeVar, cast

from starlette.applications import Starlette

from controller import __version__
from controller.adapters.http.application import Sources, make_application
from controller.adapters.http.board import Board
from controller.adapters.http.explanation import explain
from controller.adapters.http.past import history_of
from controller.adapters.local.clock import SystemClock
from controller.adapters.local.files import StateLock, StopFile, read_token
from controller.adapters.local.journal import SqliteJournal
from controller.adapters.local.service import notify, watchdog_seconds
from controller.adapters.prometheus.metrics import CONTENT_TYPE, Metrics
from controller.adapters.prometheus.table import CyclePhase
from controller.adapters.winrm.credentials import Secrets
from controller.adapters.winrm.logons import LogonGates
from controller.app.reach import Reach
from controller.app.sources import open_sources
from controller.app.web import Web
from controller.engine.aside import Aside
from controller.engine.desired import Declarations
from controller.engine.executor import Executor
from controller.engine.fitness import Fitness
from controller.engine.manager import Manager
from controller.engine.memory import Memory
from controller.engine.orders import EVERYTHING
from controller.engine.reconciler import Reconciler
from controller.engine.reporter import Reporter
from controller.engine.verbs import Verbs
from controller.errors import JournalBroken
from controller.model.control import Demand, Stop
from controller.model.desired import DesiredState
from controller.model.document import Document
from controller.planning.decide import decide
from controller.planning.resolve import resolve
from controller.ports import Journal, SpecSource, StatusSink
from controller.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

STOP_FILE_EVERY_SECONDS = 0.5
LAG_EVERY_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a process has from where it runs, besides files."""

    sources: Sequence[SpecSource] = ()
    stops: Callable[[str], tuple[Stop, ...]] = lambda cluster: ()
    """What else stops a cluster; asked before each command, from any thread."""
    secrets: Secrets | None = None
    """Reads the accounts that a cluster names by `secretRef`; None where there are no secrets."""
    journal: Callable[[Journal], Journal] = lambda local: local
    """What keeps the past, given what keeps it on the disk."""


class Controller:
    """One process: all configured clusters, their specs, the journal, and who sees the reports.

    A context manager: it holds the state directory until it is left.
    """

    def __init__(
        self,
        settings: Settings,
        clusters: Sequence[Document],
        sinks: Sequence[StatusSink] = (),
        surroundings: Surroundings = Surroundings(),  # it is frozen
    ) -> None:
        """Raises SpecError if another process holds the state directory."""
        self._secrets = surroundings.secrets
        self._clock = SystemClock()
        policies = {c.name: resolve(c, (), (), "").policy for c in clusters}
        self.metrics = Metrics(
            version=__version__,
            per_vm=settings.vm_metrics,
            fetched=lambda: self._sources.fetched(),
            traffic=lambda cluster: self._reaches[cluster].traffic(),
        )
        self.board = Board(
            interval_seconds={name: policy.interval_seconds for name, policy in policies.items()},
            now=self._clock.now,
        )
        self._web = Web(settings.web_config)
        with ExitStack() as stack:
            stack.callback(StateLock(settings.state).release)
            self._aside = TimedAside(self.metrics)
            stack.callback(self._aside.close)
            journal = SqliteJournal(settings.state / "journal.sqlite")
            stack.callback(journal.close)
            self._journal = journal
            self._token = read_token(
                settings.token or settings.state / "token", make=settings.token is None
            )
            self._stop_file = StopFile(settings.state / "STOP")
            self._memory = Memory(
                surroundings.journal(journal),
                self._aside,
                lambda cluster: (*self._stop_files(), *surroundings.stops(cluster)),
            )
            self._sources = open_sources(settings.specs, settings.state)
            stack.callback(self._sources.close)
            self._desired = Declarations(
                clusters=clusters,
                sources=(*self._sources.all(), *surroundings.sources),
                aside=self._aside,
            )
            forges = self._sources.statuses()
            for forge in forges:
                stack.callback(forge.close)
            self._reaches = self._reach_all(clusters)
            reporter = Reporter([self.metrics, self.board, *forges, *sinks])
            self._manager = Manager(
                desired=self._desired,
                reconcilers=[self._reconciler(name, reporter) for name in self._reaches],
                clock=self._clock,
                watch=self.metrics.work,
            )
            self._verbs = Verbs(
                memory=self._memory,
                reporter=reporter,
                clusters=tuple(self._reaches),
                clock=self._clock,
                wake=self._manager.wake,
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._begin(group)

    def _begin(self, group: asyncio.TaskGroup) -> None:
        group.create_task(self._manager.run(), name="manager")
        group.create_task(self._watch_stop_file(), name="stop file")
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGUSR1,
            lambda: group.create_task(self._stop_by_signal(), name="stop by signal"),
        )

    async def _stop_by_signal(self) -> None:
        try:
            await self._verbs.stop_by_signal()
        except JournalBroken as error:
            log.critical(
                "The stop holds until the process ends, and is then forgotten",
                extra={"reason": str(error)},
            )

    async def _watch_stop_file(self) -> None:
        """Let a cycle begin when the file comes or goes, so that it shows and acts at once.

        Before each command it is looked at anyway.
        """
        was: Stop | None = None
        while True:
            stop = self._stop_file.look()
            if stop != was:
                text = stop.reason if stop is not None else "it is gone"
                log.warning("The stop file changed", extra={"reason": text})
                for cluster in self._reaches:
                    self._manager.wake(cluster)
            was = stop
            await self._clock.sleep(STOP_FILE_EVERY_SECONDS)

    async def serve(self, listening: socket) -> None:
        """Reconcile and serve HTTP until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.reconcile(), name="reconcile")
                group.create_task(self._web.serve(self.application(), listening), name="http")
                group.create_task(tell_supervisor(), name="supervisor")
        finally:
            notify("STOPPING=1")

    async def reconcile(self) -> None:
        """Reconcile until cancelled, and measure how well the loop keeps up."""
        collect_seldom()
        async with asyncio.TaskGroup() as group:
            self._begin(group)
            group.create_task(self._measure_lag(), name="loop lag")

    def application(self) -> Starlette:
        """What is served over HTTP."""
        return make_application(
            Sources(
                board=self.board,
                metrics=self.metrics.render,
                metrics_type=CONTENT_TYPE,
                explain=self.explain,
                history=self.history,
                stops=self._stops,
                give=self._verbs.give,
                token=self._token,
                hints=self._sources.hints(),
            )
        )

    def wake(self, cluster: str) -> None:
        """Let the next cycle of a cluster begin at once, if it is one of ours."""
        if cluster in self._reaches:
            self._manager.wake(cluster)

    async def give(self, demand: Demand) -> str:
        """Obey a person, and say what holds now. Raises SpecError, JournalBroken."""
        return await self._verbs.give(demand)

    async def explain(self, vm: str) -> list[dict[str, Any]]:
        """Explanations of every VM of that name, spec name or id, in all clusters."""
        found = []
        for report in self.board.reports():
            observed = self._reaches[report.cluster].watched.last
            assert observed is not None, "there is a report of a cluster that was never observed"
            desired = self._desired.of(report.cluster)
            history = await self._memory.of(report.cluster)
            found += await self._aside(explain, desired, observed, history, report, vm)
        return found

    async def history(self, name: str) -> list[dict[str, Any]]:
        """What was done to the VM or node of that name in the last 90 days, in all clusters."""
        of_all = await self._aside(self._journal.past, EVERYTHING)
        found = []
        for cluster, reach in self._reaches.items():
            past = await self._aside(self._journal.past, cluster)
            past = replace(past, orders=(*of_all.orders, *past.orders))
            names = {vm.id: vm.name for vm in reach.watched.last.vms} if reach.watched.last else {}
            found += history_of(past, cluster, name, names)
        return sorted(found, key=lambda entry: entry["at"])

    def _stops(self) -> list[tuple[str, Stop]]:
        """Those in force, each once: of everything first, then by cluster."""
        self._memory.orders.expire(self._clock.now())
        of_all = [("", stop) for stop in self._memory.orders.stops(EVERYTHING)]
        return of_all + [
            (cluster, stop)
            for cluster in sorted(self._reaches)
            for stop in self._memory.orders.kept(cluster)
        ]

    def _reach_all(self, clusters: Sequence[Document]) -> dict[str, "Reach"]:
        gates = LogonGates()
        return {
            cluster.name: Reach(
                cluster.name,
                resolve(cluster, (), (), "").connection,
                gates=gates,
                secrets=self._secrets,
                clock=self._clock,
                aside=self._aside,
                took=partial(self.metrics.time_phase, cluster.name, CyclePhase.OBSERVE),
                barred=partial(self._barred, cluster.name),
            )
            for cluster in clusters
        }

    def _stop_files(self) -> tuple[Stop, ...]:
        stop = self._stop_file.look()
        return (stop,) if stop is not None else ()

    def _barred(self, cluster: str, intent: str) -> str | None:
        return self._memory.barred(cluster, intent, self._clock.now())

    def _reconciler(self, cluster: str, reporter: Reporter) -> Reconciler:
        reach = self._reaches[cluster]
        return Reconciler(
            cluster=cluster,
            desired=self._desired,
            observer=reach.watched,
            executor=Executor(actuator=reach.actuator, memory=self._memory, clock=self._clock),
            memory=self._memory,
            reporter=reporter,
            clock=self._clock,
            aside=self._aside,
            fitness=Fitness(reach.examine, self._clock),
            holder=str(uuid.uuid4()),
        )

    async def _measure_lag(self) -> None:
        """See how late the loop wakes us: whatever holds it up delays every cluster."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_SECONDS
            await asyncio.sleep(LAG_EVERY_SECONDS)
            self.metrics.note_loop_lag(max(0.0, loop.time() - due))


async def tell_supervisor() -> None:
    """Say that we are there, and then, as long as the loop turns, that we live."""
    notify("READY=1")
    every_seconds = watchdog_seconds()
    while every_seconds is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(every_seconds)


class TimedAside(Aside):
    """Computes aside, and tells the metrics how long a decision took."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns, or raise what it raises."""
        began = perf_counter()
        result = await super().__call__(function, *args, **kwargs)
        if function is decide:
            cluster = cast(DesiredState, args[0]).cluster
            self._metrics.time_phase(cluster, CyclePhase.PLAN, perf_counter() - began)
        return result


def collect_seldom() -> None:
    """Have garbage collections, which stop every thread, look at little and come seldom.

    What is there now stays: modules, models, specs. A snapshot makes a million objects and next to
    no cycles; by Python's default of 700 a tenth of its time went into looking for those.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 5, 10)
