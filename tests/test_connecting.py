"""The way to Discord: what is tried again until it works, what is not, and how identifies are spared."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import discord
import pytest

from bot import Colloquy, open_bot
from commands import EXIT_CONFIGURATION
from running import stay_connected
from settings import Settings
from tests.fake_discord import FakeDiscord, point_discord_py_at
from tests.hosted_bot import Host
from tests.living_bot import stop_heartbeats

FIRST_PAUSE = 0.05


@pytest.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        yield fake


@pytest.fixture
async def bot(fake: FakeDiscord, database_url: str) -> AsyncIterator[Colloquy]:
    """The real bot, not connected yet."""
    settings = Settings(discord_token=fake.token, database_url=database_url)
    with point_discord_py_at(fake.url):
        async with open_bot(settings) as bot:
            yield bot
    stop_heartbeats()
    # discord.py may leave an event undone that it began to dispatch in the moment of its closing.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()


async def connect(bot: Colloquy, fake: FakeDiscord, within: float = 20) -> None:
    """Connect, and leave again."""
    running = asyncio.create_task(stay_connected(bot, fake.token, FIRST_PAUSE))
    try:
        await fake.ready(within)
        await asyncio.wait_for(bot.wait_until_ready(), 5)
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.parametrize(
    "fault", [{"status": 502}, {"reset": True}, {"hang": 0.01}], ids=["502", "reset", "no answer"]
)
async def test_first_handshake_that_fails_is_tried_again(
    bot: Colloquy, fake: FakeDiscord, fault: dict[str, Any]
) -> None:
    """However often the gateway fails before the bot was ever connected, it connects in the end."""
    fake.fail("GET", "/gateway", times=3, **fault)

    await connect(bot, fake)

    assert len(fake.gateway.identifies) == 1
    assert [request.path for request in fake.requests].count("/gateway") == 4


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/users/@me"), ("GET", "/oauth2/applications/@me"), ("PUT", "/applications/*/commands")],
)
async def test_login_that_fails_on_the_way_is_tried_again(
    bot: Colloquy, fake: FakeDiscord, method: str, path: str
) -> None:
    """Wherever in the login the connection breaks, the bot logs in again, with every command once."""
    fake.fail(method, path, times=4, reset=True)

    await connect(bot, fake)

    names = [command["name"] for command in fake.commands[None]]
    assert "ask" in names
    assert len(names) == len(set(names))


async def test_discord_that_does_not_tell_its_gateway_is_asked_again(
    bot: Colloquy, fake: FakeDiscord
) -> None:
    """The question how many identifies are left may fail like any other."""
    fake.fail("GET", "/gateway/bot", times=4, reset=True)

    await connect(bot, fake)


async def test_wrong_token_is_not_tried_again(bot: Colloquy, fake: FakeDiscord) -> None:
    """Discord is asked once, and the error says what it is."""
    with pytest.raises(discord.LoginFailure):
        await stay_connected(bot, "another token", FIRST_PAUSE)

    assert [request.path for request in fake.requests] == ["/users/@me"]


async def test_token_that_is_reset_later_is_not_tried_again(bot: Colloquy, fake: FakeDiscord) -> None:
    """A token that the gateway refuses ends the connection for good."""
    running = asyncio.create_task(stay_connected(bot, fake.token, FIRST_PAUSE))
    await fake.ready()
    await asyncio.wait_for(bot.wait_until_ready(), 5)
    fake.token = "a new token"
    await fake.drop_connection(4004)

    with pytest.raises(discord.ConnectionClosed) as closed:
        await asyncio.wait_for(running, 5)

    assert closed.value.code == 4004


async def test_last_identifies_are_spread_over_the_rest_of_the_day(
    bot: Colloquy, fake: FakeDiscord, caplog: pytest.LogCaptureFixture
) -> None:
    """With ten left, the bot waits for a tenth of the time to the reset before it connects, and says so."""
    fake.identifies_left, fake.identifies_reset_after = 10, 10.0
    started = time.monotonic()

    await connect(bot, fake)

    assert 1 <= time.monotonic() - started < 5
    [record] = [record for record in caplog.records if "resets its token" in record.getMessage()]
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("Discord lets this bot connect 10 more times in the next 0.0 hours")


async def test_without_an_identify_left_the_bot_does_not_connect(bot: Colloquy, fake: FakeDiscord) -> None:
    """It waits for the reset, looks again, and identifies only when Discord says that it may."""
    fake.identifies_left, fake.identifies_reset_after = 0, 0.3
    running = asyncio.create_task(stay_connected(bot, fake.token, FIRST_PAUSE))
    await fake.until(lambda: [request.path for request in fake.requests].count("/gateway/bot") >= 4)
    assert fake.gateway.identifies == []

    fake.identifies_left = 1000
    await fake.ready()
    await asyncio.wait_for(bot.wait_until_ready(), 5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert len(fake.gateway.identifies) == 1


async def test_a_stop_does_not_wait_for_a_shard_that_comes_back(bot: Colloquy, fake: FakeDiscord) -> None:
    """While a lost shard waits until it may identify again, the bot can be stopped at once."""
    running = asyncio.create_task(stay_connected(bot, fake.token, FIRST_PAUSE))
    await fake.ready()
    await asyncio.wait_for(bot.wait_until_ready(), 5)
    await fake.drop_connection(resumable=False)
    async with asyncio.timeout(20):
        while not bot.waits:  # noqa: ASYNC110 (what discord.py does sets no event)
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running], timeout=5)

    assert running.cancelled()


async def test_wrong_token_is_a_mistake_in_the_settings(tmp_path: Path, fake: FakeDiscord) -> None:
    """The process says where to get the token and ends with the status that keeps it from being restarted."""
    host = Host(tmp_path, fake, "http://127.0.0.1:1")
    host.write(env=host.read(".env").replace(fake.token, "not.the.token"))
    async with host.start() as process:
        assert await asyncio.wait_for(process.wait(), 20) == EXIT_CONFIGURATION

    assert "Discord refused DISCORD_TOKEN. Copy it again" in host.log
    assert "not.the.token" not in host.log
    assert "Traceback" not in host.log
