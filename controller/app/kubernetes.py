"""The controller in Kubernetes: clusters and placements are objects, and one replica leads.

A replica without the Lease keeps its mirrors warm, judges what they show, so that it has the last
good version of each object when its turn comes, and answers on its port. With the Lease, it runs a
Controller for the FailoverClusters that there are; when one of them changes, that Controller ends
and the next one begins, as after a restart, because connections, limits and credentials hang
together and a half-changed controller would act by neither version.
"""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from controller.adapters.http.standby import make_standby
from controller.adapters.kube.annotations import Annotations, pause_of
from controller.adapters.kube.api import connect
from controller.adapters.kube.events import EventRecorder
from controller.adapters.kube.informer import Informer, WatchTiming
from controller.adapters.kube.kinds import CLUSTER, OURS, PLACEMENT
from controller.adapters.kube.lease import Elector, LeaseTiming
from controller.adapters.kube.memory import StatusJournal
from controller.adapters.kube.secrets import SecretReader
from controller.adapters.kube.source import (
    Desk,
    Identity,
    Judged,
    KubernetesSource,
    clusters_in_force,
)
from controller.adapters.kube.writer import StatusWriter
from controller.adapters.local.service import notify
from controller.adapters.specs.last_good import Kept, LastGood
from controller.adapters.specs.once import check_identities
from controller.app.process import Controller, Surroundings, tell_supervisor
from controller.app.web import Web
from controller.model.control import Stop, StopScope, StopSource
from controller.model.document import Document
from controller.model.findings import Finding
from controller.settings import Kubernetes, Settings

log = logging.getLogger(__name__)

JUDGE_EVERY_SECONDS = 1.0


class Replica:
    """One process of those that share a Lease."""

    def __init__(self, settings: Settings, kubernetes: Kubernetes) -> None:
        """Raises SpecError where no API server is configured."""
        self._settings = settings
        self._web = Web(settings.web_config)
        self._api = connect(_text(kubernetes.kubeconfig), kubernetes.namespace)
        self._holder = f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{uuid.uuid4()}"
        timing = LeaseTiming(
            duration_seconds=kubernetes.lease_seconds[0],
            renew_seconds=kubernetes.lease_seconds[1],
            retry_seconds=kubernetes.lease_seconds[2],
        )
        self._elector = Elector(self._api, kubernetes.lease, self._holder, timing)
        self._news = asyncio.Event()
        watching = WatchTiming(
            watch_seconds=kubernetes.watch_seconds, silence_seconds=kubernetes.silence_seconds
        )
        self._informers = {
            kind: Informer(self._api, what, self._changed, watching) for kind, what in OURS.items()
        }
        kept = settings.state / "kubernetes"
        self._clusters = Desk(
            informers={CLUSTER: self._informers[CLUSTER]}, shelf=FileShelf(kept / "clusters")
        )
        self._judging = asyncio.Lock()
        others = {kind: i for kind, i in self._informers.items() if kind != CLUSTER}
        self._source = KubernetesSource(others, FileShelf(kept / "others"))
        self._switch = Switch(make_standby(self._elector.leads, self._lacks))
        self._listeners: tuple[Callable[[], None], ...] = ()

    async def serve(self, listening: socket.socket) -> None:
        """Mirror, stand for the Lease, answer, and lead while we hold it; until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for kind, informer in self._informers.items():
                    group.create_task(informer.run(), name=f"watch {kind}")
                group.create_task(self._elector.run(), name="lease")
                group.create_task(self._web.serve(self._switch, listening), name="http")
                group.create_task(tell_supervisor(), name="supervisor")
                group.create_task(self._stand(), name="lead")
                group.create_task(self._judge_meanwhile(), name="judge")
        finally:
            notify("STOPPING=1")
            await self._elector.release()
            self._source.close()
            await self._api.close()

    async def _stand(self) -> None:
        """Lead whenever we may and there is something to lead."""
        while True:
            await self._elector.wait_leading()
            clusters = await self._in_force()
            check_identities(clusters)
            ends = [
                asyncio.create_task(self._elector.wait_lost(), name="lease lost"),
                asyncio.create_task(self._clusters_change(clusters), name="clusters change"),
            ]
            try:
                await self._lead(clusters, ends)
            finally:
                for end in ends:
                    end.cancel()

    async def _lead(self, clusters: Sequence[Document], ends: list[asyncio.Task[None]]) -> None:
        """Run a Controller until the first of these is over."""
        broken = asyncio.Event()
        ends.append(asyncio.create_task(_set(broken), name="memory broken"))
        journal = partial(
            StatusJournal,
            api=self._api,
            clusters=[cluster.name for cluster in clusters],
            term=str(uuid.uuid4()),
            leads=self._elector.leads,
            broke=broken.set,
        )
        surroundings = Surroundings(
            sources=(self._source,),
            stops=self._stops,
            journal=journal,
            secrets=SecretReader(self._api),
        )
        orders = Annotations(
            self._api,
            self._informers[CLUSTER],
            self._informers[PLACEMENT],
            wake=lambda cluster: controller.wake(cluster),
            give=lambda demand: controller.give(demand),
        )
        events = EventRecorder(
            self._api, self._informers[PLACEMENT], self._holder, self._elector.leads
        )
        writer = StatusWriter(
            self._api,
            self._informers,
            clusters,
            lambda: (self._judged(), orders.handled),
            self._elector.leads,
            events.tell_refusal,
        )
        log.info("Leading", extra={"clusters": tuple(c.name for c in clusters)})
        try:
            with Controller(
                self._settings, clusters, (orders, writer, events), surroundings
            ) as controller:
                self._switch.application = controller.application()
                self._listeners = (writer.look, orders.look)
                self._changed()
                async with asyncio.TaskGroup() as group:
                    work = [
                        group.create_task(controller.reconcile(), name="reconcile"),
                        group.create_task(writer.run(), name="write statuses"),
                        group.create_task(orders.run(), name="obey annotations"),
                        group.create_task(events.run(), name="write Events"),
                    ]
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                    for task in work:
                        task.cancel()
        finally:
            self._listeners = ()
            self._switch.application = self._switch.standby

    async def _clusters_change(self, clusters: Sequence[Document]) -> None:
        """Return when other FailoverClusters are in force than these."""
        while True:
            self._news.clear()
            if _marks(await self._in_force()) != _marks(clusters):
                return
            await self._news.wait()

    async def _in_force(self) -> tuple[Document, ...]:
        """The FailoverClusters in force, each in its last good version."""
        await self._informers[CLUSTER].synced.wait()
        async with self._judging:
            items = self._clusters.items()
            return clusters_in_force(await asyncio.to_thread(self._clusters.look, items))

    async def _judge_meanwhile(self) -> None:
        """While another leads: what was good only then is in force here too, once we lead."""
        while True:
            if not self._elector.leads():
                await self._in_force()
                await self._source.read()
            await asyncio.sleep(JUDGE_EVERY_SECONDS)

    def _changed(self) -> None:
        self._news.set()
        for look in self._listeners:
            look()

    def _lacks(self) -> str:
        """What keeps the mirrors from showing what is on the server; empty if nothing does."""
        return "; ".join(
            f"{kind}: {informer.trouble or 'not listed yet'}"
            for kind, informer in self._informers.items()
            if informer.trouble or not informer.synced.is_set()
        )

    def _judged(self) -> dict[Identity, Judged]:
        return {**self._source.judged, **self._clusters.judged}

    def _stops(self, cluster: str) -> tuple[Stop, ...]:
        """Also what keeps each command back that would leave after our time as the leader."""
        paused = pause_of(self._informers[CLUSTER], cluster)
        if self._elector.leads():
            return paused
        lost = Stop(
            id="lease",
            scope=StopScope.EVERYTHING,
            name="",
            source=StopSource.LEASE,
            owner="the lease",
            reason="this replica leads no longer",
            since=datetime.now(UTC),
        )
        return (lost, *paused)


class FileShelf:
    """Last good versions in one small file of the state folder."""

    def __init__(self, folder: Path) -> None:
        self._store = LastGood(folder)

    def load(self) -> tuple[Mapping[tuple[str, str], bytes], tuple[Finding, ...]]:
        """What was kept, and a finding if the file can't be believed."""
        kept, lost = self._store.load()
        return {identity: item.text for identity, item in kept.items()}, lost

    def keep(self, texts: Mapping[tuple[str, str], bytes]) -> None:
        """Make them durable; see `LastGood.keep`."""
        self._store.keep(
            {identity: Kept(file="", line=0, text=text) for identity, text in texts.items()}
        )


class Switch:
    """An ASGI application that stands for another one, which changes."""

    def __init__(self, standby: ASGIApp) -> None:
        self.standby = standby
        self.application = standby

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the one of now answer."""
        await self.application(scope, receive, send)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


def _marks(clusters: Sequence[Document]) -> tuple[tuple[str, str], ...]:
    return tuple((cluster.name, cluster.digest) for cluster in clusters)


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
