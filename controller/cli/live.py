"""What a person watches while a cluster is brought to its declaration.

On a terminal: nodes as columns with their VMs, what moves now, what waits and why, what happened.
Anywhere else: one plain line for each thing that happens. Everything goes to stderr.
"""

import logging
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from controller.cli.tables import clean
from controller.model.checks import CheckVerdict
from controller.model.names import same_name
from controller.model.plan import ActionKind, HoldReason, Verdict
from controller.model.policy import GIB
from controller.model.report import ClusterReport, VMReport
from controller.planning.sentences import stage_words, waiting, why
from controller.settings import told

EVENTS_KEPT = 8
NODES_PER_ROW = 8
COLUMN_WIDTH_MIN = 19
VMS_SHOWN_MAX = 24
"""Of one node; settled ones give way."""
_STYLES = {
    Verdict.SETTLED: "green",
    Verdict.MOVING: "bold blue",
    Verdict.CREATING: "bold blue",
    Verdict.REGISTERING: "bold blue",
    Verdict.STARTING: "bold blue",
    Verdict.CONFIGURING: "bold blue",
    Verdict.MISPLACED: "yellow",
    Verdict.MISSING: "yellow",
    Verdict.UNREGISTERED: "yellow",
    Verdict.NOT_STARTED: "yellow",
    Verdict.UNKNOWN: "dim",
    Verdict.SUSPENDED: "dim",
    Verdict.CONFLICT: "red",
    Verdict.IMPOSSIBLE: "red",
}
_ALARMING = {CheckVerdict.WARNS: "warning", CheckVerdict.BLOCKS: "not possible"}
_MARKS = {"green": "✓", "bold blue": "»", "yellow": "!", "dim": "?", "red": "✗"}


class Watch:
    """A StatusSink for the terminal; use it as a context manager around the work."""

    def __init__(self, *notes: str) -> None:
        """`notes` stay in sight below the view: addresses, how to stop."""
        self._notes = notes
        self._warnings = _Warnings(self)
        console = Console(stderr=True)
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=False)
        self._events: deque[str] = deque(maxlen=EVENTS_KEPT)
        self._report: ClusterReport | None = None
        self._progress: dict[str, str] = {}
        self._said: frozenset[str] = frozenset()
        self._reasons: dict[str, str] = {}
        """Why each VM was last to be changed: a plan forgets what is under way."""

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._warnings)
        if self._live is not None:
            self._live.start()
        else:
            for note in self._notes:
                _line(note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logging.getLogger().removeHandler(self._warnings)
        if self._live is not None:
            self._live.stop()

    async def show(self, report: ClusterReport) -> None:
        """Take the report of one cycle."""
        self._report = report
        self._reasons |= {action.key: why(action) for action in report.plan.ready()}
        shown = {vm.sentence for vm in report.vms if vm.migration is not None and vm.hold is None}
        for event in report.events:
            if event not in shown:  # How far a move is says that it moves.
                self.tell(event)
        if self._live is not None:
            self._refresh()
        else:
            self._print_progress(report)
            self._print_standing(report)

    def tell(self, sentence: str) -> None:
        """Something happened."""
        if self._live is None:
            _line(clean(sentence))
            return
        self._events.append(f"{time.strftime('%H:%M:%S')} {clean(sentence)}")
        self._refresh()

    def _refresh(self) -> None:
        assert self._live is not None
        console = self._live.console
        sections: list[Section] = []
        if self._report is not None:
            sections += cluster_sections(self._report, console.width, self._reasons)
        events = [Text(event) for event in tuple(self._events)]
        sections.append(Section("What happened", events, EVENTS_GIVE_WAY, EVENTS_SHOWN_MIN))
        sections.append(Section("", [Text(note, style="dim") for note in self._notes]))
        self._live.update(Group(*_fitted(sections, console)), refresh=True)

    def _print_progress(self, report: ClusterReport) -> None:
        now = {vm.key: f"{vm.vm}: {_way(vm)}" for vm in report.vms if vm.migration is not None}
        for key, sentence in now.items():
            if self._progress.get(key) != sentence:
                _line(clean(f"  {sentence}"))
        self._progress = now

    def _print_standing(self, report: ClusterReport) -> None:
        """What the high-availability reports say against a VM; the rest is among the events."""
        now = frozenset(f"High availability of {vm}: {text}." for vm, text in _warnings(report))
        for sentence in sorted(now - self._said):
            _line(clean(sentence))
        self._said = now


class _Warnings(logging.Handler):
    """Tells what is logged as a warning: an order, a refused log-on, a journal that broke."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.WARNING)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it."""
        self._watch.tell(told(record))


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the picture. Those with the highest `gives_way` go first on a small terminal."""

    title: str
    parts: Sequence[RenderableType]
    gives_way: int = 0
    """0: stays."""
    parts_min: int = 0
    """Before any section goes, the first parts of this one go, down to so many; 0: they stay."""


EVENTS_GIVE_WAY = 3
EVENTS_SHOWN_MIN = 3
"""The latest; how many more there are depends on the room."""


def cluster_sections(
    report: ClusterReport, width: int, reasons: Mapping[str, str]
) -> list[Section]:
    """One cluster: heading, nodes, what moves, what waits, what can't be, what warns."""
    moving = [vm for vm in report.vms if _is_busy(vm)]
    wishes = report.plan.impossible
    held = [
        (who or "everything", f"{sentence} ({guard})") for who, guard, sentence in waiting(report)
    ]
    impossible = [
        (", ".join(wish.vms), f"{wish.explanation} Way out: {wish.resolution}.") for wish in wishes
    ]
    faults = [("", str(finding)) for finding in report.findings]
    return [
        Section("", [_heading(report), _nodes(report, width)]),
        Section("Now", [_movements(moving, reasons)] if moving else []),
        Section("Waiting", _pairs(held), gives_way=1),
        Section("Impossible", _pairs(impossible), gives_way=4),
        Section("High availability", _pairs(_warnings(report)), gives_way=5),
        Section("Faults in specs", _pairs(faults), gives_way=2),
    ]


def _warnings(report: ClusterReport) -> list[tuple[str, str]]:
    """VM and finding of each check for high availability that does not simply pass."""
    return [
        (vm.vm, f"{_ALARMING[check.verdict]}, {check.name} {check.found}; {check.remedy}")
        for vm in report.vms
        for check in vm.ha
        if check.verdict in _ALARMING
    ]


def _fitted(sections: list[Section], console: Console) -> list[RenderableType]:
    """The sections that have something to show and fit on the screen, with their titles."""
    shown = [section for section in sections if section.parts]
    while _height(shown, console) >= console.height:
        long = next((s for s in shown if len(s.parts) > s.parts_min > 0), None)
        if long is not None:
            shown[shown.index(long)] = replace(long, parts=long.parts[1:])
            continue
        least = max(shown, key=lambda section: section.gives_way)
        if least.gives_way == 0:
            break
        shown.remove(least)
    return _with_titles(shown)


def _with_titles(sections: Iterable[Section]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for section in sections:
        title = [Rule(section.title, align="left", style="dim")] if section.title else []
        parts += [*title, *section.parts]
    return parts


def _height(sections: Iterable[Section], console: Console) -> int:
    return len(console.render_lines(Group(*_with_titles(sections)), pad=False))


def _heading(report: ClusterReport) -> Text:
    settled = sum(vm.verdict is Verdict.SETTLED for vm in report.vms)
    text = Text()
    text.append(f"{report.cluster} ", style="bold")
    state = ("as declared", "green") if report.converged else ("not yet as declared", "yellow")
    text.append(state[0], style=state[1])
    text.append(
        f" · {settled} of {len(report.vms)} settled · {report.unmanaged_vms} in no spec · "
        f"{report.mode.value} · cycle {report.cycle}",
        style="dim",
    )
    for gap in report.gaps:
        text.append("\n")
        text.append(
            clean(f"{gap.node or report.cluster}: {gap.reason.value}, {gap.detail}"), style="red"
        )
    return text


def _nodes(report: ClusterReport, width: int) -> RenderableType:
    homeless = [
        vm for vm in report.vms if not any(same_name(vm.owner, n.name) for n in report.nodes)
    ]
    columns: list[tuple[Text, Text]] = []
    for node in report.nodes:
        vms = [vm for vm in report.vms if same_name(vm.owner, node.name)]
        state = node.state.value if node.answered else "no answer"
        if node.is_target and node.memory_available_bytes is not None:
            state = f"{node.memory_available_bytes / GIB:.0f} GiB free"
        columns.append((Text.assemble((clean(node.name), "bold"), f"  {state}"), _vms(vms)))
    if homeless:
        columns.append((Text("on no node", style="bold"), _vms(homeless)))
    per_row = min(len(columns), max(1, width // COLUMN_WIDTH_MIN), NODES_PER_ROW)
    grid = Table.grid(padding=(0, 2), expand=True)
    for _ in range(per_row):
        grid.add_column(ratio=1)
    for first in range(0, len(columns), per_row):
        row = columns[first : first + per_row]
        grid.add_row(*(title for title, _ in row))
        grid.add_row(*(vms for _, vms in row))
    return grid


def _vms(vms: list[VMReport]) -> Text:
    order = sorted(vms, key=lambda vm: (vm.verdict is Verdict.SETTLED, vm.vm.lower()))
    shown = sorted(order[:VMS_SHOWN_MAX], key=lambda vm: vm.vm.lower())
    text = Text()
    for vm in shown:
        style = _STYLES[vm.verdict]
        note = "" if vm.verdict is Verdict.SETTLED else f" {_note(vm)}"
        text.append(f"{_MARKS[style]} {clean(vm.vm + note)}\n", style=style)
    if len(vms) > len(shown):
        text.append(f"and {len(vms) - len(shown)} more\n", style="dim")
    return text


def _note(vm: VMReport) -> str:
    target = _target(vm) or vm.declared
    if vm.verdict in (Verdict.MISPLACED, Verdict.MOVING) and not same_name(target, vm.owner):
        return f"→ {target or 'elsewhere'}"
    if vm.hold is not None and vm.hold.reason is HoldReason.PREFLIGHT:
        return "preflight fails"
    return "not HA" if vm.verdict is Verdict.UNREGISTERED else vm.verdict.value


def _target(vm: VMReport) -> str | None:
    """Where it is moving: as the node tells, else as we ordered."""
    told = vm.migration.target if vm.migration is not None else None
    return told or (vm.intent.target if vm.intent is not None else None)


def _is_busy(vm: VMReport) -> bool:
    return vm.migration is not None or vm.intent is not None


def _way(vm: VMReport) -> str:
    """What is under way with the VM, and how far it is."""
    if vm.migration is not None:
        return f"{vm.migration.source} → {_target(vm) or '?'}, {stage_words(vm.migration)}"
    if vm.intent is not None:
        towards = "to" if vm.intent.kind == ActionKind.MOVE else "on"
        return f"ordered: {vm.intent.kind.lower()} {towards} {vm.intent.target}"
    return vm.verdict.value


def _movements(moving: list[VMReport], reasons: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for vm in moving:
        share = vm.migration.progress_percent if vm.migration is not None else None
        bar: RenderableType = ""
        if share is not None:
            bar = ProgressBar(total=100, completed=share, width=20, complete_style="blue")
        reason = reasons.get(vm.key, "") if vm.intent is not None else "by somebody else"
        grid.add_row(
            Text(clean(vm.vm), style="bold blue"),
            Text(clean(_way(vm))),
            bar,
            Text(clean(reason), style="dim"),
        )
    return grid


def _pairs(pairs: list[tuple[str, str]]) -> list[RenderableType]:
    if not pairs:
        return []
    grid = Table.grid(padding=(0, 2))
    for name, text in pairs:
        grid.add_row(Text(clean(name), style="bold"), Text(clean(text)))
    return [grid]


def _line(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
