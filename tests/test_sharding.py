"""Shards: which of them a process connects, and how it gets there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from backups import keep_backups
from bot import Colloquy, open_bot
from configuration import configure
from db.engine import open_database
from db.keeping import wait_to_identify
from running import stay_connected
from settings import Backup, Settings, SettingsError
from tests.fake_discord import FakeDiscord, point_discord_py_at
from tests.fake_vendors import FakeVendor, openai_stream, usage
from tests.living_bot import answered, living_bot, until_done

FIRST_PAUSE = 0.05
POSTGRESQL = "postgresql+asyncpg://colloquy@localhost/colloquy"
# A server for each shard of two: its number is in the bits above the lowest 22.
GUILDS = [(100 << 22) + 5, (101 << 22) + 5]


@pytest.fixture
async def two() -> AsyncIterator[FakeDiscord]:
    """A Discord that advises two shards."""
    async with FakeDiscord(shard_count=2) as fake:
        yield fake


def read(folder: Path, lines: str) -> Settings:
    (folder / ".env").write_text(f"DISCORD_TOKEN={'x' * 30}\n{lines}\n")
    return configure({}, folder)[0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", (None, None)),
        ("SHARD_COUNT=4", (4, None)),
        ("SHARD_COUNT=4\nSHARD_IDS=0-3", (4, (0, 1, 2, 3))),
        (f"SHARD_COUNT=9\nSHARD_IDS=0 - 2, 8\nDATABASE_URL={POSTGRESQL}", (9, (0, 1, 2, 8))),
    ],
)
def test_shards_are_read(
    lines: str, expected: tuple[int | None, tuple[int, ...] | None], tmp_path: Path
) -> None:
    """A number of shards, and those of this process as numbers and ranges."""
    settings = read(tmp_path, lines)

    assert (settings.shard_count, settings.shard_ids) == expected


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("SHARD_IDS=0", "SHARD_IDS needs SHARD_COUNT"),
        ("SHARD_COUNT=2\nSHARD_IDS=1,2", "must name each shard once; of 2 they are 0 to 1."),
        ("SHARD_COUNT=2\nSHARD_IDS=1,1", "must name each shard once"),
        ("SHARD_COUNT=2\nSHARD_IDS=1-0", "must name each shard once"),
        ("SHARD_COUNT=2\nSHARD_IDS=all", "SHARD_IDS must be numbers and ranges"),
        ("SHARD_COUNT=0", "SHARD_COUNT: Input should be greater than or equal to 1"),
        ("SHARD_COUNT=2\nSHARD_IDS=0", "an SQLite file can have only one. Set DATABASE_URL to"),
    ],
)
def test_shards_that_make_no_sense_are_refused(lines: str, sentence: str, tmp_path: Path) -> None:
    """One sentence says what is wrong; several processes on one SQLite file are wrong as well."""
    with pytest.raises(SettingsError) as error:
        read(tmp_path, lines)

    [problem] = error.value.problems
    assert sentence in problem


async def test_a_process_connects_as_many_shards_as_discord_advises(
    two: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Without a setting the bot hears the servers of every shard."""
    async with living_bot(two, database_url, vendor.url) as bot:
        await two.until(lambda: len(two.gateway.live()) == 2, 15)  # the second five seconds after the first
        await asyncio.wait_for(bot.wait_until_ready(), 5)
        for guild_id in GUILDS:
            vendor.reply(openai_stream("Here.", used=usage(10, 3)))
            asked = await two.slash("ask", {"prompt": "Who is there?"}, guild_id=guild_id)
            await asked.until(lambda it: answered(it, "Here."))
            await until_done(bot, asked)

    assert [identify["shard"] for identify in two.gateway.identifies] == [[0, 2], [1, 2]]


@pytest.fixture
async def second_half(two: FakeDiscord, postgresql_url: str) -> AsyncIterator[Colloquy]:
    """A bot for the second of two shards, not connected yet, whose turns to identify are short."""
    settings = Settings(discord_token=two.token, database_url=postgresql_url, shard_count=2, shard_ids=(1,))
    with point_discord_py_at(two.url):
        async with open_bot(settings) as bot:
            yield bot


async def test_a_process_connects_its_own_shards_alone(second_half: Colloquy, two: FakeDiscord) -> None:
    """The servers of the other shards are not heard here; their process hears them."""
    running = asyncio.create_task(stay_connected(second_half, two.token, FIRST_PAUSE))
    await two.ready(15)
    await asyncio.wait_for(second_half.wait_until_ready(), 5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert [identify["shard"] for identify in two.gateway.identifies] == [[1, 2]]


async def test_a_shard_that_fails_leaves_the_others_connected(two: FakeDiscord, database_url: str) -> None:
    """When the second shard's handshake fails, it is tried again, and the first is not connected anew."""
    settings = Settings(discord_token=two.token, database_url=database_url, shard_count=2)
    with point_discord_py_at(two.url):
        async with open_bot(settings) as bot:
            running = asyncio.create_task(stay_connected(bot, two.token, FIRST_PAUSE))
            await two.ready(15)
            two.fail("GET", "/gateway", times=3, status=502)
            await two.until(lambda: len(two.gateway.live()) == 2, 25)
            await asyncio.wait_for(bot.wait_until_ready(), 5)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    assert [identify["shard"] for identify in two.gateway.identifies] == [[0, 2], [1, 2]]


async def test_identifies_are_spared_for_the_shards_of_this_process(
    second_half: Colloquy, two: FakeDiscord, caplog: pytest.LogCaptureFixture
) -> None:
    """Of sixty identifies a process with one shard of two may use them all: it waits for none."""
    two.identifies_left, two.identifies_reset_after = 60, 100.0
    running = asyncio.create_task(stay_connected(second_half, two.token, FIRST_PAUSE))
    await two.ready(15)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert "resets its token" not in caplog.text


async def test_processes_identify_one_after_the_other(postgresql_url: str) -> None:
    """However many start at once, there is the same time between any two of them."""
    seconds = 0.4
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(open_database(postgresql_url)) for _ in range(4)]
        began = time.monotonic()
        times: list[float] = []

        async def identify(number: int) -> None:
            await wait_to_identify(databases[number], seconds)
            times.append(time.monotonic() - began)

        await asyncio.gather(*(identify(number) for number in range(4)))

    assert times[0] >= seconds
    assert all(later - earlier >= 0.9 * seconds for earlier, later in pairwise(times))


async def test_one_process_makes_the_backups(tmp_path: Path) -> None:
    """The one with the first shard; in the others the clock of the backups ends as soon as it begins."""
    settings = Settings(
        discord_token=SecretStr("some-token"),
        database_url=SecretStr(POSTGRESQL),
        shard_count=2,
        shard_ids=(1,),
        backup=Backup(every_hours=1, folder=tmp_path),
    )
    async with asyncio.timeout(5):
        await keep_backups(lambda: settings, pytest.fail)
