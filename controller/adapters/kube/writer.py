"""Writes statuses: by server-side apply, each only when it changed, and only while we lead."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from controller.adapters.kube.api import APPLY, Api, Json, Refused
from controller.adapters.kube.informer import Informer
from controller.adapters.kube.kinds import CLUSTER, OURS
from controller.adapters.kube.source import Identity, Judged
from controller.adapters.kube.status import Told, statuses
from controller.errors import Unreachable
from controller.model.document import Document
from controller.model.report import ClusterReport
from controller.model.spec import API_VERSION
from controller.planning.resolve import strays

log = logging.getLogger(__name__)

MANAGER: Final = "ownernode"
WRITES_AT_ONCE: Final = 8
STATUSES_A_ROUND: Final = 500
"""Made at once: of thousands that are due at a start, all together would fill the memory."""
RETRY_SECONDS: Final = 2.0
REST_SECONDS: Final = 0.1
"""Between two rounds: news that come together are written together."""


class StatusWriter:
    """A StatusSink whose reports end up in the objects' statuses."""

    def __init__(
        self,
        api: Api,
        informers: Mapping[str, Informer],
        clusters: Sequence[Document],
        known: Callable[[], tuple[Mapping[Identity, Judged], Mapping[Identity, str]]],
        leads: Callable[[], bool],
        written: Callable[[Json, Json], None],
    ) -> None:
        """`known`: what is known of each object of every kind, and `Told.handled`.

        `written` is told of each object, as it was, and of the status that it has now.
        """
        self._api = api
        self._informers = dict(informers)
        self._clusters = tuple(clusters)
        self._known = known
        self._leads = leads
        self._written = written
        self._reports: dict[str, ClusterReport] = {}
        self._sent: dict[Identity, tuple[str, Json]] = {}
        """What we wrote last, and the version that it was made for."""
        self._news = asyncio.Event()
        self.writes = 0

    async def show(self, report: ClusterReport) -> None:
        """Take the report; it is written beside the cycle, which never waits for it."""
        self._reports[report.cluster] = report
        self._news.set()

    def look(self) -> None:
        """Some object changed."""
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self._round():
                await asyncio.sleep(RETRY_SECONDS)
                self._news.set()
            await asyncio.sleep(REST_SECONDS)

    async def _round(self) -> bool:
        """Write what is not as it should be; False if some of it could not be written."""
        self._forget_what_is_shown()
        items = {
            (kind, name): self._newest((kind, name), item)
            for kind, informer in self._informers.items()
            for name, item in informer.items.items()
        }
        judged, handled = self._known()
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        told = Told(
            judged=judged,
            reports=dict(self._reports),
            strays=self._strays(judged),
            handled=dict(handled),
        )
        found = statuses(told, items, now)
        due = await asyncio.to_thread(lambda: list(islice(found, STATUSES_A_ROUND)))
        if len(due) == STATUSES_A_ROUND:
            self._news.set()
        gate = asyncio.Semaphore(WRITES_AT_ONCE)
        results = await asyncio.gather(
            *(self._write(identity, status, items[identity], gate) for identity, status in due)
        )
        return all(results)

    def _forget_what_is_shown(self) -> None:
        """Of what we wrote, keep what the watch has not shown yet."""

        def is_shown(at: Identity, version: str) -> bool:
            item = self._informers[at[0]].items.get(at[1])
            return item is None or item["metadata"]["resourceVersion"] != version

        self._sent = {at: sent for at, sent in self._sent.items() if not is_shown(at, sent[0])}

    def _newest(self, identity: Identity, item: Json) -> Json:
        """The object with the status that we wrote, until the watch shows that or a later one."""
        sent = self._sent.get(identity)
        if sent is None or sent[0] != item["metadata"]["resourceVersion"]:
            return item
        return {**item, "status": {**(item.get("status") or {}), **sent[1]}}

    async def _write(
        self, identity: Identity, status: Json, item: Json, gate: asyncio.Semaphore
    ) -> bool:
        kind, (namespace, name) = identity
        body = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": name},
            "status": status,
        }
        async with gate:
            if not self._leads():
                return True
            try:
                await self._api.patch(
                    OURS[kind],
                    name,
                    body,
                    namespace or None,
                    form=APPLY,
                    sub="status",
                    manager=MANAGER,
                )
            except Unreachable as error:
                self._complain(identity, error)
                return False
            except Refused as error:
                if error.reason != "NotFound":
                    self._complain(identity, error)
                return error.reason == "NotFound"
        self.writes += 1
        self._sent[identity] = (item["metadata"]["resourceVersion"], status)
        self._written(item, status)
        return True

    def _strays(self, judged: Mapping[Identity, Judged]) -> dict[str, str]:
        documents = [
            j.document for at, j in judged.items() if at[0] != CLUSTER and j.document is not None
        ]
        return {
            finding.file: f"{finding.message} (expected {finding.expected})"
            for finding in strays(self._clusters, documents)
        }

    def _complain(self, identity: Identity, error: Exception) -> None:
        kind, (namespace, name) = identity
        log.warning(
            "A status can't be written",
            extra={"kind": kind, "object": f"{namespace}/{name}", "reason": str(error)},
        )
