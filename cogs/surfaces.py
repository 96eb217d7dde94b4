"""Where an answer appears: in the response to an interaction, or in a reply to a message."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Protocol

import discord

# Replying takes the permission to read the channel's older messages; writing does not.
MAY_NOT_REPLY = 160002


class Surface(Protocol):
    """One message of ours that is edited until the answer is whole, and others that follow it.

    Both methods take what discord.py's `edit` and `send` take, and raise what those raise.
    """

    @property
    def id(self) -> int:
        """What is answered: an interaction's id or a message's."""
        ...

    @property
    def expires_at(self) -> datetime | None:
        """When Discord stops taking edits; None: never."""
        ...

    async def edit(self, **fields: Any) -> None:
        """Make the message look so."""
        ...

    async def follow_up(self, **fields: Any) -> None:
        """Send one more message."""
        ...


class ResponseSurface:
    """The response to an interaction that was deferred."""

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        self._interaction = interaction

    @property
    def id(self) -> int:
        """The interaction's id."""
        return self._interaction.id

    @property
    def expires_at(self) -> datetime | None:
        """The end of the interaction's token."""
        return self._interaction.expires_at

    async def edit(self, **fields: Any) -> None:
        """Edit the original response."""
        await self._interaction.edit_original_response(**fields)

    async def follow_up(self, **fields: Any) -> None:
        """Send a follow-up."""
        await self._interaction.followup.send(**fields, wait=True)


class ReplySurface:
    """A reply to a member's message, which pings nobody. The first edit sends it; `shown` is set then."""

    expires_at: datetime | None = None

    def __init__(self, message: discord.Message) -> None:
        self._message = message
        self._reply: discord.Message | None = None
        self.shown = asyncio.Event()

    @property
    def id(self) -> int:
        """The member's message's id."""
        return self._message.id

    async def edit(self, **fields: Any) -> None:
        """Edit the reply, or send it."""
        if self._reply is None:
            self._reply = await self._send(fields)
            self.shown.set()
        else:
            await self._reply.edit(**fields)

    async def tell(self, sentence: str) -> None:
        """Let one sentence be the whole reply."""
        await self.edit(content=sentence)

    async def follow_up(self, **fields: Any) -> None:
        """Send one more message into the channel."""
        await self._message.channel.send(**fields)

    async def _send(self, fields: dict[str, Any]) -> discord.Message:
        if "attachments" in fields:
            fields["files"] = fields.pop("attachments")
        # A reply whose sending seemed to fail may be there all the same: with this, Discord sends it once.
        fields["nonce"] = self._message.id
        reference = self._message.to_reference(fail_if_not_exists=False)
        try:
            return await self._message.channel.send(**fields, reference=reference)
        except discord.HTTPException as error:
            if error.code != MAY_NOT_REPLY:
                raise
            return await self._message.channel.send(**fields)
