"""`/last`: the member's newest answer once more, for when Discord lost it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from cogs.answering import Answers, heading_of
from cogs.delivery import Delivery, LiveReply
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy

NOTHING = "There is no answer of yours in this channel. Ask something with /ask."


class Last(commands.Cog):
    """Answers that were given before."""

    def __init__(self, assistant: Assistant, answers: Answers) -> None:
        self._assistant = assistant
        self._answers = answers

    @app_commands.command()
    async def last(self, interaction: discord.Interaction[Any]) -> None:
        """Show your newest answer in this channel again, to you alone."""
        surface = ResponseSurface(interaction, private=True)
        await interaction.response.defer(thinking=True, ephemeral=True)
        channel_id, user_id = interaction.channel_id or 0, interaction.user.id
        lost = self._answers.lost(channel_id, user_id)
        async with LiveReply(surface) as reply:
            if lost is not None:
                reply.heading = lost.heading
                if await reply.finish_text(lost.text) is Delivery.FULL:
                    self._answers.found(user_id)
            elif (answer := await self._assistant.last_answer(channel_id, user_id)) is not None:
                reply.heading = heading_of(answer.question)
                await reply.finish_text(answer.answer)
            else:
                await reply.finish([NOTHING])


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Last(bot.assistant, bot.answers))
