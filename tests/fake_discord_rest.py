"""The REST side of a fake Discord: what happens to every request, and the routes about the bot itself."""

import json
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import BodyPartReader, web

from tests.fake_discord_faults import (
    DiscordError,
    Fault,
    RateLimit,
    invalid_json,
    json_response,
    request_too_large,
    too_many_requests,
    unauthorized,
)
from tests.fake_discord_messages import MessageApi
from tests.fake_discord_records import API, JSON, SENT, DiscordState, SentFile, SentRequest

REQUEST_LIMIT = 25 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RestApi:
    def __init__(self, state: DiscordState) -> None:
        self._state = state
        self.faults: list[Fault] = []
        self.webhook_rate_limit = RateLimit()

    def add_to(self, app: web.Application) -> None:
        app.middlewares.append(self._around_every_request)
        app.add_routes(
            [
                web.get(API + "/users/@me", self._get_me),
                web.get(API + "/oauth2/applications/@me", self._get_application),
                web.get(API + "/gateway/bot", self._get_gateway),
                web.put(API + "/applications/{application_id}/commands", self._put_commands),
                web.put(
                    API + "/applications/{application_id}/guilds/{guild_id}/commands", self._put_commands
                ),
            ]
        )
        MessageApi(self._state).add_to(app)

    @web.middleware
    async def _around_every_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        sent = SentRequest(request.method, request.path.removeprefix(API), dict(request.query))
        self._state.requests.append(sent)
        request[SENT] = sent
        try:
            sent.json, sent.files = await read_body(request)
            self._state.changes.happened()
            response = await self._answer_or_fail(request, sent, handler)
        except DiscordError as error:
            response = json_response(error.body, error.status)
        except web.HTTPException as error:
            self._state.unexpected.append(f"{sent.method} {sent.path}: {error.reason}")
            response = json_response({"message": f"{error.status}: {error.reason}", "code": 0}, error.status)
        except Exception:
            # Not a 5xx: discord.py would try that again for 25 seconds before the test hears of it.
            self._state.unexpected.append(f"{sent.method} {sent.path}: {traceback.format_exc()}")
            response = json_response({"message": "this fake is broken", "code": 0}, 400)
        if request.transport is not None and not request.transport.is_closing():
            sent.status = response.status
        self._state.changes.happened()
        return response

    async def _answer_or_fail(
        self, request: web.Request, sent: SentRequest, handler: Handler
    ) -> web.StreamResponse:
        fault = next((fault for fault in self.faults if fault.matches(sent.method, sent.path)), None)
        if fault is None:
            return await self._answer(request, sent, handler)
        fault.times -= 1
        if fault.after_handling:
            response = await self._answer(request, sent, handler)
            return await fault.strike(request) or response
        return await fault.strike(request) or await self._answer(request, sent, handler)

    async def _answer(self, request: web.Request, sent: SentRequest, handler: Handler) -> web.StreamResponse:
        part = sent.path.split("/")[1]
        if part in ("users", "oauth2", "applications", "channels") or sent.path == "/gateway/bot":
            self._check_bot_token(request)
        if part != "webhooks":
            return await handler(request)
        route = request.match_info.route.resource
        headers, wait = self.webhook_rate_limit.take(
            f"{sent.method} {route.canonical if route else ''}", request.match_info.get("token", "")
        )
        if wait:
            return too_many_requests(headers, wait)
        try:
            response = await handler(request)
        except DiscordError as error:
            response = json_response(error.body, error.status)
        response.headers.update(headers)
        self._state.changes.happened()  # now, for a fault may withhold the answer for long
        return response

    def _check_bot_token(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bot {self._state.token}":
            raise unauthorized()

    # The bot itself

    async def _get_me(self, request: web.Request) -> web.Response:
        return json_response(self._state.bot_user.payload())

    async def _get_application(self, request: web.Request) -> web.Response:
        return json_response(
            {
                "id": str(self._state.application_id),
                "name": self._state.bot_user.name,
                "icon": None,
                "description": "",
                "summary": "",
                "bot_public": True,
                "bot_require_code_grant": False,
                "verify_key": "0" * 64,
                "flags": 0,
                "owner": {"id": "2", "username": "owner", "discriminator": "0", "avatar": None},
            }
        )

    async def _get_gateway(self, request: web.Request) -> web.Response:
        limit = {
            "total": 1000,
            "remaining": self._state.identifies_left,
            "reset_after": round(self._state.identifies_reset_after * 1000),
            "max_concurrency": 1,
        }
        return json_response(
            {
                "url": self._state.ws_url(),
                "shards": self._state.shard_count,
                "session_start_limit": limit,
            }
        )

    async def _put_commands(self, request: web.Request) -> web.Response:
        guild = request.match_info.get("guild_id")
        commands: list[JSON] = []
        for command in request[SENT].json:
            synced = {"type": 1, "description": "", **command}
            synced["id"] = synced["version"] = str(self._state.snowflakes.next())
            synced["application_id"] = request.match_info["application_id"]
            if guild is not None:
                synced["guild_id"] = guild
            commands.append(synced)
        self._state.commands[int(guild) if guild is not None else None] = commands
        return json_response(commands)


async def read_body(request: web.Request) -> tuple[Any, list[SentFile]]:
    """Read a JSON body, or a form of `payload_json` and `files[n]`."""
    payload, files, size = b"", [], 0
    if request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            data = bytes(await part.read())
            size += len(data)
            if part.name == "payload_json":
                payload = data
            else:
                files.append(SentFile(part.filename or "", data))
    else:
        payload = await request.read()
    if size + len(payload) > REQUEST_LIMIT:
        raise request_too_large()
    try:
        return json.loads(payload) if payload else None, files
    except ValueError:
        raise invalid_json() from None
