"""The two bots that `benchmarks.ask` compares: Colloquy, and the least that streams an answer to Discord."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import discord
from discord import app_commands

from benchmarks.children import obey, say
from benchmarks.start import rss_mib
from tests.fake_discord import point_discord_py_at

SAMPLE_SECONDS = 0.005
EDIT_PACE_SECONDS = 1.2  # as `cogs.delivery` has it


class Sampler:
    """Measures the process it runs in. Lag: how much later than it asked for a task is woken, every 5 ms."""

    def __init__(self) -> None:
        self._lags: list[float] = []
        self._began = 0.0

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            self._lags.append(loop.time() - due)

    def begin(self) -> None:
        """Measure from here on."""
        self._lags.clear()
        self._began = time.process_time()

    def end(self) -> dict[str, object]:
        """CPU seconds of all threads and lags in seconds since `begin`, and the memory now, in MiB."""
        return {"cpu_s": time.process_time() - self._began, "lags": self._lags, "rss_mib": rss_mib()}


Running = set[asyncio.Task[Any]]  # those that answer


@asynccontextmanager
async def open_floor(vendor_url: str) -> AsyncIterator[tuple[discord.Client, Running]]:
    """A bot that defers, streams, edits, and does nothing else: no book, no history, no chain, no faults."""
    running: Running = set()
    client = discord.Client(intents=discord.Intents.none(), max_messages=None)
    tree = app_commands.CommandTree(client)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, client:

        @tree.command(description="Ask")
        async def ask(interaction: discord.Interaction[discord.Client], prompt: str) -> None:
            task = asyncio.current_task()
            assert task is not None
            running.add(task)
            task.add_done_callback(running.discard)
            await interaction.response.defer(thinking=True)
            loop = asyncio.get_running_loop()
            answer, editing, edited_at = "", None, 0.0
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
            async with session.post(f"{vendor_url}/v1/chat/completions", json=body) as response:
                async for line in response.content:
                    if not line.startswith(b"data: {"):
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if not choices or not (piece := choices[0]["delta"].get("content")):
                        continue
                    answer += piece
                    if editing is None or (editing.done() and loop.time() >= edited_at + EDIT_PACE_SECONDS):
                        edited_at = loop.time()
                        editing = loop.create_task(interaction.edit_original_response(content=answer))
            if editing is not None:
                await editing
            await interaction.edit_original_response(content=answer)

        yield client, running


@asynccontextmanager
async def open_colloquy(
    token: str, vendor_url: str, database_url: str
) -> AsyncIterator[tuple[discord.Client, Running]]:
    """The real bot, asking one vendor with one key. Imported here: the floor's memory is to be its own."""
    from pydantic import SecretStr

    from bot import open_bot
    from settings import Settings

    settings = Settings(
        discord_token=SecretStr(token),
        database_url=SecretStr(database_url),
        chat_chain=("openai",),
        image_chain=("sketch",),
        providers={"openai": {"base_url": f"{vendor_url}/v1"}},
    )
    keys = {"OPENAI_API_KEY": SecretStr("key-of-the-benchmark")}
    async with open_bot(settings, lambda name: [(name, keys[name])] if name in keys else []) as bot:
        gc.freeze()  # as `running.run` does
        yield bot, bot.tree.running


async def check_books(database_url: str) -> dict[str, object]:
    """How many requests have exactly one attempt, which is settled, and what is wrong in the books."""
    from sqlalchemy import text

    from db.engine import open_database
    from db.verify import find_discrepancies

    settled = text(
        "SELECT count(*) FROM (SELECT 1 FROM requests JOIN attempts USING (interaction_id) "
        "GROUP BY interaction_id HAVING count(*) = 1 AND max(state) = 'settled')"
    )
    async with open_database(database_url) as database, database.transaction() as connection:
        return {
            "requests": await connection.scalar(text("SELECT count(*) FROM requests")),
            "settled": await connection.scalar(settled),
            "discrepancies": await find_discrepancies(connection),
        }


async def run(kind: str, discord_url: str, token: str, vendor_url: str, database_url: str) -> None:
    """Be one of the two until told to stop, and say what the books hold."""
    sampler = Sampler()
    opening = open_floor(vendor_url) if kind == "floor" else open_colloquy(token, vendor_url, database_url)
    with point_discord_py_at(discord_url):
        async with opening as (client, running):
            tasks = [asyncio.create_task(client.start(token)), asyncio.create_task(sampler.run())]
            await obey({"begin": sampler.begin, "running": lambda: len(running), "end": sampler.end})
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    if kind != "floor":
        say(await check_books(database_url))


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:6]))
