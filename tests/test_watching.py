"""Watching a bot as it is run: from its start to its end, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from commands import EXIT_TRY_AGAIN
from settings import Settings
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor, openai_stream, slowly
from tests.hosted_bot import Host
from tests.living_bot import answered


@pytest.fixture
async def host(tmp_path: Path, vendor: FakeVendor) -> AsyncIterator[Host]:
    async with FakeDiscord() as fake:
        yield Host(tmp_path, fake, vendor.url)


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        number: int = listening.getsockname()[1]
        return number


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and text; status 0 when nothing listens."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as reply,
        ):
            return reply.status, await reply.text()
    except aiohttp.ClientConnectorError:
        return 0, ""


async def until(port: int, path: str, status: int) -> str:
    """Wait until it is answered with this status, and give the text."""
    async with asyncio.timeout(20):
        while True:
            found, text = await get(port, path)
            if found == status:
                return text
            await asyncio.sleep(0.05)


async def test_it_is_watched_from_before_it_is_ready_until_its_end(
    host: Host, vendor: FakeVendor, port: int
) -> None:
    """Not ready while Discord is away, ready once it is there, alive while it stops; then nothing listens."""
    vendor.reply(slowly(openai_stream(*["more "] * 20), 0.1))
    refusal = host.fake.fail("GET", "/gateway/bot", times=1000, status=503)
    async with host.start(WATCH_PORT=str(port)) as process:
        assert json.loads(await until(port, "/readyz", 503))["ready"] is False
        assert (await get(port, "/healthz"))[0] == 200
        await host.until_logged("Discord cannot be reached")
        refusal.times = 0
        await until(port, "/readyz", 200)
        assert "colloquy_ready" in (await get(port, "/metrics"))[1]
        interaction = await host.fake.slash("ask", {"prompt": "Go on."})
        await interaction.until(lambda it: answered(it, "more"), timeout=10)
        process.send_signal(signal.SIGTERM)
        await host.until_logged("stopping")
        assert json.loads(await until(port, "/readyz", 503))["problems"] == {"process": "stopping"}
        assert (await get(port, "/healthz"))[0] == 200
        assert await asyncio.wait_for(process.wait(), 20) == 0

    assert answered(interaction, " ".join(["more"] * 20))
    assert await get(port, "/healthz") == (0, "")


async def test_port_that_is_taken_is_told_before_anything_else(host: Host, port: int) -> None:
    """The bot does not start half watched: it says which setting it is, with status 78."""
    with socket.create_server(("127.0.0.1", port)):
        async with host.start(WATCH_PORT=str(port)) as process:
            assert await asyncio.wait_for(process.wait(), 20) == EXIT_TRY_AGAIN

    assert f"  - WATCH_HOST, WATCH_PORT: nothing can be served at 127.0.0.1:{port}: " in host.log
    assert "Traceback" not in host.log
    assert host.fake.requests == []


async def test_another_port_takes_a_restart(host: Host, port: int) -> None:
    """The settings that are read again say another port: the bot says that it has to be restarted for it."""
    host.write(env=host.read(".env") + f"WATCH_PORT={port}\n")
    async with host.start() as process:
        await host.until_logged("connected to Discord")
        host.write(env=host.read(".env").replace(str(port), "1"))
        process.send_signal(signal.SIGHUP)
        await host.until_logged(
            "WATCH_PORT has changed in the settings. The bot has to be restarted for that."
        )
        assert (await get(port, "/healthz"))[0] == 200


def test_unless_it_is_set_nothing_is_served_and_nobody_else_is_answered() -> None:
    """Watching is off, and where it is turned on, it is for this machine alone."""
    settings = Settings(discord_token="some-token")

    assert settings.watch_port is None
    assert settings.watch_host == "127.0.0.1"
