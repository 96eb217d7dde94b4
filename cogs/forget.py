"""`/forget`: clears the channel's conversation, or what the bot knows of one member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from cogs.answering import Answers

if TYPE_CHECKING:
    from bot import Colloquy


class Forget(commands.Cog):
    """The bot's memory."""

    forget = app_commands.Group(name="forget", description="Clear what the model remembers.")

    def __init__(self, assistant: Assistant, answers: Answers) -> None:
        self._assistant = assistant
        self._answers = answers

    @forget.command()
    async def channel(self, interaction: discord.Interaction[Any]) -> None:
        """Clear this channel's conversation, for everyone; takes the permission to manage messages."""
        # Discord knows such defaults for whole commands only, and `mine` is for everyone: checked here alone.
        if interaction.guild_id is not None and not interaction.permissions.manage_messages:
            raise app_commands.MissingPermissions(["manage_messages"])
        await interaction.response.defer(thinking=True)
        channel_id = interaction.channel_id or 0
        turns = await self._assistant.forget(channel_id)
        self._answers.forget(channel_id)
        if turns == 0:
            text = "There was nothing to forget in this channel."
        else:
            text = f"Forgotten: {_turns(turns)} of this channel's conversation. The usage records stay."
        await interaction.edit_original_response(content=text)

    @forget.command()
    async def mine(self, interaction: discord.Interaction[Any]) -> None:
        """Delete all your questions, their answers and your picture prompts, everywhere and in private."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        forgotten = await self._assistant.forget_member(interaction.user.id)
        self._answers.found(interaction.user.id)
        parts = []
        if forgotten.turns:
            channels = f"{forgotten.channels} {'channel' if forgotten.channels == 1 else 'channels'}"
            parts.append(f"{_turns(forgotten.turns)} of yours in {channels}")
        if forgotten.pictures:
            requests = "request" if forgotten.pictures == 1 else "requests"
            parts.append(f"the settings of {forgotten.pictures} {requests} for pictures")
        if parts:
            text = f"Forgotten: {' and '.join(parts)}. The usage records stay."
        else:
            text = "There was nothing of yours to forget."
        await interaction.edit_original_response(content=text)


def _turns(number: int) -> str:
    return f"{number} {'turn' if number == 1 else 'turns'}"


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Forget(bot.assistant, bot.answers))
