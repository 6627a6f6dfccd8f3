"""Shows each report to everybody who renders it."""

import logging
from collections.abc import Sequence

from controller.model.report import ClusterReport
from controller.ports import StatusSink

log = logging.getLogger(__name__)


class Reporter:
    """Hands reports on, in the order in which the sinks were given."""

    def __init__(self, sinks: Sequence[StatusSink]) -> None:
        self._sinks = tuple(sinks)
        self._last: dict[str, ClusterReport] = {}

    def last(self, cluster: str) -> ClusterReport | None:
        """What the cluster's last cycle said; None in its first."""
        return self._last.get(cluster)

    async def report(self, report: ClusterReport) -> None:
        """One log entry when something changed; every sink each time."""
        self._last[report.cluster] = report
        if report.events:
            log.info(
                "The cluster changed",
                extra={
                    "cluster": report.cluster,
                    "cycle": report.cycle,
                    "events": report.events,
                },
            )
        for sink in self._sinks:
            await sink.show(report)
