"""Why a fake Discord may not answer as usual: its errors, its rate limits, and faults on demand."""

import asyncio
import json
import socket
import struct
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from tests.fake_discord_records import JSON


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with exactly `Content-Type: application/json`: with a charset, discord.py would not parse it."""
    return web.Response(
        body=json.dumps(body).encode(),
        status=status,
        headers={**(headers or {}), "Content-Type": "application/json"},
    )


class DiscordError(Exception):
    """A refusal with Discord's own status, code and wording."""

    def __init__(self, status: int, code: int, message: str, errors: JSON | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: JSON = {"message": message, "code": code}
        if errors is not None:
            self.body["errors"] = errors


def unauthorized() -> DiscordError:
    return DiscordError(401, 0, "401: Unauthorized")


def not_found() -> DiscordError:
    return DiscordError(404, 0, "404: Not Found")


def unknown_message() -> DiscordError:
    return DiscordError(404, 10008, "Unknown Message")


def unknown_webhook() -> DiscordError:
    return DiscordError(404, 10015, "Unknown Webhook")


def unknown_interaction() -> DiscordError:
    return DiscordError(404, 10062, "Unknown interaction")


def request_too_large() -> DiscordError:
    return DiscordError(413, 40005, "Request entity too large")


def already_acknowledged() -> DiscordError:
    return DiscordError(400, 40060, "Interaction has already been acknowledged.")


def empty_message() -> DiscordError:
    return DiscordError(400, 50006, "Cannot send an empty message")


def invalid_webhook_token() -> DiscordError:
    return DiscordError(401, 50027, "Invalid Webhook Token")


def invalid_form_body(field_path: str, code: str, message: str) -> DiscordError:
    """Name the field by its path, as in `data.content`."""
    errors: JSON = {"_errors": [{"code": code, "message": message}]}
    for name in reversed(field_path.split(".")):
        errors = {name: errors}
    return DiscordError(400, 50035, "Invalid Form Body", errors)


def invalid_json() -> DiscordError:
    return DiscordError(400, 50109, "The request body contains invalid JSON.")


@dataclass
class RateLimit:
    """So many requests per window and bucket; Discord's headers tell how many are left."""

    limit: int = 1000
    per: float = 1.0
    _windows: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict, repr=False)

    def take(self, route: str, token: str) -> tuple[dict[str, str], float]:
        """Count one request; returns the headers and, when it is one too many, the seconds to wait."""
        now = time.monotonic()
        started, used = self._windows.get((route, token), (now, 0))
        if now >= started + self.per:
            started, used = now, 0
        self._windows[route, token] = started, used + 1
        reset_after = started + self.per - now
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.limit - used - 1, 0)),
            "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{reset_after:.3f}",
            "X-RateLimit-Bucket": f"{zlib.crc32(route.encode()):08x}",
        }
        return headers, reset_after if used >= self.limit else 0.0


def too_many_requests(headers: Mapping[str, str], retry_after: float) -> web.Response:
    """The real thing comes with a Via header; discord.py takes a 429 without it for a Cloudflare ban."""
    return json_response(
        {"message": "You are being rate limited.", "retry_after": round(retry_after, 3), "global": False},
        status=429,
        headers={
            **headers,
            "Via": "1.1 google",
            "Retry-After": str(int(retry_after) + 1),
            "X-RateLimit-Scope": "user",
        },
    )


@dataclass
class Fault:
    """What happens to the next requests that match; `FakeDiscord.fail` explains each field."""

    method: str
    path_pattern: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: Any = None
    reset: bool = False
    hang: float | None = None
    delay: float = 0.0
    after_handling: bool = False

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method == method and fnmatchcase(path, self.path_pattern)

    async def strike(self, request: web.Request) -> web.Response | None:
        """Do the harm; returns what is answered instead of the usual, or None for the usual."""
        await asyncio.sleep(self.delay)
        if self.hang is not None:
            await asyncio.sleep(self.hang)
        if self.reset or self.hang is not None:
            cut(request, reset=self.reset)
            return web.Response()  # goes nowhere: the connection is gone
        if self.status is None:
            return None
        if isinstance(self.body, str):
            return web.Response(text=self.body, status=self.status, headers=self.headers)
        body = self.body if self.body is not None else {"message": f"{self.status}: on demand", "code": 0}
        return json_response(body, self.status, self.headers)


def cut(request: web.BaseRequest, *, reset: bool) -> None:
    """End the connection without another byte: the client sees a reset, or else a plain end of the stream."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        # Lingering for zero seconds makes the kernel send RST instead of FIN.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()
