"""What a model finds wrong with a document, in words: field, fault, and what was expected there.

Where the field stands in a text is for whoever read the text to add.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.model.schemas import schema_of
from controller.model.spec import KINDS, Contradiction, Resource
from controller.model.spec.support import not_yet

Path = tuple[str | int, ...]

FAULTS_MAX = 50
"""Of one document: more help nobody."""
_SHOWN_MAX = 60
"""Characters of a bad value that a fault repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of one field. Its texts repeat what somebody wrote: see `printable`."""

    path: Path
    message: str
    expected: str | None = None
    suggestion: str | None = None
    of_key: bool = False
    """Whether it is the field's name that is wrong, not its value."""


def judge(kind: str, data: Mapping[str, Any]) -> tuple[Resource | None, tuple[Fault, ...]]:
    """The model of a document of a known kind, or every fault of its fields."""
    faults = [_contradicted(found, found.at) for found in not_yet(kind, data)]
    model: Resource | None = None
    try:
        # By way of JSON, where strict models take lists for tuples and nothing else for another.
        model = KINDS[kind].model_validate_json(json.dumps(data))
    except ValidationError as error:
        faults.extend(_faults(kind, error))
    return (None if faults else model), tuple(faults)


def path_text(path: Path) -> str:
    """`spec.owners.preferred[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if part.replace("-", "").isalnum() else f"[{_shown(part)}]"
    return text.removeprefix(".")


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that was probably meant."""
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word[:_SHOWN_MAX].lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def printable(text: str) -> str:
    """The text with every character that a terminal would not show written as its number."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text)


def _faults(kind: str, error: ValidationError) -> Iterator[Fault]:
    """A fault for each that the kind's model found, in the order of the fields."""
    for detail in error.errors(include_url=False)[:FAULTS_MAX]:
        if _is_echo(detail):
            continue
        if detail["type"] == "contradictions":
            for found in detail["ctx"]["found"]:
                yield _contradicted(found, ("spec", *found.at))
        else:
            yield _fault(kind, detail)


def _contradicted(found: Contradiction, at: Path) -> Fault:
    return Fault(path=at, message=found.message, expected=found.expected)


def _is_echo(detail: ErrorDetails) -> bool:
    """Whether a list only seems too short, because pydantic does not count its bad entries."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _fault(kind: str, detail: ErrorDetails) -> Fault:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    message, expected, suggestion = _words(kind, path, detail)
    return Fault(
        path=path,
        message=message,
        expected=expected,
        suggestion=suggestion,
        of_key=detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",),
    )


def _words(kind: str, path: Path, detail: ErrorDetails) -> tuple[str, str | None, str | None]:
    """Message, what was expected, and what was probably meant."""
    value: Any = detail["input"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    schema = _schema_at(kind, path)
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_field(kind, path)
        case "missing":
            return "is missing", _described(schema), None
        case "misfit":
            return f"{_shown(value)} {context['message']}", context["expected"], None
        case "literal_error":
            known = tuple(str(word) for word in schema.get("enum", (schema.get("const"),)))
            return (
                f"{_shown(value)} is not known here",
                " or ".join(known),
                nearest(str(value), known),
            )
        case "greater_than_equal" | "less_than_equal":
            bounds = f"{schema.get('minimum')} to {schema.get('maximum')}"
            return f"{_shown(value)} is out of range", bounds, None
        case "too_short" | "too_long":
            low = schema.get("minItems", 0)
            high = schema.get("maxItems", schema.get("maxProperties"))
            return f"has {len(value)} entries", f"{low} to {high}", None
        case _:
            return f"is {_type_of(value)}", _expected_type(schema, value), None


def _unknown_field(kind: str, path: Path) -> tuple[str, str | None, str | None]:
    name = str(path[-1])
    here = tuple(_schema_at(kind, path[:-1]).get("properties", {}))
    close = nearest(name, here)
    if close is not None:
        return "is not a field here", None, close
    elsewhere = [p for p in _all_fields(kind) if p.rsplit(".", 1)[-1].lower() == name.lower()]
    if elsewhere:
        return "is not a field here", f"it at {' or '.join(elsewhere)}", None
    return "is not a field here", f"one of {', '.join(here)}" if here else None, None


@cache
def _schema(kind: str) -> dict[str, Any]:
    return schema_of(kind)


def _schema_at(kind: str, path: Path) -> dict[str, Any]:
    """The schema of the field at that path, empty where there is none."""
    schema: dict[str, Any] = _schema(kind)
    for part in path:
        if isinstance(part, int):
            schema = schema.get("items", {})
        elif part in schema.get("properties", {}):
            schema = schema["properties"][part]
        else:
            schema = next(iter(schema.get("patternProperties", {}).values()), {})
    return schema


@cache
def _all_fields(kind: str) -> tuple[str, ...]:
    def walk(schema: dict[str, Any], path: str) -> Iterator[str]:
        for name, part in schema.get("properties", {}).items():
            yield f"{path}{name}"
            yield from walk(part, f"{path}{name}.")
            yield from walk(part.get("items", {}), f"{path}{name}[].")

    return tuple(walk(_schema(kind), ""))


def _described(schema: dict[str, Any]) -> str | None:
    description = schema.get("description")
    return str(description).rstrip(".") if description else None


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {_shown(value)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _expected_type(schema: dict[str, Any], value: Any) -> str | None:
    match schema.get("type"):
        case "string" if isinstance(value, bool | int | float):
            return f"text: put it in quotes, '{str(value).lower()}'"
        case "string":
            return "text"
        case "integer":
            return "a whole number without quotes"
        case "boolean":
            return "true or false without quotes"
        case "array":
            return "a list, such as [a, b]"
        case "object":
            names = ", ".join(schema.get("properties", {}))
            return f"a mapping with {names}" if names else "a mapping of names to text"
        case _:
            return None


def _shown(value: Any) -> str:
    text = str(value)
    return f"'{text[:_SHOWN_MAX]}…'" if len(text) > _SHOWN_MAX else f"'{text}'"
