"""What a Prometheus user relies on: names, closed sets of labels, zeros, promtool's approval."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from controller.adapters.prometheus.metrics import Metrics, Traffic
from controller.adapters.prometheus.table import METRICS, PER_VM, Brake, CyclePhase
from controller.adapters.prometheus.work import WorkQueue
from controller.model.observed import MigrationPhase
from controller.model.plan import Hold, HoldReason, Verdict
from controller.model.policy import GIB
from controller.model.report import ClusterReport, OutcomeResult
from tests.prometheus.programs import promtool
from tests.support import reports

ROOT = Path(__file__).parents[2]


def page_after(*shown: ClusterReport, per_vm: bool = False) -> str:
    """The page that is scraped once these reports were shown."""
    traffic = Traffic(requests={("observe", "Answered"): 12}, logon_failures=1)
    fetched = {"placements": reports.NOW}
    metrics = Metrics(
        version="0.1.0", fetched=lambda: fetched, traffic=lambda _: traffic, per_vm=per_vm
    )

    async def show() -> bytes:
        for report in shown:
            await metrics.show(report)
        metrics.time_phase("demo", CyclePhase.OBSERVE, 0.2)
        metrics.note_loop_lag(0.002)
        return await metrics.render()

    return asyncio.run(show()).decode()


def values(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of a page."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(page: str, name: str, **labels: str) -> float:
    """One sample of the cluster demo."""
    return values(page)[(name, frozenset({"cluster": "demo", **labels}.items()))]


def test_brakes_and_approvals_can_be_alerted_on() -> None:
    """At zero from the start; one while anything is held so, on all or on one VM."""
    report = reports.report()
    page = page_after(report)
    assert {value(page, "ownernode_brake_engaged", brake=b.value) for b in Brake} == {0}
    assert value(page, "ownernode_approval_waiting") == 0
    asks = {"digest": "d1"}
    holds = (
        Hold(key="", vm="", reason=HoldReason.STOPPED),
        Hold(key="a", vm="A", reason=HoldReason.APPROVAL_NEEDED, evidence=asks),
        Hold(key="b", vm="B", reason=HoldReason.APPROVAL_NEEDED, evidence=asks),
    )
    page = page_after(replace(report, plan=replace(report.plan, holds=holds)))
    engaged = {b for b in Brake if value(page, "ownernode_brake_engaged", brake=b.value)}
    assert engaged == {Brake.STOPPED, Brake.APPROVAL_NEEDED}
    assert value(page, "ownernode_approval_waiting") == 1


def test_the_report_stands_in_the_metrics() -> None:
    """A dashboard shows what status, page and log show: they render the same report."""
    page = page_after(reports.report())
    assert value(page, "ownernode_vms", verdict="Moving") == 1
    assert value(page, "ownernode_vms", verdict="Unregistered") == 1
    assert value(page, "ownernode_drifted_vms") == 2
    assert value(page, "ownernode_holds", reason="ForeignMove") == 1
    assert value(page, "ownernode_actions_total", kind="Move", result="Submitted") == 1
    assert value(page, "ownernode_actions_in_flight", kind="Move") == 1
    assert value(page, "ownernode_foreign_moves_total") == 1
    requests = value(page, "ownernode_winrm_requests_total", operation="observe", result="Answered")
    assert requests == 12
    assert value(page, "ownernode_logon_failures_total") == 1
    assert value(page, "ownernode_node_up", node="N1") == 1
    assert value(page, "ownernode_node_up", node="N3") == 0
    assert value(page, "ownernode_node_default_paths_wrong", node="N2") == 1
    assert value(page, "ownernode_node_default_paths_wrong", node="N1") == 0
    assert value(page, "ownernode_observation_complete") == 0
    assert value(page, "ownernode_last_successful_cycle_timestamp_seconds") == 0
    revision = {"source": "placements", "revision": "rev-1"}
    assert value(page, "ownernode_spec_revision_info", **revision) == 1
    assert value(page, "ownernode_spec_refused", source="placements") == 1
    refused = {"source": "placements", "reason": "Unsigned"}
    assert value(page, "ownernode_spec_refused_info", **refused) == 1
    at = value(page, "ownernode_spec_fetched_timestamp_seconds", source="placements")
    assert at == reports.NOW.timestamp()
    assert value(page, "ownernode_undeclared_vms") == 1
    assert value(page, "ownernode_mode_info", mode="Enforce") == 1
    assert value(page, "ownernode_mode_info", mode="Observe") == 0


def test_a_move_is_timed_by_phase_and_its_memory_counted_when_seen_done() -> None:
    """What an administrator asks of a migration: how long, which part, how much memory."""
    first = reports.report()
    sql = next(vm for vm in first.vms if vm.intent is not None)
    assert sql.intent is not None
    switching = replace(
        first,
        observed_at=first.observed_at + timedelta(seconds=8),
        outcomes=(),
        vms=(replace(sql, migration=replace(sql.migration, phase=MigrationPhase.SWITCHING)),),
    )
    done = replace(
        switching,
        observed_at=first.observed_at + timedelta(seconds=10),
        vms=(replace(sql, migration=None, intent=None, owner=sql.intent.target),),
    )
    failed = replace(done, vms=(replace(sql, migration=None, intent=None),))
    page = page_after(first, switching, done)
    name = "ownernode_move_phase_seconds_sum"
    assert value(page, name, phase="Transferring") == 8
    assert value(page, name, phase="Switching") == 2
    assert value(page, "ownernode_move_phase_seconds_count", phase="Whole") == 1
    assert value(page, "ownernode_move_bytes_total") == 8 * GIB
    page = page_after(first, switching, failed)
    assert value(page, "ownernode_move_phase_seconds_count", phase="Whole") == 0
    assert value(page, "ownernode_move_bytes_total") == 0


def test_cycles_are_a_work_queue() -> None:
    """Dashboards made for controller-runtime read depth, retries and durations."""
    seconds = iter((0.0, 1.0, 1.0, 4.0, 5.0, 9.0))
    registry = CollectorRegistry()
    queued, worked = (Histogram(n, n, ("cluster", "name"), registry=registry) for n in "ab")
    queue = WorkQueue(queued, worked, clock=lambda: next(seconds))
    queue.due("demo")
    queue.began("demo")
    assert dict(sample[::2] for sample in queue.samples("demo"))["workqueue_depth"] == 0
    queue.ended("demo", failed=True)
    queue.due("demo")
    found = dict(sample[::2] for sample in queue.samples("demo"))
    assert found["workqueue_depth"] == 1
    assert found["workqueue_adds_total"] == 2
    assert found["workqueue_retries_total"] == 1
    labels = {"cluster": "demo", "name": "reconcile"}
    assert registry.get_sample_value("a_sum", labels) == 1
    assert registry.get_sample_value("b_sum", labels) == 3


def test_series_of_each_vm_join_with_windows_exporter_and_only_on_request() -> None:
    """Three a VM; the names of labels are those of mscluster (group, node_name) and hyperv (vm)."""
    page = page_after(reports.report(), per_vm=True)
    sql = {"vm": "SQL01", "group": "SQL01 role"}
    assert value(page, "ownernode_vm_owner_node", **sql, node_name="N1") == 1
    assert value(page, "ownernode_vm_settled", **sql) == 0
    assert value(page, "ownernode_vm_info", **sql, vm_id=reports.SQL01, spec="sql01") == 1
    names = {family.name for family in text_string_to_metric_families(page)}
    assert {m.name for m in PER_VM} <= names
    assert not any(m.name in page_after(reports.report()) for m in PER_VM)


def test_a_vm_of_any_name_leaves_the_page_readable() -> None:
    """These series are written without prometheus_client: the signs of the format are escaped."""
    name = 'a"b\\c\nd'
    report = reports.report()
    first = replace(report.vms[0], vm=name, vm_id=reports.SQL01)
    page = page_after(replace(report, vms=(first, *report.vms[1:])), per_vm=True)
    found = [f for f in text_string_to_metric_families(page) if f.name == "ownernode_vm_info"]
    assert name in {sample.labels["vm"] for sample in found[0].samples}


def test_closed_sets_stand_at_zero_from_the_start() -> None:
    """An alert on a reason that never occurred has a series to look at."""
    page = page_after(reports.report())
    assert value(page, "ownernode_vms", verdict=Verdict.IMPOSSIBLE) == 0
    assert value(page, "ownernode_holds", reason=HoldReason.NO_HOP) == 0
    assert value(page, "ownernode_actions_total", kind="Create", result=OutcomeResult.UNKNOWN) == 0


def test_a_move_by_others_is_counted_once() -> None:
    """It stays in the reports while it is respected, which is not a second move."""
    first = reports.report()
    again = replace(first, cycle=8, outcomes=(), foreign=first.foreign)
    assert value(page_after(first, again), "ownernode_foreign_moves_total") == 1


def test_drift_ages_until_it_is_seen_gone() -> None:
    """The oldest drift counts, from the first report that showed it."""
    first = reports.report()
    later = replace(
        first,
        observed_at=first.observed_at + timedelta(seconds=60),
        completed_at=first.observed_at + timedelta(seconds=61),
    )
    settled = replace(later, vms=tuple(replace(v, verdict=Verdict.SETTLED) for v in later.vms))
    assert value(page_after(first, later), "ownernode_drift_age_seconds") == 61
    assert value(page_after(first, later, settled), "ownernode_drift_age_seconds") == 0


def test_every_declared_metric_is_there_and_no_other() -> None:
    """The table is the whole truth: nothing is exported past it, nothing in it stays empty."""
    complete = replace(reports.report(), observation_complete=True)
    names = {family.name for family in text_string_to_metric_families(page_after(complete))}
    assert names == {metric.name.removesuffix("_total") for metric in METRICS}


def test_every_series_names_its_cluster_and_no_vm() -> None:
    """Labels stay bounded however many VMs there are."""
    for _, labels in values(page_after(reports.report())):
        assert dict(labels)["cluster"] == "demo"
        assert not {"SQL01", "WEB01"} & set(dict(labels).values())


def test_a_node_that_left_leaves_no_series() -> None:
    """A dead gauge would go on saying that the node is up."""
    first = reports.report()
    assert 'node="N3"' not in page_after(first, replace(first, nodes=first.nodes[:2]))


def test_promtool_finds_nothing_to_say() -> None:
    """`promtool check metrics` knows the conventions better than we do."""
    assert promtool("check", "metrics", text=page_after(reports.report())) == ""


def test_the_page_of_the_docs_lists_every_metric() -> None:
    """A metric without a line that explains it does not exist for its users."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    for metric in METRICS:
        labels = ", ".join(f"`{label.name}`" for label in metric.labels)
        line = f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"
        assert line in page, line
