"""What a cmdlet takes and gives: PowerShell values as plain, immutable Python data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class EnumValue:
    """One member of a .NET enum; `name` is what ToString() gives, commas and all for flags."""

    type_name: str
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class PSObject:
    """One .NET object as a cmdlet wrote it to the pipeline, with its properties at that moment."""

    type_name: str
    properties: Mapping[str, Value]


# GUIDs are lower-case text without braces, as [string]$guid gives them.
Value: TypeAlias = (
    bool
    | int
    | float
    | str
    | datetime
    | timedelta
    | EnumValue
    | PSObject
    | list["Value"]
    | Mapping[str, "Value"]
    | None
)


class CmdletError(Exception):
    """A terminating error as `$_` shows it in a catch block.

    `hresult` is signed, as `$_.Exception.HResult` is. `message` is English here and localised on
    real nodes: nothing may be decided on it.
    """

    def __init__(
        self, *, fqid: str, category: str, exception_type: str, message: str, hresult: int
    ) -> None:
        super().__init__(message)
        self.fqid = fqid
        self.category = category
        self.exception_type = exception_type
        self.message = message
        self.hresult = hresult
