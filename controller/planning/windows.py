"""When changes may start: Allow and Deny windows, in the wall time of their zones.

A start that a clock change skips is the next minute that exists; a start that it doubles counts
once, the first time. Deny outranks Allow. With no Allow window, what is not denied is allowed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from controller.model.window import ChangeWindow, WindowEffect

HORIZON: Final = timedelta(days=40)
"""Changes of what is allowed are told so long before: windows of each month, not of each year."""
EVENTS_MAX: Final = 64
"""Openings and ends looked at for one answer; windows that touch one another make one long one."""
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Whether changes may start, and when that changes; `until` None: not within `HORIZON`."""

    is_open: bool = True
    until: datetime | None = None


def opening(windows: Sequence[ChangeWindow], now: datetime) -> Opening:
    """What the windows say at `now`.

    `until` may be too early where many windows touch one another, never too late.
    """
    is_open, at = _is_open(windows, now), now
    for _ in range(EVENTS_MAX):
        at = min(_events(windows, at), default=datetime.max.replace(tzinfo=UTC))
        if at > now + HORIZON:
            return Opening(is_open=is_open)
        if _is_open(windows, at) is not is_open:
            break
    return Opening(is_open=is_open, until=at if windows else None)


def _is_open(windows: Sequence[ChangeWindow], at: datetime) -> bool:
    open_now = {w.effect for w in windows if _end(w, at) is not None}
    if WindowEffect.DENY in open_now:
        return False
    has_allow = any(w.effect is WindowEffect.ALLOW for w in windows)
    return not has_allow or WindowEffect.ALLOW in open_now


def _events(windows: Iterable[ChangeWindow], at: datetime) -> Iterator[datetime]:
    """For each window the next instant after `at` at which it ends, or else opens."""
    for window in windows:
        event = _end(window, at) or _next_start(window, at)
        if event is not None:
            yield event


def _end(window: ChangeWindow, at: datetime) -> datetime | None:
    """When the window that is open at `at` ends; None: it is not open."""
    duration = timedelta(seconds=window.duration_seconds)
    day = at.astimezone(window.zone).date()
    last = (at - duration).astimezone(window.zone).date() - _DAY
    while day >= last:
        start = max((s for s in _near(window, day, at) if s <= at), default=None)
        if start is not None:
            return start + duration if at < start + duration else None
        day -= _DAY
    return None


def _next_start(window: ChangeWindow, at: datetime) -> datetime | None:
    day = at.astimezone(window.zone).date()
    last = day + HORIZON
    while day <= last:
        start = min((s for s in _near(window, day, at) if s > at), default=None)
        if start is not None:
            return start
        day += _DAY
    return None


def _near(window: ChangeWindow, day: date, at: datetime) -> Iterator[datetime]:
    """Starts on that day of the window's zone, as UTC; the last up to `at` and the next among them.

    A window of every minute has 1,440 a day, so only days on which clocks change are gone through.
    """
    if not _matches(window, day):
        return
    cron, midnight = window.cron, datetime.combine(day, time())
    if _instant(midnight + _DAY, window) - _instant(midnight, window) != _DAY:
        for hour in cron.hours:
            for minute in cron.minutes:
                yield _instant(datetime.combine(day, time(hour, minute)), window)
        return
    wall = at.astimezone(window.zone).replace(tzinfo=None)
    for hour in _around(cron.hours, wall.hour if wall.date() == day else None):
        for minute in _around(cron.minutes, wall.minute if hour == wall.hour else None):
            yield _instant(datetime.combine(day, time(hour, minute)), window)


def _around(values: tuple[int, ...], value: int | None) -> set[int]:
    """First and last, and the neighbours of the value: one below or equal, itself, one above."""
    if value is None:
        return {values[0], values[-1]}
    below, above = bisect_left(values, value), bisect_right(values, value)
    return {values[0], *values[max(below - 1, 0) : above + 1], values[-1]}


def _matches(window: ChangeWindow, day: date) -> bool:
    cron = window.cron
    of_month, of_week = day.day in cron.days, day.isoweekday() % 7 in cron.weekdays
    fits = of_month or of_week if cron.either_day else of_month and of_week
    return day.month in cron.months and fits


def _instant(wall: datetime, window: ChangeWindow) -> datetime:
    """The first instant at which the zone's clocks show `wall`, or the next minute they show."""
    # A zone may skip a whole day, as Samoa did on 30 December 2011.
    for _ in range(2 * 24 * 60):
        instant = wall.replace(tzinfo=window.zone, fold=0).astimezone(UTC)
        if instant.astimezone(window.zone).replace(tzinfo=None) == wall:
            return instant
        wall += _MINUTE
    raise AssertionError("no zone skips two days")
