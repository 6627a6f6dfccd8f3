"""The audit's own reading of the change windows, start by start.

The rules are those of docs/guards.md: times are wall times of the window's zone, a start that a
clock change skips is the next minute that exists, one that it doubles counts the first time, Deny
outranks Allow, and where there is no Allow window everything that is not denied is allowed.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from controller.model.window import ChangeWindow, WindowEffect

_MINUTE = timedelta(minutes=1)


def is_open(windows: Sequence[ChangeWindow], at: datetime) -> bool:
    """Whether changes are allowed at that instant."""
    effects = {w.effect for w in windows if any(s <= at < e for s, e in _times(w, at, at))}
    if WindowEffect.DENY in effects:
        return False
    restricted = any(w.effect is WindowEffect.ALLOW for w in windows)
    return not restricted or WindowEffect.ALLOW in effects


def stays_open(windows: Sequence[ChangeWindow], start: datetime, end: datetime) -> bool:
    """Whether changes are allowed from `start` on until right before `end`."""
    turns = {t for w in windows for times in _times(w, start, end) for t in times}
    return all(is_open(windows, at) for at in (start, *sorted(turns)) if start <= at < end)


def _times(
    window: ChangeWindow, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Start and end of every opening that may reach into these times, the latest first."""
    duration = timedelta(seconds=window.duration_seconds)
    day = end.astimezone(window.zone).date() + timedelta(days=1)
    last = (start - duration).astimezone(window.zone).date() - timedelta(days=1)
    while day >= last:
        yield from ((s, s + duration) for s in reversed(_starts(window, day)))
        day -= timedelta(days=1)


@lru_cache(maxsize=512)
def _starts(window: ChangeWindow, day: date) -> tuple[datetime, ...]:
    """When the window opens on that day of its zone, as UTC. Kept: a plan asks often."""
    cron = window.cron
    month_day, week_day = day.day in cron.days, day.isoweekday() % 7 in cron.weekdays
    fits = (month_day or week_day) if cron.either_day else (month_day and week_day)
    if day.month not in cron.months or not fits:
        return ()
    walls = (datetime.combine(day, time(h, m)) for h in sorted(cron.hours) for m in cron.minutes)
    return tuple(_first_instant(wall, window) for wall in walls)


def _first_instant(wall: datetime, window: ChangeWindow) -> datetime:
    instant = wall.replace(tzinfo=window.zone).astimezone(UTC)
    # Python takes a skipped wall time for a later one (PEP 495): back to the end of the gap.
    while (instant - _MINUTE).astimezone(window.zone).replace(tzinfo=None) > wall:
        instant -= _MINUTE
    return instant
