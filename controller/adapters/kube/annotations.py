"""What people say to the running controller by annotations on its objects.

`pause` holds for as long as it stands there. `approve` names a digest: it approves exactly that
plan, once, while that plan waits; what was taken up is noted in the status, so that the next leader
does not take it up again. To approve the same digest once more, remove the annotation first.
`reconcile-at` lets a cycle begin at once, whenever its value is a new one; it is handled once a
cycle has ended whose look began after the wish was seen.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.adapters.kube.api import MERGE_PATCH, Api, Json, Refused
from controller.adapters.kube.informer import Informer, Name
from controller.adapters.kube.kinds import (
    APPROVE,
    CLUSTER,
    OURS,
    PAUSE,
    PLACEMENT,
    RECONCILE,
    annotation,
)
from controller.errors import JournalBroken, SpecError, Unreachable
from controller.model.control import Demand, Stop, StopScope, StopSource, Verb
from controller.model.report import ClusterReport
from controller.planning.approvals import waiting_for_approval

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
REASON_CHARACTERS_MAX = 200


def pause_of(clusters: Informer, cluster: str) -> tuple[Stop, ...]:
    """The stop that the annotation on the cluster means. Quick, and from any thread."""
    item = clusters.items.get(("", cluster))
    reason = annotation(item, PAUSE) if item is not None else None
    if reason is None:
        return ()
    told = "".join(c for c in reason[:REASON_CHARACTERS_MAX] if c.isprintable())
    return (
        Stop(
            id="annotation",
            scope=StopScope.CLUSTER,
            name="",
            source=StopSource.ANNOTATION,
            owner=f"annotation {PAUSE}",
            reason=told or "it says no reason",
            since=_SINCE,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Somebody's wish for a cycle."""

    value: str
    cluster: str
    seen_at: datetime


class Annotations:
    """Takes up approvals and wishes for a cycle; a StatusSink, to know what waits."""

    def __init__(
        self,
        api: Api,
        clusters: Informer,
        placements: Informer,
        *,
        wake: Callable[[str], None],
        give: Callable[[Demand], Awaitable[str]],
    ) -> None:
        self._api = api
        self._clusters = clusters
        self._placements = placements
        self._wake = wake
        self._give = give
        self._reports: dict[str, ClusterReport] = {}
        self._paused: dict[str, str | None] = {}
        self._wishes: dict[tuple[str, Name], Wish] = {}
        self.handled: dict[tuple[str, Name], str] = {}
        """The wish that was last fulfilled, by kind and name."""
        self._approved: dict[str, str] = {}
        self._news = asyncio.Event()

    async def show(self, report: ClusterReport) -> None:
        """Take the report: an approval may have waited for its plan."""
        self._reports[report.cluster] = report
        for at, wish in self._wishes.items():
            if wish.cluster == report.cluster and report.observed_at >= wish.seen_at:
                self.handled[at] = wish.value
        self._news.set()

    def look(self) -> None:
        """Some object changed."""
        self._news.set()

    async def run(self) -> None:
        """Obey until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            self._wake_where_asked()
            for (_, cluster), item in list(self._clusters.items.items()):
                try:
                    await self._approve(cluster, item)
                except (Unreachable, Refused, JournalBroken) as error:
                    log.warning(
                        "An approval could not be taken up",
                        extra={"cluster": cluster, "reason": str(error)},
                    )
                    await asyncio.sleep(RETRY_SECONDS)
                    self._news.set()

    def _wake_where_asked(self) -> None:
        for (_, cluster), item in self._clusters.items.items():
            paused = annotation(item, PAUSE)
            if self._paused.get(cluster) != paused:
                self._paused[cluster] = paused
                self._wake(cluster)
            self._wake_if_asked(cluster, (CLUSTER, ("", cluster)), item)
        for name, item in self._placements.items.items():
            self._wake_if_asked(str(item["spec"].get("cluster")), (PLACEMENT, name), item)

    def _wake_if_asked(self, cluster: str, at: tuple[str, Name], item: Json) -> None:
        asked = annotation(item, RECONCILE)
        handled = (item.get("status") or {}).get("lastHandledReconcileAt")
        wish = self._wishes.get(at)
        if asked is None or asked == handled or (wish is not None and wish.value == asked):
            return
        self._wishes[at] = Wish(value=asked, cluster=cluster, seen_at=datetime.now(UTC))
        self._wake(cluster)

    async def _approve(self, cluster: str, item: Json) -> None:
        digest = annotation(item, APPROVE)
        noted = (item.get("status") or {}).get("approval")
        if digest is None:
            self._approved.pop(cluster, None)
            if noted is not None:
                await self._note(cluster, None)
            return
        report = self._reports.get(cluster)
        if digest in (noted, self._approved.get(cluster)) or report is None:
            return
        if all(hold.evidence["digest"] != digest for hold in waiting_for_approval(report)):
            return
        demand = Demand(
            verb=Verb.APPROVE,
            owner=f"annotation {APPROVE}",
            reason=f"it stands on FailoverCluster {cluster}",
            cluster=cluster,
            digest=digest,
        )
        # Noted first: an approval that is lost can be given again, one given twice can't be undone.
        await self._note(cluster, digest)
        self._approved[cluster] = digest
        try:
            await self._give(demand)
        except SpecError as error:
            log.warning("An approval came too late", extra={"reason": str(error)})

    async def _note(self, cluster: str, digest: str | None) -> None:
        body = {"status": {"approval": digest}}
        await self._api.patch(OURS[CLUSTER], cluster, body, form=MERGE_PATCH, sub="status")


_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
"""An annotation does not say since when it stands."""
