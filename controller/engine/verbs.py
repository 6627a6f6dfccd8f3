"""What people tell the running controller: stop, pause, resume, approve.

Each verb is written down with who and why. A stop counts from the moment it is understood, before
it is written; what lets more happen, resume and approve, counts only once it is durable.
"""

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from controller.engine.memory import Memory
from controller.engine.orders import EVERYTHING
from controller.engine.reporter import Reporter
from controller.errors import SpecError
from controller.model.control import (
    Approval,
    Demand,
    Order,
    Stop,
    StopScope,
    StopSource,
    Verb,
)
from controller.model.names import same_name
from controller.model.plan import HoldReason
from controller.model.report import ClusterReport
from controller.planning.approvals import approve, waiting_for_approval
from controller.ports import Clock

log = logging.getLogger(__name__)

ORDERS = uuid.UUID("0b0d3f5e-6a53-4a52-9f35-6f8f2b1f6f11")
STOPS_MAX = 1000
"""In force at once for one cluster: more are a script gone wrong, and each is asked each time."""


class Verbs:
    """Understands demands, and has them kept and obeyed."""

    def __init__(
        self,
        *,
        memory: Memory,
        reporter: Reporter,
        clusters: Sequence[str],
        clock: Clock,
        wake: Callable[[str], None],
    ) -> None:
        """`wake` lets the next cycle of a cluster begin at once."""
        self._memory = memory
        self._reporter = reporter
        self._clusters = tuple(clusters)
        self._clock = clock
        self._wake = wake
        self._given = 0

    async def give(self, demand: Demand) -> str:
        """Obey, and say in a sentence what holds from now on.

        Raises SpecError when it makes no sense now; JournalBroken when it can't be written down,
        and then a stop is in force all the same, until the process ends.
        """
        if demand.cluster and demand.cluster not in self._clusters:
            known = ", ".join(self._clusters)
            raise SpecError(f"no cluster is called {demand.cluster!r} here; there is {known}")
        match demand.verb:
            case Verb.STOP | Verb.PAUSE:
                return await self._stop(demand, StopSource.API)
            case Verb.RESUME:
                return await self._resume(demand)
            case Verb.APPROVE:
                return await self._approve(demand)
        assert_never(demand.verb)

    async def stop_by_signal(self) -> str:
        """Stop everything, by order of whoever may send signals to the process."""
        demand = Demand(verb=Verb.STOP, owner="signal", reason="the process got SIGUSR1")
        return await self._stop(demand, StopSource.SIGNAL)

    async def _stop(self, demand: Demand, source: StopSource) -> str:
        now = self._clock.now()
        scope, cluster, name = self._object(demand)
        if len(self._memory.orders.kept(cluster)) >= STOPS_MAX and demand.verb is Verb.PAUSE:
            raise SpecError(f"{STOPS_MAX} stops are in force; resume some first")
        until = now + timedelta(seconds=demand.seconds) if demand.seconds is not None else None
        order = self._order(demand, cluster, now, what=_what(scope, name, cluster, until))
        stop = Stop(
            id=order.id,
            scope=scope,
            name=name,
            source=source,
            owner=demand.owner,
            reason=demand.reason,
            since=now,
            until=until,
        )
        log.warning("Stopped", extra=_told(order))
        await self._memory.stop(cluster, stop, order)
        self._wake_all(cluster)
        return f"Stopped: {order.what}. Nothing new is started there; what is under way goes on."

    async def _resume(self, demand: Demand) -> str:
        cluster, stops = self._stops_meant(demand)
        what = "; ".join(_what(s.scope, s.name, cluster, s.until) for s in stops)
        order = self._order(demand, cluster, self._clock.now(), what=what)
        await self._memory.resume(cluster, stops, order)
        log.warning("Resumed", extra=_told(order))
        self._wake_all(cluster)
        places = [cluster] if cluster else self._clusters
        left = [s for c in places for s in self._memory.orders.stops(c) if _is_wide(s)]
        still = f" Still stopped by {left[0].owner}: {left[0].reason}." if left else ""
        return f"Resumed: {what}.{still}"

    async def _approve(self, demand: Demand) -> str:
        waiting = [
            (report, hold)
            for report in self._reports(demand.cluster)
            for hold in waiting_for_approval(report)
        ]
        found = [(r, h) for r, h in waiting if h.evidence["digest"] == demand.digest]
        if not found:
            there = sorted({f"{h.evidence['digest']} ({r.cluster})" for r, h in waiting})
            gone = (h for _, h in waiting if h.evidence.get("supersedes") == demand.digest)
            why = "".join(f": it was superseded, because {h.evidence['because']}" for h in gone)
            raise SpecError(
                f"nothing with digest {demand.digest} waits for approval{why}"
                f"; waiting now: {', '.join(there) or 'nothing'}"
            )
        report, hold = found[0]
        now = self._clock.now()
        what = f"plan {demand.digest}"
        if hold.reason is HoldReason.SUGGESTED:
            approval = approve(report.plan, owner=demand.owner, reason=demand.reason, at=now)
        else:
            what = f"{demand.digest}, held as {hold.reason}"
            approval = Approval(
                digest=demand.digest, owner=demand.owner, reason=demand.reason, at=now
            )
        order = self._order(demand, report.cluster, now, what=what)
        await self._memory.approve(report.cluster, approval, order)
        log.warning("Approved", extra=_told(order))
        self._wake(report.cluster)
        return f"Approved: {demand.digest} in {report.cluster}, as long as it is what is planned."

    def _object(self, demand: Demand) -> tuple[StopScope, str, str]:
        """Scope, cluster, name as the cluster spells it."""
        if not demand.name:
            wide = StopScope.CLUSTER if demand.cluster else StopScope.EVERYTHING
            return wide, demand.cluster or EVERYTHING, ""
        found = [
            (scope, report.cluster, name)
            for report in self._reports(demand.cluster)
            for scope, name in _named(report, demand.name)
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise SpecError(f"no declared VM and no node is called {demand.name!r} here")
        places = ", ".join(f"{scope} {name} in {cluster}" for scope, cluster, name in found)
        raise SpecError(f"{demand.name!r} means more than one thing: {places}")

    def _stops_meant(self, demand: Demand) -> tuple[str, tuple[Stop, ...]]:
        orders = self._memory.orders
        if not demand.name:
            cluster = demand.cluster or EVERYTHING
            stops = tuple(stop for stop in orders.kept(cluster) if _is_wide(stop))
        else:
            places = [demand.cluster] if demand.cluster else self._clusters
            found = {
                place: tuple(s for s in orders.kept(place) if same_name(s.name, demand.name))
                for place in places
            }
            cluster = next((place for place in places if found[place]), EVERYTHING)
            stops = found.get(cluster, ())
        if stops:
            return cluster, stops
        flags = [s for s in orders.stops(cluster) if s.source is StopSource.FLAG_FILE]
        if flags:
            raise SpecError(f"a file stops everything ({flags[0].reason}): remove it to resume")
        what = demand.name or demand.cluster or "everything"
        raise SpecError(f"there is no stop of {what} to end")

    def _order(self, demand: Demand, cluster: str, now: datetime, *, what: str) -> Order:
        self._given += 1
        name = f"{demand.verb} {cluster} {what} {demand.owner} {now.isoformat()} {self._given}"
        return Order(
            id=str(uuid.uuid5(ORDERS, name)),
            verb=demand.verb,
            cluster=cluster,
            owner=demand.owner,
            reason=demand.reason,
            at=now,
            what=what,
        )

    def _reports(self, cluster: str) -> Iterator[ClusterReport]:
        for name in [cluster] if cluster else self._clusters:
            report = self._reporter.last(name)
            if report is not None:
                yield report

    def _wake_all(self, cluster: str) -> None:
        for name in [cluster] if cluster else self._clusters:
            self._wake(name)


def _named(report: ClusterReport, name: str) -> Iterator[tuple[StopScope, str]]:
    for vm in report.vms:
        if any(same_name(name, known) for known in (vm.vm, vm.spec, vm.vm_id)):
            yield StopScope.VM, vm.vm
    for node in report.nodes:
        if same_name(name, node.name):
            yield StopScope.NODE, node.name


def _is_wide(stop: Stop) -> bool:
    return stop.scope in (StopScope.CLUSTER, StopScope.EVERYTHING)


def _what(scope: StopScope, name: str, cluster: str, until: datetime | None) -> str:
    end = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until is not None else " until resumed"
    match scope:
        case StopScope.EVERYTHING:
            return f"everything{end}"
        case StopScope.CLUSTER:
            return f"cluster {cluster}{end}"
        case StopScope.VM | StopScope.NODE:
            return f"{'VM' if scope is StopScope.VM else 'node'} {name} of {cluster}{end}"
    assert_never(scope)


def _told(order: Order) -> dict[str, str]:
    return {"what": order.what, "owner": order.owner, "reason": order.reason}
