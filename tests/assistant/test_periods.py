"""The calendar: days and months as they are in a server's time zone."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import strategies as st

from assistant.periods import (
    NAMED_PERIODS,
    BadPeriod,
    Days,
    NamedPeriod,
    bounds,
    budget_bounds,
    days_between,
    find_zone,
    named_days,
    start_of,
    today,
    zone_names,
)
from db.rollup import SLOT

HOUR = 3600


def at(zone: str, *moment: int) -> float:
    return datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[misc, arg-type]  # a date's parts


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", date(2026, 3, 29), 24),
        ("Europe/Berlin", date(2026, 3, 28), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # the clocks are put forward at midnight itself
        ("Asia/Kolkata", date(2026, 3, 29), 24),
    ],
)
def test_days_are_as_long_as_their_clocks_say(zone: str, day: date, hours: float) -> None:
    """A day lasts from its midnight to the next: 23 or 25 hours where clocks change, and half of one more."""
    since, until = bounds(Days(day, day), find_zone(zone))
    assert until - since == hours * HOUR


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("Asia/Kolkata", 5.5),
        ("Asia/Kathmandu", 5.75),
        ("Pacific/Auckland", 13),
        ("America/St_Johns", -3.5),
        ("Pacific/Marquesas", -9.5),
        ("Pacific/Kiritimati", 14),
        ("America/Los_Angeles", -8),
    ],
)
def test_days_begin_at_the_zones_midnight(zone: str, offset: float) -> None:
    """East of UTC a day begins earlier and west of it later, at half and quarter hours too."""
    midnight = datetime(2026, 1, 15, tzinfo=UTC).timestamp()
    assert start_of(date(2026, 1, 15), find_zone(zone)) == midnight - offset * HOUR


def test_every_day_of_every_zone_begins_with_a_quarter_of_an_hour() -> None:
    """No zone of our time has days that the roll-up could not tell apart."""
    for name in sorted(zone_names()):
        for month in range(1, 13):
            assert start_of(date(2026, month, 1), find_zone(name)) % SLOT == 0, name


@hypothesis.given(
    st.sampled_from(sorted(zone_names())), st.dates(date(2016, 1, 1), date(2037, 1, 1)), st.integers(1, 40)
)
def test_days_follow_one_another(zone: str, first: date, count: int) -> None:
    """Days leave no gap and do not overlap, and each moment of a day has its date."""
    found = find_zone(zone)
    days = [date.fromordinal(first.toordinal() + number) for number in range(count + 1)]
    starts = [start_of(day, found) for day in days]
    for (day, start), (_, end) in pairwise(zip(days, starts, strict=True)):
        if start == end:  # a zone that crossed the date line left this day out
            continue
        assert 20 * HOUR < end - start < 28 * HOUR
        assert today(found, start) == day
        assert today(found, end - 1) == day


@pytest.mark.parametrize(
    ("day", "period", "first", "last"),
    [
        ((2026, 3, 1), "today", (2026, 3, 1), (2026, 3, 1)),
        ((2026, 3, 1), "yesterday", (2026, 2, 28), (2026, 2, 28)),
        ((2028, 3, 1), "yesterday", (2028, 2, 29), (2028, 2, 29)),
        ((2026, 3, 1), "7 days", (2026, 2, 23), (2026, 3, 1)),
        ((2028, 3, 1), "7 days", (2028, 2, 24), (2028, 3, 1)),
        ((2026, 3, 15), "30 days", (2026, 2, 14), (2026, 3, 15)),
        ((2026, 3, 31), "this month", (2026, 3, 1), (2026, 3, 31)),
        ((2026, 3, 31), "last month", (2026, 2, 1), (2026, 2, 28)),
        ((2028, 3, 31), "last month", (2028, 2, 1), (2028, 2, 29)),
        ((2027, 1, 1), "last month", (2026, 12, 1), (2026, 12, 31)),
        ((2027, 1, 1), "this month", (2027, 1, 1), (2027, 1, 1)),
    ],
)
def test_named_periods(
    day: tuple[int, int, int], period: NamedPeriod, first: tuple[int, int, int], last: tuple[int, int, int]
) -> None:
    """Named periods are whole days, over the ends of months and years and with the leap day."""
    assert named_days(period, date(*day)) == Days(date(*first), date(*last))


def test_the_days_before_are_as_many() -> None:
    """A period is compared with as many days right before it."""
    for period in NAMED_PERIODS:
        days = named_days(period, date(2028, 3, 1))
        before = days.before()
        assert before.count == days.count == len(list(days))
        assert (days.first - before.last).days == 1


@pytest.mark.parametrize(
    ("zone", "now", "period", "since", "until"),
    [
        ("UTC", (2026, 12, 31, 23, 59), "month", (2026, 12, 1), (2027, 1, 1)),
        ("Asia/Kolkata", (2026, 12, 31, 18, 29), "day", (2026, 12, 31), (2027, 1, 1)),
        ("Asia/Kolkata", (2026, 12, 31, 18, 30), "month", (2027, 1, 1), (2027, 2, 1)),
        ("America/New_York", (2028, 3, 1, 4, 59), "month", (2028, 2, 1), (2028, 3, 1)),
        ("Europe/Berlin", (2026, 10, 25, 12, 0), "day", (2026, 10, 25), (2026, 10, 26)),
    ],
)
def test_budgets_run_from_midnight_and_from_the_first(
    zone: str,
    now: tuple[int, ...],
    period: str,
    since: tuple[int, int, int],
    until: tuple[int, int, int],
) -> None:
    """A budget of a day or month opens with the zone's next day or month. `now` is in UTC."""
    found = budget_bounds(period, find_zone(zone), at("UTC", *now))  # type: ignore[arg-type]  # day or month
    assert found == (at(zone, *since), at(zone, *until))


def test_dates_from_to() -> None:
    """Two dates are a period, both days included; what lies ahead is cut off."""
    day = date(2026, 11, 30)
    assert days_between("2026-11-01", "2026-11-02", day) == Days(date(2026, 11, 1), date(2026, 11, 2))
    assert days_between("2026-11-01", "2026-12-24", day).last == day
    assert days_between("2025-12-01", "2026-11-30", day).count == 365


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("yesterday", "2026-11-01", "write dates as"),
        ("2026-02-29", "2026-03-01", "write dates as"),
        ("20261101", "2026-11-02", "write dates as"),
        ("2026-11-01", "2026-W45-1", "write dates as"),
        ("2026-11-02", "2026-11-01", "before the last"),
        ("2026-12-01", "2026-12-02", "not begun"),
        ("2025-11-29", "2026-11-30", "at most"),
        ("0001-01-01", "0001-01-02", "2015"),
    ],
)
def test_periods_that_are_none_are_explained(first: str, last: str, words: str) -> None:
    """A mistake in a period has a sentence that says what to write."""
    with pytest.raises(BadPeriod, match=words):
        days_between(first, last, date(2026, 11, 30))


def test_a_zone_that_is_gone_becomes_utc(caplog: pytest.LogCaptureFixture) -> None:
    """A server whose zone this machine no longer knows has UTC's days, and the log says so."""
    assert find_zone("Mars/Olympus") is UTC
    assert "Mars/Olympus" in caplog.text
