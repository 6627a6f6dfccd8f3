"""The sources of specs as samples: which revision runs, what is refused and why, how old it is."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from controller.model.report import ClusterReport

Sample = tuple[str, tuple[str, ...], float]
"""Metric name, label values without the cluster, value."""


def of_sources(
    report: ClusterReport, applied_at: datetime | None, fetched: Mapping[str, datetime]
) -> Iterator[Sample]:
    """`fetched`: when each repository last answered."""
    yield "ownernode_undeclared_vms", (), len(report.undeclared)
    for source in report.sources:
        name = (source.name,)
        if source.revision:
            yield "ownernode_spec_revision_info", (source.name, source.revision), 1
        yield "ownernode_spec_findings", name, source.findings
        yield "ownernode_spec_refused", name, float(source.reason is not None)
        if source.reason is not None:
            yield "ownernode_spec_refused_info", (source.name, source.reason.value), 1
        if applied_at is not None:
            yield "ownernode_spec_last_applied_timestamp_seconds", name, applied_at.timestamp()
        if source.name in fetched:
            at = fetched[source.name].timestamp()
            yield "ownernode_spec_fetched_timestamp_seconds", name, at
