"""Answers that a kill cut off: their members are told by the next start, or shown what they have not seen."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import discord
from discord.ext import commands

from assistant.values import Left
from cogs.answering import NOTES, heading_of
from cogs.buttons import answer_view, has_stop
from cogs.delivery import LiveReply
from cogs.discord_calls import Outcome
from cogs.drawing import heading_of as heading_of_pictures
from cogs.picture_buttons import picture_view
from cogs.splitting import shorten, split_text
from cogs.surfaces import LeftSurface

if TYPE_CHECKING:
    from bot import Colloquy

log = logging.getLogger(__name__)

# How often it is looked whether another process that shares the database has died.
LOOK_SECONDS = 15.0
CUT_OFF = "-# The bot was restarted in the middle of this. Please ask again."
NOT_SHOWN = "-# The bot was restarted before it had shown all of this. /last shows it to you."
NO_PICTURES = (
    "-# The bot was restarted before it could show these pictures, so they are lost. "
    "The buttons make them anew."
)


class Unfinished(commands.Cog):
    """Tells them, once the bot is logged in."""

    def __init__(self, bot: Colloquy) -> None:
        self._bot = bot

    async def cog_load(self) -> None:
        """Take what was left before anything new is asked."""
        self._telling = asyncio.create_task(self._keep_telling(await self._take()))

    async def cog_unload(self) -> None:
        """Look no more."""
        self._telling.cancel()

    async def _keep_telling(self, left: list[Left]) -> None:
        while True:
            if left:
                log.info("%d answers were cut off by a kill; their members are told", len(left))
                await asyncio.gather(*(self._bot.tree.start(self._tell(one)) for one in left))
            if not self._bot.assistant.shares_database:
                return
            await asyncio.sleep(LOOK_SECONDS)
            left = await self._take()

    async def _take(self) -> list[Left]:
        try:
            return await self._bot.assistant.take_left()
        except Exception:  # those who ask now are not to suffer from it
            log.exception("answers that were cut off cannot be read")
            return []

    async def _tell(self, left: Left) -> None:
        bot = self._bot
        response = bot.seal.open(left.response)
        if response is None:  # it was too long ago
            return
        if response.isdecimal():  # a channel: it was asked in a message
            await self._reply(left, int(response))
            return
        webhook = discord.Webhook.partial(bot.application_id or 0, response, client=bot)
        webhook.type = discord.WebhookType.application
        for delay in bot.calls.retry_seconds:
            await asyncio.sleep(delay)
            call = await bot.calls.attempt(webhook.fetch_message("@original"))  # type: ignore[arg-type]  # Discord's name for it
            if call.outcome is not Outcome.FAILED:
                break
        if call.outcome is Outcome.ARRIVED:
            await self._finish(left, call.result, LeftSurface(bot.calls, webhook, call.result))

    async def _reply(self, left: Left, channel_id: int) -> None:
        """Reply to the question: the reply that was being written, if any, is not known any more."""
        channel = self._bot.get_partial_messageable(channel_id)
        question = discord.MessageReference(
            message_id=left.interaction_id, channel_id=channel_id, fail_if_not_exists=False
        )
        await self._bot.calls.attempt(channel.send(_note(left), reference=question))

    async def _finish(self, left: Left, message: discord.WebhookMessage, surface: LeftSurface) -> None:
        """Bring the message that was left to an end, unless it has one."""
        is_growing = message.flags.loading or has_stop(message)
        # The buttons stand below an answer's last message. One without any may go on in others.
        if not is_growing and (message.components or not _goes_on(left)):
            return
        async with LiveReply(surface) as reply:
            if left.turn is not None:
                turn = left.turn
                reply.heading = heading_of(turn.question)
                delivery = await reply.finish_text(
                    turn.answer,
                    note=NOTES.get(turn.finish_reason, ""),
                    view=answer_view(turn.turn_id, turn.finish_reason, turn.user_id),
                    in_one=True,
                )
                self._bot.assistant.deliveries.note(left.interaction_id, delivery.value)
            elif left.pictures is not None:
                content = heading_of_pictures(left.pictures.prompt) + NO_PICTURES
                await reply.finish([content], view=picture_view(left.pictures.id))
            elif is_growing:
                await reply.finish([shorten(_without_status(message.content), _note(left))])
            else:
                await self._bot.calls.attempt(surface.follow_up({"content": CUT_OFF}))


def _note(left: Left) -> str:
    return NOT_SHOWN if left.outcome in ("answered", "partial") else CUT_OFF


def _goes_on(left: Left) -> bool:
    """Whether the answer may go on in other messages than the first."""
    if left.turn is None:
        return left.outcome in ("", "lost")
    return len(split_text(heading_of(left.turn.question) + left.turn.answer)) > 1


def _without_status(content: str) -> str:
    """A message's text without the lines that said what the bot was doing."""
    lines = content.split("\n")
    while lines and lines[-1].startswith("-# "):
        lines.pop()
    return "\n".join(lines)


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Unfinished(bot))
