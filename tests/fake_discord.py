"""A Discord of our own on a loopback socket, so that tests run the real discord.py from login to answer.

`async with FakeDiscord() as fake:` serves the gateway and the REST API; `point_discord_py_at(fake.url)` leads
discord.py there, in this process or in another one. Then the test plays the member:

    interaction = await fake.slash("ask", {"prompt": "hi"})
    await interaction.until(lambda it: it.original and it.original.content == "hello")

It enforces the rules that bots break most easily (3 s to acknowledge, once; 15 min of token; 2000
characters), keeps every request and every version of every message, and fails on demand. Its parts:
`fake_discord_gateway`; `fake_discord_rest` with `fake_discord_interactions` and `fake_discord_messages`;
`fake_discord_faults`; and `fake_discord_records` for what they share.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import yarl
from aiohttp import web
from discord import Permissions
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.fake_discord_faults import Fault, RateLimit
from tests.fake_discord_gateway import Gateway
from tests.fake_discord_records import (
    API,
    GUILD_ID,
    JSON,
    DiscordState,
    FakeInteraction,
    FakeMessage,
    FakeUser,
    SentRequest,
)
from tests.fake_discord_rest import REQUEST_LIMIT, RestApi

__all__ = [
    "GUILD_ID",
    "FakeDiscord",
    "FakeInteraction",
    "FakeMessage",
    "FakeUser",
    "RateLimit",
    "SentRequest",
    "point_discord_py_at",
]

MEMBER = FakeUser(200_000_000_000_000_001, "ada", "Ada")
CHANNEL_ID = 300_000_000_000_000_001
MEMBER_PERMISSIONS = Permissions(
    view_channel=True, send_messages=True, attach_files=True, use_application_commands=True
).value

SLASH_COMMAND, COMPONENT = 2, 3
SUBCOMMAND = 1
OPTION_TYPES = {str: 3, int: 4, bool: 5, float: 10}


@contextmanager
def point_discord_py_at(url: str) -> Iterator[None]:
    """Make discord.py, which has no setting for it, talk to the fake at this address and not to Discord."""
    route_base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE = url + API
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws", 1) + "/gateway")
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = route_base, gateway


class FakeDiscord(DiscordState):
    def __init__(self, *, shard_count: int = 1) -> None:
        super().__init__(shard_count=shard_count)
        self.gateway = Gateway(self)
        self.rest = RestApi(self)

    async def __aenter__(self) -> Self:
        # Our own check comes first and words the refusal as Discord does.
        app = web.Application(client_max_size=2 * REQUEST_LIMIT)
        self.rest.add_to(app)
        self.gateway.add_to(app)
        # A hanging answer ends when its client leaves, and at the latest with the test.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.gateway.close()
        await self._runner.cleanup()
        if self.unexpected:
            complaint = "requests this fake Discord does not know:\n" + "\n".join(self.unexpected)
            if error is None:
                raise AssertionError(complaint)
            error.add_note(complaint)

    # Waiting and faults

    def ready(self, timeout: float = 20) -> Awaitable[None]:
        """Wait until a client is connected and has been told READY, or RESUMED after a break."""
        return self.until(self.gateway.live, timeout)

    def until(self, predicate: Callable[[], object], timeout: float = 20) -> Awaitable[None]:
        """Wait until the predicate holds; it is asked again whenever anything happened here."""
        return self.changes.until(predicate, timeout, lambda: self.requests[-5:])

    def fail(
        self,
        method: str,
        path_pattern: str,
        *,
        times: int = 1,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        reset: bool = False,
        hang: float | None = None,
        delay: float = 0.0,
        after_handling: bool = False,
    ) -> Fault:
        """Let the next matching requests fail; faults are matched in the order in which they were added.

        The pattern is a glob on the path without `/api/v10`, such as `/webhooks/*/messages/@original`; its
        `*` matches slashes, too. `/gateway` is the websocket.
        `delay` waits before whatever comes; alone, it makes the usual answer late.
        `status` answers so, with `headers` and `body` (text as text, anything else as JSON).
        `reset` resets the connection instead of answering (aiohttp itself tries a GET, PUT or DELETE again).
        `hang` keeps the request waiting so many seconds and closes the connection without an answer.
        `after_handling` lets Discord do what was asked first, so that only the answer is lost.
        """
        fault = Fault(method, path_pattern, times, status, headers, body, reset, hang, delay, after_handling)
        self.rest.faults.append(fault)
        return fault

    # The gateway's side

    async def send_event(self, name: str, data: object, guild_id: int | None = None) -> None:
        await self.gateway.dispatch(name, data, guild_id)

    async def send_again(self, interaction: FakeInteraction) -> None:
        """Deliver an interaction a second time, as nothing forbids Discord to."""
        await self._deliver(interaction)

    async def drop_connection(self, code: int | None = None, *, resumable: bool = True) -> None:
        """Break off every gateway connection: with a close code, or without a word."""
        if not resumable:
            self.gateway.sessions.clear()
        await self.gateway.drop(code)

    # The member's side

    async def slash(
        self,
        name: str,
        options: Mapping[str, str | int | bool | float] | None = None,
        *,
        subcommand: str | None = None,
        user: FakeUser = MEMBER,
        channel_id: int = CHANNEL_ID,
        guild_id: int | None = GUILD_ID,
        permissions: int = MEMBER_PERMISSIONS,
        channel: Mapping[str, Any] | None = None,
    ) -> FakeInteraction:
        """Call a slash command.

        Without a guild it is a direct message. `channel` holds what differs from an ordinary text channel,
        such as `{"nsfw": True}`.
        """
        given: list[JSON] = [
            {"name": key, "type": OPTION_TYPES[type(value)], "value": value}
            for key, value in (options or {}).items()
        ]
        if subcommand is not None:
            given = [{"name": subcommand, "type": SUBCOMMAND, "options": given}]
        data: JSON = {"id": "0", "name": name, "type": 1, "options": given}
        synced = self._synced_command(name, guild_id)
        if synced is not None:
            data["id"] = synced["id"]
            if "guild_id" in synced:
                data["guild_id"] = synced["guild_id"]
        return await self.interact(
            SLASH_COMMAND,
            data,
            user=user,
            channel_id=channel_id,
            guild_id=guild_id,
            permissions=permissions,
            channel=channel,
        )

    def _synced_command(self, name: str, guild_id: int | None) -> JSON | None:
        """The guild's own command comes before the global one of the same name."""
        own = self.commands.get(guild_id, []) if guild_id is not None else []
        known = [*own, *self.commands.get(None, [])]
        return next((command for command in known if command["name"] == name), None)

    async def component(
        self,
        message: FakeMessage,
        custom_id: str,
        *,
        values: Sequence[str] | None = None,
        user: FakeUser = MEMBER,
        permissions: int = MEMBER_PERMISSIONS,
    ) -> FakeInteraction:
        """Press a button of this message, or choose `values` in its menu."""
        component = message.component(custom_id)
        if message.deleted or component is None or component.get("disabled"):
            raise ValueError(f"nobody can press {custom_id!r} on {message}")
        data: JSON = {"custom_id": custom_id, "component_type": component["type"], "id": 1}
        if values is not None:
            data["values"] = list(values)
        return await self.interact(
            COMPONENT,
            data,
            user=user,
            channel_id=message.channel_id,
            guild_id=message.guild_id,
            permissions=permissions,
            message=message,
        )

    async def interact(
        self,
        kind: int,
        data: JSON,
        *,
        user: FakeUser = MEMBER,
        channel_id: int = CHANNEL_ID,
        guild_id: int | None = GUILD_ID,
        permissions: int = MEMBER_PERMISSIONS,
        channel: Mapping[str, Any] | None = None,
        message: FakeMessage | None = None,
    ) -> FakeInteraction:
        """Send an INTERACTION_CREATE of any kind; `slash` and `component` know how to fill in `data`."""
        payload: JSON = {
            "id": str(self.snowflakes.next()),
            "application_id": str(self.application_id),
            "type": kind,
            "data": data,
            "token": secrets.token_urlsafe(48),
            "version": 1,
            "channel_id": str(channel_id),
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": self.attachment_size_limit,
            "app_permissions": str(MEMBER_PERMISSIONS),
        }
        if guild_id is None:
            payload |= from_direct_message(user, channel_id)
        else:
            payload |= from_guild(user, channel_id, guild_id, permissions)
        payload["channel"] |= channel or {}
        if message is not None:
            payload["message"] = message.payload()
        interaction = FakeInteraction(payload, user, self.changes)
        self.interactions.append(interaction)
        self.interaction_by_token[interaction.token] = interaction
        await self._deliver(interaction)
        return interaction

    async def _deliver(self, interaction: FakeInteraction) -> None:
        guild_id = interaction.payload.get("guild_id")
        await self.send_event("INTERACTION_CREATE", interaction.payload, int(guild_id) if guild_id else None)


def from_guild(user: FakeUser, channel_id: int, guild_id: int, permissions: int) -> JSON:
    return {
        "context": 0,
        "guild_id": str(guild_id),
        "guild": {"id": str(guild_id), "locale": "en-US", "features": []},
        "guild_locale": "en-US",
        "authorizing_integration_owners": {"0": str(guild_id)},
        "channel": {
            "id": str(channel_id),
            "type": 0,
            "name": "general",
            "guild_id": str(guild_id),
            "permissions": str(permissions),
            "position": 0,
            "parent_id": None,
            "nsfw": False,
            "flags": 0,
        },
        "member": {
            "user": user.payload(),
            "permissions": str(permissions),
            "roles": [],
            "nick": None,
            "avatar": None,
            "joined_at": "2024-01-01T00:00:00+00:00",
            "premium_since": None,
            "pending": False,
            "deaf": False,
            "mute": False,
            "flags": 0,
        },
    }


def from_direct_message(user: FakeUser, channel_id: int) -> JSON:
    return {
        "context": 1,
        "authorizing_integration_owners": {"0": "0"},
        "channel": {"id": str(channel_id), "type": 1, "flags": 0, "recipients": [user.payload()]},
        "user": user.payload(),
    }
