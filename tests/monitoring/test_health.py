"""/healthz and /readyz tell the truth: about Discord, the database, the keys, and the start and stop."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from monitoring.health import LOST_SECONDS, SECONDS_BETWEEN_WRITES, WRITE_SECONDS, gateway_problem, sockets_of
from tests.fake_discord import FakeDiscord, point_discord_py_at
from tests.fake_vendors import FakeVendor, json_reply, openai_stream, slowly
from tests.living_bot import answered, rows
from tests.monitoring.watched import Watcher, open_watcher, watched_bot


async def until(predicate: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await predicate():  # noqa: ASYNC110 (what is asked is behind a socket)
            await asyncio.sleep(0.05)


async def until_ready_says(watcher: Watcher, problems: dict[str, str]) -> None:
    async def says() -> bool:
        return await watcher.ready() == (503 if problems else 200, problems)

    await until(says)


async def test_a_bot_that_can_work_is_alive_and_ready(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Connected, with a database and a key, the bot is ready, and asks no vendor to find that out."""
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        assert await watcher.get("/healthz") == (200, '{"alive": true}')
        assert await watcher.get("/readyz") == (200, '{"ready": true, "problems": {}}')

    assert vendor.requests == []


async def test_before_it_is_open_the_bot_is_alive_and_not_ready() -> None:
    """While the database is migrated, however long that takes, nobody shall restart the bot."""
    async with open_watcher() as watcher:
        watcher.clock.added = 2 * LOST_SECONDS
        await asyncio.sleep(0.6)  # it looks every half second

        assert (await watcher.get("/healthz"))[0] == 200
        assert await watcher.ready() == (503, {"process": "starting or stopping"})


async def test_a_lost_connection_to_discord_is_told_until_it_is_back(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Without the gateway the bot is not ready, although the process runs; reconnected it is."""
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        refusal = fake.fail("GET", "/gateway", times=1000, status=503)
        await fake.drop_connection()
        await until_ready_says(watcher, {"discord": "not connected"})
        assert (await watcher.get("/healthz"))[0] == 200
        refusal.times = 0
        await until_ready_says(watcher, {})


async def test_what_only_a_new_start_may_mend_is_told_by_healthz(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """With Discord away for ten minutes /healthz says no, and yes again once Discord is back."""
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        refusal = fake.fail("GET", "/gateway", times=1000, status=503)
        await fake.drop_connection()
        await until_ready_says(watcher, {"discord": "not connected"})
        watcher.clock.added = LOST_SECONDS + 1

        assert await watcher.get("/healthz") == (503, '{"alive": false}')
        refusal.times = 0

        async def is_alive() -> bool:
            return (await watcher.get("/healthz"))[0] == 200

        await until(is_alive, 20)
        await until_ready_says(watcher, {})


async def test_a_bot_that_waits_on_purpose_is_alive(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Whoever spares its last identifies, for hours if need be, must not be started anew meanwhile."""
    async with watched_bot(fake, database_url, vendor.url) as (bot, watcher):
        fake.fail("GET", "/gateway", times=1000, status=503)
        await fake.drop_connection()
        await until_ready_says(watcher, {"discord": "not connected"})
        with bot.waiting():
            watcher.clock.added = 2 * LOST_SECONDS
            await asyncio.sleep(0.6)  # it looks every half second

            assert (await watcher.get("/healthz"))[0] == 200
            assert (await watcher.ready())[0] == 503


async def test_a_connection_that_has_gone_silent_is_told(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """A gateway that answers no heartbeat is not relied on, long before discord.py gives it up."""
    fake.heartbeat_interval = 0.3
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        await fake.until(lambda: fake.gateway.heartbeats >= 3)
        assert await watcher.ready() == (200, {})
        fake.acknowledge_heartbeats = False
        await until_ready_says(watcher, {"discord": "a heartbeat was not answered"})
        fake.acknowledge_heartbeats = True
        await until_ready_says(watcher, {})


async def test_every_shard_has_to_be_connected() -> None:
    """Of a client with several shards each has its connection, and one that is lost is told."""
    async with FakeDiscord(shard_count=3) as fake:
        with point_discord_py_at(fake.url):
            async with discord.AutoShardedClient(
                intents=discord.Intents.none(), shard_ids=[0, 2], shard_count=3
            ) as client:
                running = asyncio.create_task(client.start(fake.token))
                await fake.until(lambda: len(fake.gateway.live()) == 2, timeout=20)
                await client.wait_until_ready()

                assert sorted(sockets_of(client)) == [0, 2]
                assert gateway_problem(client) == ""
                fake.fail("GET", "/gateway", times=1000, status=503)
                lost = next(session.connection for session in fake.gateway.live() if session.shard == 2)
                assert lost is not None
                await lost.socket.close(code=4000)
                async with asyncio.timeout(10):
                    while gateway_problem(client) != "not connected":  # noqa: ASYNC110 (discord.py's state)
                        await asyncio.sleep(0.05)
                assert sockets_of(client)[0].open
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running


async def test_without_a_key_that_works_nobody_can_be_asked(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Once the only key is refused the bot is not ready, and says that it is the chat."""
    vendor.reply(json_reply({"error": {"message": "bad key"}}, 401))
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        assert await watcher.ready() == (200, {})
        interaction = await fake.slash("ask", {"prompt": "Anyone?"})
        await interaction.until(lambda it: answered(it, "has been told."))

        assert await watcher.ready() == (503, {"chat": "no provider can be asked now"})


@pytest.mark.sqlite_only  # a trigger that refuses is written in SQLite's words
async def test_a_database_that_takes_no_writes_is_told_until_it_does(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading alone is not enough. A new write is tried half a minute later; the log says why it failed."""
    path = database_url.removeprefix("sqlite+aiosqlite:///")
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        with closing(sqlite3.connect(path)) as other:
            refusal = "SELECT RAISE(FAIL, 'the disk is worn')"
            other.execute(f"CREATE TRIGGER worn BEFORE INSERT ON key_states BEGIN {refusal}; END")
            assert await watcher.ready() == (503, {"database": "cannot be written"})
            other.execute("DROP TRIGGER worn")
        assert await watcher.ready() == (503, {"database": "cannot be written"})
        watcher.clock.added += SECONDS_BETWEEN_WRITES
        assert await watcher.ready() == (200, {})

    assert "the database cannot be written: the disk is worn" in caplog.text


async def test_a_database_that_does_not_answer_is_told_in_time(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """While another program holds it, /readyz answers within seconds; /healthz does not wait at all."""
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        async with held(database_url):
            began = time.monotonic()
            told, also_told, alive = await asyncio.gather(
                watcher.ready(), watcher.ready(), watcher.get("/healthz")
            )
            took = time.monotonic() - began

        assert told == also_told == (503, {"database": "did not take a write in time"})
        assert alive[0] == 200
        assert took < WRITE_SECONDS + 1
        await until_ready_says(watcher, {})


@asynccontextmanager
async def held(database_url: str) -> AsyncIterator[None]:
    """Keep everyone else from writing."""
    on_file = database_url.startswith("sqlite")
    engine = create_async_engine(database_url, isolation_level="AUTOCOMMIT" if on_file else "READ COMMITTED")
    async with engine.connect() as other:
        lock = "BEGIN IMMEDIATE" if on_file else "LOCK TABLE key_states IN ACCESS EXCLUSIVE MODE"
        await other.execute(text(lock))
        yield
        if on_file:
            await other.execute(text("ROLLBACK"))
    await engine.dispose()


@pytest.mark.sqlite_only  # it watches the size of the log
async def test_the_write_is_a_real_one_and_leaves_nothing(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Asked for its readiness the bot writes to the disk, once in half a minute, and keeps nothing."""
    log = Path(database_url.removeprefix("sqlite+aiosqlite:///") + "-wal")
    async with watched_bot(fake, database_url, vendor.url) as (bot, watcher):
        sizes = [log.stat().st_size]
        for added in (0.0, 0.0, SECONDS_BETWEEN_WRITES):
            watcher.clock.added += added
            assert await watcher.ready() == (200, {})
            sizes.append(log.stat().st_size)

        assert sizes[0] < sizes[1] == sizes[2] < sizes[3]
        assert await rows(bot.assistant.database, "key_states") == []


async def test_a_bot_that_stops_takes_nothing_new_and_says_so(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """While the last answers are written the bot is alive and not ready, so nothing new is sent to it."""
    vendor.reply(slowly(openai_stream(*["more "] * 20), 0.05))
    async with watched_bot(fake, database_url, vendor.url) as (bot, watcher):
        interaction = await fake.slash("ask", {"prompt": "Go on."})
        await interaction.until(lambda it: answered(it, "more"))
        stopping = asyncio.create_task(bot.finish(20))
        await asyncio.sleep(0.1)

        assert await watcher.ready() == (503, {"process": "stopping"})
        assert (await watcher.get("/healthz"))[0] == 200
        assert not stopping.done()
        await stopping


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/debug"])
async def test_nothing_else_is_served(path: str) -> None:
    """Any other path is not there."""
    async with open_watcher() as watcher:
        assert (await watcher.get(path))[0] == 404


async def test_nothing_can_be_sent_to_it() -> None:
    """It is there to be read."""
    async with open_watcher() as watcher, aiohttp.ClientSession() as session:
        kinds: list[Any] = [session.post, session.put, session.delete]
        for kind in kinds:
            async with kind(watcher.url + "/metrics") as reply:
                assert reply.status == 405
