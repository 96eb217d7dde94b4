"""Connecting to Discord by shards: all of them in this process, or some and the others elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from discord.ext import commands
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.shard import Shard


class _Shard(Shard):
    """A shard whose way back to Discord can be cut off.

    discord.py's own takes a cancellation for the end of this attempt, and whoever has stopped the bot
    meanwhile waits for ever.
    """

    async def reidentify(self, exc: ReconnectWebSocket) -> None:
        """Come back with the old session or a new one."""
        await super().reidentify(exc)
        _heed_cancellation()

    async def reconnect(self) -> None:
        """Come back with a new session."""
        await super().reconnect()
        _heed_cancellation()


def _heed_cancellation() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class ShardedBot(commands.AutoShardedBot):
    """A bot that connects its shards one after the other, and raises what keeps one from it.

    discord.py's own would try the same shard again for ever, every five seconds and a traceback each. Here
    whoever calls `connect` decides; called again, it goes on with the shards that are missing.

    `wait_to_identify` is awaited before each shard identifies; None: it is discord.py's five seconds, which
    know of this process alone.
    """

    def __init__(self, *, wait_to_identify: Callable[[], Awaitable[None]] | None, **options: Any) -> None:
        super().__init__(**options)
        self._wait_to_identify = wait_to_identify
        self.waits = 0  # how many shards are not connected yet because they wait on purpose

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait on purpose for as long as the block lasts: nothing is wrong."""
        self.waits += 1
        try:
            yield
        finally:
            self.waits -= 1

    async def launch_shards(self) -> None:
        """Connect the shards that are not connected yet."""
        if self.shard_count is None:
            self.shard_count, _, _ = await self.http.get_bot_gateway()
        shard_ids: Sequence[int] = self.shard_ids or range(self.shard_count)
        self._connection.shard_count = self.shard_count
        self._connection.shard_ids = list(shard_ids)
        for shard_id in shard_ids:
            if self.get_shard(shard_id) is None:
                await self._launch(shard_id, initial=not self.shards)

    async def _launch(self, shard_id: int, *, initial: bool) -> None:
        connecting = DiscordWebSocket.from_client(self, initial=initial, shard_id=shard_id)
        websocket = await asyncio.wait_for(connecting, self.shard_connect_timeout)
        # Not public, and the same in discord.py since 2020: the tests of connecting are what pins it.
        inner: dict[str, Any] = self.__dict__
        shard = _Shard(websocket, self, inner["_AutoShardedClient__queue"].put_nowait)
        inner["_AutoShardedClient__shards"][shard_id] = shard
        shard.launch()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait until Discord may take one more identify of this bot."""
        with self.waiting():
            if self._wait_to_identify is not None:
                await self._wait_to_identify()
            else:
                await super().before_identify_hook(shard_id, initial=initial)
