"""`/ask`: a question to a chat model."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.values import Answer, Delta, Question, Refusal
from cogs.delivery import LiveReply, quote
from cogs.origin import origin_of
from cogs.splitting import split_text

if TYPE_CHECKING:
    from bot import Colloquy

BROKE_OFF = "-# The answer broke off here. What came before it is kept; ask again for the rest."
TOO_LONG = "-# The answer reached its length limit here."
RESTARTING = "-# The bot is restarting, so the answer ends here. Please ask again in a minute."


class Ask(commands.Cog):
    """Questions."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    @app_commands.command()
    @app_commands.describe(
        prompt="Your question; the last turns of this channel go along",
        private="Only you see the answer, and it stays out of the channel's history",
    )
    async def ask(
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, 6000],
        private: bool = False,
    ) -> None:
        """Ask the language model a question."""
        await interaction.response.defer(thinking=True, ephemeral=private)
        heading = f"> {quote(prompt)}\n"
        reply = LiveReply(interaction, heading)
        text = ""
        end: Answer | Refusal | None = None
        try:
            answer = self._assistant.ask(Question(origin_of(interaction), prompt, private))
            async with aclosing(answer) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        text += event.text
                        reply.show(text)
                        if reply.gone:  # deleted by a moderator: nobody reads on
                            return
                    else:
                        end = event
        except asyncio.CancelledError:
            await reply.finish(split_text(f"{heading}{text}\n{RESTARTING}"))
            raise
        if isinstance(end, Refusal):
            await reply.finish([heading + end.sentence])
        elif isinstance(end, Answer):
            await reply.finish(split_text(heading + end.text + _mark(end)))


def _mark(answer: Answer) -> str:
    if answer.finish_reason == "interrupted":
        return f"\n{BROKE_OFF}"
    return f"\n{TOO_LONG}" if answer.finish_reason == "length" else ""


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Ask(bot.assistant))
