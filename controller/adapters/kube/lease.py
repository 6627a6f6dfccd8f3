"""Which of several replicas leads: the holder of one Lease, for as long as it could renew it.

The leader stops by its own clock, counted from before the request that renewed the Lease; a rival
begins when it has seen the Lease unchanged for its whole duration by the rival's clock. Neither
believes a time that the other wrote. So while clocks run equally fast, the old leader has stopped
`duration - renew` before anybody can begin. A process that was stopped in between (SIGSTOP, a
frozen machine) asks again before each command; what it had already sent is refused by the node,
which compares epochs (docs/safety.md).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controller.adapters.kube.api import Api, Json, Refused
from controller.adapters.kube.kinds import LEASES
from controller.errors import Unreachable

log = logging.getLogger(__name__)


def seconds_since_boot() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """As in Kubernetes' own components."""

    duration_seconds: float = 15.0
    """So long must a Lease be unchanged before somebody else takes it."""
    renew_seconds: float = 10.0
    """So long after its last renewal its holder leads."""
    retry_seconds: float = 2.0


class Elector:
    """Holds the Lease, or waits for it."""

    def __init__(
        self,
        api: Api,
        name: str,
        holder: str,
        timing: LeaseTiming | None = None,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """`holder` must be of this process alone, also over restarts."""
        self._api = api
        self._name = name
        self._holder = holder
        self._timing = timing or LeaseTiming()
        self._clock = clock
        self._deadline = 0.0
        self._lease: Json | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        """Version of a rival's Lease, and when we first saw it."""
        self._news = asyncio.Condition()
        self.holder_seen = ""
        """Who leads as far as we know."""

    def leads(self) -> bool:
        """Whether we may act at this very moment. From any thread."""
        return self._clock() < self._deadline

    async def run(self) -> None:
        """Try to hold the Lease until cancelled."""
        led = False
        while True:
            try:
                await self._hold()
            except (Unreachable, Refused) as error:
                log.warning("The lease can't be had", extra={"reason": str(error)})
            if self.leads() != led:
                log.warning("Leading no longer" if led else "Leading")
            led = self.leads()
            async with self._news:
                self._news.notify_all()
            await asyncio.sleep(self._timing.retry_seconds)

    async def wait_leading(self) -> None:
        """Return when we lead."""
        async with self._news:
            await self._news.wait_for(self.leads)

    async def wait_lost(self) -> None:
        """Return when we lead no longer, at the deadline and not a renewal later."""
        while self.leads():  # noqa: ASYNC110  # there is no event for time that passes
            await asyncio.sleep(max(self._deadline - self._clock(), 0.001))

    async def release(self) -> None:
        """Let the next one begin at once. Everything that acts must have ended."""
        lease, led = self._lease, self.leads()
        self._deadline = 0.0
        if lease is None or not led:
            return
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        with suppress(Unreachable, Refused):
            await self._write({**lease, "spec": spec})

    async def _hold(self) -> None:
        began = self._clock()
        lease = self._lease if self.leads() else None
        try:
            if lease is None:
                lease = await self._look()
                if not self._is_free(lease):
                    return
            self._lease = await self._write(self._ours(lease))
        except Refused as error:
            self._lease = None
            if error.reason in ("Conflict", "AlreadyExists"):  # somebody was faster: look again
                return
            raise
        # From before the request: what it took to be answered counts against us.
        self._deadline = began + self._timing.renew_seconds
        self.holder_seen = self._holder

    async def _look(self) -> Json | None:
        try:
            return await self._api.request(
                "GET",
                LEASES.path(self._api.namespace, self._name),
                timeout_seconds=self._request_seconds(),
            )
        except Refused as error:
            if error.reason == "NotFound":
                return None
            raise

    def _is_free(self, lease: Json | None) -> bool:
        """Whether nobody else can be leading by that Lease."""
        holder = (lease["spec"].get("holderIdentity") or "") if lease is not None else ""
        self.holder_seen = holder
        if lease is None or holder in ("", self._holder):
            return True
        version, now = lease["metadata"]["resourceVersion"], self._clock()
        if self._seen[0] != version:
            self._seen = (version, now)
        stated = float(lease["spec"].get("leaseDurationSeconds") or 0)
        return now - self._seen[1] >= max(stated, self._timing.duration_seconds)

    def _ours(self, lease: Json | None) -> Json:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec: dict[str, Any] = dict(lease["spec"]) if lease is not None else {"leaseTransitions": 0}
        if spec.get("holderIdentity") != self._holder:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {
            "holderIdentity": self._holder,
            # Whole seconds, and never fewer than we count with ourselves.
            "leaseDurationSeconds": max(1, round(self._timing.duration_seconds + 0.49)),
            "renewTime": now,
        }
        metadata = (
            {k: lease["metadata"][k] for k in ("name", "namespace", "resourceVersion")}
            if lease is not None
            else {"name": self._name, "namespace": self._api.namespace}
        )
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }

    async def _write(self, lease: Json) -> Json:
        """Create the Lease, or replace it if it is as we saw it."""
        exists = "resourceVersion" in lease["metadata"]
        return await self._api.request(
            "PUT" if exists else "POST",
            LEASES.path(self._api.namespace, self._name if exists else None),
            body=lease,
            timeout_seconds=self._request_seconds(),
        )

    def _request_seconds(self) -> float:
        """A request that hangs must leave time for another before the deadline."""
        return max(self._timing.renew_seconds / 3, 0.2)
