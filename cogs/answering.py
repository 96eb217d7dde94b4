"""Answering a question wherever it was asked: what `/ask`, its buttons and other ways to ask share."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import discord

from assistant import Assistant
from assistant.stopping import StopSignal
from assistant.turns import NOT_YOURS
from assistant.values import (
    AboutTurn,
    Again,
    Answer,
    Begun,
    Delta,
    More,
    Origin,
    Question,
    Refusal,
    Waiting,
)
from cogs.buttons import answer_view, stop_view
from cogs.delivery import Delivery, LiveReply, quote
from cogs.fences import open_fence, resumed
from cogs.origin import channel_name, origin_of, server_name
from cogs.stopping import Stops, timer
from cogs.surfaces import ResponseSurface, Surface

# How many answers that did not arrive are kept for their members.
MOST_LOST = 500

# The last line of an answer that did not end by itself.
NOTES = {
    "interrupted": "-# The answer broke off here. What came before is kept.",
    "length": "-# The answer reached its length limit here.",
    "content_filter": "-# The model's content filter ended the answer here.",
    "stopped": "-# The answer was stopped here.",
}
TIME_OVER = "-# Discord's time for one answer ended here."
RESTARTING = "-# The bot is restarting, so the answer ends here. Please ask again in a minute."
WAITING = "-# Waiting for the model ..."


@dataclass(frozen=True, slots=True)
class Lost:
    """An answer that Discord did not take, or not all of it."""

    channel_id: int
    heading: str
    text: str
    private: bool


class Answers:
    """Answers for the whole bot: those being written now, and those that did not arrive."""

    def __init__(self, assistant: Assistant, *, footer: bool) -> None:
        self._assistant = assistant
        self.footer = footer
        self.stops = Stops()
        self._lost: dict[int, Lost] = {}
        self._untold: set[int] = set()  # members who do not know yet that an answer of theirs was lost

    async def answer_question(
        self,
        question: Question | AboutTurn,
        surface: Surface,
        heading: str = "",
        asker_id: int | None = None,
    ) -> None:
        """Show the answer to a question where it was asked.

        `heading` stands before it and ends in a newline; for what is about a turn it is made from the turn's
        question, and `asker_id` says who asked that (0: not known).
        """
        origin, stop = question.origin, StopSignal()
        if self.stops.is_running(origin.interaction_id):  # Discord has delivered it twice
            return
        news = self._news(origin, surface)
        reply = LiveReply(surface, news + heading, view=stop_view(origin.interaction_id), waiting=WAITING)
        with (
            self.stops.counted(origin.interaction_id, origin.user_id, stop),
            timer(surface, stop) as timed,
        ):
            async with reply:
                try:
                    end = await self._listen(question, stop, reply, news)
                except asyncio.CancelledError:
                    await reply.finish_text(reply.text, note=RESTARTING)
                    self._note(origin.interaction_id)
                    raise
                if reply.gone:
                    self._note(origin.interaction_id, reply.remaining)
                    return
                if end is None:  # it is being answered elsewhere
                    return
                if isinstance(end, Refusal):
                    await reply.finish([reply.heading + end.sentence])
                    self._note(origin.interaction_id)
                    return
                timed_out = end.finish_reason == "stopped" and timed.rang
                delivery = await reply.finish_text(
                    end.text,
                    note=TIME_OVER if timed_out else NOTES.get(end.finish_reason, ""),
                    footer=_footer(end) if self.footer else "",
                    view=answer_view(
                        end.turn_id, end.finish_reason, origin.user_id if asker_id is None else asker_id
                    ),
                )
        self._note(origin.interaction_id, delivery)
        if delivery is not Delivery.FULL and not reply.gone:
            heading = reply.heading.removeprefix(news)
            self._lose(
                origin.user_id,
                Lost(origin.channel_id, heading, resumed(reply.fence, end.text), surface.private),
            )

    async def _listen(
        self, question: Question | AboutTurn, stop: StopSignal, reply: LiveReply, news: str
    ) -> Answer | Refusal | None:
        """Show an answer's pieces as they come, and give its end; None if nobody reads it."""
        end: Answer | Refusal | None = None
        async with aclosing(self._assistant.ask(question, stop)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    reply.show(reply.text + event.text)
                elif isinstance(event, Waiting):
                    reply.show_status(place_line(event.place))
                elif isinstance(event, Begun):
                    reply.heading = news + heading_of(event.prompt, continued=isinstance(question, More))
                    reply.fence = open_fence(event.answer)
                else:
                    end = event
                if reply.gone:  # deleted by a moderator
                    return None
        return end

    def _note(self, interaction_id: int, delivery: Delivery | None = None) -> None:
        """Have the books say that this is done with, and how much of an answer its member was shown."""
        self._assistant.deliveries.note(interaction_id, delivery.value if delivery else "")

    async def refuse(self, surface: Surface, sentence: str) -> None:
        """Show one sentence in place of an answer."""
        async with LiveReply(surface) as reply:
            await reply.finish([sentence])

    # The buttons

    async def ask_again(self, interaction: discord.Interaction[Any], turn_id: int, asker_id: int) -> None:
        """Ask the question of a turn once more, in a new reply."""
        await self._answer_press(interaction, Again, turn_id, asker_id)

    async def go_on(self, interaction: discord.Interaction[Any], turn_id: int, asker_id: int) -> None:
        """Go on with a turn, in a new reply."""
        await self._answer_press(interaction, More, turn_id, asker_id)

    async def _answer_press(
        self, interaction: discord.Interaction[Any], kind: type[AboutTurn], turn_id: int, asker_id: int
    ) -> None:
        may_manage = interaction.permissions.manage_messages
        if asker_id not in (0, interaction.user.id) and not may_manage:  # nobody else has to read that
            await interaction.response.send_message(NOT_YOURS, ephemeral=True)
            return
        private = interaction.message is not None and interaction.message.flags.ephemeral
        surface = ResponseSurface(interaction, private=private)
        await interaction.response.defer(thinking=True, ephemeral=private)
        question = kind(
            origin_of(interaction),
            turn_id,
            speaker=interaction.user.display_name,
            channel_name=channel_name(interaction),
            server_name=server_name(interaction),
            may_manage=may_manage,
        )
        await self.answer_question(question, surface, asker_id=asker_id)

    # What did not arrive

    def lost(self, channel_id: int, user_id: int) -> Lost | None:
        """The member's last answer in this channel if it did not arrive."""
        lost = self._lost.get(user_id)
        return lost if lost is not None and lost.channel_id == channel_id else None

    def found(self, user_id: int) -> None:
        """The member has it now."""
        self._lost.pop(user_id, None)
        self._untold.discard(user_id)

    def forget(self, channel_id: int) -> None:
        """Drop what did not arrive in this channel."""
        for user_id in [user_id for user_id, lost in self._lost.items() if lost.channel_id == channel_id]:
            self.found(user_id)

    def _lose(self, user_id: int, lost: Lost) -> None:
        self.found(user_id)
        self._lost[user_id] = lost
        self._untold.add(user_id)
        if len(self._lost) > MOST_LOST:
            self.found(next(iter(self._lost)))

    def _news(self, origin: Origin, surface: Surface) -> str:
        """A line for a member who does not know yet that an answer was lost.

        Others read it only where they saw the question too.
        """
        if origin.user_id not in self._untold:
            return ""
        lost = self._lost[origin.user_id]
        if not surface.private and (lost.private or lost.channel_id != origin.channel_id):
            return ""
        self._untold.discard(origin.user_id)
        where = lost.channel_id
        return f"-# Your last answer in <#{where}> could not be delivered. /last shows it to you there.\n"


def place_line(place: int) -> str:
    """What a member reads who waits in the queue; 1: the next."""
    return "-# In the queue: you are next." if place <= 1 else f"-# In the queue: you are number {place}."


def heading_of(prompt: str, *, continued: bool = False) -> str:
    """The question above its answer: in a response to an interaction it stands nowhere else."""
    return f"> {quote(prompt)}{' (continued)' if continued else ''}\n"


def _footer(answer: Answer) -> str:
    usage, about = answer.usage, "about " if answer.usage.estimated else ""
    tokens = f"{about}{usage.prompt_tokens:,} prompt + {usage.completion_tokens:,} completion tokens"
    fallback = " · answered by a fallback" if answer.fallback else ""
    return f"-# {discord.utils.escape_markdown(answer.model)} · {tokens}{fallback}"
