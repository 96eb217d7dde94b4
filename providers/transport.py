"""The only place that speaks HTTP to vendors."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from providers.base import Key, Rest, Unavailable
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
USER_AGENT = "Colloquy (self-hosted Discord bot)"


@dataclass(frozen=True, slots=True)
class Reply:
    """A 200 reply. `rest_seconds` is for how long nothing is left to the account; None: something is."""

    content: bytes
    content_type: str
    rest_seconds: float | None

    def read_object(self, key: Key) -> dict[str, Any]:
        """The JSON object that it holds. Raises ProviderError when it holds none, or an error."""
        return read_object(self.content, self.content_type, key)


class Transport:
    """Sends requests over one shared session, bounds what comes back and reads every refusal.

    It sets no deadline but the one for connecting: the router knows how long a request may take.
    All methods raise ProviderError.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(
        self, url: str, body: Mapping[str, Any], key: Key, *, cap: int = TEXT_BODY_BYTES, accept: str = ""
    ) -> Reply:
        """POST JSON and return the 200 reply, of at most `cap` bytes."""
        async with self._open(url, body, key, accept=accept) as response:
            content = await _read(response, cap)
            return Reply(content, response.content_type, read_rest(response.headers))

    async def events(self, url: str, body: Mapping[str, Any], key: Key) -> AsyncGenerator[str | Rest]:
        """POST JSON and yield the data of each server-sent event; first a Rest, if the headers hold one.

        A server that does not stream and sends its whole answer as JSON is one event.
        """
        async with self._open(url, body, key, accept="text/event-stream") as response:
            if (seconds := read_rest(response.headers)) is not None:
                yield Rest(seconds)
            if response.content_type == "application/json":
                yield (await _read(response, TEXT_BODY_BYTES)).decode("utf-8", "replace")
                return
            if response.content_type not in ("text/event-stream", "application/octet-stream", "text/plain"):
                raise broken_reply(f"the vendor answered with {response.content_type} and not with a stream")
            decoder = EventDecoder()
            received = 0
            async for chunk in response.content.iter_any():
                received += len(chunk)
                if received > STREAM_BYTES:
                    raise broken_reply("the vendor's stream does not end")
                for event in decoder.feed(chunk):
                    yield event
            for event in decoder.finish():
                yield event

    @asynccontextmanager
    async def _open(
        self, url: str, body: Mapping[str, Any], key: Key, *, accept: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        secret = key.value.get_secret_value()
        headers = {"User-Agent": USER_AGENT}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        if accept:
            headers["Accept"] = accept
        began = time.monotonic()
        try:
            async with self._session.post(
                url,
                json=body,
                headers=headers,
                allow_redirects=False,  # a redirect would carry the key elsewhere
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            ) as response:
                if response.status != 200:
                    seconds = time.monotonic() - began
                    content = await _read(response, ERROR_BODY_BYTES, cut=True)
                    raise read_error(
                        response.status, response.headers, content, secret=secret, seconds=seconds
                    )
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # aiohttp's texts hold the address, never a header.
            raise Unavailable(
                safe_detail(f"{type(error).__name__}: {error}", secret),
                maybe_billed=not isinstance(error, NEVER_SENT),
            ) from None


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


async def _read(response: aiohttp.ClientResponse, cap: int, *, cut: bool = False) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_any():
        chunks += chunk
        if len(chunks) > cap:
            if cut:
                break
            raise broken_reply(f"the vendor's reply is larger than {cap // 1024} KiB")
    return bytes(chunks[:cap])
