"""One question's answer on its surface: while it grows, at its end, and the button to try again."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import discord

from assistant import Assistant
from assistant.values import Answer, Delta, Question, Refusal
from cogs.delivery import LiveReply, quote
from cogs.origin import origin_of
from cogs.splitting import add_line, split_text
from cogs.surfaces import ResponseSurface, Surface

if TYPE_CHECKING:
    from bot import Colloquy

# The last line of an answer that did not end by itself.
NOTES = {
    "interrupted": "-# The answer broke off here. What came before is kept.",
    "length": "-# The answer reached its length limit here.",
    "content_filter": "-# The model's content filter ended the answer here.",
}
RESTARTING = "-# The bot is restarting, so the answer ends here. Please ask again in a minute."
FORGOTTEN = "This question is no longer in the channel's history. Please ask it again with /ask."


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
        prompt = await bot.assistant.question_of(self._turn_id, interaction.channel_id or 0)
        if prompt is None:
            await interaction.edit_original_response(content=FORGOTTEN)
        else:
            question = Question(origin_of(interaction), prompt)
            await answer_question(bot.assistant, question, ResponseSurface(interaction), heading_of(prompt))


async def answer_question(
    assistant: Assistant, question: Question, surface: Surface, heading: str = ""
) -> None:
    """Answer a question on a surface, below a heading. Whatever happens, the member reads how it ended."""
    text = ""
    end: Answer | Refusal | None = None
    async with LiveReply(surface, heading) as reply:
        try:
            async with aclosing(assistant.ask(question)) as events:
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
            await reply.finish(add_line(parts, line) if line else parts, view=_view(end))


def heading_of(prompt: str) -> str:
    """The question above its answer: in a response to an interaction it stands nowhere else."""
    return f"> {quote(prompt)}\n"


def _view(end: Answer) -> discord.ui.View | None:
    if end.finish_reason != "interrupted" or end.turn_id is None:
        return None
    view = discord.ui.View(timeout=None)
    view.add_item(TryAgain(end.turn_id))
    return view
