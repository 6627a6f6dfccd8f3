"""The turns of the process as a work queue, in the names and shapes of controller-runtime."""

from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic

from prometheus_client import Histogram

from controller.adapters.prometheus.table import Queue

Sample = tuple[str, tuple[str, ...], float]


class WorkQueue:
    """A TurnWatch. Each turn is a queue of one cluster that holds at most one cycle."""

    def __init__(
        self, queued: Histogram, worked: Histogram, clock: Callable[[], float] = monotonic
    ) -> None:
        """`queued` and `worked` take seconds by cluster and queue; `clock` gives seconds."""
        self._queued = queued
        self._worked = worked
        self._clock = clock
        self._due: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._adds: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()

    def due(self, turn: str) -> None:
        """As a TurnWatch does."""
        self._adds[turn] += 1
        self._due.setdefault(turn, self._clock())

    def began(self, turn: str) -> None:
        """As a TurnWatch does."""
        now = self._clock()
        self._queued.labels(turn, Queue.RECONCILE).observe(now - self._due.pop(turn, now))
        self._began[turn] = now

    def ended(self, turn: str, *, failed: bool) -> None:
        """As a TurnWatch does."""
        now = self._clock()
        self._worked.labels(turn, Queue.RECONCILE).observe(now - self._began.pop(turn, now))
        self._retries[turn] += failed

    def samples(self, cluster: str) -> Iterator[Sample]:
        """The gauges and counters of one cluster's queue, without the cluster."""
        began = self._began.get(cluster)
        running_seconds = self._clock() - began if began is not None else 0.0
        queue = (Queue.RECONCILE.value,)
        yield "workqueue_depth", queue, float(cluster in self._due)
        yield "workqueue_unfinished_work_seconds", queue, running_seconds
        yield "workqueue_longest_running_processor_seconds", queue, running_seconds
        yield "workqueue_adds_total", queue, self._adds[cluster]
        yield "workqueue_retries_total", queue, self._retries[cluster]
