"""Ordinary messages of a fake Discord: what members write in channels, and what the bot may do there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from tests.fake_discord_faults import json_response, unknown_message
from tests.fake_discord_interactions import InteractionApi
from tests.fake_discord_records import (
    API,
    GUILD_ID,
    JSON,
    SENT,
    DiscordState,
    FakeAttachment,
    FakeMessage,
    FakeUser,
    MessageVersion,
)

if TYPE_CHECKING:
    from tests.fake_discord import FakeDiscord

GUILD_MESSAGES, DIRECT_MESSAGES = 1 << 9, 1 << 12
REPLY = 19


class MessageApi(InteractionApi):
    """Interactions and, beside them, the messages of channels."""

    def __init__(self, state: DiscordState) -> None:
        super().__init__(state)
        self._by_nonce: dict[tuple[str, str], FakeMessage] = {}

    def add_to(self, app: web.Application) -> None:
        super().add_to(app)
        channel = API + "/channels/{channel_id}"
        app.add_routes(
            [
                web.get(channel, self._get_channel),
                web.get(API + "/guilds/{guild_id}", self._get_guild),
                web.post(channel + "/typing", self._post_typing),
                web.patch(channel + "/messages/{message_id}", self._patch_channel_message),
            ]
        )

    async def _get_channel(self, request: web.Request) -> web.Response:
        number = request.match_info["channel_id"]
        usual = {"id": number, "type": 0, "guild_id": str(GUILD_ID), "name": "general", "position": 0}
        return json_response(usual | self._state.channels.get(int(number), {}))

    async def _get_guild(self, request: web.Request) -> web.Response:
        return json_response({"id": request.match_info["guild_id"], "name": "The server"})

    async def _post_typing(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _post_channel_message(self, request: web.Request) -> web.Response:
        """Send a message; one with an enforced nonce that was used in this channel is not sent again."""
        sent = request[SENT]
        channel_id = request.match_info["channel_id"]
        nonce = (channel_id, str(sent.json.get("nonce")))
        if sent.json.get("enforce_nonce") and nonce in self._by_nonce:
            return json_response(self._by_nonce[nonce].payload())
        version = self._next_version(None, sent.json, sent.files)
        message = self._state.add_message(int(channel_id), None, version)
        if reference := sent.json.get("message_reference"):
            message.reply_to = int(reference["message_id"])
        self._by_nonce[nonce] = message
        return json_response(message.payload())

    async def _patch_channel_message(self, request: web.Request) -> web.Response:
        sent = request[SENT]
        for message in self._state.messages:
            if str(message.id) == request.match_info["message_id"] and not message.deleted:
                assert message.author == self._state.bot_user, "only one's own messages can be edited"
                self._edit(message, sent.json, sent.files)
                return json_response(message.payload())
        raise unknown_message()


async def say(
    fake: FakeDiscord,
    content: str,
    *,
    user: FakeUser,
    channel_id: int,
    guild_id: int | None,
    mentions: Sequence[FakeUser] = (),
    files: Mapping[str, bytes] | None = None,
    reply_to: FakeMessage | None = None,
    **fields: object,
) -> FakeMessage:
    """Write a message as a member; without a guild it is a direct one. A reply pings whom it answers.

    As Discord has it, only a client with the intent hears of it, and without a privileged one it is told
    the content of direct messages and of those that mention it. `fields` go over the event's own.
    """
    attachments = []
    for name, data in (files or {}).items():
        attachment_id = fake.snowflakes.next()
        url = f"{fake.url}/attachments/{attachment_id}/{name}"
        attachments.append(FakeAttachment(attachment_id, name, data, url))
    version = MessageVersion(content, attachments=attachments, at=time.monotonic())
    message = FakeMessage(fake.snowflakes.next(), channel_id, guild_id, user, [version])
    fake.messages.append(message)
    event = message.payload()
    mentioned = [*mentions, *([reply_to.author] if reply_to else [])]
    event["mentions"] = [one.payload() for one in mentioned]
    if reply_to is not None:
        event |= {
            "type": REPLY,
            "message_reference": {"message_id": str(reply_to.id), "channel_id": str(channel_id)},
            "referenced_message": reply_to.payload(),
        }
    if guild_id is not None:
        event |= {"guild_id": str(guild_id), "member": {"roles": [], "joined_at": None, "flags": 0}}
        if fake.bot_user not in mentioned:
            event |= {"content": "", "attachments": [], "embeds": [], "components": []}
    event |= fields
    await deliver(fake, event)
    return message


async def deliver(fake: FakeDiscord, event: JSON) -> None:
    """Send a MESSAGE_CREATE to the client, if it asked for such; a test may do it twice."""
    needed = GUILD_MESSAGES if "guild_id" in event else DIRECT_MESSAGES
    if fake.gateway.identifies[-1]["intents"] & needed:
        await fake.send_event("MESSAGE_CREATE", event, int(event.get("guild_id", 0)))
