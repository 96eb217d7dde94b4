"""`/forget`: clears the channel's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant

if TYPE_CHECKING:
    from bot import Colloquy


class Forget(commands.Cog):
    """The channel's memory."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    @app_commands.command()
    @app_commands.default_permissions(manage_messages=True)
    async def forget(self, interaction: discord.Interaction[Any]) -> None:
        """Clear what the model remembers of this channel; the usage records stay."""
        # Discord's permission is only a default that admins may change, so it is checked here too.
        if interaction.guild_id is not None and not interaction.permissions.manage_messages:
            raise app_commands.MissingPermissions(["manage_messages"])
        await interaction.response.defer(thinking=True)
        turns = await self._assistant.forget(interaction.channel_id or 0)
        if turns == 0:
            text = "There was nothing to forget in this channel."
        else:
            text = f"Forgotten: {turns} {'turn' if turns == 1 else 'turns'} of this channel's conversation."
        await interaction.edit_original_response(content=text)


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Forget(bot.assistant))
