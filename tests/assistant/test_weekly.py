"""Weekly reports: due when a week begins in the server's time zone, and posted once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from assistant.periods import bounds, find_zone, monday_of, start_of
from assistant.usage import Reports
from assistant.values import View
from assistant.weekly import LATEST_SECONDS, MOST_MISSED, SETTLING_SECONDS, WeeklyReports
from db.engine import Database, open_database
from tests.db.entries import book_at

MONDAY = date(2026, 11, 30)
WEEK = timedelta(days=7)
HOUR = 3600


@dataclass
class Clock:
    """Stands still until it is set."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Noon on the Thursday before MONDAY."""
    return Clock(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp())


@pytest.fixture
def weekly(database: Database, clock: Clock) -> WeeklyReports:
    return WeeklyReports(database, clock)


def due_at(day: date, zone: str = "UTC") -> int:
    return start_of(day, find_zone(zone)) + SETTLING_SECONDS


async def mondays(weekly: WeeklyReports) -> list[date]:
    return [report.monday for report in (await weekly.due())[0]]


@pytest.mark.parametrize(
    ("zone", "monday", "hours"),
    [
        ("UTC", date(2026, 11, 30), 168),
        ("Europe/Berlin", date(2026, 3, 30), 167),  # the clocks were put forward on Sunday
        ("Europe/Berlin", date(2026, 10, 26), 169),
        ("America/New_York", date(2026, 11, 2), 169),
        ("America/Los_Angeles", date(2027, 1, 4), 168),  # over the end of a year
        ("Australia/Lord_Howe", date(2026, 4, 6), 168.5),
        ("Asia/Kathmandu", date(2028, 3, 6), 168),  # with the leap day
        ("Asia/Kolkata", date(2026, 3, 2), 168),  # over the end of February
        ("Pacific/Auckland", date(2026, 11, 30), 168),
        ("Pacific/Marquesas", date(2026, 11, 30), 168),
        ("Africa/Cairo", date(2026, 4, 27), 167),
    ],
)
async def test_a_report_is_due_when_the_servers_week_begins(
    database: Database, weekly: WeeklyReports, clock: Clock, zone: str, monday: date, hours: float
) -> None:
    """A quarter of an hour into its Monday, for the seven days before: as long as their clocks say."""
    await Reports(database).set_time_zone(10, zone)
    clock.now = due_at(monday, zone) - 3 * 24 * HOUR
    assert await weekly.start(10, 77, "member") == monday

    clock.now = due_at(monday, zone) - 5
    assert await weekly.due() == ([], 5)
    clock.now += 5
    [report], seconds = await weekly.due()
    assert (report.subscription.guild_id, report.subscription.channel_id) == (10, 77)
    assert seconds == due_at(monday + WEEK, zone) - clock.now
    since, until = bounds(report.days, find_zone(zone))
    assert until - since == hours * HOUR
    assert until == due_at(monday, zone) - SETTLING_SECONDS


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Los_Angeles"])
async def test_a_weeks_report_holds_that_week_alone(
    database: Database, weekly: WeeklyReports, clock: Clock, zone: str
) -> None:
    """Its first and its last second are in it, and those before and after are not."""
    await Reports(database).set_time_zone(10, zone)
    monday = date(2026, 3, 30)
    first, end = start_of(monday - WEEK, find_zone(zone)), start_of(monday, find_zone(zone))
    moments = [first - 1, first, end - 1, end]
    await book_at(database, [datetime.fromtimestamp(moment, UTC) for moment in moments], tokens=10)
    clock.now = first
    await weekly.start(10, 77, "member")
    clock.now = due_at(monday, zone)
    [report] = (await weekly.due())[0]
    found = await Reports(database).report(View(10), report.days, report.subscription.by)

    assert (found.totals.requests, found.before.requests) == (2, 1)
    assert [day for day, totals in found.daily if totals.requests] == [
        monday - WEEK,
        monday - timedelta(days=1),
    ]


async def test_a_bot_that_was_down_posts_late_but_not_too_late(weekly: WeeklyReports, clock: Clock) -> None:
    """Within two days the report is still due; after that the next one is."""
    await weekly.start(10, 77, "member")
    clock.now = due_at(MONDAY) + LATEST_SECONDS - 1
    assert await mondays(weekly) == [MONDAY]
    clock.now += 1
    assert await mondays(weekly) == []
    clock.now = due_at(MONDAY + WEEK)
    assert await mondays(weekly) == [MONDAY + WEEK]


async def test_of_many_that_would_post_a_report_one_does(weekly: WeeklyReports, clock: Clock) -> None:
    """The claim is one statement: all others find the report posted."""
    await weekly.start(10, 77, "member")
    clock.now = due_at(MONDAY)
    [report] = (await weekly.due())[0]

    assert sorted(await asyncio.gather(*(weekly.claim(report) for _ in range(20)))) == [False] * 19 + [True]
    assert await mondays(weekly) == []


async def test_what_was_claimed_stays_so_through_a_restart(database_url: str, clock: Clock) -> None:
    """A bot that ends between claim and post does not post the report when it is back."""
    async with open_database(database_url) as database:
        weekly = WeeklyReports(database, clock)
        await weekly.start(10, 77, "member")
        clock.now = due_at(MONDAY)
        [report] = (await weekly.due())[0]
        assert await weekly.claim(report)
    async with open_database(database_url) as database:
        weekly = WeeklyReports(database, clock)
        assert await mondays(weekly) == []
        clock.now = due_at(MONDAY + WEEK)
        assert await mondays(weekly) == [MONDAY + WEEK]


async def test_what_is_given_back_is_due_again(weekly: WeeklyReports, clock: Clock) -> None:
    """As after a post that Discord did not take."""
    await weekly.start(10, 77, "member")
    clock.now = due_at(MONDAY)
    [report] = (await weekly.due())[0]
    await weekly.claim(report)
    await weekly.give_back(report)

    assert await mondays(weekly) == [MONDAY]


@pytest.mark.parametrize("asked_on", [date(2026, 11, 30), date(2026, 12, 3), date(2026, 12, 6)])
async def test_the_first_report_comes_with_the_next_week(
    weekly: WeeklyReports, clock: Clock, asked_on: date
) -> None:
    """Whoever asks has just seen the figures of the week that is over."""
    clock.now = due_at(asked_on) + HOUR
    assert await weekly.start(10, 77, "member") == MONDAY + WEEK
    assert await mondays(weekly) == []


async def test_another_time_zone_posts_no_report_twice(
    database: Database, weekly: WeeklyReports, clock: Clock
) -> None:
    """Whose Monday is over in Auckland has no second one in Honolulu."""
    await Reports(database).set_time_zone(10, "Pacific/Auckland")
    await weekly.start(10, 77, "member")
    clock.now = due_at(MONDAY, "Pacific/Auckland")
    [report] = (await weekly.due())[0]
    assert await weekly.claim(report)
    await Reports(database).set_time_zone(10, "Pacific/Honolulu")
    for hour in range(72):
        clock.now = due_at(MONDAY, "Pacific/Auckland") + hour * HOUR
        assert await mondays(weekly) == []

    clock.now = due_at(MONDAY + WEEK, "Pacific/Honolulu")
    assert await mondays(weekly) == [MONDAY + WEEK]


async def test_a_server_has_one_weekly_report(database: Database, weekly: WeeklyReports) -> None:
    """Asked for elsewhere it moves there; ended there is none. Another server's is its own."""
    await Reports(database).set_time_zone(10, "Asia/Kolkata")
    await weekly.start(10, 77, "member")
    await weekly.start(10, 78, "day")
    await weekly.start(11, 79, "model")
    found = await weekly.of_server(10)
    assert found is not None
    assert (found.channel_id, found.by, found.time_zone) == (78, "day", "Asia/Kolkata")
    assert await weekly.end(10)
    assert not await weekly.end(10)

    assert await weekly.of_server(10) is None
    found = await weekly.of_server(11)
    assert found is not None
    assert (found.channel_id, found.time_zone) == (79, "UTC")
    assert await Reports(database).time_zone(10) == "Asia/Kolkata"


async def test_what_cannot_be_posted_for_four_weeks_ends(weekly: WeeklyReports, clock: Clock) -> None:
    """In a row: one that arrives in between begins the count anew."""
    await weekly.start(10, 77, "member")
    ended = []
    for number in range(2 * MOST_MISSED):
        clock.now = due_at(MONDAY + number * WEEK)
        [report] = (await weekly.due())[0]
        assert await weekly.claim(report)
        if number == MOST_MISSED - 1:
            await weekly.arrived(report)
        else:
            ended.append(await weekly.missed(report))

    assert ended == [False] * (2 * MOST_MISSED - 2) + [True]
    assert await weekly.of_server(10) is None


async def test_a_report_that_moved_meanwhile_counts_as_missed_nowhere(
    weekly: WeeklyReports, clock: Clock
) -> None:
    """What went wrong in the old channel is not held against the new one."""
    await weekly.start(10, 77, "member")
    clock.now = due_at(MONDAY)
    [report] = (await weekly.due())[0]
    await weekly.claim(report)
    await weekly.start(10, 78, "member")
    assert not await weekly.missed(report)

    found = await weekly.of_server(10)
    assert found is not None
    assert (found.channel_id, found.missed) == (78, 0)


def test_weeks_begin_on_monday() -> None:
    """Over the ends of months and years, and with the leap day."""
    assert monday_of(date(2027, 1, 3)) == date(2026, 12, 28)
    assert monday_of(date(2028, 3, 1)) == date(2028, 2, 28)
    assert monday_of(MONDAY) == MONDAY
