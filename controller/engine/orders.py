"""The stops and approvals in force, for whoever is about to act.

A stop takes effect with `add`, before anything is awaited or written: the check in front of each
command looks here, from whatever thread. Only the event loop changes anything; `Memory` sees to it
that the journal knows.
"""

from collections.abc import Callable, Iterable, Set
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from controller.model.control import Approval, Stop, StopScope
from controller.model.history import History, Intent
from controller.model.names import same_name

EVERYTHING = ""
"""In the place of a cluster's name: what concerns all of the process."""


class Orders:
    """What people ordered, by cluster."""

    def __init__(self, flags: Callable[[str], tuple[Stop, ...]]) -> None:
        """`flags` looks at what stops a cluster from outside, such as the flag file.

        It is asked before each command, from any thread, so it must be quick.
        """
        self._flags = flags
        self._stops: dict[str, tuple[Stop, ...]] = {}
        self._approvals: dict[str, tuple[Approval, ...]] = {}

    def recall(self, history: History) -> None:
        """Take over what the journal tells; what was ordered in the meantime stays."""
        cluster = history.cluster
        self._stops[cluster] = (*history.stops, *self._stops.get(cluster, ()))
        self._approvals[cluster] = (*history.approvals, *self._approvals.get(cluster, ()))

    def stops(self, cluster: str) -> tuple[Stop, ...]:
        """Those that concern the cluster or a part of it, the flag file's included."""
        own = self.kept(cluster) if cluster != EVERYTHING else ()
        return (*self._flags(cluster), *self.kept(EVERYTHING), *own)

    def kept(self, cluster: str) -> tuple[Stop, ...]:
        """Those that were ordered for just this, as the journal keeps them."""
        return self._stops.get(cluster, ())

    def approvals(self, cluster: str) -> tuple[Approval, ...]:
        """Those in force."""
        return self._approvals.get(cluster, ())

    def add(self, cluster: str, stop: Stop) -> None:
        """From now on no command that it concerns leaves."""
        self._stops[cluster] = (*self._stops.get(cluster, ()), stop)

    def remove(self, cluster: str, ids: Set[str]) -> None:
        """Forget these stops."""
        self._stops[cluster] = tuple(s for s in self.kept(cluster) if s.id not in ids)

    def approve(self, cluster: str, approval: Approval) -> None:
        """From the next plan on it counts."""
        self._approvals[cluster] = (*self.approvals(cluster), approval)

    def note(self, history: History) -> None:
        """Take over what a cycle found out about approvals that are in force."""
        noted = {(a.digest, a.at): a for a in history.approvals}
        self._approvals[history.cluster] = tuple(
            noted.get((a.digest, a.at), a) for a in self.approvals(history.cluster)
        )

    def told(self, history: History) -> History:
        """The history with what is ordered now.

        A cycle takes time: an order given meanwhile is in no history that the cycle began with.
        """
        return replace(
            history,
            stops=self.stops(history.cluster),
            approvals=self.approvals(history.cluster),
        )

    def end(self, cluster: str, approvals: Iterable[Approval]) -> None:
        """Forget these approvals."""
        gone = {(a.digest, a.at) for a in approvals}
        self._approvals[cluster] = tuple(
            a for a in self.approvals(cluster) if (a.digest, a.at) not in gone
        )

    def expire(self, now: datetime) -> None:
        """Forget the stops whose time is over."""
        for cluster, stops in self._stops.items():
            if any(is_over(stop, now) for stop in stops):
                self._stops[cluster] = tuple(s for s in stops if not is_over(s, now))

    def forbid_all(self, cluster: str, now: datetime) -> str | None:
        """Why nothing at all must be written to the cluster now; None when something may."""
        for stop in self.stops(cluster):
            wide = stop.scope in (StopScope.CLUSTER, StopScope.EVERYTHING)
            if wide and not is_over(stop, now):
                return f"{stop.owner} ordered a stop ({stop.reason})"
        return None

    def forbid(self, cluster: str, intent: Intent | None, now: datetime) -> str | None:
        """Why the command of this intent, or one without, must not leave now; None: it may."""
        for stop in self.stops(cluster):
            if not is_over(stop, now) and _concerns(stop, intent):
                return f"{stop.owner} ordered a stop ({stop.reason})"
        return None


def is_over(stop: Stop, now: datetime) -> bool:
    """Whether its time is up."""
    return stop.until is not None and now >= stop.until


def _concerns(stop: Stop, intent: Intent | None) -> bool:
    match stop.scope:
        case StopScope.EVERYTHING | StopScope.CLUSTER:
            return True
        case _ if intent is None:
            return False
        case StopScope.VM:
            return same_name(stop.name, intent.vm) or same_name(stop.name, intent.vm_id)
        case StopScope.NODE:
            return same_name(stop.name, intent.source) or same_name(stop.name, intent.target)
    assert_never(stop.scope)
