"""Plans and reports as tables."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controller.cli.tables import Table, cells, count
from controller.model.checks import CheckResult, CheckVerdict
from controller.model.plan import Hold, Impossible, Plan
from controller.model.policy import GIB
from controller.model.report import ClusterReport
from controller.planning.releases import RELEASES
from controller.planning.review import review
from controller.planning.sentences import (
    SETTINGS,
    folders_sentence,
    hold_sentence,
    maintenance_sentence,
    why,
)


def plan_tables(plan: Plan) -> tuple[Table, ...]:
    """What would happen in order, what waits, and what can't be."""
    rows = cells(
        (
            "now" if action.wave == 0 else action.wave,
            action.kind.value,
            action.vm,
            action.source or "-",
            action.target,
            why(action),
            f"{action.memory_bytes / GIB:.1f} GiB",
            f"{action.seconds_estimated:.0f} s",
            action.vm_id or "-",
        )
        for action in plan.actions
    )
    columns = ("WAVE", "ACTION", "VM", "FROM", "TO", "WHY", "MEMORY", "ESTIMATE", "VM ID")
    return (
        Table(columns=columns, rows=rows, wide=3),
        _holds(plan.holds),
        _maintenances(plan),
        _folders(plan),
        _impossible(plan.impossible),
        _settings(plan),
        _creations(plan),
        _checked((action.vm, action.checks) for action in plan.actions),
    )


def _creations(plan: Plan) -> Table:
    rows = cells(
        (action.vm, setting, value) for action in plan.actions for setting, value in review(action)
    )
    return Table(columns=("NEW VM", "SETTING", "VALUE"), rows=rows)


def plan_summary(plan: Plan) -> str:
    """One sentence about the whole plan."""
    certificate = plan.certificate
    if not plan.actions:
        held = f", {len(plan.holds)} held" if plan.holds else ""
        return f"{plan.cluster}: nothing to do{held}"
    moves = count(certificate.moves, "move")
    if certificate.hops:
        moves += f" with {count(certificate.hops, 'stop-over')}"
    proof = "proved" if certificate.proved_optimal else "not proved"
    return (
        f"{plan.cluster}: {count(len(plan.actions), 'action')}, {moves}, "
        f"about {certificate.seconds_estimated:.0f} s; {len(plan.holds)} held; "
        f"that no placement costs less is {proof}"
    )


def report_tables(report: ClusterReport) -> tuple[Table, ...]:
    """Where every declared VM stands, what waits and why, and what can't be."""
    rows = cells(
        (
            vm.vm,
            vm.verdict.value,
            vm.owner or "-",
            vm.declared or "any",
            vm.sentence,
            vm.spec,
            vm.vm_id or "-",
        )
        for vm in report.vms
    )
    columns = ("VM", "VERDICT", "OWNER", "DECLARED", "SENTENCE", "SPEC", "VM ID")
    nodes = cells(
        (
            node.name,
            node.state.value if node.answered else f"{node.state.value}, no answer",
            _gib(node.memory_available_bytes),
            _gib(node.memory_total_bytes),
            sum(vm.owner == node.name for vm in report.vms),
        )
        for node in report.nodes
    )
    faults = cells((str(finding),) for finding in report.findings)
    return (
        Table(columns=columns, rows=rows, wide=2),
        Table(columns=("NODE", "STATE", "FREE", "MEMORY", "DECLARED VMS"), rows=nodes),
        _holds(report.cluster_holds, title="Holding everything"),
        _holds((vm.hold for vm in report.vms if vm.hold is not None), title="Held"),
        _impossible(report.plan.impossible),
        _availability(report),
        _maintenances(report.plan),
        _folders(report.plan),
        *_sources(report),
        Table(columns=("FAULT IN SPECS",), rows=faults),
    )


def _maintenances(plan: Plan) -> Table:
    """How far each maintenance of a node is, and what remains on the node."""
    rows = cells(
        (
            standing.node,
            standing.phase.value,
            maintenance_sentence(standing, plan.hold_for(standing.key)),
            _clock(standing.ends),
            standing.name or "-",
        )
        for standing in plan.maintenances
    )
    columns = ("NODE", "PHASE", "SENTENCE", "ENDS", "SPEC")
    return Table(title="Maintenance", columns=columns, rows=rows, wide=1)


def _folders(plan: Plan) -> Table:
    """Nodes that put new VMs and disks where they should not."""
    rows = cells(
        (found.node, folders_sentence(found, plan.hold_for(found.key)), found.vms, found.disks)
        for found in plan.folders
    )
    columns = ("NODE", "SENTENCE", "NEW VMS", "NEW DISKS")
    return Table(title="Default folders", columns=columns, rows=rows, wide=2)


def _settings(plan: Plan) -> Table:
    """Every setting that would be written, with its value before and after."""
    rows = cells(
        (
            action.vm,
            SETTINGS[action.change.setting],
            ", ".join(action.change.before) or "none",
            ", ".join(action.change.after),
        )
        for action in plan.actions
        if action.change is not None
    )
    return Table(title="Settings", columns=("OF", "SETTING", "NOW", "THEN"), rows=rows)


def _sources(report: ClusterReport) -> tuple[Table, Table]:
    """Which revision of each source runs and why not a newer one; which VMs it let go of."""
    rows = cells((s.name, s.revision or "-", s.refused, s.why) for s in report.sources)
    gone = cells((vm.vm, vm.spec or "-", vm.revision or "-") for vm in report.undeclared)
    return (
        Table(title="Specs", columns=("SOURCE", "IN FORCE", "NOT TAKEN", "WHY NOT"), rows=rows),
        Table(
            title="No longer declared, and left alone", columns=("VM", "SPEC", "SINCE"), rows=gone
        ),
    )


def order_tables(status: Mapping[str, Any]) -> tuple[Table, ...]:
    """What people stopped, and what waits for a yes."""
    stops = cells(
        (
            " ".join(filter(None, (stop["scope"], stop["name"], stop["cluster"]))),
            stop["owner"],
            stop["reason"],
            stop["since"],
            stop["until"] or "resumed",
            stop["source"],
        )
        for stop in status.get("stops", ())
    )
    waiting = cells(
        (wait["digest"], wait["cluster"], wait["sentence"]) for wait in status.get("waiting", ())
    )
    return (
        Table(
            title="Stopped by order",
            columns=("WHAT", "BY", "WHY", "SINCE", "UNTIL", "WAY"),
            rows=stops,
        ),
        Table(title="Waits for approval", columns=("DIGEST", "CLUSTER", "WHY"), rows=waiting),
    )


def report_summary(report: ClusterReport) -> str:
    """One sentence about the whole cluster."""
    settled = sum(vm.verdict.value == "Settled" for vm in report.vms)
    state = "converged" if report.converged else "not converged"
    gaps = f", {count(len(report.gaps), 'gap')}" if report.gaps else ""
    return (
        f"{report.cluster}: {state}, {settled} of {len(report.vms)} declared VMs settled, "
        f"mode {report.mode.value}, cycle {report.cycle}, seen at "
        f"{report.observed_at:%H:%M:%S} UTC{gaps}"
    )


def _holds(holds: Iterable[Hold], title: str = "Held") -> Table:
    rows = cells(
        (
            h.vm or "all",
            h.action or "-",
            h.target or "-",
            hold_sentence(h),
            _clock(h.since),
            _clock(h.until),
            RELEASES[h.reason][1],
            RELEASES[h.reason][0],
            h.reason.value,
        )
        for h in holds
    )
    columns = (
        "VM",
        "ACTION",
        "TO",
        "WHY NOT",
        "SINCE",
        "UNTIL",
        "RELEASED BY",
        "GUARD",
        "REASON",
    )
    return Table(title=title, columns=columns, rows=rows, wide=1)


def _clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else "-"


def _impossible(wishes: Iterable[Impossible]) -> Table:
    rows = cells(
        (", ".join(w.vms), w.explanation, w.resolution, "; ".join(w.rules)) for w in wishes
    )
    columns = ("VMS", "WHY", "WAY OUT", "RULES")
    return Table(title="Impossible", columns=columns, rows=rows, wide=1)


def _availability(report: ClusterReport) -> Table:
    return _checked((vm.vm, vm.ha) for vm in report.vms)


def _checked(checks: Iterable[tuple[str, Iterable[CheckResult]]]) -> Table:
    """What does not simply pass in the high-availability report of each VM."""
    rows = cells(
        (vm, check.name, check.verdict.value, check.found, check.remedy)
        for vm, results in checks
        for check in results
        if check.verdict is not CheckVerdict.PASSES
    )
    columns = ("VM", "CHECK", "VERDICT", "FOUND", "REMEDY")
    return Table(title="High availability", columns=columns, rows=rows)


def _gib(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / GIB:.0f} GiB"
