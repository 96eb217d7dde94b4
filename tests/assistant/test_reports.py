"""Reports over any period: in the server's days, complete to the last token, and comparable."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from assistant.periods import BadPeriod, Days, find_zone, start_of
from assistant.usage import Report, report
from db.engine import Database
from db.rollup import Totals
from db.usage import Grouping, Line, View
from providers.base import RateLimited, Unavailable
from tests.assistant.scene import Scene
from tests.db.entries import book_at
from tests.fakes import ScriptedChat, answer

HERE = View(10)


async def report_of(
    database: Database,
    days: Days,
    zone: str = "UTC",
    by: Grouping = "member",
    *,
    view: View = HERE,
    now: float = 4e9,
    top: int | None = 10,
) -> Report:
    return await report(database, view, days, by, zone, now, top)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", date(2026, 3, 29)),
        ("Europe/Berlin", date(2026, 3, 29)),  # of 23 hours
        ("Europe/Berlin", date(2026, 10, 25)),  # of 25 hours
        ("Europe/London", date(2026, 3, 29)),  # begins as UTC's does, and ends an hour before
        ("Europe/Lisbon", date(2026, 3, 29)),
        ("Atlantic/Azores", date(2026, 10, 25)),  # ends an hour after UTC's
        ("America/New_York", date(2026, 11, 1)),
        ("America/St_Johns", date(2026, 3, 8)),
        ("Asia/Kolkata", date(2026, 2, 28)),
        ("Asia/Kathmandu", date(2028, 2, 29)),
        ("Pacific/Auckland", date(2026, 12, 31)),
        ("Pacific/Marquesas", date(2027, 1, 1)),
        ("Australia/Lord_Howe", date(2026, 10, 4)),
    ],
)
async def test_a_days_report_holds_that_day_alone(database: Database, zone: str, day: date) -> None:
    """Its first and last second belong to a day, those before and after to its neighbours, in every zone."""
    found = ZoneInfo(zone)
    start, end = start_of(day, found), start_of(day + timedelta(days=1), found)
    moments = [start - 1, start, (start + end) // 2, end - 1, end]
    await book_at(database, [datetime.fromtimestamp(moment, UTC) for moment in moments])
    week = Days(day - timedelta(days=3), day + timedelta(days=3))

    for by in ("member", "channel", "model", "command", "provider"):
        of_day = await report_of(database, Days(day, day), zone, by)
        assert of_day.totals == Totals(3, 0, 30, cost_micros=30)
        assert [line.totals.requests for line in of_day.lines] == [3]
    of_member = await report_of(database, Days(day, day), zone, "model", view=View(10, 30))
    assert of_member.lines == [Line("some-model", Totals(3, 0, 30, cost_micros=30))]
    for view in (HERE, View(10, 30)):
        daily = (await report_of(database, week, zone, "day", view=view)).daily
        counts = {at: totals.requests for at, totals in daily if totals.requests}
        assert counts == {day - timedelta(days=1): 1, day: 3, day + timedelta(days=1): 1}
        assert len(daily) == 7
        until_then = (await report_of(database, Days(week.first, day), zone, "day", view=view)).daily
        assert [totals.requests for _, totals in until_then[-2:]] == [1, 3]


async def test_a_new_time_zone_holds_for_the_past_too(database: Database) -> None:
    """When a server sets its zone, what was used before moves to the day that it was there."""
    await book_at(database, [datetime(2026, 5, 4, 20, tzinfo=UTC)])
    scene = Scene(database)
    days = await scene.assistant.reports.days(HERE, ("2026-05-05", "2026-05-05"))
    assert (await scene.assistant.reports.report(HERE, days, "day")).totals == Totals()

    await scene.assistant.reports.set_time_zone(10, "Asia/Kolkata")
    assert await scene.assistant.reports.time_zone(10) == "Asia/Kolkata"
    found = await scene.assistant.reports.report(HERE, days, "day")
    assert (found.totals.requests, found.time_zone) == (1, "Asia/Kolkata")
    assert await scene.assistant.reports.time_zone(11) == "UTC"
    with pytest.raises(BadPeriod, match="Europe/Berlin"):
        await scene.assistant.reports.set_time_zone(10, "Berlin")


async def test_the_top_ten_and_the_rest_are_everything(database: Database) -> None:
    """Ten lines, the heaviest first; what is in none of them is the rest, with its number of lines."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    for member in range(1, 14):
        await book_at(database, [noon], tokens=member, user_id=member)
    days = Days(noon.date(), noon.date())
    found = await report_of(database, days)

    assert [line.key for line in found.lines] == list(range(13, 3, -1))
    assert found.rest == Totals(3, 0, 1 + 2 + 3, cost_micros=6)
    assert found.others == 3
    everything = await report_of(database, days, top=None)
    assert [line.key for line in everything.lines] == list(range(13, 0, -1))
    assert (everything.rest, everything.others) == (Totals(), 0)


async def test_a_long_period_is_the_sum_of_its_parts(database: Database) -> None:
    """A report over a year, which is read in parts, says the same as its months together."""
    zone = "Asia/Kathmandu"
    for member in range(1, 4):
        days = [
            datetime(2027, 1, 1, 3, tzinfo=UTC) + timedelta(days=number * 5, hours=member)
            for number in range(80)
        ]
        await book_at(database, days, tokens=member, user_id=member)
    year = Days(date(2027, 1, 1), date(2027, 12, 31))
    whole = await report_of(database, year, zone, top=None)
    months = [
        await report_of(database, Days(date(2027, month, 1), last), zone, top=None)
        for month in range(1, 13)
        for last in [date(2027 + month // 12, month % 12 + 1, 1) - timedelta(days=1)]
    ]

    assert whole.totals.requests == sum(month.totals.requests for month in months) == 3 * 73
    assert {line.key: line.totals.requests for line in whole.lines} == {1: 73, 2: 73, 3: 73}
    assert [line.key for line in whole.lines] == [3, 2, 1]
    assert len(whole.daily) == 365
    assert [day for month in months for day in month.daily] == whole.daily


async def test_change_is_against_as_much_time(database: Database) -> None:
    """Until noon, today is compared with yesterday until noon; a period that is over with a whole one."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    hours = [noon - timedelta(hours=number, minutes=1) for number in range(24 * 4)]
    await book_at(database, hours)
    today = await report_of(database, Days(noon.date(), noon.date()), now=noon.timestamp())
    yesterday = Days(noon.date() - timedelta(days=1), noon.date() - timedelta(days=1))
    over = await report_of(database, yesterday, now=noon.timestamp())

    assert (today.totals.requests, today.before.requests) == (12, 12)
    assert today.change("requests") == 0
    assert (over.totals.requests, over.before.requests) == (24, 24)
    assert replace(over, before=Totals(16)).change("requests") == 0.5
    assert over.change("pictures") is None


async def test_direct_messages_and_servers_stay_apart(database: Database) -> None:
    """A member's report of direct messages holds no server's, and a server's no other's."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    days = Days(noon.date(), noon.date())
    await book_at(database, [noon], tokens=1, guild_id=10)
    await book_at(database, [noon], tokens=2, guild_id=11)
    await book_at(database, [noon], tokens=4, guild_id=0)
    seen = [
        (await report_of(database, days, view=View(guild, 30))).totals.tokens for guild in (10, 11, 0, None)
    ]
    assert seen == [1, 2, 4, 7]
    assert [(await report_of(database, days, view=View(guild))).totals.tokens for guild in (10, 11)] == [1, 2]


async def test_the_host_sees_servers_and_keys(database: Database) -> None:
    """Over the whole bot the lines are servers, keys, or what a server's report has."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    days = Days(noon.date(), noon.date())
    await book_at(database, [noon] * 2, tokens=5, guild_id=10, key_variable="KEY1")
    await book_at(database, [noon], tokens=1, guild_id=11, key_variable="KEY2", model="other")
    bot = View(None)

    async def lines(by: Grouping) -> list[tuple[int | str, int]]:
        found = await report_of(database, days, by=by, view=bot)
        return [(line.key, line.totals.requests) for line in found.lines]

    assert await lines("server") == [(10, 2), (11, 1)]
    assert await lines("key") == [("KEY1", 2), ("KEY2", 1)]
    assert await lines("model") == [("some-model", 2), ("other", 1)]
    assert await lines("day") == [(start_of(noon.date(), find_zone("UTC")), 3)]


async def test_shares_and_fallbacks(database: Database) -> None:
    """A report says which share of its requests is estimated, which has no price, and what fell back."""
    late = Unavailable("too late", maybe_billed=True)
    first = ScriptedChat([late], [RateLimited("no")], name="first")
    scene = Scene(database, [first, ScriptedChat(answer("Yes."), answer("Yes."), name="second")])
    routes = scene.assistant._chat_router.routes
    scene.assistant._chat_router.routes = (routes[0], replace(routes[1], price=None))
    await scene.ask(1)
    await scene.ask(2)
    days = await scene.assistant.reports.days(HERE, "today")
    totals = (await scene.assistant.reports.report(HERE, days, "model")).totals

    assert (totals.requests, totals.failures, totals.fallbacks) == (3, 1, 2)
    assert totals.estimated_share == pytest.approx(1 / 3)
    assert totals.unpriced_share == pytest.approx(2 / 3)
    assert Totals().estimated_share == Totals().unpriced_share == 0
