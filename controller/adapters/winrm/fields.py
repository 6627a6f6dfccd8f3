"""The JSON of a node's reply, read field by field; whatever does not fit is ProtocolBroken."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from controller.adapters.winrm.frames import shown
from controller.errors import ProtocolBroken

T = TypeVar("T")

_TEXT_CHARACTERS_MAX = 4096
"""Longer than any path that Hyper-V takes."""
_NUMBER_MAX = 2**64
_LIST_MAX = 20_000
"""Above the 8,000 VMs that a cluster may hold (Microsoft docs, Hyper-V scale limits)."""
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NODE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,13}[A-Za-z0-9])?")
"""As specs spell it: NetBIOS and DNS both take it (Microsoft docs, Naming conventions in AD). Nodes
are connected to by the name that others report, so it must not be a host of another domain."""


class Repeats:
    """What was read last, so that the same said again need not be read again.

    All nodes say the same of one another, two of them of all roles, and a role says twice who may
    own it. Equal JSON is read as equal facts: whoever says it, and each time.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[list[Any], tuple[Any, ...]]] = {}

    def read(
        self, name: str, said: list[Any], reading: Callable[[list[Any]], tuple[T, ...]]
    ) -> tuple[T, ...]:
        """What is read of it, now or before."""
        last = self._last.get(name)
        if last is None or last[0] != said:
            last = self._last[name] = said, reading(said)
        return last[1]


class Part:
    """One JSON object of a reply, read field by field; whatever does not fit is ProtocolBroken."""

    __slots__ = ("_fields", "_place", "_repeats")

    def __init__(self, value: Any, place: str, repeats: Repeats) -> None:
        self._place = place
        self._repeats = repeats
        if not isinstance(value, dict):
            raise ProtocolBroken(f"{place} is {type(value).__name__}, not an object")
        self._fields: dict[str, Any] = value

    def broken(self, name: str) -> ProtocolBroken:
        """What to raise of a field that does not fit."""
        found = repr(self._fields.get(name, "missing"))[:80]
        return ProtocolBroken(f"{self._place}.{name} is not as documented: {found}")

    def text(self, name: str) -> str:
        text = self.optional_text(name)
        if not text:
            raise self.broken(name)
        return text

    def optional_text(self, name: str) -> str | None:
        """A text without control characters, which no name or path of Windows holds."""
        value = self._given(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > _TEXT_CHARACTERS_MAX:
            raise self.broken(name)
        return shown(value)

    def node_name(self, name: str) -> str:
        """A node's name in the cluster, without a domain."""
        value = self._fields.get(name)
        if not isinstance(value, str) or not _NODE_NAME.fullmatch(value):
            raise self.broken(name)
        return value

    def guid(self, name: str) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str) or not _GUID.fullmatch(value):
            raise self.broken(name)
        return value

    def optional_guid(self, name: str) -> str | None:
        return None if self._given(name) is None else self.guid(name)

    def number(self, name: str, *, least: int = 0) -> int:
        value = self._fields.get(name)
        if type(value) is not int or not least <= value < _NUMBER_MAX:
            raise self.broken(name)
        return value

    def optional_number(self, name: str) -> int | None:
        return None if self._given(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise self.broken(name)
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        values = self._list(name)
        if not all(type(value) is int for value in values):
            raise self.broken(name)
        return tuple(values)

    def texts(self, name: str) -> tuple[str, ...]:
        def reading(values: list[Any]) -> tuple[str, ...]:
            if not all(isinstance(v, str) and 0 < len(v) <= _TEXT_CHARACTERS_MAX for v in values):
                raise self.broken(name)
            return tuple(shown(value) for value in values)

        return self._repeats.read(name, self._list(name), reading)

    def part(self, name: str) -> "Part":
        return Part(self._given(name), f"{self._place}.{name}", self._repeats)

    def optional_part(self, name: str) -> "Part | None":
        return None if self._given(name) is None else self.part(name)

    def parts(self, name: str) -> tuple["Part", ...]:
        place = f"{self._place}.{name}[]"
        return tuple(Part(value, place, self._repeats) for value in self._list(name))

    def repeated_parts(self, name: str, reading: Callable[["Part"], T]) -> tuple[T, ...]:
        """The objects of a list that others say too, each read."""
        return self._repeats.read(
            f"{self._place}.{name}",
            self._list(name),
            lambda _: tuple(reading(part) for part in self.parts(name)),
        )

    def _list(self, name: str) -> list[Any]:
        value = self._fields.get(name)
        if not isinstance(value, list) or len(value) > _LIST_MAX:
            raise self.broken(name)
        return value

    def _given(self, name: str) -> Any:
        """A field that may be null, but not be missing."""
        try:
            return self._fields[name]
        except KeyError:
            raise self.broken(name) from None
