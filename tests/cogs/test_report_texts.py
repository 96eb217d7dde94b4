"""How reports read: whom they name, and whose days they have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from assistant.periods import Days
from assistant.usage import report
from assistant.values import View
from cogs.report_texts import as_embed, as_message, dollars
from db.engine import Database
from tests.db.entries import book_at


async def test_members_and_channels_are_mentioned(database: Database) -> None:
    """Discord shows each reader their names, and hides those of channels that they cannot see."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    await book_at(database, [noon], channel_id=99, user_id=31)
    days = Days(noon.date(), noon.date())
    by_channel = await report(database, View(10), days, "channel", "UTC", 4e9)
    by_member = await report(database, View(10), days, "member", "UTC", 4e9)

    assert as_message(by_channel, None)[0].split("\n")[2].startswith("1. <#99>: ")
    assert as_message(by_member, None)[0].split("\n")[2].startswith("1. <@31>: ")


async def test_days_are_written_as_the_server_has_them(database: Database) -> None:
    """Not as times that Discord would show in the reader's zone, where another day may be."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    await book_at(database, [noon + timedelta(days=number) for number in range(12)], tokens=1000)
    days = Days(date(2026, 5, 4), date(2026, 5, 15))
    found = await report(database, View(10), days, "day", "Pacific/Auckland", 4e9)
    embed, _ = as_embed(found, None)
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
    text, _ = as_message(found, None)

    assert len(text) <= 2000
    assert text.endswith("Days of UTC.")
    assert "And 2 more: " in text
