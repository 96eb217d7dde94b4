"""What a fake Discord remembers: its settings, and every request, message and interaction so far."""

import asyncio
import itertools
import mimetypes
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

JSON = dict[str, Any]

GUILD_ID = 400_000_000_000_000_001
API = "/api/v10"

DISCORD_EPOCH_MS = 1_420_070_400_000
EPHEMERAL = 1 << 6
LOADING = 1 << 7

CHAT_INPUT_REPLY = 20
"""The type of a message that answers a slash command; every other message here has type 0."""


class Changes:
    """Lets anyone wait until something is true, looking again whenever something happened."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def happened(self) -> None:
        self._next.set()
        self._next = asyncio.Event()

    async def until(
        self, predicate: Callable[[], object], seconds: float, seen: Callable[[], object]
    ) -> None:
        """Wait, or tell what was seen instead."""
        try:
            async with asyncio.timeout(seconds):
                while not predicate():
                    await self._next.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {seconds} s; seen: {seen()}") from None


class Snowflakes:
    """Fresh ids of the current time, never the same twice."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def next(self) -> int:
        milliseconds = int(time.time() * 1000) - DISCORD_EPOCH_MS
        return milliseconds << 22 | next(self._count) & 0x3FFFFF


@dataclass(frozen=True)
class FakeUser:
    id: int
    name: str
    global_name: str | None = None
    bot: bool = False

    def payload(self) -> JSON:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": self.global_name,
            "discriminator": "0",
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }


@dataclass(frozen=True)
class SentFile:
    """A file as it came in a multipart body."""

    filename: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class FakeAttachment:
    id: int
    filename: str
    data: bytes = field(repr=False)
    url: str

    def payload(self) -> JSON:
        return {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.data),
            "url": self.url,
            "proxy_url": self.url,
            "content_type": mimetypes.guess_type(self.filename)[0] or "application/octet-stream",
        }


@dataclass(frozen=True)
class MessageVersion:
    """A message as it stood after its creation or after one of its edits."""

    content: str = ""
    flags: int = 0
    embeds: Sequence[JSON] = ()
    components: Sequence[JSON] = ()
    attachments: Sequence[FakeAttachment] = ()
    allowed_mentions: JSON | None = None
    """As sent with this version; None when the request did not say."""
    at: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class FakeMessage:
    id: int
    channel_id: int
    guild_id: int | None
    author: FakeUser
    versions: list[MessageVersion]
    interaction: "FakeInteraction | None" = field(default=None, repr=False)
    deleted: bool = False
    reply_to: int | None = None

    @property
    def latest(self) -> MessageVersion:
        return self.versions[-1]

    @property
    def content(self) -> str:
        return self.latest.content

    @property
    def attachments(self) -> Sequence[FakeAttachment]:
        return self.latest.attachments

    @property
    def ephemeral(self) -> bool:
        return bool(self.latest.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """Whether members still see "is thinking..."."""
        return bool(self.latest.flags & LOADING)

    def component(self, custom_id: str) -> JSON | None:
        """Find a button or menu, however deep in rows, sections and containers."""
        waiting = list(self.latest.components)
        while waiting:
            component = waiting.pop()
            if component.get("custom_id") == custom_id:
                return component
            waiting += component.get("components", [])
            waiting += [component["accessory"]] if "accessory" in component else []
        return None

    def payload(self) -> JSON:
        created = datetime.fromtimestamp((self.id >> 22) / 1000 + DISCORD_EPOCH_MS / 1000, UTC)
        payload: JSON = {
            "id": str(self.id),
            "type": 0,
            "channel_id": str(self.channel_id),
            "author": self.author.payload(),
            "content": self.content,
            "timestamp": created.isoformat(),
            "edited_timestamp": datetime.now(UTC).isoformat() if len(self.versions) > 1 else None,
            "tts": False,
            "pinned": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [attachment.payload() for attachment in self.attachments],
            "embeds": list(self.latest.embeds),
            "components": list(self.latest.components),
            "flags": self.latest.flags,
        }
        if self.interaction is not None:
            payload["application_id"] = payload["webhook_id"] = self.interaction.payload["application_id"]
            payload["interaction_metadata"] = {
                "id": str(self.interaction.id),
                "type": self.interaction.type,
                "user": self.interaction.user.payload(),
                "authorizing_integration_owners": self.interaction.payload["authorizing_integration_owners"],
            }
            if self.interaction.type == 2 and self is self.interaction.original:
                payload["type"] = CHAT_INPUT_REPLY
        return payload


@dataclass(eq=False)
class FakeInteraction:
    """One thing a member did, and everything the bot answered to it."""

    payload: JSON = field(repr=False)
    user: FakeUser
    changes: Changes = field(repr=False)
    dispatched_at: float = field(default_factory=time.monotonic)
    acknowledged_at: float | None = None
    response_type: int | None = None
    original: FakeMessage | None = None
    followups: list[FakeMessage] = field(default_factory=list)
    choices: list[JSON] | None = None
    modal: JSON | None = None

    @property
    def id(self) -> int:
        return int(self.payload["id"])

    @property
    def token(self) -> str:
        return str(self.payload["token"])

    @property
    def type(self) -> int:
        return int(self.payload["type"])

    @property
    def deferred(self) -> bool:
        """Whether the first response was a defer, whatever came after it."""
        return self.response_type in (5, 6)

    @property
    def ephemeral(self) -> bool:
        return self.original is not None and self.original.ephemeral

    def until(self, predicate: Callable[["FakeInteraction"], object], timeout: float = 20) -> Awaitable[None]:
        """Wait until the predicate holds for this interaction; it is asked again on every change."""
        return self.changes.until(lambda: predicate(self), timeout, lambda: self)


@dataclass(eq=False)
class SentRequest:
    method: str
    path: str
    """Without the `/api/v10` in front."""
    query: dict[str, str]
    json: Any = None
    files: list[SentFile] = field(default_factory=list)
    at: float = field(default_factory=time.monotonic)
    status: int | None = None
    """What was answered; None while it is open and when the answer was withheld."""


SENT = web.RequestKey("sent", SentRequest)
"""Where a handler finds the record of the request it answers."""


@dataclass(eq=False, repr=False)
class DiscordState:
    """Everything the gateway and the REST API share. Tests may set any of it."""

    token: str = "fake.bot.token"
    application_id: int = 100_000_000_000_000_001
    bot_user: FakeUser = FakeUser(100_000_000_000_000_001, "colloquy", bot=True)
    shard_count: int = 1
    heartbeat_interval: float = 41.25
    acknowledge_heartbeats: bool = True
    identifies_left: int = 999
    identifies_reset_after: float = 86_400.0

    acknowledge_within: float = 3.0
    token_life: float = 15 * 60.0
    attachment_size_limit: int = 10 * 1024 * 1024

    url: str = ""
    """Where the fake listens, such as `http://127.0.0.1:4711`."""
    requests: list[SentRequest] = field(default_factory=list)
    messages: list[FakeMessage] = field(default_factory=list)
    interactions: list[FakeInteraction] = field(default_factory=list)
    interaction_by_token: dict[str, FakeInteraction] = field(default_factory=dict)
    commands: dict[int | None, list[JSON]] = field(default_factory=dict)
    """The commands as last synced, by guild id; the global ones under None."""
    channels: dict[int, JSON] = field(default_factory=dict)
    """What is known of a channel besides the usual."""
    unexpected: list[str] = field(default_factory=list)
    """Requests that this fake does not know, and its own crashes; leaving the fake raises if any are left."""

    changes: Changes = field(default_factory=Changes)
    snowflakes: Snowflakes = field(default_factory=Snowflakes)

    def add_message(
        self,
        channel_id: int,
        guild_id: int | None,
        version: MessageVersion,
        interaction: FakeInteraction | None = None,
    ) -> FakeMessage:
        message = FakeMessage(
            self.snowflakes.next(), channel_id, guild_id, self.bot_user, [version], interaction
        )
        self.messages.append(message)
        return message

    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/gateway"
