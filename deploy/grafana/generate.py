"""Makes the Grafana dashboards: two screens, none of which grows with the number of VMs.

`python deploy/grafana/generate.py` writes them; with `--check` it only says whether they are fresh.
They need nothing but a Prometheus data source that has ownernode's recording rules.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: queries by legend. `kind` is stat, timeseries or bargauge."""

    title: str
    says: str
    queries: dict[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 7
    stacked: bool = False
    red_from: float | None = None
    """From this value on it is shown in red."""
    options: dict[str, Any] = field(default_factory=dict)


CLUSTERS = (
    Panel(
        title="As declared",
        says="Share of the declared VMs that are where and as their spec wants them.",
        queries={"{{cluster}}": 'cluster:ownernode_vms_settled:ratio{cluster=~"$cluster"}'},
        kind="stat", unit="percentunit", width=4, height=5,
    ),
    Panel(
        title="Drifted VMs",
        says="Known to differ from their spec.",
        queries={"{{cluster}}": 'max by (cluster) (ownernode_drifted_vms{cluster=~"$cluster"})'},
        kind="stat", width=4, height=5, red_from=1,
    ),
    Panel(
        title="Oldest drift",
        says="How long the longest-drifted VM has been wrong.",
        queries={
            "{{cluster}}": 'max by (cluster) (ownernode_drift_age_seconds{cluster=~"$cluster"})'
        },
        kind="stat", unit="s", width=4, height=5, red_from=3600,
    ),
    Panel(
        title="Waits for approval",
        says="Plans and changes of specs; `ownernode status` shows the digest of each.",
        queries={
            "{{cluster}}": 'max by (cluster) (ownernode_approval_waiting{cluster=~"$cluster"})'
        },
        kind="stat", width=4, height=5, red_from=1,
    ),
    Panel(
        title="Brakes, stops and pauses",
        says="What holds changes although they are due and possible.",
        queries={
            "{{brake}}": "max by (brake) (ownernode_brake_engaged"
            '{cluster=~"$cluster"}) == 1 or vector(0)'
        },
        kind="stat", width=4, height=5, red_from=1, options={"textMode": "value_and_name"},
    ),
    Panel(
        title="Mode",
        says="How much the controller may do.",
        queries={
            "{{cluster}} {{mode}}": "max by (cluster, mode) "
            '(ownernode_mode_info{cluster=~"$cluster"}) == 1'
        },
        kind="stat", width=4, height=5, options={"textMode": "name"},
    ),
    Panel(
        title="VMs by verdict",
        says="Each declared VM has exactly one verdict.",
        queries={
            "{{verdict}}": 'sum by (verdict) (cluster_verdict:ownernode_vms:max{cluster=~"$cluster"})'
        },
        width=12, stacked=True,
    ),
    Panel(
        title="Held changes by reason",
        says="Changes that are due and do not start now: the answer to \"why is nothing done?\".",
        queries={
            "{{reason}}": "sum by (reason) "
            '(cluster_reason:ownernode_holds:max{cluster=~"$cluster"}) > 0 or vector(0)'
        },
        width=12, stacked=True,
    ),
    Panel(
        title="Actions",
        says="Commands by kind and by what was known right after them.",
        queries={
            "{{kind}} {{result}}": "sum by (kind, result) "
            '(increase(ownernode_actions_total{cluster=~"$cluster"}[$__rate_interval])) > 0 or vector(0)'
        },
        stacked=True,
    ),
    Panel(
        title="Moves by others",
        says="Changes of owner node that the controller did not order.",
        queries={
            "{{cluster}}": "sum by (cluster) "
            '(increase(ownernode_foreign_moves_total{cluster=~"$cluster"}[$__rate_interval]))'
        },
    ),
    Panel(
        title="In flight and unknown",
        says="Actions whose end has not been seen; unknown: the answer was lost.",
        queries={
            "{{kind}}": "sum by (kind) (max by (cluster, kind) "
            '(ownernode_actions_in_flight{cluster=~"$cluster"}))',
            "outcome unknown": 'sum(max by (cluster) (ownernode_actions_unknown{cluster=~"$cluster"}))',
        },
    ),
    Panel(
        title="Planned moves",
        says="Live migrations in the plan, and the fewest that any plan would need.",
        queries={
            "planned": 'sum(max by (cluster) (ownernode_moves_planned{cluster=~"$cluster"}))',
            "lower bound": "sum(max by (cluster) "
            '(ownernode_plan_lower_bound_moves{cluster=~"$cluster"}))',
        },
    ),
    Panel(
        title="Move time by phase (median)",
        says="As seen from look to look; `Whole` from the command to the arrival.",
        queries={
            "{{phase}}": "histogram_quantile(0.5, sum by (phase, le) "
            '(increase(ownernode_move_phase_seconds_bucket{cluster=~"$cluster"}[$__range]))) or vector(0)'
        },
        unit="s",
    ),
    Panel(
        title="Memory moved",
        says="Memory of the VMs whose move was seen done.",
        queries={
            "{{cluster}}": "sum by (cluster) "
            '(increase(ownernode_move_bytes_total{cluster=~"$cluster"}[$__rate_interval]))'
        },
        unit="bytes",
    ),
    Panel(
        title="Memory available by node",
        says="As the nodes measure it.",
        queries={
            "{{node}}": "max by (node) "
            '(ownernode_node_memory_available_bytes{cluster=~"$cluster"})'
        },
        unit="bytes", width=12,
    ),
    Panel(
        title="Nodes",
        says="1: Up in the cluster, and answered in the last cycle.",
        queries={"{{node}}": 'max by (node) (ownernode_node_up{cluster=~"$cluster"})'},
        kind="bargauge", width=12,
    ),
)  # fmt: skip
CONTROLLER = (
    Panel(
        title="Leads",
        says="1 for the replica that may act.",
        queries={"{{instance}}": 'max by (instance) (ownernode_leader{cluster=~"$cluster"})'},
        kind="stat", width=4, height=5,
    ),
    Panel(
        title="Since the last successful cycle",
        says="Complete observation, and a plan that the audit accepted.",
        queries={
            "{{cluster}}": 'cluster:ownernode_last_successful_cycle_age_seconds:min{cluster=~"$cluster"}'
        },
        kind="stat", unit="s", width=5, height=5, red_from=120,
    ),
    Panel(
        title="Faults in the specs",
        says="What was last valid stays in force.",
        queries={
            "{{source}}": 'max by (source) (ownernode_spec_findings{cluster=~"$cluster"})'
        },
        kind="stat", width=5, height=5, red_from=1,
    ),
    Panel(
        title="Revision in force",
        says="Of the specs.",
        queries={
            "{{revision}}": "max by (revision) "
            '(ownernode_spec_revision_info{cluster=~"$cluster"})'
        },
        kind="stat", width=5, height=5, options={"textMode": "name"},
    ),
    Panel(
        title="Version",
        says="Of each process.",
        queries={
            "{{instance}} {{version}}": "max by (instance, version) "
            '(ownernode_build_info{cluster=~"$cluster"})'
        },
        kind="stat", width=5, height=5, options={"textMode": "name"},
    ),
    Panel(
        title="Time of a cycle (p95)",
        says="By phase, and as a whole.",
        queries={
            "{{phase}}": "histogram_quantile(0.95, sum by (phase, le) "
            '(rate(ownernode_cycle_seconds_bucket{cluster=~"$cluster"}[$__rate_interval])))',
            "whole": "histogram_quantile(0.95, sum by (le) "
            '(rate(workqueue_work_duration_seconds_bucket{cluster=~"$cluster"}[$__rate_interval])))',
        },
        unit="s",
    ),
    Panel(
        title="Loop lag (p99)",
        says="How late the event loop wakes up.",
        queries={"{{cluster}}": 'cluster:ownernode_loop_lag_seconds:p99_5m{cluster=~"$cluster"}'},
        unit="s", red_from=0.05,
    ),
    Panel(
        title="Age of each node's answer",
        says="Nothing moves from or to a node whose answer is old.",
        queries={
            "{{node}}": 'cluster_node:ownernode_node_observation_age_seconds:min{cluster=~"$cluster"}'
        },
        unit="s",
    ),
    Panel(
        title="Calls to nodes",
        says="By operation.",
        queries={
            "{{operation}}": "sum by (operation) "
            '(rate(ownernode_winrm_requests_total{cluster=~"$cluster"}[$__rate_interval])) > 0 or vector(0)'
        },
        unit="ops",
    ),
    Panel(
        title="Calls that failed",
        says="By how they ended.",
        queries={
            "{{result}}": "sum by (result) (rate(ownernode_winrm_requests_total"
            '{cluster=~"$cluster", result!="Answered"}[$__rate_interval])) > 0 or vector(0)'
        },
        unit="ops", red_from=0.01,
    ),
    Panel(
        title="Refused log-ons, failed cycles",
        says="Either is worth a look at once.",
        queries={
            "log-ons": "sum(increase(ownernode_logon_failures_total"
            '{cluster=~"$cluster"}[$__rate_interval]))',
            "cycles": 'sum(increase(workqueue_retries_total{cluster=~"$cluster"}[$__rate_interval]))',
        },
        red_from=1,
    ),
)  # fmt: skip
DASHBOARDS = {"clusters": CLUSTERS, "controller": CONTROLLER}


def dashboard(name: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    """The document that Grafana imports."""
    other = next(n for n in DASHBOARDS if n != name)
    return {
        "uid": f"ownernode-{name}",
        "title": f"ownernode: {name}",
        "tags": ["ownernode"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {"title": other, "type": "link", "url": f"/d/ownernode-{other}", "keepTime": True}
        ],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {
                    "name": "cluster",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": {"query": "label_values(ownernode_mode_info, cluster)"},
                    "includeAll": True,
                    "multi": True,
                    "current": {"text": "All", "value": "$__all"},
                    "refresh": 2,
                },
            ]
        },
        "panels": placed(panels),
    }


def placed(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """Left to right, a new row where one no longer fits."""
    found, x, y, row_height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > WIDTH:
            x, y, row_height = 0, y + row_height, 0
        position = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        found.append(shown(number, panel, position))
        x, row_height = x + panel.width, max(row_height, panel.height)
    return found


def shown(number: int, panel: Panel, position: dict[str, int]) -> dict[str, Any]:
    """One panel in Grafana's form."""
    steps = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    custom = {"fillOpacity": 20, "stacking": {"mode": "normal" if panel.stacked else "none"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": position,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                **({"custom": custom} if panel.kind == "timeseries" else {}),
            },
            "overrides": [],
        },
        "options": panel.options,
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for i, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def main() -> int:
    """0 when they are written, or are fresh."""
    stale = []
    for name, panels in DASHBOARDS.items():
        path = HERE / f"{name}.json"
        text = json.dumps(dashboard(name, panels), indent=1) + "\n"
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    for file in stale:
        print(f"{file} is not fresh; run python deploy/grafana/generate.py")
    return int(bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
