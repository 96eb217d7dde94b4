"""The smallest bot that goes the whole way: what the fake Discord is tested with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from tests.fake_discord import FakeDiscord, FakeInteraction, point_discord_py_at

Interaction = discord.Interaction["Parrot"]
Answer = Callable[[Interaction, str], Awaitable[Any]]


class Tree(app_commands.CommandTree["Parrot"]):
    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError) -> None:
        self.client.errors.put_nowait(getattr(error, "original", error))


class Parrot(commands.Bot):
    """A bot with the single command `/ask prompt`; the test says what it does."""

    def __init__(self, answer: Answer, **options: Any) -> None:
        super().__init__("!", intents=discord.Intents.none(), tree_cls=Tree, **options)
        self.answer = answer
        self.errors: asyncio.Queue[BaseException] = asyncio.Queue()

    async def setup_hook(self) -> None:
        @self.tree.command(description="Ask something.")
        async def ask(interaction: Interaction, prompt: str) -> None:
            await self.answer(interaction, prompt)

        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Do not wait: discord.py would sleep 5 s before it identifies a second time."""

    async def error(self) -> BaseException:
        return await asyncio.wait_for(self.errors.get(), timeout=5)


@asynccontextmanager
async def connected(fake: FakeDiscord, answer: Answer, **options: Any) -> AsyncIterator[Parrot]:
    """Run a bot; an error of its command that the test did not ask for fails the test."""
    with point_discord_py_at(fake.url):
        async with Parrot(answer, **options) as bot:
            running = asyncio.create_task(bot.start(fake.token))
            try:
                await fake.ready()
                yield bot
            finally:
                await bot.close()
                await running
        assert bot.errors.empty(), bot.errors.get_nowait()


async def defer(interaction: Interaction, prompt: str) -> None:
    await interaction.response.defer(thinking=True)


def finished(interaction: FakeInteraction) -> bool:
    return interaction.original is not None and interaction.original.content == "done"
