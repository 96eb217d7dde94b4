"""The only place that speaks HTTP to vendors."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from providers.base import ConnectionBroken, Key, Rest, Unavailable
from providers.errors import read_error, safe_detail
from providers.events import EventDecoder
from providers.wait_times import read_rest

CONNECT_SECONDS = 10.0
ERROR_BODY_BYTES = 64 * 1024
TEXT_BODY_BYTES = 2 * 1024 * 1024
STREAM_BYTES = 16 * 1024 * 1024
# The base64 of a 25 MiB picture.
PICTURE_BODY_BYTES = 34 * 1024 * 1024
# What fails before a request has left: nothing can have been billed.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
# What breaks before a reply has begun, most often because the vendor had just closed a connection kept open.
BROKEN_EARLY = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
# Larger replies than this are parsed in a thread.
LARGE_BODY_BYTES = 256 * 1024
# How long the pieces of an answer gather before they are read. Members see it grow in steps of a second, and
# to wake up for each piece of hundreds of answers is what costs most.
GATHER_SECONDS = 0.1
USER_AGENT = "Colloquy (self-hosted Discord bot)"

Auth = Literal["bearer", "key", "basic"]  # how a key is sent: as it is, as fal wants it, or as name:password


@dataclass(frozen=True, slots=True)
class Reply:
    """A 200 reply. `rest_seconds` is for how long nothing is left to the account; None: something is."""

    content: bytes
    content_type: str
    rest_seconds: float | None

    def read_object(self, key: Key) -> dict[str, Any]:
        """The JSON object that it holds. Raises ProviderError when it holds none, or an error."""
        return read_object(self.content, self.content_type, key)

    async def read_large_object(self, key: Key) -> dict[str, Any]:
        """The same, for a reply that may hold a picture."""
        if len(self.content) < LARGE_BODY_BYTES:
            return self.read_object(key)
        return await asyncio.to_thread(self.read_object, key)


class Transport:
    """Sends requests over one shared session, bounds what comes back and reads every refusal.

    It sets no deadline but the one for connecting: the router knows how long a request may take.
    All methods raise ProviderError.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(
        self,
        url: str,
        body: Mapping[str, Any],
        key: Key,
        *,
        cap: int = TEXT_BODY_BYTES,
        accept: str = "",
        auth: Auth = "bearer",
    ) -> Reply:
        """POST JSON and return the 200 reply, of at most `cap` bytes."""
        async with self._open("POST", url, body, key, accept=accept, auth=auth) as response:
            return await _read_reply(response, cap)

    async def send(
        self,
        method: Literal["GET", "POST", "PUT"],
        url: str,
        key: Key,
        *,
        cap: int = TEXT_BODY_BYTES,
        auth: Auth = "bearer",
    ) -> Reply:
        """Send a request without a body and return the 200 or 202 reply, of at most `cap` bytes."""
        async with self._open(method, url, None, key, auth=auth) as response:
            return await _read_reply(response, cap)

    async def events(
        self,
        url: str,
        body: Mapping[str, Any],
        key: Key,
        may_wait: Callable[[], bool] = lambda: False,
        *,
        auth: Auth = "bearer",
    ) -> AsyncGenerator[list[str] | Rest]:
        """POST JSON and yield the data of server-sent events, those that came together in one list.

        First comes a Rest, if the headers hold one. A server that does not stream and sends its whole answer
        as JSON is one event. While `may_wait()`, events are left to gather for a moment.
        """
        async with self._open("POST", url, body, key, accept="text/event-stream", auth=auth) as response:
            if (seconds := read_rest(response.headers)) is not None:
                yield Rest(seconds)
            if response.content_type == "application/json":
                yield [(await _read(response, TEXT_BODY_BYTES)).decode("utf-8", "replace")]
                return
            if response.content_type not in ("text/event-stream", "application/octet-stream", "text/plain"):
                raise broken_reply(f"the vendor answered with {response.content_type} and not with a stream")
            decoder = EventDecoder()
            received = 0
            async for chunk in response.content.iter_any():
                received += len(chunk)
                if received > STREAM_BYTES:
                    raise broken_reply("the vendor's stream does not end")
                if events := decoder.feed(chunk):
                    yield events
                if may_wait():
                    await _let_gather(response)
            if events := decoder.finish():
                yield events

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        key: Key,
        *,
        accept: str = "",
        auth: Auth = "bearer",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        secret = key.value.get_secret_value()
        headers = {"User-Agent": USER_AGENT}
        credential = _credential(secret, auth)
        if secret:
            headers["Authorization"] = f"{auth.capitalize()} {credential}"
        if accept:
            headers["Accept"] = accept
        began = time.monotonic()
        answers = False
        try:
            async with self._session.request(
                method,
                url,
                json=body,
                headers=headers,
                allow_redirects=False,  # a redirect would carry the key elsewhere
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            ) as response:
                answers = True
                if response.status not in (200, 202):
                    seconds = time.monotonic() - began
                    content = await _read(response, ERROR_BODY_BYTES, cut=True)
                    if secret and auth == "basic":
                        content = content.replace(credential.encode(), b"[key]")
                    raise read_error(
                        response.status, response.headers, content, secret=secret, seconds=seconds
                    )
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # aiohttp's texts hold the address, never a header.
            detail = safe_detail(f"{type(error).__name__}: {error}", secret)
            if isinstance(error, NEVER_SENT):
                raise Unavailable(detail) from None
            # Of what only looks after work that was asked for before, a new try would order that work again.
            early = isinstance(error, BROKEN_EARLY) and not answers and body is not None
            raise (ConnectionBroken if early else Unavailable)(detail, maybe_billed=True) from None


def broken_reply(detail: str) -> Unavailable:
    """The error for a 200 reply that is of no use: the vendor may have worked for it, so it may cost."""
    return Unavailable(detail, maybe_billed=True)


def read_object(content: bytes | str, content_type: str, key: Key) -> dict[str, Any]:
    """Parse a reply that should be a JSON object. Raises ProviderError when it is none, or holds an error."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise broken_reply(f"the vendor answered with {content_type} that is no JSON") from None
    if not isinstance(data, dict):
        raise broken_reply("the vendor's JSON is no object")
    if data.get("error") or data.get("object") == "error":
        raw = content if isinstance(content, bytes) else content.encode()
        raise read_error(200, {}, raw, secret=key.value.get_secret_value())
    return data


def _credential(secret: str, auth: Auth) -> str:
    return base64.b64encode(secret.encode()).decode() if auth == "basic" else secret


async def _read_reply(response: aiohttp.ClientResponse, cap: int) -> Reply:
    return Reply(await _read(response, cap), response.content_type, read_rest(response.headers))


async def _let_gather(response: aiohttp.ClientResponse) -> None:
    """Leave what comes to the operating system for a moment."""
    transport = response.connection.transport if response.connection is not None else None
    if transport is None:  # everything has come
        return
    transport.pause_reading()
    try:
        await asyncio.sleep(GATHER_SECONDS)
    finally:
        transport.resume_reading()


async def _read(response: aiohttp.ClientResponse, cap: int, *, cut: bool = False) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_any():
        chunks += chunk
        if len(chunks) > cap:
            if cut:
                break
            raise broken_reply(f"the vendor's reply is larger than {cap // 1024} KiB")
    return bytes(chunks[:cap] if cut else chunks)
