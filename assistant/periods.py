"""Days and months of a server's time zone, in seconds since 1970."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

log = logging.getLogger(__name__)

NamedPeriod = Literal["today", "yesterday", "7 days", "30 days", "this month", "last month"]
NAMED_PERIODS: tuple[NamedPeriod, ...] = (
    "today",
    "yesterday",
    "7 days",
    "30 days",
    "this month",
    "last month",
)
MOST_DAYS = 366
ONE_DAY = timedelta(days=1)
DISCORDS_BEGINNING = date(2015, 1, 1)


class BadPeriod(ValueError):
    """There is no such period; the text says what is wrong, for the member."""


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def count(self) -> int:
        """How many days that are."""
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        return (self.first + number * ONE_DAY for number in range(self.count))

    def before(self) -> Days:
        """As many days, right before these."""
        return Days(self.first - self.count * ONE_DAY, self.first - ONE_DAY)


@lru_cache(maxsize=256)
def find_zone(name: str) -> tzinfo:
    """The zone of a name that was valid once; UTC, and a word in the log, if it is no longer."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("the time zone %r is not known here; UTC takes its place", name)
        return UTC


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """All time zones there are."""
    return frozenset(available_timezones() | {"UTC"})


def today(zone: tzinfo, now: float) -> date:
    """The date in that zone."""
    return datetime.fromtimestamp(now, zone).date()


def start_of(day: date, zone: tzinfo) -> int:
    """When a day begins. Where clocks are put forward at midnight, that is the moment they are."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def bounds(days: Days, zone: tzinfo) -> tuple[int, int]:
    """When the first day begins, and when the last one has ended."""
    return start_of(days.first, zone), start_of(days.last + ONE_DAY, zone)


def monday_of(day: date) -> date:
    """The first day of the week that a day is in."""
    return day - day.weekday() * ONE_DAY


def next_month(day: date) -> date:
    """The first day of the month after."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def budget_bounds(period: Literal["day", "month"], zone: tzinfo, now: float) -> tuple[int, int]:
    """When the budget period that runs now has begun, and when the next one begins."""
    day = today(zone, now)
    if period == "day":
        return start_of(day, zone), start_of(day + ONE_DAY, zone)
    return start_of(day.replace(day=1), zone), start_of(next_month(day), zone)


def named_days(period: NamedPeriod, day: date) -> Days:
    """The days of a named period, as seen on `day`."""
    match period:
        case "today":
            return Days(day, day)
        case "yesterday":
            return Days(day - ONE_DAY, day - ONE_DAY)
        case "7 days":
            return Days(day - 6 * ONE_DAY, day)
        case "30 days":
            return Days(day - 29 * ONE_DAY, day)
        case "this month":
            return Days(day.replace(day=1), day)
        case "last month":
            last = day.replace(day=1) - ONE_DAY
            return Days(last.replace(day=1), last)


def days_between(first: str, last: str, day: date) -> Days:
    """The days from one date to another, written as 2026-11-30, both included. Raises BadPeriod."""
    if not first:
        raise BadPeriod("Please say from which day on: `from` is missing.")
    try:
        days = Days(date.fromisoformat(first), date.fromisoformat(last))
        if (days.first.isoformat(), days.last.isoformat()) != (first, last):  # such as 2026-W48-1
            raise ValueError
    except ValueError:
        raise BadPeriod("Please write dates as 2026-11-30: year, month, day.") from None
    if days.first > days.last:
        raise BadPeriod("The first day has to come before the last one.")
    if days.first < DISCORDS_BEGINNING:
        raise BadPeriod("There was no Discord before 2015.")
    if days.first > day:
        raise BadPeriod("This period has not begun yet.")
    if days.count > MOST_DAYS:
        raise BadPeriod(f"A report covers {MOST_DAYS} days at most.")
    return Days(days.first, min(days.last, day))
