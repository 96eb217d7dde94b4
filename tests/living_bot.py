"""The real bot over a fake Discord and a fake vendor, all on real sockets, in one process."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from discord.gateway import KeepAliveHandler
from pydantic import SecretStr
from sqlalchemy import text

from bot import Colloquy, open_bot
from db.engine import Database
from providers.router import ImageRouter
from settings import Settings
from tests.fake_discord import FakeDiscord, FakeInteraction, point_discord_py_at


@asynccontextmanager
async def living_bot(
    fake: FakeDiscord, database_url: str, vendor_url: str, **settings: Any
) -> AsyncIterator[Colloquy]:
    """Start the bot as `make run` does and wait until it is connected; at the end stop it as SIGTERM does.

    An `image_router` among the settings takes the place of the one they describe. `prepare` is given the bot
    before it connects.
    """
    image_router: ImageRouter | None = settings.pop("image_router", None)
    prepare: Callable[[Colloquy], None] = settings.pop("prepare", lambda _: None)
    chosen = Settings(
        **{
            "discord_token": fake.token,
            "database_url": database_url,
            "chat_chain": ("openai",),
            "image_chain": ("hf-nscale",),
            "providers": {
                name: {"base_url": f"{vendor_url}/v1"} for name in ("openai", "mistral", "hf-nscale")
            },
            **settings,
        }
    )
    with point_discord_py_at(fake.url):
        async with open_bot(
            chosen, lambda name: [(name, SecretStr(f"value-of-{name}"))], image_router=image_router
        ) as bot:
            prepare(bot)
            running = asyncio.create_task(bot.start(fake.token))
            try:
                await fake.ready()
                yield bot
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                stop_heartbeats()


def stop_heartbeats() -> None:
    """End what discord.py leaves of a connection that was cut off before it was complete."""
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler):
            thread.stop()


async def until_done(bot: Colloquy, interaction: FakeInteraction) -> None:
    """Wait until the interaction, and every other, is done with: bookings and last edits included."""
    await interaction.until(lambda it: it.acknowledged_at is not None)
    if bot.tree.running:
        await asyncio.wait(set(bot.tree.running), timeout=20)


def answered(interaction: FakeInteraction, ending: str) -> bool:
    """Whether the original response ends with this text, but for the line that says what it used."""
    return interaction.original is not None and without_footer(interaction.original.content).endswith(ending)


def without_footer(content: str) -> str:
    return re.sub(r"\n-# .* completion tokens.*\Z", "", content)


async def rows(database: Database, table: str) -> list[dict[str, Any]]:
    """All rows of a table, in the order of their ids."""
    async with database.transaction() as connection:
        found = await connection.execute(text(f"SELECT * FROM {table} ORDER BY 1"))  # noqa: S608 (our own names)
        return [dict(row) for row in found.mappings()]
