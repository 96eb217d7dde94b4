"""Killing the bot again and again: nothing is lost or counted twice, and it would be noticed."""

import sqlite3
from pathlib import Path

import pytest

from benchmarks.kills import Run, run
from tests.fake_discord import CHANNEL_ID, FakeDiscord
from tests.fake_vendors import FakeVendor

KILLS = 5


@pytest.mark.timeout(180)  # it takes some 15 s where nothing else runs
async def test_nothing_is_lost_or_counted_twice_over_a_few_kills(tmp_path: Path) -> None:
    """With several answers in hand at a kill, the books hold what was shown and what the vendor counted."""
    counts = await run(KILLS, 20261123, tmp_path)

    assert counts.failures == []
    assert counts.ok
    assert counts.kills == KILLS
    assert counts.answers_shown > 0
    assert counts.in_hand_at_kill_most > 1
    assert counts.vendor_requests <= sum(counts.attempts.values())
    assert counts.attempts.keys() <= {"settled", "estimated", "unbilled"}
    assert counts.requests.keys() <= {"answered", "partial", "failed", "lost"}


@pytest.mark.timeout(180)  # it takes some 5 s where nothing else runs
async def test_books_that_lost_something_are_noticed(tmp_path: Path) -> None:
    """Attempts that vanish are counted as lost, sums as not agreeing, and budgets as passed."""
    async with FakeDiscord() as fake, FakeVendor() as vendor:
        one = Run(fake, vendor, f"sqlite+aiosqlite:///{tmp_path / 'colloquy.db'}", seed=5)
        await one.set_budgets(KILLS)
        while one.vendor_requests < 4:
            await one.live_and_die()
        connection = sqlite3.connect(tmp_path / "colloquy.db")
        with connection:
            connection.execute("DELETE FROM attempts WHERE id % 2")
            connection.execute("UPDATE attempts SET channel_id = ?, prompt_tokens = 1000000", (CHANNEL_ID,))
        connection.close()
        await one.end()

    assert one.counts.lost > 0
    assert one.counts.discrepancies > 0
    assert one.counts.overspent == 1
    assert not one.counts.ok
