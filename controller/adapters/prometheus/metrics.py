"""Shows each report as metrics: gauges of the last report, counters of all since the start."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from controller.adapters.prometheus.moves import Moves
from controller.adapters.prometheus.sources import of_sources
from controller.adapters.prometheus.table import METRICS, PER_VM, Brake, CyclePhase, Kind, Metric
from controller.adapters.prometheus.work import WorkQueue
from controller.model.history import ForeignMove
from controller.model.observed import NodeObserved, NodeState
from controller.model.plan import HoldReason, Verdict
from controller.model.report import ClusterReport
from controller.planning.approvals import waiting_for_approval

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NOT_DRIFTED = frozenset(
    {Verdict.SETTLED, Verdict.UNKNOWN, Verdict.SUSPENDED, Verdict.CONFLICT},
)
"""As declared, or not known to be otherwise, or not declared clearly."""

Labels = tuple[str, ...]
Sample = tuple[str, Labels, float]
"""Metric name, label values without the cluster, value."""
Family = GaugeMetricFamily | CounterMetricFamily


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the transport counted of one cluster since the start."""

    requests: Mapping[tuple[str, str], int]
    """Operation and result -> calls."""
    logon_failures: int


@dataclass(slots=True, kw_only=True)
class _Cluster:
    """What a later report needs of the earlier ones of its cluster."""

    report: ClusterReport
    drifted_since: dict[str, datetime] = field(default_factory=dict)
    foreign: frozenset[ForeignMove] = frozenset()
    succeeded_at: datetime | None = None
    applied_at: datetime | None = None
    applied_revision: str | None = None
    observed_at: dict[str, datetime] = field(default_factory=dict)
    moves: Moves = field(default_factory=Moves)
    counts: Counter[tuple[str, Labels]] = field(default_factory=Counter)


class Metrics:
    """A StatusSink that Prometheus can scrape. Labels never hold a VM's name."""

    def __init__(
        self,
        *,
        version: str,
        fetched: Callable[[], Mapping[str, datetime]],
        traffic: Callable[[str], Traffic],
        leads: Callable[[], bool] = lambda: True,
        per_vm: bool = False,
    ) -> None:
        """`fetched` says when each repository last answered, `traffic` counts calls.

        `leads` says whether this process may act, where several replicas run; `per_vm` adds the
        series that grow with the number of VMs.
        """
        self._version = version
        self._fetched = fetched
        self._traffic = traffic
        self._leads = leads
        self._per_vm = per_vm
        self._clusters: dict[str, _Cluster] = {}
        disable_created_metrics()  # type: ignore[no-untyped-call]  # 12 % more lines for nothing
        self._registry = CollectorRegistry()
        self._histograms = {m.name: _histogram(m, self._registry) for m in _histograms()}
        self.work = WorkQueue(
            self._histograms["workqueue_queue_duration_seconds"],
            self._histograms["workqueue_work_duration_seconds"],
        )
        self._registry.register(_Samples(self.samples, _sampled()))

    async def show(self, report: ClusterReport) -> None:
        """Take the report of one cycle."""
        known = self._clusters.get(report.cluster)
        if known is None:
            known = self._clusters[report.cluster] = _Cluster(report=report)
            for metric in _histograms():
                for zero in metric.zeros():
                    self._histograms[metric.name].labels(report.cluster, *zero)
        _bring_forward(known, report)
        pauses = self._histograms["ownernode_move_pause_seconds"].labels(report.cluster)
        for move in report.ended_moves:
            if move.pause_seconds is not None:
                pauses.observe(move.pause_seconds)
        for timed in known.moves.follow(report):
            phases = self._histograms["ownernode_move_phase_seconds"]
            phases.labels(report.cluster, timed.phase.value).observe(timed.seconds)
            known.counts["ownernode_move_bytes_total", ()] += timed.memory_bytes

    def time_phase(self, cluster: str, phase: CyclePhase, seconds: float) -> None:
        """Note how long a part of a cycle took."""
        self._histograms["ownernode_cycle_seconds"].labels(cluster, phase.value).observe(seconds)

    def note_loop_lag(self, seconds: float) -> None:
        """Note how late the event loop woke up."""
        for cluster in self._clusters:
            self._histograms["ownernode_loop_lag_seconds"].labels(cluster).observe(seconds)

    async def render(self) -> bytes:
        """The page that Prometheus reads; made in a thread, as it may have 24,000 series."""
        return await asyncio.to_thread(self._page)

    def _page(self) -> bytes:
        page = generate_latest(self._registry)
        if self._per_vm:
            page += _page_of_vms([known.report for known in tuple(self._clusters.values())])
        return page

    def samples(self) -> Iterator[Sample]:
        """Every gauge and counter now, with the cluster as the first label value."""
        for cluster, known in tuple(self._clusters.items()):
            values: dict[tuple[str, Labels], float] = {
                (metric.name, zero): 0.0 for metric in _sampled() for zero in metric.zeros()
            }
            for name, labels, value in self._of_cluster(known):
                values[(name, labels)] = value
            yield from ((n, (cluster, *labels), value) for (n, labels), value in values.items())

    def _of_cluster(self, known: _Cluster) -> Iterator[Sample]:
        report = known.report
        traffic = self._traffic(report.cluster)
        yield from _of_vms(report)
        yield from _of_plan(report)
        wrong = {standing.node for standing in report.plan.folders}
        for node in report.nodes:
            yield from _of_node(node, known.observed_at.get(node.name))
            yield "ownernode_node_default_paths_wrong", (node.name,), float(node.name in wrong)
        oldest = min(known.drifted_since.values(), default=report.completed_at)
        age_seconds = (report.completed_at - oldest).total_seconds()
        yield "ownernode_drifted_vms", (), len(known.drifted_since)
        yield "ownernode_drift_age_seconds", (), age_seconds
        yield "ownernode_observation_complete", (), float(report.observation_complete)
        if known.succeeded_at is not None:
            name = "ownernode_last_successful_cycle_timestamp_seconds"
            yield name, (), known.succeeded_at.timestamp()
        yield from of_sources(report, known.applied_at, self._fetched())
        yield "ownernode_mode_info", (report.mode.value,), 1
        yield "ownernode_leader", (), float(self._leads())
        yield "ownernode_build_info", (self._version,), 1
        yield from self.work.samples(report.cluster)
        yield "ownernode_logon_failures_total", (), traffic.logon_failures
        for request, count in traffic.requests.items():
            yield "ownernode_winrm_requests_total", request, count
        for (name, labels), count in tuple(known.counts.items()):
            yield name, labels, count


def _bring_forward(known: _Cluster, report: ClusterReport) -> None:
    known.report = report
    for outcome in report.outcomes:
        labels = (outcome.action.kind.value, outcome.result.value)
        known.counts["ownernode_actions_total", labels] += 1
    foreign = frozenset(report.foreign)
    known.counts["ownernode_foreign_moves_total", ()] += len(foreign - known.foreign)
    known.foreign = foreign
    drifted = {vm.key for vm in report.vms if vm.verdict not in _NOT_DRIFTED}
    known.drifted_since = {
        key: known.drifted_since.get(key, report.observed_at) for key in sorted(drifted)
    }
    known.observed_at |= {n.name: n.observed_at for n in report.nodes if n.observed_at is not None}
    if report.observation_complete and not report.audit:
        known.succeeded_at = report.completed_at
        if report.revision != known.applied_revision:
            known.applied_revision, known.applied_at = report.revision, report.completed_at


def _of_vms(report: ClusterReport) -> Iterator[Sample]:
    verdicts = [vm.verdict for vm in report.vms]
    yield from (("ownernode_vms", (v.value,), verdicts.count(v)) for v in sorted(set(verdicts)))
    every = {(h.key, h.reason) for h in (*report.cluster_holds, *report.plan.holds)}
    holds = [reason for _, reason in every]
    yield from (("ownernode_holds", (r.value,), holds.count(r)) for r in sorted(set(holds)))
    for brake in sorted({reason for _, reason in every} & {*map(HoldReason, Brake)}):
        yield "ownernode_brake_engaged", (brake.value,), 1
    yield "ownernode_approval_waiting", (), len(waiting_for_approval(report))
    intents = [vm.intent for vm in report.vms if vm.intent is not None]
    for kind in sorted({i.kind for i in intents}):
        yield "ownernode_actions_in_flight", (kind,), sum(i.kind == kind for i in intents)
    yield "ownernode_actions_unknown", (), sum(i.unknown for i in intents)


def _page_of_vms(reports: Iterable[ClusterReport]) -> bytes:
    """The series of each VM, written out here: prometheus_client takes many times as long."""
    lines = {m.name: [f"# HELP {m.name} {m.help}\n# TYPE {m.name} gauge\n"] for m in PER_VM}
    keys = {m.name: m.label_names for m in PER_VM}
    for report in reports:
        for name, labels, value in _of_each_vm(report):
            told = zip(keys[name], (report.cluster, *labels), strict=True)
            pairs = ",".join([f'{key}="{_escaped(text)}"' for key, text in told])
            lines[name].append(f"{name}{{{pairs}}} {float(value)}\n")
    return "".join(line for of_one in lines.values() for line in of_one).encode()


def _escaped(text: str) -> str:
    """As Prometheus' text format wants label values."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _of_each_vm(report: ClusterReport) -> Iterator[Sample]:
    for vm in report.vms:
        if vm.vm_id is None:
            continue
        names = (vm.vm, vm.group or "")
        yield "ownernode_vm_info", (*names, vm.vm_id, vm.spec), 1
        if vm.owner is not None:
            yield "ownernode_vm_owner_node", (*names, vm.owner), 1
        yield "ownernode_vm_settled", names, float(vm.verdict is Verdict.SETTLED)


def _of_plan(report: ClusterReport) -> Iterator[Sample]:
    plan = report.plan
    yield "ownernode_moves_planned", (), len(plan.moves)
    yield "ownernode_plan_lower_bound_moves", (), plan.certificate.moves_lower_bound
    yield "ownernode_plan_seconds", (), plan.certificate.seconds_estimated


def _of_node(node: NodeObserved, observed_at: datetime | None) -> Iterator[Sample]:
    up = node.answered and node.state is NodeState.UP
    yield "ownernode_node_up", (node.name,), float(up)
    if observed_at is not None:
        name = "ownernode_node_observation_timestamp_seconds"
        yield name, (node.name,), observed_at.timestamp()
    if node.memory_available_bytes is not None:
        name = "ownernode_node_memory_available_bytes"
        yield name, (node.name,), node.memory_available_bytes


class _Samples(Collector):
    """Families made anew at each scrape: what is no longer in a report leaves no series behind."""

    def __init__(self, samples: Callable[[], Iterator[Sample]], metrics: Sequence[Metric]) -> None:
        self._samples = samples
        self._metrics = metrics

    def describe(self) -> Iterator[Family]:
        """The families without samples, so that registering does not collect."""
        yield from self._families().values()

    def collect(self) -> Iterator[Family]:
        """The families with the samples of now."""
        families = self._families()
        for name, labels, value in self._samples():
            families[name].add_metric(labels, value)
        yield from families.values()

    def _families(self) -> dict[str, Family]:
        types = {Kind.GAUGE: GaugeMetricFamily, Kind.COUNTER: CounterMetricFamily}
        return {m.name: types[m.kind](m.name, m.help, labels=m.label_names) for m in self._metrics}


def _sampled() -> tuple[Metric, ...]:
    return tuple(m for m in METRICS if m.kind is not Kind.HISTOGRAM)


def _histograms() -> tuple[Metric, ...]:
    return tuple(m for m in METRICS if m.kind is Kind.HISTOGRAM)


def _histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(
        metric.name, metric.help, metric.label_names, buckets=metric.buckets, registry=registry
    )
