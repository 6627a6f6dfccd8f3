"""Whether the nodes of a cluster are fit to be acted on, by the checks of `ownernode doctor`.

They are examined before the first look of a process that may act, when a node is seen that was not
among them, and again every few minutes for as long as a check fails. Where only observing is
allowed nobody is examined.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from controller.model.checkup import Check, CheckName, CheckResult
from controller.model.desired import DesiredState
from controller.model.names import fold
from controller.model.observed import ObservedState
from controller.model.policy import Mode
from controller.ports import Clock

log = logging.getLogger(__name__)

AGAIN_SECONDS = 300.0
"""Whoever mends something waits for no more than that; and a refused log-on is not repeated often
enough to matter (at most two in half an hour, whoever asks)."""

WAYS_IN = frozenset({CheckName.NAME, CheckName.PORT, CheckName.TLS, CheckName.LOG_ON})

Examine = Callable[[DesiredState], Awaitable[tuple[Check, ...]]]


class Fitness:
    """What the last examination of one cluster found wrong."""

    def __init__(self, examine: Examine, clock: Clock) -> None:
        self._examine = examine
        self._clock = clock
        self._failed: tuple[Check, ...] = ()
        self._examined_at: datetime | None = None
        self._examined: frozenset[str] = frozenset()
        """Nodes of which the last examination said anything, by the first part of their names."""
        self._joined: dict[str, str] = {}
        """Those that were seen since without having been examined: short name -> name."""

    async def failed(self, desired: DesiredState) -> tuple[Check, ...]:
        """The checks that failed; none in mode Observe, where nobody asks."""
        if desired.policy.mode is Mode.OBSERVE:
            return ()
        if self._is_due():
            checks = await self._examine(desired)
            self._examined = frozenset(_short(check.node) for check in checks)
            missed = [name for key, name in self._joined.items() if key not in self._examined]
            checks += tuple(map(_not_found, missed))
            self._failed = tuple(c for c in checks if c.result is CheckResult.FAIL)
            self._examined_at = self._clock.now()
            for check in self._failed:
                log.warning(
                    "A check of a node failed",
                    extra={
                        "cluster": desired.cluster,
                        "node": check.node,
                        "check": check.name.value,
                        "found": check.found,
                        "remedy": check.remedy,
                    },
                )
        return self._failed

    def notices_new(self, observed: ObservedState) -> bool:
        """Whether a node answers now that joined since: to be examined before anything is planned.

        One that answers and let no examiner in has a failed check. It is examined before the next
        look.
        """
        answering = {_short(node.name): node.name for node in observed.nodes if node.answered}
        if observed.is_complete:  # Who left and comes back may have been installed anew.
            self._examined &= {_short(node.name) for node in observed.nodes}
        known = self._examined | self._joined.keys()
        joined = {key: name for key, name in answering.items() if key not in known}
        self._joined = {k: n for k, n in self._joined.items() if k not in self._examined} | joined
        shut = {_short(c.node) for c in self._failed if c.name in WAYS_IN}
        if joined or answering.keys() & shut:
            self._examined_at = None
        return bool(joined)

    def _is_due(self) -> bool:
        if self._examined_at is None:
            return True
        # A clock that was set back examines too often, never too seldom.
        age = abs((self._clock.now() - self._examined_at).total_seconds())
        return bool(self._failed) and age >= AGAIN_SECONDS


def _not_found(node: str) -> Check:
    return Check(
        node=node,
        name=CheckName.CLUSTER,
        result=CheckResult.FAIL,
        found="it joined the cluster, and no examined node names it",
        remedy="look whether all nodes list the same members (Get-ClusterNode)",
    )


def _short(name: str) -> str:
    """A node's name in the cluster, which may be the first part of the name it is called by."""
    return fold(name.partition(".")[0])
