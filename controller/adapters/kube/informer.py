"""Everything of one kind, kept as it is on the API server, whatever becomes of the watch.

A list tells the whole truth at one version; a watch only what changes after it, and it can end,
stall, lie about errors or lose an event without a sound. So each list is compared with what was
known (an object that vanished in between is noticed by its absence), an expired version means a new
list, silence longer than the server's bookmarks means a new watch, and a list is due now and then
even if nothing seems wrong. Nobody is called with events: who wants to know looks at `items`.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from controller.adapters.kube.api import GONE, Api, Json, Refused, Resource, slim
from controller.errors import Unreachable

log = logging.getLogger(__name__)

Name = tuple[str, str]
"""Namespace (empty for cluster-scoped kinds) and name."""

FAILURES_BEFORE_LIST = 3
"""Watches that failed in a row: after an etcd restored from a backup none of our versions exists,
and the server answers with a time-out for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTiming:
    """How long a watch lasts, and how little of it is believed."""

    watch_seconds: int = 300
    """After so long the server ends the watch, and the next one goes on from there."""
    silence_seconds: float = 90.0
    """A server sends a bookmark about once a minute where nothing happens."""
    relist_seconds: float = 900.0
    back_off_first_seconds: float = 0.5
    back_off_max_seconds: float = 15.0


class Informer:
    """A mirror of all objects of a kind."""

    def __init__(
        self,
        api: Api,
        what: Resource,
        changed: Callable[[], None],
        timing: WatchTiming | None = None,
    ) -> None:
        """`changed` is called after each change of `items`; it must return at once."""
        self._api = api
        self._what = what
        self._changed = changed
        self._timing = timing or WatchTiming()
        self._items: dict[Name, Json] = {}
        self._buried: dict[Name, int] = {}
        """Version at which an object was deleted, to tell late news of its life."""
        self._version = ""
        self.synced = asyncio.Event()
        """Set once the first list is there: until then nothing is known, which is not "none"."""
        self.lists = 0
        self.contact_at = 0.0
        """When the server last said anything, on the event loop's clock."""
        self.trouble = ""
        """Why there is no watch now; empty while there is one."""

    @property
    def items(self) -> Mapping[Name, Json]:
        """All objects as last seen, as `slim` leaves them."""
        return MappingProxyType(self._items)

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            try:
                self._replace(await self._api.list(self._what))
                failures = 0
                await self._follow()
            except (Unreachable, Refused) as error:
                failures += 1
                self._note(error)
                await self._rest(failures)

    async def _follow(self) -> None:
        """Watch again and again; return when a new list is due."""
        loop = asyncio.get_running_loop()
        list_at = loop.time() + self._timing.relist_seconds
        failures = 0
        while loop.time() < list_at and failures < FAILURES_BEFORE_LIST:
            began = loop.time()
            try:
                await self._watch(list_at)
                # A server that ends each watch at once must not be asked again at once.
                failures = 0 if loop.time() - began > self._timing.back_off_first_seconds else 1
            except (Unreachable, Refused) as error:
                self._note(error)
                if isinstance(error, Refused) and error.code == GONE:
                    return
                failures += 1
            if failures:
                await self._rest(failures)

    async def _watch(self, until: float) -> None:
        """One watch: ends with the server's end of it, by silence, or by an error."""
        loop, timing = asyncio.get_running_loop(), self._timing
        seconds = max(1, min(timing.watch_seconds, round(until - loop.time())))
        # Whole watches end at different times, so that not all kinds begin anew at once.
        seconds = max(1, round(seconds * random.uniform(0.8, 1.0)))
        try:
            async with (
                asyncio.timeout(timing.silence_seconds) as patience,
                self._api.watch(self._what, self._version, seconds) as events,
            ):
                self.trouble = ""
                async for event in events:
                    patience.reschedule(loop.time() + timing.silence_seconds)
                    self.contact_at = loop.time()
                    self._take(event["type"], event["object"])
        except TimeoutError as error:
            raise Unreachable(
                f"nothing came for {timing.silence_seconds:g} s, not even a bookmark"
            ) from error

    def _take(self, kind: str, item: Json) -> None:
        """One event. What is told twice, or later than what came after it, changes nothing."""
        version = str(item["metadata"]["resourceVersion"])
        if kind == "BOOKMARK":
            self._version = version
            return
        name = _name(item)
        number, known = _number(version), self._items.get(name)
        newest = max(
            _number(known["metadata"]["resourceVersion"]) if known is not None else 0,
            self._buried.get(name, 0),
        )
        if number <= newest and number > 0 and not (kind == "DELETED" and number == newest):
            return
        if number >= _number(self._version):
            self._version = version
        if kind == "DELETED":
            self._buried[name] = number
            if self._items.pop(name, None) is None:
                return
        else:
            self._items[name] = slim(item)
        self._changed()

    def _replace(self, listing: Any) -> None:
        """Believe a list, and nothing that was known before it."""
        fresh = {_name(item): item for item in listing.items}
        self._version = listing.version
        self._buried.clear()
        self.lists += 1
        self.trouble = ""
        self.contact_at = asyncio.get_running_loop().time()
        if fresh != self._items or not self.synced.is_set():
            self._items = fresh
            self.synced.set()
            self._changed()

    def _note(self, error: Exception) -> None:
        told = str(error)
        if told != self.trouble:
            log.warning(
                "The watch is interrupted", extra={"kind": self._what.plural, "reason": told}
            )
        self.trouble = told

    async def _rest(self, failures: int) -> None:
        timing = self._timing
        seconds = min(
            timing.back_off_first_seconds * 2.0 ** (failures - 1), timing.back_off_max_seconds
        )
        await asyncio.sleep(seconds * random.uniform(0.5, 1.0))


def _name(item: Json) -> Name:
    metadata = item["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _number(version: str) -> int:
    """Versions of one kind count up, officially since Kubernetes 1.35 (KEP-5504).

    0 for one that is no number: then nothing is known of its order, and everything is believed.
    """
    return int(version) if version.isascii() and version.isdigit() else 0
