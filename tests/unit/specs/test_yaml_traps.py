"""What people type and YAML readers take for something else: exact, or refused by name."""

import pytest
import yaml

from controller.adapters.specs import yaml_text
from tests.unit.specs.writing import read, said, small

# A VM's name as typed -> what the name is, or None where two readers could disagree.
NAMES: tuple[tuple[str, str | None], ...] = (
    ("no", None),
    ("No", None),
    ("NO", None),
    ("yes", None),
    ("Yes", None),
    ("y", None),
    ("N", None),
    ("on", None),
    ("Off", None),
    ("OFF", None),
    ("True", None),
    ("TRUE", None),
    ("False", None),
    ("true", None),
    ("false", None),
    ("null", None),
    ("Null", None),
    ("NULL", None),
    ("~", None),
    ("", None),
    ("12", None),
    ("-1", None),
    ("+12", None),
    ("0", None),
    ("-0", None),
    ("010", None),
    ("08", None),
    ("0777", None),
    ("0o17", None),
    ("0x1F", None),
    ("0b11", None),
    ("1_000", None),
    ("12:30", None),
    ("12:30:45", None),
    ("190:20:30", None),
    ("1.5", None),
    ("1.", None),
    (".5", None),
    ("1e3", None),
    ("12e03", None),
    ("1.0E+2", None),
    (".inf", None),
    ("-.INF", None),
    (".nan", None),
    (".NaN", None),
    ("2025-01-02", None),
    ("2025-1-2", None),
    ("2025-01-02T03:04:05Z", None),
    ("2025-01-02 03:04:05", None),
    ("=", None),
    ("<<", None),
    ("99999999999999999999", None),
    ("!!str 12", None),
    ("!x web", None),
    ("! web", None),
    ("&a web", None),
    ("*a", None),
    ("[web]", None),
    ("{web: 1}", None),
    ("'web ", None),
    ('"web\\u0007"', None),
    ('"web\\t1"', None),
    ("'12'", "12"),
    ('"no"', "no"),
    ("'0777'", "0777"),
    ("'2025-01-02'", "2025-01-02"),
    ("web01", "web01"),
    ("1.2.3", "1.2.3"),
    ("12e", "12e"),
    ("0x1G", "0x1G"),
    ("norway", "norway"),
    ("Onyx", "Onyx"),
    ("2025-W01", "2025-W01"),
    ("web 01", "web 01"),
    ("web01 # the old one", "web01"),
    ('"web\\x30"', "web0"),
    ("web01  ", "web01"),
)


@pytest.mark.parametrize(("typed", "meant"), NAMES)
def test_name_is_exact_or_refused(typed: str, meant: str | None) -> None:
    """No value changes its type or its letters on the way in."""
    text = small("a").replace("{name: A}", f"\n    name: {typed}")
    reading = read(text)
    if meant is None:
        assert reading.documents == ()
        assert [f.path for f in reading.findings if f.path] in ([], ["spec.vm.name"], ["spec.vm"])
        assert reading.findings
    else:
        assert reading.findings == ()
        assert reading.documents[0].model.model_dump()["spec"]["vm"]["name"] == meant


def test_table_is_as_long_as_promised() -> None:
    """At least 60 of the traps are typed ones that a common reader falls into."""
    assert len([meant for _, meant in NAMES if meant is None]) >= 60


def test_ambiguous_word_says_what_to_write() -> None:
    """The message names both ways out."""
    assert said(small("a", "suspend: Off")) == (
        (
            "a.yaml:7:12: spec.suspend: Off means different things to different YAML readers "
            "(expected true or false, or 'Off' in quotes if it is text)"
        ),
    )


def test_repeated_field_is_refused_with_both_places() -> None:
    """PyYAML keeps the last silently: a pasted block would win over the one being read."""
    assert said(small("a", "suspend: true", "suspend: false")) == (
        "a.yaml:8:3: spec.suspend: is given twice, first in line 7 (expected it once)",
    )


def test_repeated_block_is_one_finding() -> None:
    """What stands below a repeated field is read for faults of its own and never used."""
    text = small("a", "owners: {preferred: [HV01]}", "owners: {preferred: [HV02], possible: []}")
    assert said(text) == (
        "a.yaml:8:3: spec.owners: is given twice, first in line 7 (expected it once)",
    )


def test_alias_and_merge_are_refused() -> None:
    """A bomb of aliases has no size on paper; so there are none."""
    text = small("a", "owners: &o {preferred: [HV01]}", "migration: *o", "template: {<<: {}}")
    assert said(text)[:3] == (
        "a.yaml:7:11: spec.owners: anchor &o is not taken (expected no anchor)",
        "a.yaml:8:14: spec.migration: alias *o is not taken (expected it written out)",
        "a.yaml:9:14: spec.template: merge key `<<` is not taken (expected the fields written out)",
    )


def test_double_quoted_windows_path_gets_the_hint() -> None:
    """The most common mistake in these files, told with the line as it should be."""
    text = small("a", 'template: {location: "C:\\ClusterStorage\\Volume1"}')
    assert said(text) == (
        (
            "a.yaml:7:27: a backslash in double quotes begins an escape "
            "(expected single quotes: 'C:\\ClusterStorage\\Volume1')"
        ),
    )


def test_double_quoted_path_that_parses_gets_the_hint_too() -> None:
    r"""`"C:\new"` is a path with a line end in it to YAML."""
    text = small("a", 'template: {location: "C:\\new"}')
    (found,) = (finding for finding in said(text) if "template.location" in finding)
    assert found == (
        "a.yaml:7:24: spec.template.location: holds the invisible character U+000A "
        "(expected single quotes around a Windows path: in double quotes a backslash is an escape)"
    )


@pytest.mark.parametrize("escape", ["\\u202E", "\\u2066", "\\u0001", "\\uFEFF"])
def test_escape_that_writes_an_invisible_character_gets_its_own_reason(escape: str) -> None:
    """`"SQL\\u202E10"` is a name that reads as another, and no Windows path."""
    text = small("a", f'template: {{location: "SQL{escape}10"}}')
    (found,) = (finding for finding in said(text) if "template.location" in finding)
    code = escape.removeprefix("\\u")
    what = ", which reorders what is shown" if code in ("202E", "2066") else ""
    assert found == (
        f"a.yaml:7:24: spec.template.location: holds the invisible character U+{code}{what} "
        "(expected no invisible characters, nor an escape that writes one)"
    )


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\xff\xfea\x00", "a.yaml:0:0: is UTF-16 (expected the file saved as UTF-8)"),
        (b"a: 1\nb: caf\xe9\n", "a.yaml:2:7: byte 0xE9 is not UTF-8"),
        (b"a: \x00\n", "a.yaml:1:4: invisible character U+0000"),
        (b"a: \x1b[31m\n", "a.yaml:1:4: invisible character U+001B"),
        ("a: x\u202eb\n".encode(), "a.yaml:1:5: invisible character U+202E"),
        ("a: x # \u2066hidden\n".encode(), "a.yaml:1:8: invisible character U+2066"),
        (b"a: 1\rb: 2\n", "a.yaml:1:5: invisible character U+000D"),
        (b"a: 1\nb: 2", "a.yaml:2:5: the file ends within a line"),
        (b"", "a.yaml:0:0: holds no document"),
        (b"# nothing\n---\n---\n", "a.yaml:0:0: holds no document"),
        (b"a: [\n", "a.yaml:2:1: "),
        (b"\ta: 1\n", "a.yaml:1:1: a value can't begin with this character"),
        (b"a: b: c\n", "a.yaml:1:5: a second `: ` in this line"),
        (b"%TAG ! tag:x,2000:\n---\na: 1\n", "a.yaml:"),
        (b"a: 1\n...\nb: 2\n", "a.yaml:3:1: goes on after its end (expected `---` before another"),
        (b"? [a]\n: 1\n", "a.yaml:1:3: a field's name must be text"),
        (b"1: a\n", "a.yaml:1:1: field name '1' is not text"),
        (b"on: a\n", "a.yaml:1:1: field name 'on' is not text"),
        (b"hello\n", "a.yaml:1:1: is no mapping"),
        (b"null\n", "a.yaml:1:1: has no value"),
        (b"- a\n", "a.yaml:1:1: is no mapping"),
        (b"a: 1\n", "a.yaml:1:1: kind: is missing"),
        (b"[" * 100_000 + b"\n", "a.yaml:1:"),
        (b"{a: " * 30 + b"\n", "a.yaml:1:"),
        (b"a: [" + b"x," * 20_000 + b"]\n", "a.yaml:1:"),
        (b"a" * (1024 * 1024 + 1), "a.yaml:0:0: has 1048577 bytes (expected at most 1048576"),
        (b"---\na: 1\n" * 2_001, "a.yaml:0:0: has too many documents (expected at most 2000"),
    ],
)
def test_unreadable_text_is_told_with_its_place(raw: bytes, message: str) -> None:
    """Each class of bad input has its line, its column and its reason."""
    assert said(raw)[0].startswith(message)


def test_windows_line_ends_and_byte_order_mark_are_read() -> None:
    """Notepad writes both; the columns stay those that an editor shows."""
    text = b"\xef\xbb\xbf" + small("a", "suspent: true").replace("\n", "\r\n").encode()
    assert said(text) == ("a.yaml:7:3: spec.suspent: is not a field here; did you mean 'suspend'?",)


def test_bombs_end_quickly() -> None:
    """A hostile file costs no more than a large honest one: bounded events, linear patterns."""
    bombs = (
        "a: " + "1" * 400_000 + "x\n",
        "a: " + "1:1" * 200_000 + "x\n",
        "a: " + "1_" * 400_000 + "\n",
        "a: 0x" + "f" * 900_000 + "g\n",
        "a: &a [x]\nb: [" + "*a," * 300_000 + "]\n",
        "".join(f"{' ' * depth}a:\n" for depth in range(1_300)),
    )
    for bomb in bombs:
        assert read(bomb).documents == ()


def test_document_marker_is_where_libyaml_sees_it() -> None:
    """Cutting at `---` lines finds the documents that YAML finds, blocks of text included."""
    text = "a: |\n  x\n  ---\n  y\n---\nb: ' ---'\n--- # c\nc: 1\n---\t\n'd---': 1\n"
    segments = yaml_text.split(text.encode())
    ours = [yaml.load(segment.raw, yaml.CSafeLoader) for segment in segments]
    assert ours == list(yaml.load_all(text, yaml.CSafeLoader))
    assert [segment.first_line for segment in segments] == [1, 6, 8, 10]
