"""`/imagine`: a picture."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.values import Picture, PictureOrder, Refusal
from cogs.delivery import LiveReply, quote
from cogs.origin import origin_of
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy

RESTARTING = "The bot is restarting. Please ask again in a minute."
SIZES = {
    "Square, 1024 x 1024": "1024x1024",
    "Landscape, 1344 x 768": "1344x768",
    "Portrait, 768 x 1344": "768x1344",
    "4:3, 1152 x 896": "1152x896",
    "3:4, 896 x 1152": "896x1152",
}


class Imagine(commands.Cog):
    """Pictures."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    @app_commands.command()
    @app_commands.describe(
        prompt="What the picture shows",
        size="Its shape; square if you do not say",
        seed="The same seed gives the same picture; drawn by chance if you do not say",
        steps="How long the model works on it, where it has steps",
    )
    @app_commands.choices(size=[app_commands.Choice(name=name, value=value) for name, value in SIZES.items()])
    async def imagine(
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, 2000],
        size: str = "1024x1024",
        seed: app_commands.Range[int, 0, 2147483647] | None = None,
        steps: app_commands.Range[int, 1, 50] | None = None,
    ) -> None:
        """Make a picture from words."""
        await interaction.response.defer(thinking=True)
        width, height = (int(side) for side in size.split("x"))
        heading = f"**{quote(prompt)}**\n"
        order = PictureOrder(origin_of(interaction), prompt, width, height, seed, steps)
        async with LiveReply(ResponseSurface(interaction)) as reply:
            try:
                result = await self._assistant.imagine(order)
            except asyncio.CancelledError:
                await reply.finish([heading + RESTARTING])
                raise
            if isinstance(result, Refusal):
                await reply.finish([heading + result.sentence])
            elif result is not None:
                await reply.finish([heading + _facts(result)], png=result.png, filename=_filename(result))


def _facts(picture: Picture) -> str:
    seed = f"seed {picture.seed}" if picture.seed is not None else "this model takes no seed"
    steps = f" · {picture.steps} steps" if picture.steps is not None else ""
    return f"-# {picture.width} x {picture.height} · {seed}{steps} · {picture.model}"


def _filename(picture: Picture) -> str:
    return f"picture-{picture.seed}.png" if picture.seed is not None else "picture.png"


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Imagine(bot.assistant))
