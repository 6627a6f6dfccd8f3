"""Sizes, durations, shares and shaped texts as people write them, read without any guessing.

Each class below goes into `Annotated[...]` of a spec model: the model holds a number in the unit
that its field name ends with, documents and schemas hold the text (`8Gi`, `10m`, `10%`).
"""

import re
from dataclasses import dataclass
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_SIZE_UNITS = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
_DURATION_UNITS = {"h": 3600, "m": 60, "s": 1}
SIZE_PATTERN = "[1-9][0-9]{0,8}(Ki|Mi|Gi|Ti)"
# Go's notation, as all of Kubernetes writes it, to whole seconds: nothing here is finer.
DURATION_PATTERN = "([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?"
PERCENT_PATTERN = "(0|[1-9][0-9]?|100)%"


def misfit(expected: str, message: str = "is not of the right form") -> PydanticCustomError:
    """The error of a text that does not fit; `expected` says in words what would."""
    return PydanticCustomError("misfit", "{message}", {"message": message, "expected": expected})


def format_size(size_bytes: int) -> str:
    """`8Gi` for 8589934592: the largest unit without a rest."""
    for unit, factor in reversed(_SIZE_UNITS.items()):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


def format_duration(seconds: int) -> str:
    """`1h30m` for 5400, `0s` for 0."""
    parts = []
    for unit, factor in _DURATION_UNITS.items():
        count, seconds = divmod(seconds, factor)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int | None:
    """Bytes of `8Gi`; None when the text is not a size. Decimal units do not exist in Hyper-V."""
    if not re.fullmatch(SIZE_PATTERN, text, re.ASCII):
        return None
    return int(text[:-2]) * _SIZE_UNITS[text[-2:]]


def parse_duration(text: str) -> int | None:
    """Seconds of `1h30m`; None when the text is not a duration."""
    if not text or not re.fullmatch(DURATION_PATTERN, text, re.ASCII):
        return None
    parts = re.findall("([0-9]+)([hms])", text, re.ASCII)
    return sum(int(count) * _DURATION_UNITS[unit] for count, unit in parts)


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, written with a binary unit: `512Mi`, `8Gi`."""

    minimum_bytes: int
    maximum_bytes: int

    def parse(self, text: str) -> int:
        """Bytes of the text, within the bounds."""
        size_bytes = parse_size(text)
        if size_bytes is None or not self.minimum_bytes <= size_bytes <= self.maximum_bytes:
            raise misfit(
                f"a size from {format_size(self.minimum_bytes)} to "
                f"{format_size(self.maximum_bytes)}, such as 8Gi (units Ki, Mi, Gi, Ti)"
            )
        return size_bytes

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return _parsed(self.parse, format_size)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{SIZE_PATTERN}$", "maxLength": 11}


@dataclass(frozen=True, slots=True)
class Duration:
    """A whole number of seconds, written `90s`, `10m` or `1h30m`."""

    minimum_seconds: int
    maximum_seconds: int

    def parse(self, text: str) -> int:
        """Seconds of the text, within the bounds."""
        seconds = parse_duration(text)
        if seconds is None or not self.minimum_seconds <= seconds <= self.maximum_seconds:
            raise misfit(
                f"a duration from {format_duration(self.minimum_seconds)} to "
                f"{format_duration(self.maximum_seconds)}, such as 90s, 10m or 1h30m"
            )
        return seconds

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return _parsed(self.parse, format_duration)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        low, high = format_duration(self.minimum_seconds), format_duration(self.maximum_seconds)
        return {
            "type": "string",
            "pattern": f"^{DURATION_PATTERN}$",
            "minLength": 2,
            "maxLength": 21,
            "x-kubernetes-validations": [
                {
                    "rule": f"duration(self) >= duration('{low}') && "
                    f"duration(self) <= duration('{high}')",
                    "message": f"must be a duration from {low} to {high}",
                }
            ],
        }


@dataclass(frozen=True, slots=True)
class Percent:
    """A whole percentage, written `10%`; the model holds the number before the sign."""

    def parse(self, text: str) -> int:
        """The number before the sign."""
        if not re.fullmatch(PERCENT_PATTERN, text, re.ASCII):
            raise misfit("a whole percentage from 0% to 100%")
        return int(text[:-1])

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return _parsed(self.parse, lambda percent: f"{percent}%")

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{PERCENT_PATTERN}$", "maxLength": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReserve:
    """Memory to keep free on each node: a share of its memory, or a size. One of both is None."""

    percent: int | None = None
    size_bytes: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10%` or `8Gi`."""
        if re.fullmatch(PERCENT_PATTERN, text, re.ASCII):
            return cls(percent=int(text[:-1]))
        size_bytes = parse_size(text)
        if size_bytes is None:
            raise misfit("a percentage such as 10%, or a size such as 8Gi")
        return cls(size_bytes=size_bytes)

    def __str__(self) -> str:
        return f"{self.percent}%" if self.size_bytes is None else format_size(self.size_bytes)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return _parsed(cls.parse, str)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        pattern = f"^({PERCENT_PATTERN}|{SIZE_PATTERN})$"
        return {"type": "string", "pattern": pattern, "maxLength": 11}


@dataclass(frozen=True, slots=True)
class Text:
    """A text of one shape. The pattern is the subset that Python, RE2 and JSON Schema share."""

    pattern: str
    expected: str
    length_max: int

    def parse(self, text: str) -> str:
        """The text itself, if it fits as a whole (`fullmatch`: `$` would let a newline pass)."""
        if len(text) > self.length_max or not re.fullmatch(self.pattern, text, re.ASCII):
            raise misfit(self.expected)
        return text

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return _parsed(self.parse, str)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "string",
            "pattern": f"^(?:{self.pattern})$",
            "maxLength": self.length_max,
        }


def _parsed(parse: Any, render: Any) -> CoreSchema:
    """Strictly a text outside, `parse` of it inside, `render` on the way out."""
    return core_schema.no_info_after_validator_function(
        parse,
        core_schema.str_schema(strict=True),
        serialization=core_schema.plain_serializer_function_ser_schema(render),
    )
