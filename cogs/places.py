"""Where an ordinary message stands: Discord tells ids alone, so the rest is asked for, and kept a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import discord

from cogs.discord_calls import Outcome

if TYPE_CHECKING:
    from bot import Colloquy

T = TypeVar("T")

KEPT_SECONDS = 600.0
MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """What a channel is called, and its server; of a thread, to which channel it belongs."""

    name: str = ""
    parent_id: int | None = None
    server_name: str = ""


class Places:
    """The places of messages. What Discord does not tell is left empty: it is no reason not to answer."""

    def __init__(self, bot: Colloquy) -> None:
        self._bot = bot
        # Of a channel or a server: until when, and what.
        self._kept: dict[int, tuple[float, Any]] = {}

    async def find(self, channel_id: int, guild_id: int) -> Place:
        """The place of a message in a server."""
        channel, server_name = await asyncio.gather(
            self._ask(channel_id, self._read_channel), self._ask(guild_id, self._read_guild)
        )
        name, parent_id = channel or ("", None)
        return Place(name, parent_id, server_name or "")

    async def _read_channel(self, channel_id: int) -> tuple[str, int | None]:
        channel: Any = await self._bot.fetch_channel(channel_id)
        return channel.name, channel.parent_id if isinstance(channel, discord.Thread) else None

    async def _read_guild(self, guild_id: int) -> str:
        return (await self._bot.fetch_guild(guild_id, with_counts=False)).name

    async def _ask(self, number: int, read: Callable[[int], Awaitable[T]]) -> T | None:
        now = asyncio.get_running_loop().time()
        kept_until, found = self._kept.get(number, (0.0, None))
        if kept_until > now:
            return cast(T | None, found)
        call = await self._bot.calls.attempt(read(number), needed=False)
        if call.outcome is not Outcome.FAILED:  # a refusal is not asked for again and again
            self._kept.pop(number, None)
            self._kept[number] = now + KEPT_SECONDS, call.result
            if len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return cast(T | None, call.result)
