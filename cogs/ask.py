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
from cogs.splitting import add_line, split_text

if TYPE_CHECKING:
    from bot import Colloquy

# The last line of an answer that did not end by itself.
NOTES = {
    "interrupted": "-# The answer broke off here. What came before is kept; ask again for the rest.",
    "length": "-# The answer reached its length limit here.",
    "content_filter": "-# The model's content filter ended the answer here.",
}
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
        text = ""
        end: Answer | Refusal | None = None
        async with LiveReply(interaction, heading) as reply:
            try:
                answer = self._assistant.ask(Question(origin_of(interaction), prompt, private))
                async with aclosing(answer) as events:
                    async for event in events:
                        if not isinstance(event, Delta):
                            end = event
                            continue
                        text += event.text
                        reply.show(text)
                        if reply.gone:  # deleted by a moderator: nobody reads on
                            return
            except asyncio.CancelledError:
                await reply.finish(add_line(split_text(heading + text), RESTARTING))
                raise
            if isinstance(end, Refusal):
                await reply.finish([heading + end.sentence])
            elif isinstance(end, Answer):
                parts = split_text(heading + end.text)
                line = NOTES.get(end.finish_reason)
                await reply.finish(add_line(parts, line) if line else parts)


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Ask(bot.assistant))
