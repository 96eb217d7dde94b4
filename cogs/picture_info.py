"""*Picture info*: what any picture in a message was made with, from its context menu."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant.imagine import parameters_of
from cogs.links import sendable
from cogs.messages import attachments_of
from cogs.splitting import cut, units

if TYPE_CHECKING:
    from bot import Colloquy

log = logging.getLogger(__name__)

KINDS = (".png", ".jpg", ".jpeg", ".webp")
CONTENT_TYPES = ("image/png", "image/jpeg", "image/webp")
MOST_FILES = 4
LARGEST_BYTES = 25 * 1024 * 1024
FETCH_SECONDS = 30.0
# Discord's limits: of one description, and of all embeds of a message together.
DESCRIPTION_LENGTH = 4096
EMBEDS_LENGTH = 6000
TITLE_LENGTH = 250

NO_PICTURE = "There is no PNG, JPEG or WebP file in this message. Choose one with a picture."
NOTHING_TOLD = "This file does not say what it was made with."
TOO_LARGE = "This file is larger than 25 MiB, so it was not looked at."
ONLY_SOME = f"Only the first {MOST_FILES} pictures of this message were looked at."
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
        files = [one for one in attachments_of(message) if _may_be_picture(one)]
        if not files:
            await interaction.edit_original_response(content=NO_PICTURE)
            return
        embeds = []
        room = EMBEDS_LENGTH
        shown = files[:MOST_FILES]
        for place, file in enumerate(shown):
            share = room // (len(shown) - place)  # what one leaves over is for the others
            title = cut(discord.utils.escape_markdown(file.filename), TITLE_LENGTH)
            told = await _read(file, min(DESCRIPTION_LENGTH, share - units(title)))
            room -= units(title) + units(told)
            embeds.append(discord.Embed(title=title, description=told))
        content = ONLY_SOME if len(files) > len(shown) else None
        await interaction.edit_original_response(content=content, embeds=embeds)


def _may_be_picture(file: discord.Attachment) -> bool:
    kind = (file.content_type or "").partition(";")[0]
    return kind in CONTENT_TYPES or file.filename.lower().endswith(KINDS)


async def _read(file: discord.Attachment, room: int) -> str:
    if file.size > LARGEST_BYTES:
        return TOO_LARGE
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            data = await file.read()
    except Exception as error:  # what discord.py lets through has no common base
        log.info("an attachment could not be fetched: %s", type(error).__name__)
        return NOT_FETCHED
    parameters = parameters_of(data)
    return NOTHING_TOLD if parameters is None else _in_block(parameters, room)


def _in_block(parameters: str, room: int) -> str:
    """The parameters in a code block that nothing in them ends, in `room` units.

    In their last line stand the figures: what is too long is shortened before it.
    """
    text = sendable(parameters).replace("``", "`\u200b`\u200b")
    room -= len("```\n\n```")
    if units(text) > room:
        prompt, _, figures = text.rpartition("\n")
        figures = cut(figures, room // 2 if prompt else room)
        text = f"{cut(prompt, room - units(figures) - 1)}\n{figures}" if prompt else figures
    return f"```\n{text}\n```"


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(PictureInfo(bot))
