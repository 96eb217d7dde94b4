"""Where an answer is shown: in the response to an interaction, or as a reply in a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import discord

from cogs.discord_calls import DiscordCalls

# How long Discord lets a bot write on one interaction.
INTERACTION_SECONDS = 15 * 60.0
# Replying takes the permission to read the channel's older messages; writing does not.
MAY_NOT_REPLY = 160002
# A channel's messages take files of this size in any server.
LEAST_FILE_LIMIT = 10 * 1024 * 1024

# What a message has: "content", "view" and "files" (a list of discord.File).
Fields = Mapping[str, Any]


class Surface(Protocol):
    """A first message and the ones that follow it. What is sent pings nobody.

    Everything raises whatever discord.py raises, so calls go through `calls.attempt`.
    """

    calls: DiscordCalls
    name: str  # for the log
    expires_at: float | None  # on the event loop's clock; None: never
    file_limit: int  # bytes
    private: bool  # whether only the member sees it

    async def edit(self, message: Any, fields: Fields) -> None:
        """Change a message: the first one (None), or one that `follow_up` gave."""

    async def follow_up(self, fields: Fields) -> Any:
        """Send one more message, and give what `edit` takes for it."""


class ResponseSurface:
    """The response to an interaction that was deferred. Built as soon as it comes, for its time runs.

    `private`: whether only the member sees it. That has to be said of each message anew.
    """

    def __init__(self, interaction: discord.Interaction[Any], *, private: bool = False) -> None:
        self._interaction = interaction
        self.private = private
        self.calls: DiscordCalls = interaction.client.calls
        self.name = f"interaction {interaction.id}"
        # Counted from now and not by Discord's clock, which may differ from ours.
        self.expires_at: float | None = asyncio.get_running_loop().time() + INTERACTION_SECONDS
        self.file_limit = interaction.filesize_limit

    async def edit(self, message: discord.WebhookMessage | None, fields: Fields) -> None:
        """Edit the original response or a follow-up."""
        given = _as_edit(fields)
        if message is None:
            await self._interaction.edit_original_response(**given)
        else:
            await message.edit(**given)

    async def follow_up(self, fields: Fields) -> discord.WebhookMessage:
        """Send a follow-up."""
        given = _given(fields)
        return await self._interaction.followup.send(**given, ephemeral=self.private, wait=True)


class LeftSurface:
    """The response to an interaction that an earlier run deferred, and what stands there now."""

    def __init__(
        self, calls: DiscordCalls, webhook: discord.Webhook, message: discord.WebhookMessage
    ) -> None:
        self._webhook = webhook
        self._message = message
        self.calls = calls
        self.name = f"message {message.id}"
        self.private = message.flags.ephemeral
        self.expires_at: float | None = None  # soon; a call says so then
        self.file_limit = LEAST_FILE_LIMIT

    async def edit(self, message: discord.WebhookMessage | None, fields: Fields) -> None:
        """Edit the original response or a follow-up. Buttons that stood there are gone with it."""
        await (message or self._message).edit(**{"view": None, **_as_edit(fields)})

    async def follow_up(self, fields: Fields) -> discord.WebhookMessage:
        """Send a follow-up, for as many to see as the response itself."""
        return await self._webhook.send(**_given(fields), ephemeral=self.private, wait=True)


class ReplySurface:
    """A reply to a member's message. The first edit sends it; `shown` is set then."""

    def __init__(self, message: discord.Message | discord.PartialMessage, calls: DiscordCalls) -> None:
        self._message = message
        self._reply: discord.Message | None = None
        self._sent = 0
        self._tried = ""  # the nonce of the last try
        self.shown = asyncio.Event()
        self.calls = calls
        self.name = f"message {message.id}"
        self.expires_at: float | None = None
        self.file_limit = LEAST_FILE_LIMIT
        self.private = False

    async def tell(self, sentence: str) -> None:
        """Let one sentence be the whole reply."""
        await self.edit(None, {"content": sentence, "view": None})

    async def edit(self, message: discord.Message | None, fields: Fields) -> None:
        """Send or edit the reply, or edit a message that followed it."""
        message = message or self._reply
        if message is not None:
            await message.edit(**_as_edit(fields))
            return
        reference = self._message.to_reference(fail_if_not_exists=False)
        try:
            self._reply = await self._send(fields, reference=reference)
        except discord.HTTPException as error:
            if error.code != MAY_NOT_REPLY:
                raise
            self._tried = ""
            self._reply = await self._send(fields)
        self.shown.set()

    async def follow_up(self, fields: Fields) -> discord.Message:
        """Send one more message into the channel."""
        return await self._send(fields)

    async def _send(self, fields: Fields, **more: Any) -> discord.Message:
        # What seemed to fail may be there all the same: of two with one nonce, Discord makes one message.
        nonce = f"{self._message.id}-{self._sent}"
        repeated, self._tried = self._tried == nonce, nonce
        message = await self._message.channel.send(**_given(fields), nonce=nonce, **more)
        if repeated:  # it may show what was sent then
            for file in fields.get("files") or ():
                file.reset()
            await message.edit(**_as_edit(fields))
        self._sent += 1
        return message


def _given(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _as_edit(fields: Fields) -> dict[str, Any]:
    given = dict(fields)
    if files := given.pop("files", None):
        given["attachments"] = files
    return given
