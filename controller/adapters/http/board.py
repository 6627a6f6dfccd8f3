"""Keeps the last report of each cluster, for whoever asks over HTTP."""

from collections.abc import Callable, Mapping
from datetime import datetime

from controller.model.report import ClusterReport

INTERVALS_MAX = 3
"""A complete cycle older than this many intervals is no longer news: two may fail by bad luck."""


class Board:
    """A StatusSink that remembers, and knows whether what it remembers is fresh."""

    def __init__(
        self, *, interval_seconds: Mapping[str, float], now: Callable[[], datetime]
    ) -> None:
        """`interval_seconds`: for each cluster that is expected to report."""
        self._interval_seconds = interval_seconds
        self._now = now
        self._reports: dict[str, ClusterReport] = {}
        self._complete_at: dict[str, datetime] = {}

    async def show(self, report: ClusterReport) -> None:
        """Take the report of one cycle."""
        self._reports[report.cluster] = report
        if report.observation_complete:
            self._complete_at[report.cluster] = report.completed_at

    def reports(self) -> tuple[ClusterReport, ...]:
        """The last report of each cluster, by name."""
        return tuple(report for _, report in sorted(self._reports.items()))

    def unready(self) -> tuple[str, ...]:
        """A sentence for each cluster without a complete cycle in the last three intervals."""
        return tuple(
            sentence
            for cluster, interval_seconds in sorted(self._interval_seconds.items())
            if (sentence := self._stale(cluster, interval_seconds)) is not None
        )

    def _stale(self, cluster: str, interval_seconds: float) -> str | None:
        seen = self._complete_at.get(cluster)
        if seen is None:
            return f"{cluster}: no complete cycle yet"
        age_seconds = (self._now() - seen).total_seconds()
        if age_seconds <= INTERVALS_MAX * interval_seconds:
            return None
        return f"{cluster}: the last complete cycle is {age_seconds:.0f} s old"
