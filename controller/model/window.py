"""Change windows: recurring times in which changes are allowed or denied."""

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Final


class WindowEffect(StrEnum):
    """What a window does while it is open. Deny outranks Allow."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Five cron fields as sets, by the rules of crontab(5)."""

    minutes: tuple[int, ...]
    """In order."""
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool
    """Both day fields are restricted: then a day that matches either counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWindow:
    """A window that opens by its schedule, in the wall time of its zone."""

    effect: WindowEffect
    cron: Cron
    duration_seconds: int
    zone: tzinfo


_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def parse_cron(line: str) -> Cron:
    """Read five fields. Raises ValueError, which says what is wrong with which field."""
    fields = line.split(" ")
    if len(fields) != 5:
        raise ValueError(f"has {len(fields)} fields, not five")
    minutes = _field(fields[0], "minute", 0, 59)
    hours = _field(fields[1], "hour", 0, 23)
    days = _field(fields[2], "day of month", 1, 31)
    months = _field(fields[3], "month", 1, 12, _MONTHS, first=1)
    weekdays = _field(fields[4], "day of week", 0, 7, _WEEKDAYS)
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        # As crontab(5) has it: a field that starts with * does not restrict.
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )


def _field(
    text: str, what: str, low: int, high: int, names: tuple[str, ...] = (), *, first: int = 0
) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        try:
            start, end = _span(span, low, high, names, first, stepped=bool(step))
            found.update(range(start, end + 1, int(step) if step else 1))
        except ValueError:
            raise ValueError(f"{what}: {part!r} is not within {low} to {high}") from None
    return frozenset(found)


def _span(
    text: str, low: int, high: int, names: tuple[str, ...], first: int, *, stepped: bool
) -> tuple[int, int]:
    if text == "*":
        return low, high
    ends = [
        names.index(end.lower()) + first if end.lower() in names else int(end)
        for end in text.split("-")
    ]
    # A step after a single value runs to the end of the field, as in most crons.
    start, end = ends[0], high if stepped and len(ends) == 1 else ends[-1]
    if len(ends) > 2 or not low <= start <= end <= high:
        raise ValueError
    return start, end
