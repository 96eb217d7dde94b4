"""Mentions, replies and direct messages, answered like `/ask` where the host has turned that on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import discord
from discord.ext import commands

from assistant.attachments import UnreadableFile
from assistant.values import Origin, Question
from cogs.discord_calls import DiscordCalls, Outcome
from cogs.links import escaped
from cogs.messages import with_names
from cogs.origin import role_ids_of
from cogs.places import Place, Places
from cogs.surfaces import ReplySurface

if TYPE_CHECKING:
    from bot import Colloquy

log = logging.getLogger(__name__)

KINDS = (discord.MessageType.default, discord.MessageType.reply)

HINT = "Write your question along with the mention, or use /ask."
# A reply may come at any time; later than this nobody waits for it.
LONGEST_WAIT_SECONDS = 3600.0
# Discord shows a bot as typing for about ten seconds.
TYPING_SECONDS = 8.0


class Mention(commands.Cog):
    """Questions in ordinary messages."""

    def __init__(self, bot: Colloquy) -> None:
        self._bot = bot
        self._places = Places(bot)

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer what is meant for the bot. Nothing that only calls many people is."""
        if message.author.bot or message.webhook_id is not None or message.type not in KINDS:
            return
        guild_id = message.guild.id if message.guild else getattr(message.channel, "guild_id", None)
        if guild_id is not None and self._bot.user not in message.mentions:
            return
        surface = ReplySurface(message, self._bot.calls)
        work = self._answer(message, guild_id or 0, surface)
        await self._bot.tree.answer_message(message.id, work, surface.tell)

    async def _answer(self, message: discord.Message, guild_id: int, surface: ReplySurface) -> None:
        call = await self._bot.calls.attempt(message.channel.typing())
        if call.outcome in (Outcome.REFUSED, Outcome.DELETED):
            log.info("not answered: the bot may not write in channel %d", message.channel.id)
            return
        prompt = with_names(message, leave_out=self._bot.user).strip()
        if not prompt:
            await self._bot.answers.refuse(surface, HINT)
            return
        async with _typing(self._bot.calls, message.channel, surface.shown):
            try:
                files, pictures = await self._bot.files.read_files(message.attachments, message.author.id)
            except UnreadableFile as reason:
                await self._bot.answers.refuse(surface, escaped(str(reason)))
                return
            place = await self._places.find(message.channel.id, guild_id) if guild_id else Place()
            question = Question(
                Origin(
                    message.id,
                    guild_id,
                    message.channel.id,
                    message.author.id,
                    role_ids_of(message.author),
                    place.parent_id,
                    self._bot.seal.close(message.channel.id),
                ),
                prompt,
                speaker=message.author.display_name,
                channel_name=place.name,
                server_name=place.server_name,
                attached=files,
                pictures=pictures,
                longest_wait_seconds=LONGEST_WAIT_SECONDS,
            )
            await self._bot.answers.answer_question(question, surface)


@asynccontextmanager
async def _typing(
    calls: DiscordCalls, channel: discord.abc.Messageable, shown: asyncio.Event
) -> AsyncIterator[None]:
    """Let the bot be seen typing until something of its answer is shown."""

    async def type_on() -> None:
        while not shown.is_set():
            try:
                async with asyncio.timeout(TYPING_SECONDS):
                    await shown.wait()
            except TimeoutError:
                await calls.attempt(channel.typing(), needed=False)

    task = asyncio.create_task(type_on())
    try:
        yield
    finally:
        task.cancel()


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Mention(bot))
