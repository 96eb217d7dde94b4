"""The books are looked through once a night, and who hosts the bot is told of what is wrong."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text

import nightly
from db.engine import Database, open_database
from nightly import check_books
from settings import Settings
from tests.db.entries import book, request

EVENING = datetime(2026, 11, 30, 22, 15)  # noqa: DTZ001 (of this machine's clock)


class Clock:
    """Goes on by so much each time that it is looked at."""

    def __init__(self, step: timedelta = timedelta()) -> None:
        self.now = EVENING
        self.step = step

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "LOOK_SECONDS", 0.001)


async def until_logged(caplog: pytest.LogCaptureFixture, sentence: str, times: int) -> None:
    async with asyncio.timeout(20):
        while caplog.text.count(sentence) < times:  # noqa: ASYNC110 (nothing tells of a new line in the log)
            await asyncio.sleep(0.01)


async def spoil(database: Database, by: int) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(f"UPDATE usage_slots SET prompt_tokens = prompt_tokens + {by}"))  # noqa: S608


@pytest.mark.usefixtures("quick")
async def test_books_that_do_not_agree_are_told_once(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Night after night they stand in the log; the host is told once, and once when they agree again."""
    caplog.set_level("INFO")
    settings = Settings(discord_token="x" * 30, database_url=SecretStr(database_url))
    told: list[str] = []
    async with open_database(database_url) as database:
        await database.run(lambda connection: book(connection, request(1)))
        await spoil(database, 1)
        task = asyncio.create_task(check_books(settings, told.append, Clock(timedelta(hours=1))))
        await until_logged(caplog, "the books do not agree: Ledger and roll-up (slots) differ", 3)
        assert told == ["The books do not agree; `python bot.py verify` says where."]
        await spoil(database, -1)
        await until_logged(caplog, "the books agree", 1)
        task.cancel()
        await asyncio.wait([task])
    assert told[1:] == ["The books agree again."]


@pytest.mark.usefixtures("quick")
async def test_a_look_is_once_a_night(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """At four in the morning of this machine's clock, and not before."""
    caplog.set_level("INFO")
    settings = Settings(discord_token="x" * 30, database_url=SecretStr(database_url))
    clock = Clock()
    async with open_database(database_url):
        task = asyncio.create_task(check_books(settings, print, clock))
        for night in range(1, 4):
            clock.now = EVENING.replace(hour=3, minute=59) + timedelta(days=night)
            await asyncio.sleep(0.05)
            assert caplog.text.count("the books agree") == night - 1
            clock.now += timedelta(minutes=1)
            await until_logged(caplog, "the books agree", night)
        task.cancel()
        await asyncio.wait([task])


async def test_of_several_processes_one_looks() -> None:
    """The one that has the first shard."""
    url = SecretStr("postgresql+asyncpg://user@some-host/colloquy")
    settings = Settings(discord_token="x" * 30, database_url=url, shard_count=2, shard_ids=(1,))
    async with asyncio.timeout(5):
        await check_books(settings, print)
