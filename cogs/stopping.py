"""What can be stopped: everything that is being written or drawn, and the time that Discord gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import discord

from assistant.stopping import StopSignal
from cogs.surfaces import Surface

# An answer ends by itself this long before Discord takes no more of it.
RESERVE_SECONDS = 90.0
NOT_RUNNING = "Nothing is being written or drawn here any more."
NOT_YOURS = "Only the member who asked, or someone who may manage messages, can stop this."


@dataclass(frozen=True, slots=True)
class _Running:
    user_id: int
    stop: StopSignal


class Stops:
    """The answers of the whole bot that can be stopped, by the interaction that asked for them."""

    def __init__(self) -> None:
        self._running: dict[int, _Running] = {}

    @contextmanager
    def counted(self, interaction_id: int, user_id: int, stop: StopSignal) -> Iterator[None]:
        """This answer can be stopped for as long as the block lasts."""
        self._running[interaction_id] = _Running(user_id, stop)
        try:
            yield
        finally:
            del self._running[interaction_id]

    def is_running(self, interaction_id: int) -> bool:
        """Whether this interaction is being answered."""
        return interaction_id in self._running

    async def stop(self, interaction: discord.Interaction[Any], interaction_id: int) -> None:
        """Stop the answer to an interaction, for the member who asked or one who may manage messages."""
        running = self._running.get(interaction_id)
        if running is None:  # the bot was started anew
            await interaction.response.edit_message(view=None)
            await interaction.followup.send(NOT_RUNNING, ephemeral=True)
        elif interaction.user.id == running.user_id or interaction.permissions.manage_messages:
            running.stop.stop()
            await interaction.response.defer()
        else:
            await interaction.response.send_message(NOT_YOURS, ephemeral=True)


class Timer:
    """Stops an answer shortly before Discord takes no more of it."""

    def __init__(self, stop: StopSignal) -> None:
        self.rang = False
        self._stop = stop

    def ring(self) -> None:
        """It is time."""
        self.rang = not self._stop.requested
        self._stop.stop()


@contextmanager
def timer(surface: Surface, stop: StopSignal) -> Iterator[Timer]:
    """Have the answer stopped in time, for as long as the block lasts."""
    timer = Timer(stop)
    if surface.expires_at is None:
        yield timer
        return
    handle = asyncio.get_running_loop().call_at(surface.expires_at - RESERVE_SECONDS, timer.ring)
    try:
        yield timer
    finally:
        handle.cancel()
