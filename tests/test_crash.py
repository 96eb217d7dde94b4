"""kill -9 in the middle of things: the bot runs in a process of its own, and is started again."""

from __future__ import annotations

import asyncio
import random

from db.engine import open_database
from db.ledger import reconcile
from db.verify import find_discrepancies
from tests.bot_process import bot_process
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor, Reply, openai_stream, usage
from tests.living_bot import answered, rows

KILLS = 8


def endless() -> Reply:
    """An answer that grows until somebody stops it."""
    pieces = [part for piece in openai_stream(*["on and "] * 500).pieces for part in (piece, 0.05)]
    return Reply(tuple(pieces), headers={"Content-Type": "text/event-stream"})


async def test_a_kill_in_mid_answer_leaves_honest_books(database_url: str) -> None:
    """The attempt is there, estimated after the next start; the answer after it counts once."""
    async with FakeDiscord() as fake, FakeVendor() as vendor:
        vendor.reply(endless(), openai_stream("Back again.", used=usage(100, 20)))
        async with bot_process(fake, vendor, database_url) as process:
            interaction = await fake.slash("ask", {"prompt": "Go on."})
            await interaction.until(lambda it: answered(it, "on and"), timeout=15)
            process.kill()
            await process.wait()

        async with bot_process(fake, vendor, database_url):
            second = await fake.slash("ask", {"prompt": "Are you there?"})
            await second.until(lambda it: answered(it, "Back again."), timeout=15)
            await fake.until(lambda: second.original is not None and len(second.original.versions) > 2)

    async with open_database(database_url) as database:
        attempts = await rows(database, "attempts")
        requests = await rows(database, "requests")
        history = await rows(database, "history")
        async with database.transaction() as connection:
            assert await find_discrepancies(connection) == []
    assert len(vendor.requests) == 2
    assert [(row["state"], row["usage_source"]) for row in attempts] == [
        ("estimated", "cap"),
        ("settled", "provider"),
    ]
    assert attempts[0]["completion_tokens"] == 1024
    assert attempts[0]["prompt_tokens"] > 0
    assert (attempts[1]["prompt_tokens"], attempts[1]["completion_tokens"]) == (100, 20)
    assert [row["outcome"] for row in requests] == ["lost", "answered"]
    assert [row["content"] for row in history] == ["Are you there?", "Back again."]


async def test_kills_at_random_moments_lose_nothing_and_count_nothing_twice(database_url: str) -> None:
    """Every request that reached the vendor has its attempt, every attempt ends, and the sums agree."""
    chance = random.Random(20261122)
    async with FakeDiscord() as fake, FakeVendor() as vendor:
        for _ in range(KILLS):
            vendor.reply(*[openai_stream("a ", "b ", "c", used=usage(10, 3))] * 12)
            async with bot_process(fake, vendor, database_url) as process:
                for number in range(12):
                    await fake.slash("ask", {"prompt": f"Question {number}?"}, channel_id=1000 + number)
                    await asyncio.sleep(chance.uniform(0, 0.03))
                await asyncio.sleep(chance.uniform(0, 0.3))
                process.kill()
                await process.wait()
        received = len(vendor.requests)

    async with open_database(database_url) as database:
        found = await rows(database, "attempts")
        assert [row for row in found if row["state"] == "sent"] != found
        # What the last kill left open is ended by the next start, as `open_bot` does it.
        async with database.transaction() as connection:
            await reconcile(connection)
        async with database.transaction() as connection:
            assert await find_discrepancies(connection) == []
        attempts = await rows(database, "attempts")
        history = await rows(database, "history")
    settled = [row for row in attempts if row["state"] == "settled"]
    assert settled
    assert len(attempts) >= received
    assert {row["state"] for row in attempts} <= {"settled", "estimated"}
    assert len(history) == 2 * len(settled)
