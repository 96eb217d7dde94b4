"""Weekly reports as they are posted, by a bot that lives through the end of a week."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import discord
import pytest

from assistant.periods import start_of
from assistant.usage import Reports
from assistant.weekly import SETTLING_SECONDS, WeeklyReports
from bot import Colloquy
from db.engine import Database, open_database
from tests.cogs.scripted import buttons
from tests.db.entries import book_at
from tests.fake_discord import FakeDiscord, FakeMessage
from tests.fake_vendors import FakeVendor
from tests.living_bot import living_bot

MONDAY = date(2026, 11, 30)
DUE = start_of(MONDAY, UTC) + SETTLING_SECONDS
GUILD, CHANNEL, OWNERS_CHANNEL = 400_000_000_000_000_001, 300_000_000_000_000_007, 300_000_000_000_000_008
LATER_CHANNEL = 300_000_000_000_000_009
POST = f"/channels/{CHANNEL}/messages"
DAY = 86400


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def subscribed(database_url: str) -> str:
    """The address of a database in which a server has asked for weekly reports, and used something."""
    async with open_database(database_url) as database:
        await subscribe(database)
        noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
        await book_at(database, [noon, noon], tokens=100, guild_id=GUILD, user_id=31)
        await book_at(database, [noon + timedelta(days=7)], tokens=7, guild_id=GUILD)
    return database_url


async def subscribe(database: Database, guild_id: int = GUILD, channel_id: int = CHANNEL) -> None:
    await WeeklyReports(database, Clock(DUE - DAY)).start(guild_id, channel_id, "member")


@asynccontextmanager
async def bot_at(
    now: float, fake: FakeDiscord, database_url: str, vendor: FakeVendor, **settings: Any
) -> AsyncIterator[Colloquy]:
    """The bot at another time than ours, and quick to try again."""

    def prepare(bot: Colloquy) -> None:
        bot.assistant.weekly = WeeklyReports(bot.assistant.database, Clock(now))
        bot.calls.late_seconds = 0.1
        bot.calls.call_seconds = 2.0

    async with living_bot(fake, database_url, vendor.url, prepare=prepare, **settings) as bot:
        yield bot


def posted(fake: FakeDiscord, channel_id: int = CHANNEL) -> list[FakeMessage]:
    return [message for message in fake.messages if message.channel_id == channel_id]


def arrived(fake: FakeDiscord, channel_id: int, count: int) -> bool:
    return len(posted(fake, channel_id)) == count


def tries(fake: FakeDiscord) -> list[Any]:
    return [sent.json for sent in fake.requests if (sent.method, sent.path) == ("POST", POST)]


async def add_later_server(database_url: str) -> None:
    """One more server, ten hours to the west, whose report is posted after all others."""
    async with open_database(database_url) as database:
        await Reports(database).set_time_zone(GUILD + 9, "Pacific/Honolulu")
        await subscribe(database, GUILD + 9, LATER_CHANNEL)


async def until_later_server(fake: FakeDiscord) -> None:
    """Wait until that one has its report: then every other that was due had its turn."""
    await fake.until(lambda: posted(fake, LATER_CHANNEL))


async def test_a_report_is_posted_when_it_is_due(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str
) -> None:
    """As text with its chart and a button to end it, of the week before alone; and only once."""
    async with bot_at(DUE, fake, subscribed, vendor):
        await fake.until(lambda: posted(fake))
    await add_later_server(subscribed)
    async with bot_at(DUE + 0.5 * DAY, fake, subscribed, vendor):
        await until_later_server(fake)

    [message] = posted(fake)
    heading, sums, line, notes = message.content.split("\n")
    assert heading == "**Usage of this server, 23 November 2026 to 29 November 2026**, by member"
    assert line == "1. <@31>: 200 + 0 tokens, 2 requests, $0.0002"
    assert sums == "**200 tokens**, **2 requests**, 0 pictures, **$0.0002**, 0% of requests unpriced"
    assert notes.endswith("Change against the 7 days before. Days of UTC.")
    assert [file.filename for file in message.attachments] == ["usage.png"]
    assert message.attachments[0].data.startswith(b"\x89PNG")
    assert buttons(message) == {"End weekly report": "report:weekly:end"}
    [sent] = tries(fake)
    assert sent["allowed_mentions"] == {"parse": []}
    assert sent["enforce_nonce"]
    assert len(sent["nonce"]) <= 25


async def test_the_button_below_a_posted_report_ends_it(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str
) -> None:
    """For who manages the server; anyone else reads that they may not."""
    async with bot_at(DUE, fake, subscribed, vendor) as bot:
        await fake.until(lambda: posted(fake))
        [message] = posted(fake)
        message.guild_id = GUILD
        refused = await fake.component(message, "report:weekly:end")
        await refused.until(lambda it: it.original and not it.original.loading)
        assert await bot.assistant.weekly.of_server(GUILD) is not None
        manager = discord.Permissions(view_channel=True, manage_guild=True).value
        ended = await fake.component(message, "report:weekly:end", permissions=manager)
        await ended.until(lambda it: it.original and not it.original.loading)
        assert await bot.assistant.weekly.of_server(GUILD) is None

    assert refused.original is not None
    assert ended.original is not None
    assert refused.original.content == "You need the permission to manage server for this."
    assert refused.original.ephemeral
    assert ended.original.content.startswith("Ended:")
    assert ended.original.ephemeral


async def test_a_bot_that_was_down_posts_when_it_is_back(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str
) -> None:
    """Within two days, on the same week."""
    async with bot_at(DUE + 1.9 * DAY, fake, subscribed, vendor):
        await fake.until(lambda: posted(fake))

    assert "23 November 2026 to 29 November 2026" in posted(fake)[0].content


async def test_a_bot_that_was_down_for_longer_waits_for_the_next_week(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str
) -> None:
    """Nobody reads old news."""
    await add_later_server(subscribed)
    async with bot_at(DUE + 2.1 * DAY, fake, subscribed, vendor):
        await until_later_server(fake)

    assert tries(fake) == []


def left_behind(database_url: str, tmp_path: Path) -> str:
    """The database as a killed bot leaves it at this moment."""
    file = Path(database_url.removeprefix("sqlite+aiosqlite:///"))
    copy = tmp_path / "killed.db"
    for suffix in ("", "-wal"):
        if (source := file.with_name(file.name + suffix)).exists():
            shutil.copyfile(source, copy.with_name(copy.name + suffix))
    return f"sqlite+aiosqlite:///{copy}"


async def test_a_bot_that_is_killed_while_posting_posts_once(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str, tmp_path: Path
) -> None:
    """Discord has the message, and the bot never learns so: the next bot does not post it again."""
    fake.fail("POST", POST, hang=5, after_handling=True)
    async with bot_at(DUE, fake, subscribed, vendor):
        await fake.until(lambda: posted(fake))
        left = left_behind(subscribed, tmp_path)
        await add_later_server(left)
        async with FakeDiscord() as later, bot_at(DUE + 0.5 * DAY, later, left, vendor):
            await until_later_server(later)
            assert tries(later) == []
        fake.rest.faults.clear()


async def test_a_bot_that_is_told_to_stop_leaves_nothing_half_posted(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str
) -> None:
    """What is being posted arrives, and what was to follow is left to the next bot."""
    async with open_database(subscribed) as database:
        await subscribe(database, GUILD + 1, CHANNEL + 5)
    fake.fail("POST", POST, delay=0.5)
    async with bot_at(DUE, fake, subscribed, vendor) as bot:
        await fake.until(lambda: tries(fake))
        await bot.finish()
        assert len(posted(fake)) == 1
    assert posted(fake, CHANNEL + 5) == []

    async with bot_at(DUE + 60, fake, subscribed, vendor):
        await fake.until(lambda: posted(fake, CHANNEL + 5))
    assert len(posted(fake)) == 1


@pytest.mark.parametrize(
    "fault", [{"status": 502}, {"reset": True}, {"hang": 0.1}, {"status": 500, "after_handling": True}]
)
async def test_what_discord_did_not_take_is_tried_again(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str, fault: dict[str, Any]
) -> None:
    """Under the same nonce: what had arrived after all is not there twice."""
    fake.fail("POST", POST, times=2, **fault)
    async with bot_at(DUE, fake, subscribed, vendor):
        await fake.until(
            lambda: len([sent for sent in fake.requests if sent.path == POST and sent.status == 200])
        )

    assert len(posted(fake)) == 1
    assert len(tries(fake)) >= 2
    assert len({sent["nonce"] for sent in tries(fake)}) == 1
    async with open_database(subscribed) as database:
        found = await WeeklyReports(database).of_server(GUILD)
    assert found is not None
    assert (found.posted, found.missed) == (MONDAY.isoformat(), 0)


async def test_a_channel_that_is_gone_is_told_to_the_host(
    fake: FakeDiscord, vendor: FakeVendor, subscribed: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each week, and the fourth time in a row that there will be no more; other servers get theirs."""
    async with open_database(subscribed) as database:
        await subscribe(database, GUILD + 1, CHANNEL + 5)
    fake.fail("POST", POST, times=9, status=404, body={"message": "Unknown Channel", "code": 10003})
    for week in range(4):
        now = DUE + week * 7 * DAY
        async with bot_at(now, fake, subscribed, vendor, owner_channel_id=OWNERS_CHANNEL):
            for channel_id in (OWNERS_CHANNEL, CHANNEL + 5):
                await fake.until(partial(arrived, fake, channel_id, week + 1))
    told = [message.content for message in posted(fake, OWNERS_CHANNEL)]
    assert all(f"server {GUILD} could not be posted" in sentence for sentence in told)
    assert ["there will be no more" in sentence for sentence in told] == [False, False, False, True]
    assert told[0] in caplog.text
    assert len(tries(fake)) == 4
    async with open_database(subscribed) as database:
        assert await WeeklyReports(database).of_server(GUILD) is None


async def test_a_week_without_use_has_its_report_too(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """It says so, and has no chart."""
    async with open_database(database_url) as database:
        await subscribe(database)
    async with bot_at(DUE, fake, database_url, vendor):
        await fake.until(lambda: posted(fake))

    [message] = posted(fake)
    assert "Nothing was used in this time." in message.content
    assert message.attachments == []
