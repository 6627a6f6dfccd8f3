"""The text of one YAML document becomes plain data with the place of each field, or troubles.

Read is the part of YAML that every reader takes the same way, kubectl's YAML 1.1 and YAML 1.2
alike: mappings, lists, text, whole and decimal numbers, true and false. Whatever two readers could
take for two things (`Off`, `12:30`, `0777`, a repeated key) is refused by name, never guessed.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml

FILE_BYTES_MAX = 1024 * 1024
"""About 1,200 placements; larger files are split, so that one bad edit can't cost seconds."""
DEPTH_MAX = 20
"""Our deepest field lies at 6; libyaml itself would follow 20,000 levels."""
NODES_MAX = 10_000
"""Keys, values and containers of one document; ours have about 30."""
TROUBLES_MAX = 50
"""Of one document; nobody reads more, and a hostile file could hold a million."""

Path = tuple[str | int, ...]
Place = tuple[int, int]
"""Line and column, from 1."""

_DOCUMENT_START = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_LEAD = re.compile(rb"(?:(?:---)?[ \t]*(?:#[^\n]*)?\r?\n)*")
_ONLY_COMMENTS = re.compile(r"(?:---)?(?:[ \t]*(?:#[^\n]*)?(?:\n|\Z))*")
# C0 and C1 but tab and line ends; separators that editors show as line ends and YAML may not; marks
# that reorder text on a screen, so that it reads as something it is not; non-characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069"
    "\ufeff\ufffe\uffff]|\r(?!\n)"
)
_INVISIBLE_IN_VALUE = re.compile(_INVISIBLE.pattern.replace("|\r(?!\n)", "|[\t\r]"))

_BIDIRECTIONAL = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_OF_LETTER_ESCAPES = "\0\a\b\t\v\f\r\x1b\x85\u2028\u2029"
"""What a backslash and one letter write in double quotes, as in "C:\\temp" (YAML 1.2, 5.7)."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}", re.ASCII)
_NULLS = frozenset({"", "~", "null"})
_TWO_FACED_BOOLEANS = frozenset({"True", "TRUE", "False", "FALSE", "y", "Y", "n", "N", "no", "No"})
_TWO_FACED_BOOLEANS |= {"yes", "Yes", "YES", "NO", "on", "On", "ON", "off", "Off", "OFF"}
_TWO_FACED_WORDS = _TWO_FACED_BOOLEANS | {"Null", "NULL", "=", "<<"}
# Possessive throughout: a million digits must not be tried in a million ways.
_TWO_FACED_NUMBERS = re.compile(
    r"""[-+]?(?:
        0[0-9_]++ | 0[bB][01_]++ | 0[oO][0-7_]++ | 0[xX][0-9a-fA-F_]++    # other bases
      | [0-9][0-9_]*+(?::[0-5]?[0-9])++(?:\.[0-9_]*+)?                    # base 60: 12:30 is 750
      | (?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9_]++)(?:[eE][-+]?[0-9]++)?  # +1, 1_000, 1e3, .5
      | \.(?:inf|Inf|INF)
    )
    | \.(?:nan|NaN|NAN)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ \t].*)?                   # dates
    """,
    re.ASCII | re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing in the text that is not taken."""

    place: Place
    path: Path
    message: str
    expected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Plain data (dict, list, str, int, float, bool) and where it stands in the file."""

    data: Any
    keys: Mapping[Path, Place]
    """Where a field's name stands."""
    values: Mapping[Path, Place]
    troubles: tuple[Trouble, ...]
    """With any of them the data is not to be used, only to be searched for more faults."""
    is_whole: bool
    """Whether the text was read to its end; otherwise its fields tell nothing."""

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Where the field stands, or else the nearest thing around it that is there."""
        for length in range(len(path), -1, -1):
            place = (self.keys if of_key else self.values).get(path[:length])
            if place is not None:
                return place
        return (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The bytes between two document markers, and the lines before them in the file."""

    raw: bytes
    lines_before: int
    is_last: bool

    @property
    def first_line(self) -> int:
        """The line of the file where its content begins."""
        lead = _LEAD.match(self.raw)
        return self.lines_before + 1 + (lead[0].count(b"\n") if lead else 0)


def split(raw: bytes) -> tuple[Segment, ...]:
    """Cut a file at its `---` lines, so that a fault in one document can't hide another.

    YAML allows no such line inside a document, not even in a block of text, where each line is
    indented (YAML 1.2.2, 9.1.2 "Document Markers").
    """
    starts = [0, *(m.start() for m in _DOCUMENT_START.finditer(raw) if m.start() > 0), len(raw)]
    segments = []
    lines_before = 0
    for start, end in pairwise(starts):
        segments.append(
            Segment(raw=raw[start:end], lines_before=lines_before, is_last=end == len(raw))
        )
        lines_before += raw.count(b"\n", start, end)
    return tuple(segments)


def read(segment: Segment) -> Tree | None:
    """Read one document; None where there are only blanks and comments. Never raises."""
    text = segment.raw.decode("utf-8", errors="replace")
    before = segment.lines_before
    unreadable = _bad_bytes(segment.raw, before) or tuple(_bad_characters(text, before))
    if unreadable:
        return _nothing(unreadable)
    if segment.is_last and segment.raw and not segment.raw.endswith(b"\n"):
        return _nothing((_cut_off(text, before),))
    if _ONLY_COMMENTS.fullmatch(text.replace("\r\n", "\n")):
        return None
    builder = _Builder(lines_before=before)
    is_whole = False
    try:
        builder.build(text)
        is_whole = True
    except _TooMuch:
        pass
    except yaml.MarkedYAMLError as error:
        builder.troubles.append(_syntax(error, text, before))
    except yaml.YAMLError as error:  # a reader error has no place
        builder.trouble((before + 1, 1), (), str(error).splitlines()[0][:120])
    return Tree(
        data=builder.root,
        keys=builder.keys,
        values=builder.values,
        troubles=tuple(builder.troubles[:TROUBLES_MAX]),
        is_whole=is_whole,
    )


def _nothing(troubles: tuple[Trouble, ...]) -> Tree:
    return Tree(data=None, keys={}, values={}, troubles=troubles, is_whole=False)


def plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar is. ValueError if two readers could disagree; None for no value."""
    if text in _NULLS:
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if text in _TWO_FACED_WORDS or _TWO_FACED_NUMBERS.fullmatch(text):
        raise ValueError(text)
    return text


class _TooMuch(Exception):
    """A bound was passed; the rest of the document is not looked at."""


@dataclass(slots=True)
class _Open:
    """A container that is being read."""

    container: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None
    """In a mapping, the key whose value comes next."""
    dropped: int = 0
    """Makes the path of a value unique that is read and not kept (after a repeated key)."""


@dataclass(slots=True)
class _Builder:
    """Builds the data from libyaml's events, in one pass and without recursion."""

    lines_before: int
    root: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    open: list[_Open] = field(default_factory=list)
    nodes: int = 0

    def trouble(self, place: Place, path: Path, message: str, expected: str | None = None) -> None:
        self.troubles.append(Trouble(place=place, path=path, message=message, expected=expected))
        if len(self.troubles) > TROUBLES_MAX:
            raise _TooMuch

    def build(self, text: str) -> None:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            match event:
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self.open.pop()
                case yaml.NodeEvent():
                    self._node(event)

    def _node(self, event: yaml.NodeEvent) -> None:
        place = self._place(event)
        self.nodes += 1
        top = self.open[-1] if self.open else None
        if self.nodes > NODES_MAX or len(self.open) > DEPTH_MAX:
            size = f"{NODES_MAX} values" if self.nodes > NODES_MAX else f"{DEPTH_MAX} levels"
            self.trouble(place, top.path if top else (), f"has more than {size}")
            raise _TooMuch
        if top is not None and isinstance(top.container, dict) and top.key is None:
            self._key(event, top, place)
            return
        path = self._path(top)
        self.values[path] = place
        self._no_tricks(event, path, place)
        match event:
            case yaml.ScalarEvent():
                self._put(top, self._scalar(event, path, place))
            case yaml.MappingStartEvent():
                self.open.append(_Open(container={}, path=path))
                self._put(top, self.open[-1].container)
            case yaml.SequenceStartEvent():
                self.open.append(_Open(container=[], path=path))
                self._put(top, self.open[-1].container)
            case _:
                self._put(top, None)

    def _key(self, event: yaml.NodeEvent, top: _Open, place: Place) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            self.trouble(place, top.path, "a field's name must be text")
            raise _TooMuch
        self._no_tricks(event, top.path, place)
        name = event.value
        if event.style == "" and name == "<<":
            self.trouble(place, top.path, "merge key `<<` is not taken", "the fields written out")
        elif event.style == "" and not _is_text(name):
            self.trouble(place, top.path, f"field name {name!r} is not text", f"'{name}' in quotes")
        elif name in top.container:
            first = self.keys[(*top.path, name)]
            self.trouble(
                place, (*top.path, name), f"is given twice, first in line {first[0]}", "it once"
            )
            top.dropped += 1
            name = f"{name}\0{top.dropped}"
        self._visible(name.split("\0")[0], event, (*top.path, name), place)
        top.key = name
        self.keys[(*top.path, name)] = place

    def _path(self, top: _Open | None) -> Path:
        if top is None:
            return ()
        if isinstance(top.container, list):
            return (*top.path, len(top.container))
        assert top.key is not None
        return (*top.path, top.key)

    def _put(self, top: _Open | None, value: Any) -> None:
        if top is None:
            self.root = value
        elif isinstance(top.container, list):
            top.container.append(value)
        else:
            assert top.key is not None
            if "\0" not in top.key:
                top.container[top.key] = value
            top.key = None

    def _scalar(self, event: yaml.ScalarEvent, path: Path, place: Place) -> Any:
        text: str = event.value
        self._visible(text, event, path, place)
        if event.style != "":
            return text
        try:
            value = plain_value(text)
        except ValueError:
            message = f"{text[:40]} means different things to different YAML readers"
            expected = f"'{text[:40]}' in quotes if it is text"
            if text in _TWO_FACED_BOOLEANS:
                expected = f"true or false, or {expected}"
            self.trouble(place, path, message, expected)
            return text
        if value is None:
            self.trouble(place, path, "has no value", "a value, or no such line")
            return ""
        return value

    def _visible(self, text: str, event: yaml.ScalarEvent, path: Path, place: Place) -> None:
        found = _INVISIBLE_IN_VALUE.search(text)
        newline = "\n" in text and event.style == '"'
        if found is None and not newline:
            return
        code = f"U+{ord(found[0]) if found else 10:04X}"
        hint = "no invisible characters, nor an escape that writes one"
        if event.style == '"' and (found is None or found[0] in _OF_LETTER_ESCAPES):
            hint = "single quotes around a Windows path: in double quotes a backslash is an escape"
        what = ", which reorders what is shown" if found and found[0] in _BIDIRECTIONAL else ""
        self.trouble(place, path, f"holds the invisible character {code}{what}", hint)

    def _no_tricks(self, event: yaml.NodeEvent, path: Path, place: Place) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.trouble(
                place, path, f"alias *{str(event.anchor)[:40]} is not taken", "it written out"
            )
        elif event.anchor is not None:
            self.trouble(place, path, f"anchor &{event.anchor[:40]} is not taken", "no anchor")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.trouble(place, path, f"tag {tag[:60]} is not taken", "no tag")

    def _place(self, event: yaml.Event) -> Place:
        assert event.start_mark is not None  # libyaml marks every event
        return (self.lines_before + event.start_mark.line + 1, event.start_mark.column + 1)


def _is_text(scalar: str) -> bool:
    try:
        return isinstance(plain_value(scalar), str)
    except ValueError:
        return False


def _bad_bytes(raw: bytes, before: int) -> tuple[Trouble, ...]:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        start = raw.rfind(b"\n", 0, error.start) + 1
        line = before + raw.count(b"\n", 0, error.start) + 1
        column = len(raw[start : error.start].decode("utf-8", errors="replace")) + 1
        return (
            Trouble(
                place=(line, column),
                path=(),
                message=f"byte 0x{raw[error.start]:02X} is not UTF-8",
                expected="the file saved as UTF-8",
            ),
        )
    return ()


def _cut_off(text: str, before: int) -> Trouble:
    """Editors end a file with a line end; a copy that broke off in most cases does not."""
    return Trouble(
        place=(before + text.count("\n") + 1, len(text) - text.rfind("\n")),
        path=(),
        message="the file ends within a line, as one does that is cut off",
        expected="a line end after the last line",
    )


def _bad_characters(text: str, before: int) -> Iterator[Trouble]:
    line_starts = [0, *(m.end() for m in re.finditer("\n", text))]
    for count, found in enumerate(_INVISIBLE.finditer(text)):
        if count == TROUBLES_MAX:
            return
        line = bisect_right(line_starts, found.start())
        yield Trouble(
            place=(before + line, found.start() - line_starts[line - 1] + 1),
            path=(),
            message=f"invisible character U+{ord(found[0]):04X}",
            expected="visible characters, blanks and line ends",
        )


# libyaml's words for the faults that people make most, in their own.
_PLAIN_WORDS = {
    "found unknown escape character": (
        "a backslash in double quotes begins an escape",
        "single quotes around a Windows path",
    ),
    "mapping values are not allowed in this context": (
        "a second `: ` in this line, or a wrong indentation",
        "one field a line, quotes around a value with `: ` in it",
    ),
    "found character that cannot start any token": (
        "a value can't begin with this character",
        "blanks to indent, not tabs; quotes around a value that begins with @, ` or %",
    ),
    "did not find expected key": (
        "the indentation does not fit the lines above",
        "fields of one mapping in one column",
    ),
    "did not find expected <document start>": (
        "goes on after its end",
        "`---` before another document",
    ),
    "found unexpected end of stream": ("a quote is not closed", "the closing quote"),
}


def _syntax(error: yaml.MarkedYAMLError, text: str, before: int) -> Trouble:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "is not YAML"
    message, expected = _PLAIN_WORDS.get(problem, (problem, None))
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    if problem == "found unknown escape character":
        lines = text.splitlines()
        quoted = re.search(r'"([A-Za-z]:\\[^"]*)"', lines[line] if line < len(lines) else "")
        if quoted:
            expected = f"single quotes: '{quoted[1]}'"
    return Trouble(
        place=(before + line + 1, column + 1), path=(), message=message, expected=expected
    )
