"""*Picture info*: what any picture in a message was made with, from its context menu."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant.imagine import parameters_of
from cogs.messages import attachments_of

if TYPE_CHECKING:
    from bot import Colloquy

log = logging.getLogger(__name__)

KINDS = (".png", ".jpg", ".jpeg", ".webp")
# What one message may hold, and an embed.
MOST_FILES = 4
LARGEST_BYTES = 25 * 1024 * 1024
FETCH_SECONDS = 30.0
TEXT_LENGTH = 1350

NO_PICTURE = "There is no PNG, JPEG or WebP file in this message. Choose one with a picture."
NOTHING_TOLD = "This file does not say what it was made with."
TOO_LARGE = "This file is larger than 25 MiB, so it was not looked at."
NOT_FETCHED = "This file could not be fetched from Discord. Please try again."


class PictureInfo(commands.Cog):
    """What pictures were made with."""

    def __init__(self, bot: Colloquy) -> None:
        self._bot = bot
        self._menu = app_commands.ContextMenu(name="Picture info", callback=self.tell)

    async def cog_load(self) -> None:
        """Called by discord.py, which does not find commands of this kind by itself."""
        self._bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Called by discord.py."""
        self._bot.tree.remove_command(self._menu.name, type=self._menu.type)

    async def tell(self, interaction: discord.Interaction[Any], message: discord.Message) -> None:
        """Tell the member alone."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        files = [one for one in attachments_of(message) if one.filename.lower().endswith(KINDS)]
        if not files:
            await interaction.edit_original_response(content=NO_PICTURE)
            return
        embeds = [
            discord.Embed(
                title=discord.utils.escape_markdown(file.filename[:100]), description=await _read(file)
            )
            for file in files[:MOST_FILES]
        ]
        await interaction.edit_original_response(embeds=embeds)


async def _read(file: discord.Attachment) -> str:
    if file.size > LARGEST_BYTES:
        return TOO_LARGE
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            data = await file.read()
    except Exception as error:  # what discord.py lets through has no common base
        log.info("an attachment could not be fetched: %s", type(error).__name__)
        return NOT_FETCHED
    parameters = parameters_of(data)
    if parameters is None:
        return NOTHING_TOLD
    cut = parameters if len(parameters) <= TEXT_LENGTH else parameters[: TEXT_LENGTH - 1] + "…"
    # Nothing in it ends the block.
    return "```\n" + cut.replace("```", "`\u200b`\u200b`") + "\n```"


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(PictureInfo(bot))
