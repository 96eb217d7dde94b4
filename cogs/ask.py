"""`/ask`: a question to a chat model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.attachments import UnreadableFile
from assistant.values import Question
from cogs.answering import TryAgain, answer_question, heading_of
from cogs.attachments import read_files
from cogs.origin import origin_of
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy


class Ask(commands.Cog):
    """Questions."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    @app_commands.command()
    @app_commands.describe(
        prompt="Your question; the last turns of this channel go along",
        attachment="A picture for models that see, a text file or a PDF to ask about",
        private="Only you see the answer, and it stays out of the channel's history",
    )
    async def ask(
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, 6000],
        attachment: discord.Attachment | None = None,
        private: bool = False,
    ) -> None:
        """Ask the language model a question."""
        await interaction.response.defer(thinking=True, ephemeral=private)
        surface, heading = ResponseSurface(interaction), heading_of(prompt)
        try:
            text, pictures = await read_files([attachment] if attachment else [])
        except UnreadableFile as reason:
            await surface.edit(content=heading + discord.utils.escape_markdown(str(reason)))
            return
        question = Question(origin_of(interaction), prompt, private, attached=text, pictures=pictures)
        await answer_question(self._assistant, question, surface, heading)


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(TryAgain)
    await bot.add_cog(Ask(bot.assistant))
