"""How reports read: which channels they name, and whose days they have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import discord
import pytest
import simcord

from assistant.periods import Days
from assistant.usage import report
from assistant.values import View
from cogs.report_texts import HIDDEN, HIDDEN_FROM_SOME, Reader, as_embed, as_message, dollars
from db.engine import Database
from tests.cogs.world import Overwrites
from tests.db.entries import book_at


async def test_channels_that_not_everybody_sees_are_not_named(database: Database) -> None:
    """In a post to all. One reader's report names what that one sees; unknown channels are mentions."""
    client = discord.Client(intents=discord.Intents(guilds=True, members=True))
    env = simcord.Env(client)
    await env.start()
    try:
        guild = env.create_guild("Test server")
        staff = guild.create_role("staff")
        closed: Overwrites = {
            guild.default_role: discord.PermissionOverwrite(view_channel=False),
            staff: discord.PermissionOverwrite(view_channel=True),
        }
        general, hidden = (
            guild.create_text_channel("general"),
            guild.create_text_channel("x", overwrites=closed),
        )
        member, other = (
            guild.add_member(env.create_user("ada"), roles=[staff]),
            guild.add_member(env.create_user("sam")),
        )
        await env.settle()
        moment = datetime(2026, 5, 4, 12, tzinfo=UTC)
        for tokens, channel_id in ((3, general.id), (2, hidden.id), (1, 99)):
            await book_at(database, [moment], tokens=tokens, channel_id=channel_id)
        days = Days(moment.date(), moment.date())
        found = await report(database, View(10), days, "channel", "UTC", 4e9)
        known = client.get_guild(guild.id)
        assert known is not None

        def lines(user: discord.Member | None) -> list[str]:
            text, _ = as_message(found, None, Reader(client, known, user))
            return [line.split(":")[0] for line in text.split("\n")[2:5]]

        mentioned = [f"1. <#{general.id}>", f"2. <#{hidden.id}>", "3. <#99>"]
        assert lines(None) == [mentioned[0], f"2. {HIDDEN_FROM_SOME}", mentioned[2]]
        assert lines(known.get_member(member.id)) == mentioned
        assert lines(known.get_member(other.id)) == [mentioned[0], f"2. {HIDDEN}", mentioned[2]]
    finally:
        await env.shutdown()


async def test_days_are_written_as_the_server_has_them(database: Database) -> None:
    """Not as times that Discord would show in the reader's zone, where another day may be."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    await book_at(database, [noon + timedelta(days=number) for number in range(12)], tokens=1000)
    days = Days(date(2026, 5, 4), date(2026, 5, 15))
    found = await report(database, View(10), days, "day", "Pacific/Auckland", 4e9)
    client = discord.Client(intents=discord.Intents.none())
    embed, _ = as_embed(found, None, Reader(client, None, None))
    lines = (embed.description or "").split("\n")[1:]

    assert lines[0] == "The last 10 days; the chart and the files have all."
    assert lines[1] == "6 May 2026: 1,000 + 0 tokens, 1 request, $0.0010"
    assert [line.split(":")[0] for line in lines[2:]] == [f"{day} May 2026" for day in range(7, 16)]


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (99, "under $0.0001"),
        (100, "$0.0001"),
        (8_500, "$0.0085"),
        (10_000, "$0.01"),
        (12_345_678, "$12.35"),
    ],
)
def test_no_cost_reads_as_nothing(micros: int, text: str) -> None:
    """Cents, and more figures where cents would hide it."""
    assert dollars(micros) == text


async def test_the_longest_report_fits_into_a_message(database: Database) -> None:
    """Ten models with long names and large figures, and many more."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    for number in range(12):
        await book_at(database, [noon], tokens=10**12 + number, model=f"{number}" + "m_" * 50)
    found = await report(database, View(10), Days(noon.date(), noon.date()), "model", "UTC", 4e9)
    client = discord.Client(intents=discord.Intents.none())
    text, _ = as_message(found, None, Reader(client, None, None))

    assert len(text) <= 2000
    assert text.endswith("Days of UTC.")
    assert "And 2 more: " in text
