"""Tables, pictures and lines say the same as the objects that they render."""

import io
from dataclasses import replace

import pytest
from rich.console import Console, Group

from controller.cli.comment import plan_comment
from controller.cli.live import Watch, cluster_sections
from controller.cli.markdown import text
from controller.cli.tables import Output, Table, as_text, cells, say
from controller.cli.views import plan_summary, plan_tables, report_tables
from controller.model.observed import Gap, GapReason
from controller.model.plan import ActionKind, ActionReason
from controller.model.setting import Change, Setting
from controller.planning.sentences import why
from tests.support import reports


def test_a_plan_reads_aloud() -> None:
    """VM, from, to, why, wave: a line of the table is nearly a sentence."""
    tables = plan_tables(reports.plan())
    header, move, register = as_text(tables[0], Output.TABLE).splitlines()
    assert header.split() == ["WAVE", "ACTION", "VM", "FROM", "TO", "WHY"]
    assert move.split(maxsplit=5) == [
        "now", "Move", "SQL01", "N1", "N2", "N1 is not among its preferred owners",
    ]  # fmt: skip
    assert register.split(maxsplit=5)[:2] == ["1", "Register"]
    assert "somebody else moved it" in as_text(tables[1], Output.TABLE)
    assert plan_summary(reports.plan()).startswith("demo: 2 actions, 1 move")


def test_every_setting_is_shown_with_its_value_before_and_after() -> None:
    """Of a role and of a node: nobody approves a write of which only the name is told."""
    change = Change(
        setting=Setting.DEFAULT_FOLDERS, before=("C:\\VMs", "D:\\"), after=("C:\\New", "C:\\New")
    )
    plan = reports.plan()
    write = replace(plan.actions[0], kind=ActionKind.CONFIGURE_NODE, vm="N2", change=change)
    shown = {t.title: t for t in plan_tables(replace(plan, actions=(write,)))}
    told = ("N2", "default folders", "C:\\VMs, D:\\", "C:\\New, C:\\New")
    assert shown["Settings"].rows == (told,)
    line = "default folders C:\\VMs, D:\\ -> C:\\New, C:\\New"
    assert text(line) in plan_comment(replace(plan, actions=(write,)), reports.snapshot())


def test_nodes_with_folders_of_their_own_are_told_in_plan_and_status() -> None:
    """`defaultPaths: Report` is of no use where nobody sees it."""
    for tables in (plan_tables(reports.plan()), report_tables(reports.report())):
        (found,) = (table.rows for table in tables if table.title == "Default folders")
        assert found[0][0] == "N2"
        assert "new VMs in C:\\VMs and new disks in C:\\Disks" in found[0][1]


def test_wide_shows_more_and_markdown_shows_all() -> None:
    """Ids and figures do not crowd the everyday table."""
    table = plan_tables(reports.plan())[0]
    assert reports.SQL01 not in as_text(table, Output.TABLE)
    assert reports.SQL01 in as_text(table, Output.WIDE)
    assert reports.SQL01 in as_text(table, Output.MARKDOWN)


def test_names_can_neither_break_a_table_nor_steer_a_terminal() -> None:
    """A VM may be called anything: a pipe stays in its cell, an escape sequence is shown."""
    rows = cells([("a|b\x1b[2J\n", None)])
    assert rows == (("a|b�[2J�", ""),)
    table = Table(columns=("VM", "NOTE"), rows=rows)
    assert "| a&#124;b�&#91;2J� |  |" in as_text(table, Output.MARKDOWN)


STEERS = "Failed\x1b[2J\x1b]0;title\x07\x9b31m"


def test_what_a_node_says_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Its error texts and names stand in sentences, in titles and in the live picture."""
    say(f"not seen: HV01: {STEERS}")
    report = reports.report()
    unseen = Gap(node="N3", reason=GapReason.FAILED, detail=STEERS)
    nodes = (replace(report.nodes[0], name=STEERS), *report.nodes[1:])
    vms = tuple(replace(vm, declared=STEERS, intent=None) for vm in report.vms)
    spoilt = replace(report, gaps=(unseen,), nodes=nodes, vms=vms)
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    sections = cluster_sections(spoilt, 200, {"name:sql01": STEERS})
    console.print(Group(*(part for section in sections for part in section.parts)))
    print(as_text(Table(columns=("A",), rows=(), title=STEERS), Output.TABLE))
    said = capsys.readouterr()
    shown = said.err + said.out + console.file.getvalue()  # type: ignore[attr-defined]
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert shown.count("Failed") >= 4


@pytest.mark.parametrize("reason", ActionReason)
def test_every_action_reason_has_words(reason: ActionReason) -> None:
    """A new reason without a sentence would leave people with an enum."""
    assert len(why(replace(reports.plan().actions[0], reason=reason, because_of="WEB01"))) > 10


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_picture_shows_nodes_moves_and_reasons_at_any_width(width: int) -> None:
    """A narrow terminal stacks the nodes; nothing is left out."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    sections = cluster_sections(reports.report(), width, {"name:sql01": "because"})
    console.print(Group(*(part for section in sections for part in section.parts)))
    picture = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("N1", "N2", "N3", "SQL01", "40%", "WEB01", "no answer", "BIG01", "because"):
        assert word in picture


async def _shown(watch: Watch) -> None:
    await watch.show(reports.report())
    await watch.show(reports.report())


def test_without_a_terminal_each_thing_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A log of the demo is readable: a hold or a progress that did not change is not repeated."""
    import asyncio

    with Watch("note") as watch:
        asyncio.run(_shown(watch))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("note") == 1
    assert err.count("N1 → N2, stage 2 of 3, memory is copied: 40%") == 1
    assert err.count("WEB01 was moved from N1 to N2 by somebody else.") == 2


def test_a_report_shows_every_declared_vm() -> None:
    """Status is a rendering of the report: verdict, owner, declared node, sentence."""
    text = as_text(report_tables(reports.report())[0], Output.TABLE)
    assert "SQL01   Moving" in text
    assert "WEB01   Unregistered   N2      N1" in text
