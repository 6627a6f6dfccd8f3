"""Composition root: puts the parts of one process together; knows every concrete class.

Three ways to use it: some functions look at one cluster once, `Controller` runs for as long as it
is let, and `serve_world` puts a simulated cluster on the network.
"""

import asyncio
import gc
import logging
import secrets
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from socket import socket
from time import perf_counter
from typing import Any, ParamSpec, Self, TypeVar, cast

import yaml
from pydantic import ValidationError

from controller import __version__
from controller.adapters.http.application import Sources, make_application
from controller.adapters.http.board import Board
from controller.adapters.http.explanation import explain
from controller.adapters.http.past import history_of
from controller.adapters.http.server import serve
from controller.adapters.local.clock import SystemClock
from controller.adapters.local.files import StateLock, StopFile, read_token
from controller.adapters.local.journal import SqliteJournal
from controller.adapters.local.service import notify, watchdog_seconds
from controller.adapters.prometheus.metrics import CONTENT_TYPE, Metrics, Traffic
from controller.adapters.prometheus.table import CyclePhase
from controller.adapters.specs.directory import DirectorySource
from controller.adapters.specs.documents import OPERATOR_KINDS, read_documents
from controller.adapters.specs.once import bytes_of
from controller.adapters.winrm.actuator import ClusterActuator
from controller.adapters.winrm.calling import Barred
from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.nodes import WinRMNodes
from controller.adapters.winrm.observer import ClusterObserver, inline
from controller.adapters.winrm.program import load_program
from controller.engine.aside import Aside
from controller.engine.desired import Declarations
from controller.engine.executor import Executor
from controller.engine.manager import Manager
from controller.engine.memory import Memory
from controller.engine.orders import EVERYTHING
from controller.engine.reconciler import Reconciler
from controller.engine.reporter import Reporter
from controller.engine.verbs import Verbs
from controller.errors import JournalBroken, SpecError
from controller.model.control import Stop
from controller.model.desired import Connection, DesiredState
from controller.model.document import Document
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import AuditFinding, Plan
from controller.model.spec import API_VERSION
from controller.planning.absorb import absorb
from controller.planning.decide import decide
from controller.planning.resolve import resolve, strays
from controller.planning.summary import summarise
from controller.ports import Clock, Observer, SpecReading, StatusSink
from controller.settings import Settings
from controller.simulator.config import load_world
from controller.simulator.serve import SimulatedSite

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

STOP_FILE_EVERY_SECONDS = 0.5
LAG_EVERY_SECONDS = 0.25
SIMULATOR_USER = "demo"
SEEDS = 2
"""Nodes that a simulated cluster's configuration names; the others are to be discovered."""


# One look at one cluster


def declare(
    cluster: Document, specs: SpecReading, *, clusters: Sequence[Document] = ()
) -> DesiredState:
    """The desired state of one cluster, of specs that are read once.

    `clusters` are all that are configured: a placement of none of them is a finding.
    """
    findings = strays([c.name for c in clusters or (cluster,)], specs.documents)
    return resolve(cluster, specs.documents, findings, specs.revision)


def declare_with_defaults(name: str, specs: SpecReading) -> DesiredState:
    """The desired state of a cluster of which there is a snapshot only: default limits."""
    nobody = {"nodes": ["nobody.invalid"], "authentication": "NTLM", "credentials": {"env": "NONE"}}
    document = {
        "apiVersion": API_VERSION,
        "kind": "FailoverCluster",
        "metadata": {"name": name},
        "spec": {"connection": nobody},
    }
    text = yaml.safe_dump(document).encode()
    (cluster,) = read_documents({"defaults": text}, allowed=OPERATOR_KINDS).documents
    return declare(cluster, specs)


async def observe_once(cluster: Document) -> ObservedState:
    """What the cluster says now."""
    desired = resolve(cluster, (), (), "")
    reach = _Reach(cluster.name, desired.connection, gates=LogonGates(), clock=SystemClock())
    try:
        return await reach.watched.observe()
    finally:
        await reach.watched.close()


def plan_once(
    desired: DesiredState, observed: ObservedState
) -> tuple[Plan, tuple[AuditFinding, ...]]:
    """What a controller would do that saw this state often enough to believe it."""
    history = _as_if_watched(desired, observed)
    return decide(desired, observed, history, observed.completed_at)


def explain_once(desired: DesiredState, observed: ObservedState, vm: str) -> list[dict[str, Any]]:
    """Explanations of every VM of that name, spec name or id, as `plan_once` sees them."""
    history = _as_if_watched(desired, observed)
    plan, findings = decide(desired, observed, history, observed.completed_at)
    report = summarise(
        desired, observed, history, plan, findings, (), cycle=1, acted=False, previous=None
    )
    return explain(desired, observed, history, report, vm)


def _as_if_watched(desired: DesiredState, observed: ObservedState) -> History:
    history = History(cluster=desired.cluster, trusted=True)
    for _ in range(desired.policy.complete_cycles_before_acting):
        history = absorb(history, desired, observed, observed.completed_at)
    return history


# A controller


class Controller:
    """One process: all configured clusters, their specs, the journal, and who sees the reports.

    A context manager: it holds the state directory until it is left.
    """

    def __init__(
        self, settings: Settings, clusters: Sequence[Document], sinks: Sequence[StatusSink] = ()
    ) -> None:
        """Raises SpecError if another process holds the state directory."""
        self._settings = settings
        self._clock = SystemClock()
        policies = {c.name: resolve(c, (), (), "").policy for c in clusters}
        self.metrics = Metrics(
            version=__version__,
            source=lambda cluster: str(settings.specs),
            traffic=lambda cluster: self._reaches[cluster].traffic(),
        )
        self.board = Board(
            interval_seconds={name: policy.interval_seconds for name, policy in policies.items()},
            now=self._clock.now,
        )
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
            self._memory = Memory(journal, self._aside, self._stop_file.look)
            self._desired = Declarations(
                clusters=clusters,
                sources=[DirectorySource(settings.specs, settings.state / "specs")],
                aside=self._aside,
            )
            self._reaches = self._reach_all(clusters)
            reporter = Reporter([self.metrics, self.board, *sinks])
            self._manager = Manager(
                desired=self._desired,
                reconcilers=[self._reconciler(name, reporter) for name in self._reaches],
                clock=self._clock,
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
        # A full collection stops every thread. What is there now stays: modules, models, specs.
        gc.collect()
        gc.freeze()
        application = make_application(
            Sources(
                board=self.board,
                metrics=self.metrics.render,
                metrics_type=CONTENT_TYPE,
                explain=self.explain,
                history=self.history,
                stops=self._stops,
                give=self._verbs.give,
                token=self._token,
            )
        )
        try:
            async with asyncio.TaskGroup() as group:
                self._begin(group)
                group.create_task(serve(application, listening), name="http")
                group.create_task(self._measure_lag(), name="loop lag")
                group.create_task(self._tell_supervisor(), name="supervisor")
        finally:
            notify("STOPPING=1")

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

    def _reach_all(self, clusters: Sequence[Document]) -> dict[str, "_Reach"]:
        gates = LogonGates()
        return {
            cluster.name: _Reach(
                cluster.name,
                resolve(cluster, (), (), "").connection,
                gates=gates,
                clock=self._clock,
                aside=self._aside,
                took=partial(self.metrics.time_phase, cluster.name, CyclePhase.OBSERVE),
                barred=partial(self._barred, cluster.name),
            )
            for cluster in clusters
        }

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
            holder=str(uuid.uuid4()),
        )

    async def _tell_supervisor(self) -> None:
        """Say that we are there, and then, as long as the loop turns, that we live."""
        notify("READY=1")
        every_seconds = watchdog_seconds()
        while every_seconds is not None:
            notify("WATCHDOG=1")
            await asyncio.sleep(every_seconds)

    async def _measure_lag(self) -> None:
        """See how late the loop wakes us: whatever holds it up delays every cluster."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_SECONDS
            await asyncio.sleep(LAG_EVERY_SECONDS)
            self.metrics.note_loop_lag(max(0.0, loop.time() - due))


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


class _Reach:
    """Eyes and hands on one cluster, over the same agents."""

    def __init__(
        self,
        cluster: str,
        connection: Connection,
        *,
        gates: LogonGates,
        clock: Clock,
        aside: Aside | None = None,
        took: Callable[[float], None] = lambda seconds: None,
        barred: Barred = lambda intent: None,
    ) -> None:
        self._nodes = WinRMNodes(connection, gates=gates, program=load_program(), barred=barred)
        observer = ClusterObserver(
            cluster=cluster,
            seeds=connection.seeds,
            caller=self._nodes,
            clock=clock,
            aside=aside or inline,
        )
        self.watched = _Watched(observer, took)
        self.actuator = ClusterActuator(self._nodes)

    def traffic(self) -> Traffic:
        """Calls and refused log-ons so far."""
        return Traffic(requests=dict(self._nodes.calls), logon_failures=self._nodes.logon_failures)


class _Watched:
    """An Observer that remembers its last look, for `explain`, and tells how long it took."""

    def __init__(self, observer: Observer, took: Callable[[float], None]) -> None:
        self._observer = observer
        self._took = took
        self.last: ObservedState | None = None

    async def observe(self) -> ObservedState:
        """As the Observer does."""
        began = perf_counter()
        self.last = await self._observer.observe()
        self._took(perf_counter() - began)
        return self.last

    async def close(self) -> None:
        """As the Observer does."""
        await self._observer.close()


# The simulated cluster


@asynccontextmanager
async def serve_world(
    world_file: Path,
    directory: Path,
    *,
    declared: Path | None = None,
    port: int = 0,
    speed: float = 1.0,
) -> AsyncIterator[SimulatedSite]:
    """Serve a world.yaml behind WinRM, and write into `directory` what a client needs.

    That is `account` (user name and password), `ca.pem` (the authority that signed the nodes'
    certificates) and `config.yaml`, a FailoverCluster document: that of `declared` with its
    connection filled in, or one in mode Observe. Raises SpecError for a
    world that can't be read or served.
    """
    try:
        world = load_world(bytes_of(world_file).decode())
    except ValidationError as error:
        faults = ("{}: {}".format(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors())
        raise SpecError("\n".join(f"{world_file}: {fault}" for fault in faults)) from None
    except ValueError as error:
        raise SpecError(f"{world_file}: {error}") from error
    password = secrets.token_urlsafe(18)
    account = _write_account(directory, password)
    site = SimulatedSite(world, user=SIMULATOR_USER, password=password, port=port, speed=speed)
    async with site:
        ca_file = directory / "ca.pem"
        ca_file.write_bytes(site.ca_file.read_bytes())
        document = (
            yaml.safe_load(bytes_of(declared)) if declared else _observing(world.cluster.name)
        )
        document["spec"]["connection"] = _connection_to(site, account, ca_file)
        config = yaml.safe_dump(document, sort_keys=False)
        (directory / "config.yaml").write_text(config, encoding="utf-8")
        yield site


def _write_account(directory: Path, password: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    account = directory / "account"
    account.touch(mode=0o600)
    account.write_text(f"username={SIMULATOR_USER}\npassword={password}\n", encoding="utf-8")
    return account


def _observing(cluster: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "FailoverCluster",
        "metadata": {"name": cluster.lower()},
        "spec": {},
    }


def _connection_to(site: SimulatedSite, account: Path, ca_file: Path) -> dict[str, Any]:
    nodes = sorted(site.addresses)
    return {
        "nodes": nodes[:SEEDS],
        "addresses": {node.split(".")[0]: site.addresses[node] for node in nodes},
        "authentication": "Basic",
        "credentials": {"file": str(account.resolve())},
        "tls": {"ca": str(ca_file.resolve())},
    }
