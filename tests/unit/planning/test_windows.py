"""Change windows: when they are open, in the wall time of their zone, clock changes included."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.window import ChangeWindow, WindowEffect, parse_cron
from controller.planning.windows import opening


def window(
    schedule: str, minutes: int, zone: str = "UTC", effect: WindowEffect = WindowEffect.ALLOW
) -> ChangeWindow:
    """A window of so many minutes."""
    return ChangeWindow(
        effect=effect, cron=parse_cron(schedule), duration_seconds=60 * minutes, zone=ZoneInfo(zone)
    )


def at(text: str) -> datetime:
    """UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(windows: tuple[ChangeWindow, ...], now: str) -> tuple[bool, str]:
    """Whether changes may start, and until when."""
    found = opening(windows, at(now))
    return found.is_open, "" if found.until is None else found.until.strftime("%m-%d %H:%M")


def test_without_windows_changes_are_always_allowed() -> None:
    """And nothing ends that."""
    assert shown((), "2026-03-01 12:00") == (True, "")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-06-01 19:59", (False, "06-01 20:00")),
        ("2026-06-01 20:00", (True, "06-02 02:00")),
        ("2026-06-02 01:59", (True, "06-02 02:00")),
        ("2026-06-02 02:00", (False, "06-02 20:00")),
        # In winter Berlin is one hour from UTC, in summer two.
        ("2026-12-01 20:30", (False, "12-01 21:00")),
    ],
)
def test_a_window_opens_by_its_zone_and_lasts_over_midnight(
    now: str, expected: tuple[bool, str]
) -> None:
    """Ten in the evening in Berlin, for six hours; the end itself is outside."""
    assert shown((window("0 22 * * *", 360, "Europe/Berlin"),), now) == expected


def test_a_start_in_the_skipped_hour_is_the_next_minute_that_exists() -> None:
    """On 29 March 2026 Berlin's clocks go from 2:00 to 3:00, which is 1:00 by UTC."""
    night = (window("30 2 * * *", 30, "Europe/Berlin"),)
    assert shown(night, "2026-03-29 00:59") == (False, "03-29 01:00")
    assert shown(night, "2026-03-29 01:00") == (True, "03-29 01:30")


def test_a_start_in_the_doubled_hour_counts_once() -> None:
    """On 25 October 2026 2:30 comes twice in Berlin, at 0:30 and 1:30 by UTC: the first counts."""
    night = (window("30 2 * * *", 30, "Europe/Berlin"),)
    assert shown(night, "2026-10-25 00:30") == (True, "10-25 01:00")
    assert shown(night, "2026-10-25 01:30") == (False, "10-26 01:30")


def test_a_skipped_day_is_skipped() -> None:
    """Samoa had no 30 December 2011: what would have begun then begins with the 31st."""
    (samoa,) = (window("0 12 30 12 *", 60, "Pacific/Apia"),)
    assert shown((samoa,), "2011-12-30 10:30") == (True, "12-30 11:00")


def test_deny_outranks_allow() -> None:
    """Nights are allowed, but not the night of the closing; without Allow all else is allowed."""
    nights, closing = window("0 22 * * *", 360), window("0 0 1 * *", 1440, effect=WindowEffect.DENY)
    assert shown((nights, closing), "2026-03-31 23:00") == (True, "04-01 00:00")
    assert shown((nights, closing), "2026-04-01 01:00") == (False, "04-02 00:00")
    assert shown((closing,), "2026-03-31 23:00") == (True, "04-01 00:00")


def test_windows_that_touch_are_one() -> None:
    """A move may last over the seam."""
    halves = (window("0 20 * * *", 120), window("0 22 * * *", 60))
    assert shown(halves, "2026-03-01 20:30") == (True, "03-01 23:00")
    always = (window("*/5 * * * *", 5),)
    assert opening(always, at("2026-03-01 12:00")).is_open


def test_a_window_that_never_opens_is_told_as_never() -> None:
    """30 February."""
    assert shown((window("0 0 30 2 *", 60),), "2026-03-01 12:00") == (False, "")


ZONES = ("UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe")
BASES = ("2026-03-28 12:00", "2026-10-24 12:00", "2011-12-29 12:00", "2026-04-04 06:00")


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=4),
    lasts=st.integers(1, 1500),
    zone=st.sampled_from(ZONES),
    base=st.sampled_from(BASES),
    later=st.integers(0, 3000),
)
def test_windows_open_as_going_through_every_minute_says(
    minutes: set[int], hours: set[int], lasts: int, zone: str, base: str, later: int
) -> None:
    """Around changes of clocks, of half an hour and of a whole day too."""
    fields = [",".join(map(str, sorted(values))) for values in (minutes, hours)]
    tried = window(f"{fields[0]} {fields[1]} * * *", lasts, zone)
    now = at(base) + timedelta(minutes=later)
    first: dict[datetime, datetime] = {}
    for minute in range(-3 * 1440, 1440):
        instant = now + timedelta(minutes=minute)
        first.setdefault(instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None), instant)
    starts = set()
    wall, end = min(first), max(first)
    while wall <= end:
        if wall.minute in minutes and wall.hour in hours:
            shown_next = wall
            while shown_next <= end and shown_next not in first:
                shown_next += timedelta(minutes=1)
            starts.add(first.get(shown_next))
        wall += timedelta(minutes=1)
    length = timedelta(minutes=lasts)
    is_open = any(start <= now < start + length for start in starts if start is not None)
    assert opening((tried,), now).is_open is is_open


def test_weekdays_and_days_of_month_are_alternatives() -> None:
    """As crontab(5) has it, when both are given; Sunday is 0 and 7, and names count."""
    assert parse_cron("0 0 * * 7").weekdays == parse_cron("0 0 * * sun").weekdays
    both = (window("0 0 13 * fri", 1440),)
    assert shown(both, "2026-03-06 12:00")[0]
    assert shown(both, "2026-04-13 12:00")[0]
    assert not shown(both, "2026-04-14 12:00")[0]


@pytest.mark.parametrize(
    "line", ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "5-1 * * * *", "*/0 * * * *"]
)
def test_a_field_out_of_range_is_refused_with_its_name(line: str) -> None:
    """Rather than never open."""
    with pytest.raises(ValueError, match="is not within"):
        parse_cron(line)
