"""Notices of budgets on their way: each is told once, and so it has to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from assistant.values import BudgetNotice
from bot import Colloquy
from cogs.budget_notices import notice_text
from db.budgets import Limit
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor
from tests.living_bot import living_bot

CHANNEL, OWNERS_CHANNEL = 300_000_000_000_000_007, 300_000_000_000_000_008
POST = f"/channels/{CHANNEL}/messages"
LIMIT = Limit("server", 0, 10, "tokens", "day", 1000, 0, 86400, warn_channel_id=CHANNEL)
HALF = BudgetNotice(LIMIT, 500, 50)


@asynccontextmanager
async def patient_bot(
    fake: FakeDiscord, database_url: str, vendor: FakeVendor, **settings: Any
) -> AsyncIterator[Colloquy]:
    """A bot that is quick to try again."""

    def prepare(bot: Colloquy) -> None:
        bot.calls.late_seconds = 0.05

    async with living_bot(fake, database_url, vendor.url, prepare=prepare, **settings) as bot:
        yield bot


def tell(bot: Colloquy, *notices: BudgetNotice) -> None:
    for notice in notices:
        for listener in bot.assistant.budget_listeners:
            listener(notice)


def posted(fake: FakeDiscord, channel_id: int) -> list[str]:
    return [message.content for message in fake.messages if message.channel_id == channel_id]


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in caplog.text:  # noqa: ASYNC110 (nothing tells of a new line in the log)
            await asyncio.sleep(0.01)


async def test_a_notice_that_does_not_get_through_is_tried_again(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Discord failed twice, once after it had the message: it is there once, by one nonce."""
    fake.fail("POST", POST, status=500)
    fake.fail("POST", POST, status=500, after_handling=True)
    async with patient_bot(fake, database_url, vendor) as bot:
        tell(bot, HALF)
        tries = [("POST", POST)] * 3
        await fake.until(lambda: [(sent.method, sent.path) for sent in fake.requests[-3:]] == tries)
        await fake.until(lambda: posted(fake, CHANNEL))

    assert posted(fake, CHANNEL) == [notice_text(HALF)]
    assert len({sent.json["nonce"] for sent in fake.requests if sent.path == POST}) == 1


async def test_a_channel_that_refuses_notices_is_told_to_the_host_once(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Another try would not help; what could not be told stands in the log."""
    fake.fail("POST", POST, status=403, times=2, body={"code": 50001, "message": "Missing Access"})
    async with patient_bot(fake, database_url, vendor, owner_channel_id=OWNERS_CHANNEL) as bot:
        tell(bot, HALF, replace(HALF, percent=80))
        await fake.until(lambda: posted(fake, OWNERS_CHANNEL))
        await until_logged(caplog, "80 %")
    [told] = posted(fake, OWNERS_CHANNEL)

    assert f"server 10 cannot be posted: Discord refuses them in channel {CHANNEL}" in told
    assert notice_text(HALF) in caplog.text
    assert sum(sent.path == POST for sent in fake.requests) == 2


async def test_notices_of_the_hosts_limits_are_in_the_log(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where there is no channel for the owner."""
    refused = BudgetNotice(replace(LIMIT, scope="bot", guild_id=0, by_host=True), 950, None)
    async with patient_bot(fake, database_url, vendor) as bot:
        tell(bot, refused)

    assert notice_text(refused) in caplog.text
    assert notice_text(refused) == (
        "Today's budget of this bot had no room for a request: 950 tokens of 1,000 tokens are used, and what "
        "is left was too little. It begins anew <t:86400:R>."
    )
