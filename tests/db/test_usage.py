"""Reports: sums by member and by model, of one server and one period."""

import random
from functools import partial

import pytest
from sqlalchemy import func, select, update

from db.engine import Database
from db.ledger import Ending, attempts
from db.rollup import SLOT, Totals, slots
from db.usage import Grouping, Line, View, read_lines, read_totals
from tests.db.entries import ESTIMATED, SETTLED, UNBILLED, book, request, roll_up_again

DAY = 86400
FOR_EVER = 2**40 // DAY * DAY
NOON = 20_000 * DAY + 12 * 3600


def settled(prompt_tokens: int, completion_tokens: int, pictures: int = 0) -> Ending:
    return Ending(
        "settled",
        "provider",
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        pictures=pictures,
    )


@pytest.fixture
async def used(database: Database) -> Database:
    """Two servers and direct messages, three members, two models."""
    async with database.transaction() as connection:
        await book(connection, request(1, user_id=30), settled(100, 50), model="small")
        await book(connection, request(2, user_id=30, channel_id=21), settled(10, 5), model="large")
        await book(connection, request(3, user_id=31), settled(1000, 500), model="large")
        await book(connection, request(4, user_id=30, guild_id=11), settled(7, 7), model="small")
        await book(connection, request(5, user_id=30, guild_id=0), settled(3, 3), model="small")
        await book(connection, request(6, user_id=32, command="imagine"), settled(0, 0, 1), model="painter")
    return database


async def totals(
    database: Database, since: int = 0, *, guild_id: int | None = None, user_id: int | None = None
) -> Totals:
    view = View(guild_id, user_id)
    return await database.run(lambda connection: read_totals(connection, view, since, FOR_EVER))


async def rows(
    database: Database, by: Grouping, guild_id: int, user_id: int | None = None, *, since: int = 0
) -> list[Line]:
    view = View(guild_id, user_id)
    lines, count = await database.run(
        lambda connection: read_lines(connection, view, by, since, FOR_EVER, 100)
    )
    assert count == len(lines)
    return lines


async def test_totals_of_a_server_hold_no_other_server(used: Database) -> None:
    """A server's sums are those of its own requests, not of other servers or direct messages."""
    assert await totals(used, guild_id=10) == Totals(4, 0, 1110, 555, 0, 1, unpriced=4)
    assert await totals(used, guild_id=11) == Totals(1, 0, 7, 7, 0, 0, unpriced=1)
    assert await totals(used, guild_id=0) == Totals(1, 0, 3, 3, 0, 0, unpriced=1)
    assert await totals(used, guild_id=12) == Totals()


async def test_totals_of_a_member_are_those_of_one_server(used: Database) -> None:
    """A member's sums in one server leave out what the member used elsewhere."""
    assert await totals(used, guild_id=10, user_id=30) == Totals(2, 0, 110, 55, 0, 0, unpriced=2)
    assert await totals(used, guild_id=0, user_id=30) == Totals(1, 0, 3, 3, 0, 0, unpriced=1)
    assert await totals(used, user_id=30) == Totals(4, 0, 120, 65, 0, 0, unpriced=4)


async def test_members_are_listed_by_what_they_used(used: Database) -> None:
    """A report by member has one line for each, the heaviest first, pictures last."""
    assert await rows(used, "member", 10) == [
        Line(31, Totals(1, 0, 1000, 500, 0, 0, unpriced=1)),
        Line(30, Totals(2, 0, 110, 55, 0, 0, unpriced=2)),
        Line(32, Totals(1, 0, 0, 0, 0, 1, unpriced=1)),
    ]


async def test_models_are_listed_by_what_they_used(used: Database) -> None:
    """A report by model adds up all members of the server, and with a member that member alone."""
    assert await rows(used, "model", 10) == [
        Line("large", Totals(2, 0, 1010, 505, 0, 0, unpriced=2)),
        Line("small", Totals(1, 0, 100, 50, 0, 0, unpriced=1)),
        Line("painter", Totals(1, 0, 0, 0, 0, 1, unpriced=1)),
    ]
    assert [row.key for row in await rows(used, "model", 10, 30)] == ["small", "large"]


async def test_lines_are_as_many_as_asked_for(used: Database) -> None:
    """A report ends after its limit, with the heaviest lines, and says how many there are."""
    read = partial(read_lines, view=View(10), by="member", since=0, until=FOR_EVER, limit=2)
    lines, count = await used.run(read)

    assert [line.key for line in lines] == [31, 30]
    assert count == 3


async def test_period_begins_with_its_quarter_of_an_hour(database: Database) -> None:
    """Sums since a quarter of an hour hold that one and later ones, and not the one before."""
    async with database.transaction() as connection:
        for number in (1, 2, 3):
            await book(connection, request(number, user_id=number), SETTLED)
            await connection.execute(
                update(attempts)
                .where(attempts.c.user_id == number)
                .values(sent_at=NOON + (number - 2) * 900 + 899)
            )
        await roll_up_again(connection)

    for since, requests in ((NOON - 900, 3), (NOON, 2), (NOON + 900, 1), (NOON + 1800, 0)):
        assert (await totals(database, since, guild_id=10)).requests == requests
        assert len(await rows(database, "member", 10, since=since)) == requests


@pytest.mark.parametrize("since_day", range(20_000, 20_016))
async def test_any_days_of_members_are_put_together_from_longer_spans(
    database: Database, since_day: int
) -> None:
    """Wherever a period begins and ends among the fours and sixteens of days, it has its own days alone."""
    async with database.transaction() as connection:
        for number in range(1, 101):  # one a day
            await book(connection, request(number, user_id=number % 2), SETTLED)
            moment = 19_980 * DAY + number * DAY + 3600
            mine = attempts.c.interaction_id == number
            await connection.execute(update(attempts).where(mine).values(sent_at=moment))
        await roll_up_again(connection)

    for days in (1, 3, 7, 30, 50, 79):
        since = since_day * DAY - 1800
        read = partial(
            read_lines, view=View(10), by="member", since=since, until=since + days * DAY, limit=None
        )
        lines, count = await database.read(read)
        assert sum(line.totals.requests for line in lines) == min(days, 20_081 - since_day)
        assert count == len(lines)
        top, _ = await database.read(partial(read, limit=1))
        assert top == lines[:1]


@pytest.mark.parametrize("by", ["member", "channel", "model", "provider", "command"])
async def test_lines_of_any_period_are_what_the_ledger_has(database: Database, by: Grouping) -> None:
    """Whatever a period's length, and whether anything was used after it: no request is left out or added."""
    chance = random.Random(8)
    columns = {"member": attempts.c.user_id, "channel": attempts.c.channel_id}
    line = columns[by] if by in columns else attempts.c[by]
    async with database.transaction() as connection:
        for number in range(1, 121):
            asked = request(number, user_id=chance.randrange(5), channel_id=chance.randrange(3))
            await book(connection, asked, SETTLED, model=f"model-{chance.randrange(3)}")
            moment = 20_000 * DAY + chance.randrange(50 * DAY)
            mine = attempts.c.interaction_id == number
            await connection.execute(update(attempts).where(mine).values(sent_at=moment))
        await roll_up_again(connection)

    for _ in range(60):
        since = 20_000 * DAY + chance.randrange(50 * DAY // SLOT) * SLOT
        until = since + chance.randrange(60 * DAY // SLOT) * SLOT
        here = (attempts.c.sent_at >= since) & (attempts.c.sent_at < until)
        rows = select(line, func.count()).where(here).group_by(line)
        read = partial(read_lines, view=View(10), by=by, since=since, until=until, limit=None)
        lines, _ = await database.read(read)
        async with database.transaction() as connection:
            booked = {row[0]: row[1] for row in await connection.execute(rows)}
        assert {each.key: each.totals.requests for each in lines} == booked


async def test_estimates_and_failures_stand_apart(database: Database) -> None:
    """Estimated tokens are in the sum and named; what vendors refused is no request."""
    async with database.transaction() as connection:
        for number, ending in enumerate((SETTLED, ESTIMATED, UNBILLED), 1):
            await book(connection, request(number), ending)

    found = await totals(database, guild_id=10)
    assert found == Totals(2, 1, 22, 8, 15, unpriced=2, estimated=1)
    assert found.tokens == 30


async def test_requests_of_a_quarter_of_an_hour_share_a_line(database: Database) -> None:
    """The roll-up has one line for a quarter of an hour, place, member and model, not one a request."""
    async with database.transaction() as connection:
        for number in range(1, 21):
            await book(connection, request(number), SETTLED)
        await connection.execute(update(attempts).values(sent_at=NOON))
        lines = (await connection.execute(slots.select())).all()
        await roll_up_again(connection)

    # Two, should the clock have struck in the middle.
    assert len(lines) in (1, 2)
    assert await totals(database) == Totals(20, 0, 200, 100, unpriced=20)
