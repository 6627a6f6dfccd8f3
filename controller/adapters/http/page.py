"""The page for people: nodes as columns with their VMs, what moves, what waits and why.

Made whole on the server at each look, without script; every text that comes from a cluster or a
spec is escaped.
"""

import html
import re
from collections.abc import Iterable, Iterator

from controller.model.checks import CheckVerdict
from controller.model.names import same_name
from controller.model.observed import NodeObserved
from controller.model.plan import HoldReason, Verdict
from controller.model.policy import GIB
from controller.model.report import ClusterReport, VMReport
from controller.planning.sentences import action_sentence, stage_words, waiting

REFRESH_SECONDS = 2
VMS_SHOWN_MAX = 60
"""In one column; what is settled gives way first."""

_TONES = {
    Verdict.SETTLED: "right",
    Verdict.MOVING: "busy",
    Verdict.CREATING: "busy",
    Verdict.REGISTERING: "busy",
    Verdict.STARTING: "busy",
    Verdict.CONFIGURING: "busy",
    Verdict.MISPLACED: "due",
    Verdict.MISSING: "due",
    Verdict.UNREGISTERED: "due",
    Verdict.NOT_STARTED: "due",
    Verdict.UNKNOWN: "dark",
    Verdict.SUSPENDED: "dark",
    Verdict.CONFLICT: "bad",
    Verdict.IMPOSSIBLE: "bad",
}

_TYPED = re.compile("`([^`]+)`")

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --paper: #f6f7f9; --card: #fff; --line: #d8dee6;
  --quiet: #5d6b7a; --right: #23764a; --busy: #1d5fae; --due: #a35a00; --bad: #b3261e;
  --dark: #6a7280; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --paper: #12171d; --card: #1b222b;
  --line: #303a46; --quiet: #93a1b0; --right: #58c48a; --busy: #74b0ff; --due: #f0ac4e;
  --bad: #ff8a80; --dark: #9aa4b0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1.5rem; background: var(--paper);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; } h2 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p { margin: .2rem 0; } .quiet { color: var(--quiet); } .loud { color: var(--bad); }
.nodes { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.node { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .7rem; }
.node h3 { display: flex; justify-content: space-between; font-size: .95rem; margin: 0 0 .5rem; }
.node h3 span { color: var(--quiet); font-weight: 400; }
ul { list-style: none; margin: 0; padding: 0; }
li.vm { border-left: 4px solid var(--tone); margin: .2rem 0; padding: .05rem .5rem; }
li.vm small { color: var(--tone); display: block; }
.right { --tone: var(--right); } .busy { --tone: var(--busy); } .due { --tone: var(--due); }
.bad { --tone: var(--bad); } .dark { --tone: var(--dark); }
table { border-collapse: collapse; width: 100%; background: var(--card); }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; }
th { color: var(--quiet); font-weight: 500; }
meter { width: 6rem; } footer { margin-top: 1.6rem; }
code { font: .95em/1 ui-monospace, monospace; background: var(--paper); padding: .1rem .3rem; }
"""


def render_page(reports: Iterable[ClusterReport], unready: Iterable[str]) -> str:
    """The whole page; with no report yet, it says so."""
    body = "".join(_cluster(report) for report in reports)
    notes = "".join(f'<p class="loud">{_safe(sentence)}</p>' for sentence in unready)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>ownernode</title><link rel="stylesheet" href="/style.css"></head>'
        f"<body>{notes}{body or '<p>Nothing observed yet.</p>'}"
        '<footer class="quiet"><a href="/metrics">metrics</a> · '
        '<a href="/api/v1/status">status as JSON</a></footer></body></html>'
    )


def _cluster(report: ClusterReport) -> str:
    settled = sum(vm.verdict is Verdict.SETTLED for vm in report.vms)
    state = "as declared" if report.converged else "not yet as declared"
    elsewhere = tuple(vm for vm in report.vms if not _is_on_a_node(vm, report.nodes))
    return (
        f"<h1>{_safe(report.cluster)}: {state}</h1>"
        f'<p class="quiet">{settled} of {len(report.vms)} declared VMs settled · '
        f"{report.unmanaged_vms} VMs in no spec · mode {report.mode.value} · "
        f"revision {_safe(report.revision)} · cycle {report.cycle} at "
        f"{report.observed_at:%H:%M:%S} UTC</p>"
        f'<div class="nodes">{"".join(_node(node, report) for node in report.nodes)}'
        f"{_column('on no node', '', elsewhere) if elsewhere else ''}</div>"
        + _section("Gaps", ("node", "why"), ((g.node or "cluster", g.detail) for g in report.gaps))
        + _section("Plan", ("wave", "what and why"), _planned(report))
        + _section("Waiting", ("what", "guard", "why"), _held(report))
        + _section(
            "Impossible wishes",
            ("VMs", "failed check", "why", "way out"),
            (
                (", ".join(i.vms), ", ".join(i.rules), i.explanation, i.resolution)
                for i in report.plan.impossible
            ),
        )
        + _section("High availability", ("VM", "check", "found", "remedy"), _warned(report))
        + _section(
            "Vetoed by the audit", ("rule", "what"), ((a.rule, a.detail) for a in report.audit)
        )
        + _section(
            "Specs that are not taken",
            ("source", "why"),
            ((s.name, s.sentence()) for s in report.sources if s.reason is not None),
        )
        + _section(
            "No longer declared, and left alone",
            ("VM", "since"),
            ((vm.vm, vm.revision) for vm in report.undeclared),
        )
        + _section("Faults in specs", ("fault",), ((str(f),) for f in report.findings))
    )


def _is_on_a_node(vm: VMReport, nodes: Iterable[NodeObserved]) -> bool:
    return any(same_name(vm.owner, node.name) for node in nodes)


def _node(node: NodeObserved, report: ClusterReport) -> str:
    vms = tuple(vm for vm in report.vms if same_name(vm.owner, node.name))
    state = node.state.value if node.answered else "no answer"
    if node.draining:
        state = f"{state}, draining"
    if node.memory_available_bytes is not None and node.memory_total_bytes:
        state += f" · {node.memory_available_bytes / GIB:.0f} of "
        state += f"{node.memory_total_bytes / GIB:.0f} GiB free"
    return _column(node.name, state, vms)


def _column(title: str, state: str, vms: tuple[VMReport, ...]) -> str:
    if len(vms) > VMS_SHOWN_MAX:
        vms = tuple(sorted(vms, key=lambda vm: (vm.verdict is Verdict.SETTLED, vm.vm.lower())))
    else:
        vms = tuple(sorted(vms, key=lambda vm: vm.vm.lower()))
    rest = f'<li class="quiet">and {len(vms) - VMS_SHOWN_MAX} more</li>'
    return (
        f'<section class="node"><h3>{_safe(title)}<span>{_safe(state)}</span></h3><ul>'
        f"{''.join(_vm(vm) for vm in vms[:VMS_SHOWN_MAX])}"
        f"{rest if len(vms) > VMS_SHOWN_MAX else ''}</ul></section>"
    )


def _vm(vm: VMReport) -> str:
    note = "" if vm.verdict is Verdict.SETTLED else f"<small>{_safe(_note(vm))}{_meter(vm)}</small>"
    return (
        f'<li class="vm {_TONES[vm.verdict]}" title="{_safe(vm.sentence)}">'
        f"{_safe(vm.vm)}{note}</li>"
    )


def _note(vm: VMReport) -> str:
    target = _target(vm) or vm.declared
    towards = f" → {target}" if target and not same_name(target, vm.owner) else ""
    if vm.migration is not None:
        return f"{vm.verdict.value}{towards}, {stage_words(vm.migration)}"
    failed = vm.hold is not None and vm.hold.reason is HoldReason.PREFLIGHT
    return f"{vm.verdict.value}{towards}{', preflight fails' if failed else ''}"


def _target(vm: VMReport) -> str | None:
    """Where it is moving: as the node tells, else as we ordered."""
    told = vm.migration.target if vm.migration is not None else None
    return told or (vm.intent.target if vm.intent is not None else None)


def _meter(vm: VMReport) -> str:
    if vm.migration is None or vm.migration.progress_percent is None:
        return ""
    return f' <meter max="100" value="{vm.migration.progress_percent}"></meter>'


def _planned(report: ClusterReport) -> Iterator[tuple[str, ...]]:
    for action in report.plan.actions:
        yield "now" if action.wave == 0 else str(action.wave), action_sentence(action)


def _held(report: ClusterReport) -> Iterator[tuple[str, ...]]:
    for who, guard, sentence in waiting(report):
        yield who or "the whole cluster", guard.value, sentence


def _warned(report: ClusterReport) -> Iterator[tuple[str, ...]]:
    for vm in report.vms:
        for check in vm.ha:
            if check.verdict is not CheckVerdict.PASSES:
                yield vm.vm, f"{check.name}: {check.verdict.value}", check.found, check.remedy


def _safe(text: str) -> str:
    """Neither markup nor a character that turns the direction of what follows."""
    return html.escape("".join(c if c.isprintable() else "\ufffd" for c in text))


def _prose(text: str) -> str:
    """Escaped; what stands in backticks is to be typed."""
    return _TYPED.sub(r"<code>\1</code>", _safe(text))


def _section(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = "".join(
        f"<tr>{''.join(f'<td>{_prose(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    if not lines:
        return ""
    head = "".join(f"<th>{_safe(column)}</th>" for column in columns)
    return f"<h2>{_safe(title)}</h2><table><tr>{head}</tr>{lines}</table>"
