"""Stopping: what a host's signals do to answers that are being written, over a fake Discord."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from assistant import RESTARTING as REFUSED
from cogs.answering import RESTARTING as CUT_OFF
from db.engine import open_database
from db.verify import find_discrepancies
from tests.fake_discord import FakeDiscord, FakeInteraction, FakeUser
from tests.fake_vendors import FakeVendor, Reply, openai_stream, usage
from tests.hosted_bot import Host
from tests.living_bot import answered, rows

SHORT, LONG = 25, 25


def lasting(seconds: float) -> Reply:
    """An answer of ten words that takes so long."""
    pieces = [
        part
        for piece in openai_stream(*["word "] * 10, used=usage(10, 10)).pieces
        for part in (piece, seconds / 10)
    ]
    return Reply(tuple(pieces), headers={"Content-Type": "text/event-stream"})


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as vendor:
        yield vendor


@pytest.fixture
async def host(tmp_path: Path, vendor: FakeVendor) -> AsyncIterator[Host]:
    """A host's machine. After the test the books of its bot must agree, and nothing be open in them."""
    async with FakeDiscord() as fake:
        host = Host(tmp_path, fake, vendor.url)
        yield host
    async with open_database(host.database_url) as database:
        async with database.transaction() as connection:
            assert await find_discrepancies(connection) == []
        assert not [row for row in await rows(database, "requests") if row["open"]]
        assert not [row for row in await rows(database, "attempts") if row["state"] == "sent"]


async def ask(fake: FakeDiscord, number: int) -> FakeInteraction:
    """A question from a member of its own, in a channel of its own."""
    member = FakeUser(210_000_000_000_000_000 + number, f"member{number}", f"Member {number}")
    return await fake.slash("ask", {"prompt": "Go on."}, user=member, channel_id=1000 + number)


def has_text(interaction: FakeInteraction) -> bool:
    return interaction.original is not None and "word" in interaction.original.content


async def test_answers_in_flight_may_end_and_the_others_are_cut_off(host: Host, vendor: FakeVendor) -> None:
    """SIGTERM with 50 answers in flight: each ends for its member and in the books; nothing new is begun."""
    vendor.reply(*[lasting(2)] * SHORT, *[lasting(30)] * LONG)
    async with host.start(STOP_SECONDS="4") as process:
        await host.fake.ready(timeout=20)
        asked = [await ask(host.fake, number) for number in range(SHORT + LONG)]
        await host.fake.until(lambda: all(map(has_text, asked)), timeout=20)
        told_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await host.until_logged("stopping")
        late = await ask(host.fake, 99)
        await late.until(lambda it: answered(it, REFUSED))
        assert await process.wait() == 0
        took = time.monotonic() - told_at

    assert len(vendor.requests) == SHORT + LONG
    ends = Counter(
        "cut off"
        if answered(interaction, CUT_OFF)
        else "whole"
        if answered(interaction, "word")
        else "neither"
        for interaction in asked
    )
    assert ends == {"whole": SHORT, "cut off": LONG}
    assert 4 <= took < 10
    async with open_database(host.database_url) as database:
        attempts = await rows(database, "attempts")
    assert Counter(row["state"] for row in attempts) == {"settled": SHORT, "estimated": LONG}
    assert "Traceback" not in host.log


async def test_second_signal_ends_the_answers_at_once(host: Host, vendor: FakeVendor) -> None:
    """Told to stop once more, the bot waits no longer: what had come is shown, marked and booked."""
    vendor.reply(lasting(30))
    async with host.start(STOP_SECONDS="60") as process:
        await host.fake.ready(timeout=20)
        asked = await ask(host.fake, 1)
        await asked.until(has_text, timeout=10)
        process.send_signal(signal.SIGTERM)
        await host.until_logged("stopping")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.5)
        told_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        took = time.monotonic() - told_at

    assert took < 3
    assert answered(asked, CUT_OFF)
    assert has_text(asked)


async def test_bot_with_nothing_to_do_stops_without_waiting(host: Host) -> None:
    """With no answer in flight, SIGTERM and Ctrl-C end the bot within a second or so, with status 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        async with host.start(STOP_SECONDS="60") as process:
            await host.until_logged("connected to Discord")
            told_at = time.monotonic()
            process.send_signal(number)
            assert await process.wait() == 0
            assert time.monotonic() - told_at < 3


async def test_third_signal_waits_for_discord_no_longer(host: Host, vendor: FakeVendor) -> None:
    """While Discord takes no last edits, one more signal ends the bot all the same; the books are closed."""
    vendor.reply(lasting(30))
    async with host.start(STOP_SECONDS="60") as process:
        await host.fake.ready(timeout=20)
        asked = await ask(host.fake, 1)
        await asked.until(has_text, timeout=10)
        host.fake.fail("PATCH", "/webhooks/*/messages/@original", times=1000, hang=60)
        process.send_signal(signal.SIGTERM)
        await host.until_logged("stopping")
        process.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 1)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 5) == 0
