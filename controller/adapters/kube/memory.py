"""The journal of a replica: what must outlive its disk stands in each FailoverCluster's status.

Whoever begins to lead a cluster writes a term of its own there, and every later write of the former
leader is refused for it, however late it wakes: it can open no intent any more, so no command of
its own can leave. Between two writes nothing else is trusted: each rests on the version just read.
The journal on disk goes on beside, for people who ask what was done.
"""

import asyncio
import base64
import zlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from controller.adapters.kube.api import MERGE_PATCH, Api, Json, Refused
from controller.adapters.kube.kinds import CLUSTER, OURS
from controller.errors import JournalBroken, Unreachable
from controller.model.control import Order, Stop, StopSource
from controller.model.history import History, Intent, IntentState
from controller.model.report import Outcome
from controller.ports import Journal

FORMAT: Final = "ownernode.io/memory/v1"
DATA_CHARACTERS_MAX: Final = 1_000_000
"""An object in etcd has at most 1.5 MB; some 3,000 VMs fill this."""
TRY_AGAIN_SECONDS: Final = 0.5
ANSWER_SECONDS_MAX: Final = 30.0
EVERYTHING: Final = ""
_KEPT_STOPS: Final = frozenset({StopSource.API, StopSource.SIGNAL})

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What stands in one status."""

    history: History
    stops: tuple[Stop, ...] = ()
    """Of everything that the process runs: repeated in each cluster, so that any one tells."""


_KEPT: Final = TypeAdapter(Kept)


class StatusJournal:
    """A Journal whose word survives the machine. Its methods are called from one thread."""

    def __init__(
        self,
        local: Journal,
        api: Api,
        clusters: Sequence[str],
        *,
        term: str,
        leads: Callable[[], bool],
        broke: Callable[[], None],
    ) -> None:
        """Made on the event loop. `broke` is called there once a write was refused for good."""
        self._local = local
        self._api = api
        self._term = term
        self._leads = leads
        self._broke = broke
        self._loop = asyncio.get_running_loop()
        self._kept: dict[str, Kept] = {}
        self._written: dict[str, str] = {}
        self._clusters = tuple(clusters)

    def load(self, cluster: str) -> History:
        """Rebuild the history, and begin our term. Trusted once a history kept here was."""
        self._local.load(cluster)
        if cluster == EVERYTHING:
            stops = {s.id: s for c in self._clusters for s in self._begun(c).stops}
            return History(cluster=EVERYTHING, stops=tuple(stops.values()), trusted=True)
        return self._begun(cluster).history

    def open_intent(self, cluster: str, intent: Intent) -> None:
        """Make the intent durable; only then may its command leave."""
        self._local.open_intent(cluster, intent)
        kept = self._begun(cluster)
        history = replace(kept.history, intents=(*kept.history.intents, intent), trusted=True)
        self._write(cluster, replace(kept, history=history))

    def keep(self, cluster: str, history: History, outcomes: Sequence[Outcome]) -> None:
        """Write what differs from what stands there."""
        self._local.keep(cluster, history, outcomes)
        if cluster == EVERYTHING:
            stops = _kept_stops(history)
            for name in self._clusters:
                self._write(name, replace(self._begun(name), stops=stops))
            return
        before = self._begun(cluster)
        self._write(cluster, replace(before, history=_durable(history, before.history)))

    def note(self, order: Order) -> None:
        """Keep the order for people, on the disk."""
        self._local.note(order)

    def close(self) -> None:
        """Let go of the file."""
        self._local.close()

    def _begun(self, cluster: str) -> Kept:
        """What is kept of the cluster, under our term."""
        if cluster not in self._kept:
            found = self._persist(lambda: self._begin(cluster))
            self._kept[cluster] = _read(cluster, found)
        return self._kept[cluster]

    def _write(self, cluster: str, kept: Kept) -> None:
        self._kept[cluster] = kept
        data = _packed(kept)
        if self._written.get(cluster) != data:
            self._persist(lambda: self._replace(cluster, data))
            self._written[cluster] = data

    async def _begin(self, cluster: str) -> str | None:
        """Put our term in place of whoever's it was; give what was kept under it."""
        while True:
            item = await self._api.get(OURS[CLUSTER], cluster)
            memory = (item.get("status") or {}).get("memory") or {}
            data: str | None = memory.get("data")
            if await self._patch(item, {"format": FORMAT, "term": self._term}):
                return data

    async def _replace(self, cluster: str, data: str) -> None:
        while True:
            item = await self._api.get(OURS[CLUSTER], cluster)
            found = ((item.get("status") or {}).get("memory") or {}).get("term")
            if found != self._term:
                raise JournalBroken(f"another replica leads {cluster} by now")
            if await self._patch(item, {"data": data}):
                return

    async def _patch(self, item: Json, memory: Json) -> bool:
        """Write if the object is still the one that was read."""
        body = {
            "metadata": {"resourceVersion": item["metadata"]["resourceVersion"]},
            "status": {"memory": memory},
        }
        try:
            await self._api.patch(
                OURS[CLUSTER], item["metadata"]["name"], body, form=MERGE_PATCH, sub="status"
            )
        except Refused as error:
            if error.reason == "Conflict":
                return False
            raise
        return True

    def _persist(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask from our thread until it is answered, or we may act no longer anyway."""
        began = monotonic()
        while True:
            asked = asyncio.run_coroutine_threadsafe(ask(), self._loop)
            try:
                return asked.result(ANSWER_SECONDS_MAX)
            except (Unreachable, TimeoutError) as error:
                if self._leads() and monotonic() - began < ANSWER_SECONDS_MAX:
                    sleep(TRY_AGAIN_SECONDS)
                    continue
                self._loop.call_soon_threadsafe(self._broke)
                raise JournalBroken(f"the status can't be written: {error}") from error
            except (Refused, JournalBroken) as error:
                self._loop.call_soon_threadsafe(self._broke)
                raise JournalBroken(f"the status can't be written: {error}") from error


def unpacked(cluster: str, data: str | None) -> History:
    """The history that a status keeps. Raises JournalBroken for one that says nothing."""
    return _read(cluster, data).history


def _durable(history: History, before: History) -> History:
    """What of a history is kept: nothing that changes with every look, nothing of the process."""
    sightings = {
        vm_id: before.sightings[vm_id]
        if vm_id in before.sightings and before.sightings[vm_id].owner == sighting.owner
        else sighting
        for vm_id, sighting in history.sightings.items()
    }
    return replace(
        _blank(history.cluster),
        cluster_id=history.cluster_id,
        bound=dict(history.bound),
        intents=tuple(
            replace(intent, first_quiet_at=None, last_active_at=None) for intent in history.intents
        ),
        sightings=sightings,
        foreign=history.foreign,
        moves=history.moves,
        specs=dict(history.specs),
        results=history.results,
        nodes_away=history.nodes_away,
        node_up_since=dict(history.node_up_since),
        stops=_kept_stops(history),
        approvals=history.approvals,
        trusted=history.trusted or before.trusted,
    )


def _blank(cluster: str) -> History:
    """No history, in a form that can be written."""
    return History(
        cluster=cluster,
        bound={},
        sightings={},
        absent_since={},
        absent_cycles={},
        specs={},
        node_up_since={},
    )


def _kept_stops(history: History) -> tuple[Stop, ...]:
    """Those that were ordered for just this; files, signals of the cluster and leases tell anew."""
    of_all = history.cluster == EVERYTHING
    return tuple(
        stop
        for stop in history.stops
        if stop.source in _KEPT_STOPS and (stop.scope.value == "Everything") == of_all
    )


def _packed(kept: Kept) -> str:
    """As text that fits into an object; of very many VMs without what can be seen anew."""
    data = _text(kept)
    if len(data) > DATA_CHARACTERS_MAX:
        data = _text(replace(kept, history=replace(kept.history, sightings={})))
    if len(data) > DATA_CHARACTERS_MAX:
        data = _text(replace(kept, history=replace(kept.history, sightings={}, specs={})))
    return data


def _text(kept: Kept) -> str:
    return base64.b64encode(zlib.compress(_KEPT.dump_json(kept))).decode()


def _read(cluster: str, data: str | None) -> Kept:
    """What the text says. Raises JournalBroken for one that says nothing."""
    if data is None:
        return Kept(history=_blank(cluster))
    try:
        kept = _KEPT.validate_json(zlib.decompress(base64.b64decode(data)))
    except (ValueError, zlib.error, ValidationError) as error:
        raise JournalBroken(f"the memory in the status of {cluster} is damaged: {error}") from error
    # Whether a command left whose intent stands open, the one who sent it may not have said.
    intents = tuple(
        replace(i, unknown=True) if i.state is IntentState.OPEN else i for i in kept.history.intents
    )
    return replace(kept, history=replace(kept.history, cluster=cluster, intents=intents))
