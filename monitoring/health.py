"""Whether the bot can do its work now, and if not, what is missing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import discord
from discord.gateway import DiscordWebSocket

from db.engine import Database, DatabaseError
from db.probe import prove_writable

if TYPE_CHECKING:
    from bot import Colloquy

log = logging.getLogger(__name__)

# What is checked, in this order.
CHECKS = ("process", "discord", "database", "chat")

# A write is not worth trying more often than this, and takes longer than that only where something is wrong.
SECONDS_BETWEEN_WRITES = 30.0
WRITE_SECONDS = 3.0
# Discord may be away for a while, and discord.py comes back by itself; after this long a new start may help.
LOST_SECONDS = 600.0


class Health:
    """What is known of one bot; None: it is being opened or closed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.bot: Colloquy | None = None
        self._clock = clock
        self._seen_at = clock()  # when Discord was there last, or this began
        self._writing = WritingCheck(clock)

    def look(self) -> None:
        """Note whether Discord is there, if it should be by now; to be called every few seconds."""
        if self.bot is None or self.bot.waits or not gateway_problem(self.bot):
            self._seen_at = self._clock()

    @property
    def alive(self) -> bool:
        """Whether there is hope without a new start: Discord was there not long ago."""
        return self._clock() - self._seen_at < LOST_SECONDS

    async def problems(self) -> dict[str, str]:
        """What is missing, by check: a few words for each; empty when the bot is ready."""
        bot = self.bot
        if bot is None:
            return {"process": "starting or stopping"}
        found = {
            "process": "stopping" if bot.assistant.stopping else "",
            "discord": gateway_problem(bot),
            "database": await self._writing.problem(bot.assistant.database),
            "chat": "" if bot.assistant.chat[0].next_route() else "no provider can be asked now",
        }
        return {check: problem for check, problem in found.items() if problem}


class WritingCheck:
    """Whether the database can be written: tried now and then, one try at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ended_at = float("-inf")
        self._trying: asyncio.Task[bool] | None = None

    async def problem(self, database: Database) -> str:
        """Why not, in a few words; empty when it can be, or could be a moment ago."""
        if self._trying is None or (
            self._trying.done() and self._clock() - self._ended_at >= SECONDS_BETWEEN_WRITES
        ):
            self._trying = asyncio.create_task(self._try(database))
        await asyncio.wait({self._trying}, timeout=WRITE_SECONDS)
        if not self._trying.done():
            return "did not take a write in time"
        return "" if self._trying.result() else "cannot be written"

    async def _try(self, database: Database) -> bool:
        try:
            await database.run(prove_writable)
        except (DatabaseError, OSError) as error:  # the latter where a server cannot be reached
            log.warning("the database cannot be written: %s", error.__cause__ or error)
            return False
        else:
            return True
        finally:
            self._ended_at = self._clock()


def gateway_problem(client: discord.Client) -> str:
    """Why the client cannot rely on its connections to Discord's gateway, in a few words; empty: it can."""
    sockets = sockets_of(client)
    if not client.is_ready() or not sockets or not all(socket.open for socket in sockets.values()):
        return "not connected"
    return "" if all(map(_is_fresh, sockets.values())) else "a heartbeat was not answered"


def sockets_of(client: discord.Client) -> dict[int, DiscordWebSocket]:
    """The connections to the gateway, by shard; also those that are closed and about to be opened again."""
    if isinstance(client, discord.AutoShardedClient):
        return {number: shard._parent.ws for number, shard in client.shards.items()}
    return {0: client.ws} if client.ws is not None else {}


def _is_fresh(socket: DiscordWebSocket) -> bool:
    # discord.py gives up a connection on which nothing at all comes for a minute, and tells nobody before.
    beats = socket._keep_alive
    return beats is not None and time.perf_counter() - beats._last_ack < 2 * (beats.interval or 0)
