"""Plain values out of the objects that cmdlets write, as the agent's scripts take them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from controller.simulator.values import EnumValue, PSObject, Value

_MARK = re.compile(
    r"ownernode:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:(?:creating|created))", re.IGNORECASE
)

Data = dict[str, Any]
Run = Callable[..., list[PSObject]]
"""Runs a cmdlet on the node and gives the objects that it writes."""


def text_of(item: PSObject, name: str) -> str:
    value = item.properties[name]
    assert isinstance(value, str), f"{item.type_name}.{name} is no text"
    return value


def text_or_none(item: PSObject, name: str) -> str | None:
    value = item.properties[name]
    return value if isinstance(value, str) and value else None


def as_text(value: Value) -> str | None:
    """Any value as text, nothing as None: whoever sets a flag by hand may well write a 1."""
    return None if value is None or value == "" else str(value)


def number_of(item: PSObject, name: str) -> int:
    value = item.properties[name]
    if isinstance(value, EnumValue):
        return value.number
    assert isinstance(value, int), f"{item.type_name}.{name} is no number"
    return value


def flags_of(item: PSObject, name: str) -> int:
    """Flags without their sign: some of these enums are signed and use the highest bit."""
    return number_of(item, name) & 0xFFFFFFFF


def items_of(item: PSObject, name: str) -> list[PSObject]:
    values = item.properties[name]
    assert isinstance(values, list)
    return [value for value in values if isinstance(value, PSObject)]


def object_of(item: PSObject, name: str) -> PSObject:
    value = item.properties[name]
    assert isinstance(value, PSObject)
    return value


def name_of(value: Value) -> str | None:
    """The name of a linked object, which some versions of Windows give as text."""
    return text_of(value, "Name") if isinstance(value, PSObject) else str(value) if value else None


def owner_of(group: PSObject) -> str | None:
    return name_of(group.properties["OwnerNode"])


def ordered(entries: Iterable[Data], *fields: str) -> list[Data]:
    """Ordinal order of the fields, missing values as empty text."""

    def key(entry: Data) -> str:
        return "\0".join("" if entry[f] is None else str(entry[f]) for f in fields)

    return sorted(entries, key=key)


def mark_of(vm: PSObject) -> str | None:
    """The mark of our own creation, wherever it stands among what people wrote into the notes."""
    mark = _MARK.search(text_of(vm, "Notes"))
    return mark[1].lower() if mark else None
