"""*Ask about this*: a question about any message, from its context menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant.attachments import fence, plain_name
from cogs.answering import heading_of
from cogs.messages import attachments_of, text_of
from cogs.origin import question_of
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy

NOTHING_THERE = "There is no text and no file in this message. Choose another one."
# How long a form may stay open; the message waits in memory for it.
FORM_SECONDS = 3600.0


class AskAbout(commands.Cog):
    """Questions about messages."""

    def __init__(self, bot: Colloquy) -> None:
        self._bot = bot
        self._menu = app_commands.ContextMenu(name="Ask about this", callback=self.ask_about)

    async def cog_load(self) -> None:
        """Called by discord.py, which does not find commands of this kind by itself."""
        self._bot.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Called by discord.py."""
        self._bot.tree.remove_command(self._menu.name, type=self._menu.type)

    async def ask_about(self, interaction: discord.Interaction[Any], message: discord.Message) -> None:
        """Open the form for the question."""
        if text_of(message) or attachments_of(message):
            await interaction.response.send_modal(QuestionForm(message))
        else:
            await interaction.response.send_message(NOTHING_THERE, ephemeral=True)


class QuestionForm(discord.ui.Modal, title="Ask about this message"):
    """The question. What the message says goes along with it."""

    prompt: discord.ui.Label[QuestionForm] = discord.ui.Label(
        text="Your question",
        component=discord.ui.TextInput(
            style=discord.TextStyle.paragraph, max_length=4000, custom_id="prompt"
        ),
    )

    def __init__(self, message: discord.Message) -> None:
        super().__init__(timeout=FORM_SECONDS)
        self._message = message

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Called by discord.py."""
        bot: Colloquy = interaction.client
        await bot.tree.answer_press(interaction, self._answer(interaction, bot))

    async def _answer(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        assert isinstance(self.prompt.component, discord.ui.TextInput)
        prompt, message = self.prompt.component.value, self._message
        # What only one member sees is answered to that member alone.
        private = message.flags.ephemeral
        surface = ResponseSurface(interaction, private=private)
        await interaction.response.defer(thinking=True, ephemeral=private)
        files, pictures = await bot.files.read_what_can_be(attachments_of(message), interaction.user.id)
        author = plain_name(message.author.display_name)
        text = text_of(message)
        said = fence(f'The question is about this message of "{author}"', text) if text else ""
        attached = "\n\n".join(filter(None, (said, files)))
        question = question_of(interaction, prompt, private=private, attached=attached, pictures=pictures)
        guild = interaction.guild_id or "@me"
        link = f"https://discord.com/channels/{guild}/{message.channel.id}/{message.id}"
        heading = f"{heading_of(prompt)}-# About [this message](<{link}>)\n"
        await bot.answers.answer_question(question, surface, heading)


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(AskAbout(bot))
