"""`/ask`: a question to a chat model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.attachments import UnreadableFile, plain_name
from cogs.answering import Answers, heading_of
from cogs.attachments import FileReader
from cogs.buttons import BUTTONS
from cogs.choices import model_choices
from cogs.links import escaped
from cogs.origin import question_of
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy


class Ask(commands.Cog):
    """Questions."""

    def __init__(self, assistant: Assistant, answers: Answers, files: FileReader) -> None:
        self._assistant = assistant
        self._answers = answers
        self._files = files

    @app_commands.command()
    @app_commands.describe(
        prompt="Your question; the last turns of this channel go along",
        model="Who answers; if you do not say, the first that is ready",
        attachment="A picture for models that see, a text file or a PDF to ask about",
        private="Only you see the answer, and it stays out of the channel's history",
    )
    async def ask(
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, 6000],
        model: str | None = None,
        attachment: discord.Attachment | None = None,
        private: bool = False,
    ) -> None:
        """Ask the language model a question."""
        surface = ResponseSurface(interaction, private=private)
        await interaction.response.defer(thinking=True, ephemeral=private)
        heading = heading_of(prompt)
        try:
            text, pictures = await self._files.read_files(
                [attachment] if attachment else [], interaction.user.id
            )
        except UnreadableFile as reason:
            await self._answers.refuse(surface, heading + escaped(str(reason)))
            return
        if attachment is not None:
            heading += f"-# About {escaped(plain_name(attachment.filename))}\n"
        question = question_of(
            interaction, prompt, private=private, model=model, attached=text, pictures=pictures
        )
        await self._answers.answer_question(question, surface, heading)

    @ask.autocomplete("model")
    async def _models(
        self, interaction: discord.Interaction[Any], current: str
    ) -> list[app_commands.Choice[str]]:
        """The models that are ready now and fit what was typed."""
        return model_choices(self._assistant.models(), current)


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(*BUTTONS)
    await bot.add_cog(Ask(bot.assistant, bot.answers, bot.files))
