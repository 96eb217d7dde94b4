"""PostgreSQL that is away: at the start, and while the bot runs."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.booking import BOOKS_CLOSED
from commands import EXIT_CONFIGURATION
from db.engine import DatabaseError, DatabaseUnusable, open_database
from db.keeping import end_orphans, wait_to_identify
from db.ledger import admit, close_request
from db.reading import open_reader
from db.server import read_living
from db.verify import find_discrepancies
from tests.db.entries import request
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor, openai_stream, slowly, usage
from tests.hosted_bot import Host
from tests.living_bot import answered, living_bot, rows, until_done
from tests.postgresql import NEEDS_PASSWORD, PROGRAMS, Cluster, running_cluster

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server's programs were found")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server that these tests stop and start."""
    with running_cluster() as cluster:
        cluster.execute(f"CREATE USER {NEEDS_PASSWORD} PASSWORD 'the right one'")
        yield cluster


@pytest.fixture
def address(cluster: Cluster) -> Iterator[str]:
    """The address of an empty database on that server, which runs again afterwards."""
    cluster.execute("CREATE DATABASE colloquy")
    yield cluster.url.set(database="colloquy").render_as_string()
    cluster.stop()
    cluster.start()
    cluster.execute("DROP DATABASE colloquy")


@pytest.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        yield fake


async def test_a_start_waits_for_the_server(
    tmp_path: Path, fake: FakeDiscord, cluster: Cluster, address: str
) -> None:
    """While the server is down the start says so and tries again; once it is up the bot connects."""
    host = Host(tmp_path, fake, "http://127.0.0.1:1", address)
    await asyncio.to_thread(cluster.stop)
    async with host.start() as process:
        await host.until_logged("The next try is in 2 seconds")
        assert "Is its server running" in host.log
        assert process.returncode is None
        await asyncio.to_thread(cluster.start)
        await fake.ready(20)

        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0

    assert "Traceback" not in host.log


async def test_a_start_that_waits_can_be_stopped(
    tmp_path: Path, fake: FakeDiscord, cluster: Cluster, address: str
) -> None:
    """One SIGTERM ends a bot that waits for its server, at once and without a fault."""
    host = Host(tmp_path, fake, "http://127.0.0.1:1", address)
    await asyncio.to_thread(cluster.stop)
    async with host.start() as process:
        await host.until_logged("The next try is in 2 seconds")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 5) == 0

    assert "Traceback" not in host.log


@pytest.mark.parametrize(
    ("user", "database", "reason"),
    [
        ("colloquy", "no_such_database", "does not exist"),
        ("stranger", "colloquy", "does not exist"),
        (f"{NEEDS_PASSWORD}:canary-of-a-password", "colloquy", "password authentication failed"),
    ],
)
async def test_wrong_settings_are_not_tried_again(
    tmp_path: Path, fake: FakeDiscord, address: str, user: str, database: str, reason: str
) -> None:
    """A database, a user or a password that the server refuses ends the start with status 78."""
    wrong = address.replace("colloquy@/colloquy", f"{user}@/{database}")
    host = Host(tmp_path, fake, "http://127.0.0.1:1", wrong)
    async with host.start() as process:
        assert await asyncio.wait_for(process.wait(), 20) == EXIT_CONFIGURATION

    assert f"The database {database} on " in host.log
    assert reason in host.log
    assert "canary-of-a-password" not in host.log
    assert "Traceback" not in host.log


async def test_commands_do_not_wait_for_the_server(cluster: Cluster, address: str) -> None:
    """Whoever only looks at the database is told that it is away, which may pass, and may try again."""
    await asyncio.to_thread(cluster.stop)

    for look in (open_database, open_reader):
        with pytest.raises(DatabaseUnusable, match="Is its server running") as refusal:
            async with look(address):
                pass
        assert refusal.value.may_pass


async def test_who_starts_with_the_server_waits_for_those_who_live(cluster: Cluster, address: str) -> None:
    """A server that has just started knows of nobody. What a living process answers is not taken from it."""
    async with open_database(address) as one, open_database(address) as other:
        await one.run(lambda connection: admit(connection, replace(request(1), process=one.process)))
        await asyncio.to_thread(cluster.stop)
        await asyncio.to_thread(cluster.start)
        with suppress(DatabaseError):  # the connections of before
            await other.run(read_living)
        looking = asyncio.create_task(end_orphans(other, settled_seconds=4))
        await asyncio.sleep(1)
        await one.show_presence()

        assert await looking == []
        assert [row["open"] for row in await rows(other, "requests")] == [True]
        await one.run(lambda connection: close_request(connection, 1, "failed"))


async def test_nothing_is_sent_while_the_server_is_away(
    fake: FakeDiscord, vendor: FakeVendor, cluster: Cluster, address: str
) -> None:
    """A question is refused without asking a vendor; when the server is back the next is answered."""
    async with living_bot(fake, address, vendor.url) as bot:
        await asyncio.to_thread(cluster.stop)
        refused = await fake.slash("ask", {"prompt": "Is anybody there?"})
        await refused.until(lambda it: answered(it, BOOKS_CLOSED), timeout=15)
        assert vendor.requests == []

        await asyncio.to_thread(cluster.start)
        vendor.reply(openai_stream("Yes.", used=usage(10, 3)))
        asked = await fake.slash("ask", {"prompt": "And now?"})
        await asked.until(lambda it: answered(it, "Yes."), timeout=15)
        await until_done(bot, asked)

    async with open_database(address) as database:
        assert [row["outcome"] for row in await rows(database, "requests")] == ["answered"]
        assert await database.run(find_discrepancies) == []


async def test_an_answer_that_ends_while_the_server_is_away_is_booked_later(
    fake: FakeDiscord, vendor: FakeVendor, cluster: Cluster, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its member gets it all the same; once the server is back its end is written, whoever asks or not."""
    vendor.reply(slowly(openai_stream("One, ", "two, ", "three.", used=usage(50, 30)), 0.3))
    async with living_bot(fake, address, vendor.url) as bot:
        asked = await fake.slash("ask", {"prompt": "Count to three."})
        await asked.until(lambda it: it.original is not None and "One" in it.original.content, timeout=15)
        await asyncio.to_thread(cluster.stop)
        await asked.until(lambda it: answered(it, "three."), timeout=25)
        await until_done(bot, asked)
        await asyncio.to_thread(cluster.start)
        async with asyncio.timeout(20):
            while "The books can be written again" not in caplog.text:  # noqa: ASYNC110 (a line of the log)
                await asyncio.sleep(0.05)
        async with bot.assistant.database.transaction() as connection:
            assert await find_discrepancies(connection) == []
        [attempt] = [
            row for row in await rows(bot.assistant.database, "attempts") if row["prompt_tokens"] == 50
        ]
        assert (attempt["state"], attempt["completion_tokens"]) == ("settled", 30)


async def test_a_shard_connects_while_the_server_is_away(
    cluster: Cluster, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever wants to identify waits for itself alone then, and says so."""
    async with open_database(address) as database:
        await asyncio.to_thread(cluster.stop)
        began = time.monotonic()
        await asyncio.wait_for(wait_to_identify(database, 0.3), 10)

    assert time.monotonic() - began >= 0.3
    assert "the other processes cannot be waited for" in caplog.text
