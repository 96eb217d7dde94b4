"""`/ask`: a question to a chat model."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.values import Again, Answer, Begun, Delta, Question, Refusal, Waiting
from cogs.delivery import LiveReply, quote
from cogs.origin import origin_of
from cogs.splitting import add_line, split_text

if TYPE_CHECKING:
    from bot import Colloquy

# The last line of an answer that did not end by itself.
NOTES = {
    "interrupted": "-# The answer broke off here. What came before is kept.",
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
        await answer(self._assistant, interaction, Question(origin_of(interaction), prompt, private))


class TryAgain(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"ask:again:(?P<turn_id>[0-9]+)"
):
    """The button under an answer that broke off. It names the turn, so it works after a restart."""

    def __init__(self, turn_id: int) -> None:
        label, custom_id = "Try again", f"ask:again:{turn_id}"
        super().__init__(discord.ui.Button(label=label, custom_id=custom_id))
        self._turn_id = turn_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> TryAgain:
        """Called by discord.py for a press."""
        return cls(int(match["turn_id"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> Any:
        """Ask the same question once more; whoever presses is the one who asks."""
        bot: Colloquy = interaction.client
        await bot.tree.answer_press(interaction, self._ask_again(interaction, bot))

    async def _ask_again(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        await interaction.response.defer(thinking=True)
        may_manage = interaction.permissions.manage_messages
        await answer(
            bot.assistant, interaction, Again(origin_of(interaction), self._turn_id, may_manage=may_manage)
        )


async def answer(
    assistant: Assistant, interaction: discord.Interaction[Any], question: Question | Again
) -> None:
    """Answer a question in the response to an interaction that was deferred."""
    heading = f"> {quote(question.prompt)}\n" if isinstance(question, Question) else ""
    text = ""
    end: Answer | Refusal | None = None
    async with LiveReply(interaction, heading) as reply:
        try:
            async with aclosing(assistant.ask(question)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        text += event.text
                        reply.show(text)
                        if reply.gone:  # deleted by a moderator: nobody reads on
                            return
                    elif isinstance(event, Begun):
                        heading = reply.heading = f"> {quote(event.prompt)}\n"
                    elif not isinstance(event, Waiting):
                        end = event
        except asyncio.CancelledError:
            await reply.finish(add_line(split_text(heading + text), RESTARTING))
            raise
        if isinstance(end, Refusal):
            await reply.finish([heading + end.sentence])
        elif isinstance(end, Answer):
            parts = split_text(heading + end.text)
            line = NOTES.get(end.finish_reason)
            await reply.finish(add_line(parts, line) if line else parts, view=_view(end))


def _view(end: Answer) -> discord.ui.View | None:
    if end.finish_reason != "interrupted" or end.turn_id is None:
        return None
    view = discord.ui.View(timeout=None)
    view.add_item(TryAgain(end.turn_id))
    return view


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(TryAgain)
    await bot.add_cog(Ask(bot.assistant))
