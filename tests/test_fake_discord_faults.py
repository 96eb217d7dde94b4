"""The fake Discord, met by the real discord.py: faults on demand, lost connections, killed processes."""

import asyncio
import sys

import aiohttp
import discord
import pytest

from tests.fake_discord import FakeDiscord, RateLimit
from tests.parrot import Interaction, connected, defer, finished


async def test_a_reset_connection_reaches_the_bot_at_once() -> None:
    """A reset fault is errno 104 in the client, strikes as often as it was told, and was no answer."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.defer()
        with pytest.raises(aiohttp.ClientOSError) as error:
            await interaction.edit_original_response(content="lost")
        assert error.value.errno == 104
        await interaction.edit_original_response(content="done")

    async with FakeDiscord() as fake, connected(fake, answer):
        fake.fail("PATCH", "/webhooks/*/messages/@original", reset=True)
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(finished)

    assert interaction.original is not None
    assert [version.content for version in interaction.original.versions] == ["", "done"]
    assert [sent.status for sent in fake.requests if sent.method == "PATCH"] == [None, 200]


async def test_faults_strike_in_order_and_can_lose_only_the_answer() -> None:
    """A hang ends without an answer, a status is answered as given, a lost answer was carried out."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message("hello")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await interaction.followup.send("hung")
        with pytest.raises(discord.Forbidden):
            await interaction.followup.send("forbidden")
        with pytest.raises(aiohttp.ClientOSError):
            await interaction.followup.send("carried out")
        await interaction.edit_original_response(content="done")

    async with FakeDiscord() as fake, connected(fake, answer):
        fake.fail("POST", "/webhooks/*", hang=0.05)
        fake.fail("POST", "/webhooks/*", status=403, body={"message": "Missing Access", "code": 50001})
        fake.fail("POST", "/webhooks/*", reset=True, after_handling=True)
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(finished)

    assert [followup.content for followup in interaction.followups] == ["carried out"]


async def test_a_spent_rate_limit_is_answered_with_429() -> None:
    """discord.py waits for the time the 429 names, and what was limited arrives after it."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.defer()
        await asyncio.gather(*(interaction.edit_original_response(content=text) for text in ("1", "done")))

    async with FakeDiscord() as fake, connected(fake, answer):
        fake.rest.webhook_rate_limit = RateLimit(limit=0, per=0.2)
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await fake.until(lambda: any(sent.status == 429 for sent in fake.requests))
        fake.rest.webhook_rate_limit = RateLimit()
        await interaction.until(finished)

    statuses = [sent.status for sent in fake.requests if sent.method == "PATCH"]
    assert statuses == [429, 200, 200]


async def test_a_dropped_connection_is_resumed_and_missed_events_are_replayed() -> None:
    """A command sent while nobody was connected is answered after the RESUME, with no new IDENTIFY."""
    async with FakeDiscord() as fake, connected(fake, defer):
        await fake.drop_connection()
        interaction = await fake.slash("ask", {"prompt": "hi"})
        assert fake.gateway.live() == []
        await interaction.until(lambda it: it.acknowledged_at)

    assert (len(fake.gateway.identifies), len(fake.gateway.resumes)) == (1, 1)


async def test_a_lost_session_is_identified_anew() -> None:
    """Where resuming is refused, the client identifies again and goes on."""
    async with FakeDiscord() as fake, connected(fake, defer):
        await fake.drop_connection(code=4000, resumable=False)
        await fake.ready()
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: it.acknowledged_at)

    assert (len(fake.gateway.identifies), len(fake.gateway.resumes)) == (2, 1)


BOT_IN_ANOTHER_PROCESS = """
import sys, discord
from discord import app_commands
from tests.fake_discord import point_discord_py_at

client = discord.Client(intents=discord.Intents.none())
tree = app_commands.CommandTree(client)

@tree.command(description="Ask something.")
async def ask(interaction: discord.Interaction, prompt: str) -> None:
    await interaction.response.send_message("done")

with point_discord_py_at(sys.argv[1]):
    client.run(sys.argv[2], log_handler=None)
"""


async def test_a_bot_in_another_process_can_be_killed_and_started_again() -> None:
    """The address is all another process needs; after a kill, the next one identifies and answers."""

    async def start(fake: FakeDiscord) -> asyncio.subprocess.Process:
        program = [sys.executable, "-c", BOT_IN_ANOTHER_PROCESS, fake.url, fake.token]
        return await asyncio.create_subprocess_exec(*program)

    async with FakeDiscord() as fake:
        for _ in range(2):
            process = await start(fake)
            try:
                await fake.ready(timeout=10)
                interaction = await fake.slash("ask", {"prompt": "hi"})
                await interaction.until(finished)
            finally:
                process.kill()
                await process.wait()
            await fake.until(lambda: not fake.gateway.live())

    assert len(fake.gateway.identifies) == 2
