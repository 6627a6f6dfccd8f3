"""Events: what happened to an object, where `kubectl describe` and dashboards look for it.

One for each change of a VM's verdict, owner or hold. The same news within ten minutes is counted in
the Event that is there (a series), so that a VM that flaps makes one Event and not a thousand.
Events are for people: one that can't be written is let go.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from controller.adapters.kube.api import MERGE_PATCH, Api, Json, Refused
from controller.adapters.kube.conditions import MESSAGE_CHARACTERS_MAX, SPEC_REFUSED
from controller.adapters.kube.informer import Informer
from controller.adapters.kube.kinds import EVENTS, PLACEMENT
from controller.errors import Unreachable
from controller.model.plan import Verdict
from controller.model.report import ClusterReport, VMReport
from controller.model.spec import API_VERSION

log = logging.getLogger(__name__)

SERIES: Final = timedelta(minutes=10)
WAITING_MAX: Final = 1000
"""News that wait to be written; more are let go."""
KNOWN_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing to tell about one placement."""

    namespace: str
    name: str
    uid: str
    reason: str
    note: str
    warning: bool


@dataclass(slots=True, kw_only=True)
class _Series:
    event: str
    count: int
    last: datetime


class EventRecorder:
    """A StatusSink that tells of changes."""

    def __init__(
        self, api: Api, placements: Informer, holder: str, leads: Callable[[], bool]
    ) -> None:
        self._api = api
        self._placements = placements
        self._holder = holder
        self._leads = leads
        self._states: dict[str, Mapping[str, tuple[str, str | None]]] = {}
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._waiting: asyncio.Queue[News] = asyncio.Queue(WAITING_MAX)
        self.lost = 0

    async def show(self, report: ClusterReport) -> None:
        """Note what is not as it was in the last report; nothing after the first one."""
        now = {vm.key: (_reason(vm), vm.owner) for vm in report.vms}
        before = self._states.get(report.cluster)
        self._states[report.cluster] = now
        if before is None:
            return
        for vm in report.vms:
            if before.get(vm.key) == now[vm.key]:
                continue
            for spec in vm.spec.split(", "):
                self._add(spec, vm)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            news = await self._waiting.get()
            if not self._leads():
                continue
            try:
                await self._write(news, datetime.now(UTC))
            except (Unreachable, Refused) as error:
                self.lost += 1
                log.warning("An Event can't be written", extra={"reason": str(error)})

    def tell_refusal(self, item: Json, status: Json) -> None:
        """Note that a placement is not taken as it is now, once its status says so."""
        why = _refusal(status)
        if item["kind"] == PLACEMENT and why and why != _refusal(item.get("status") or {}):
            meta = item["metadata"]
            self._note(
                News(
                    namespace=meta["namespace"],
                    name=meta["name"],
                    uid=meta["uid"],
                    reason=SPEC_REFUSED,
                    note=why[:MESSAGE_CHARACTERS_MAX],
                    warning=True,
                )
            )

    def _add(self, spec: str, vm: VMReport) -> None:
        namespace, _, name = spec.rpartition("/")
        item = self._placements.items.get((namespace, name))
        if item is None:  # of another source
            return
        news = News(
            namespace=namespace,
            name=name,
            uid=item["metadata"]["uid"],
            reason=_reason(vm),
            note=vm.sentence[:MESSAGE_CHARACTERS_MAX],
            warning=vm.hold is not None or vm.verdict in (Verdict.CONFLICT, Verdict.IMPOSSIBLE),
        )
        self._note(news)

    def _note(self, news: News) -> None:
        try:
            self._waiting.put_nowait(news)
        except asyncio.QueueFull:
            self.lost += 1

    async def _write(self, news: News, now: datetime) -> None:
        key = (news.uid, news.reason, news.note)
        known = self._series.get(key)
        at = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
        if known is not None and now - known.last < SERIES:
            known.count, known.last = known.count + 1, now
            series = {"count": known.count, "lastObservedTime": at}
            await self._api.patch(
                EVENTS, known.event, {"series": series}, news.namespace, form=MERGE_PATCH
            )
            return
        name = f"{news.name[:200]}.{news.uid[:8]}.{int(now.timestamp() * 1e6):x}"
        await self._api.create(EVENTS, _event(news, name, at, self._holder), news.namespace)
        if len(self._series) >= KNOWN_MAX:
            self._series.clear()
        self._series[key] = _Series(event=name, count=1, last=now)


def _event(news: News, name: str, at: str, holder: str) -> dict[str, object]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": news.namespace},
        "eventTime": at,
        "reportingController": "ownernode.io/controller",
        "reportingInstance": holder[:128],
        "action": "Reconcile",
        "reason": news.reason,
        "type": "Warning" if news.warning else "Normal",
        "note": news.note,
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": PLACEMENT,
            "namespace": news.namespace,
            "name": news.name,
            "uid": news.uid,
        },
    }


def _refusal(status: Json) -> str:
    """The message of a placement that is not taken; empty of any other."""
    found = (c for c in status.get("conditions", ()) if c["type"] == "Stalled")
    return next((str(c["message"]) for c in found if c["reason"] == SPEC_REFUSED), "")


def _reason(vm: VMReport) -> str:
    return vm.hold.reason.value if vm.hold is not None else vm.verdict.value
