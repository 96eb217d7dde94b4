"""Vendors on a real loopback socket: replies from a queue, a record of every request, faults on demand."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from aiohttp import web
from multidict import CIMultiDictProxy

LONGEST_STALL = 30.0
MODEL = "vendor-model-001"

Ending = Literal["whole", "close", "reset", "stall"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the vendor does with one request. In `pieces`, bytes are sent on their own and a float is a pause.

    At the end, "whole" finishes as HTTP wants it, "close" and "reset" cut the connection in the middle, and
    "stall" goes silent until the client leaves. With `status` None not even a status is sent before the end.
    Nothing is sent for the first `delay` seconds.
    """

    pieces: tuple[bytes | float, ...] = ()
    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: Ending = "whole"
    delay: float = 0.0

    @property
    def body(self) -> bytes:
        """All bytes of the pieces."""
        return b"".join(piece for piece in self.pieces if isinstance(piece, bytes))


@dataclass(frozen=True, slots=True)
class Request:
    """What the vendor received. `body` is the parsed JSON, None when there was none."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: Any

    @property
    def key(self) -> str:
        """The bearer key; empty when none was sent."""
        return self.headers.get("Authorization", "").removeprefix("Bearer ")


class FakeVendor:
    """A vendor. Each request takes the next reply: of those for its key if there are any, else of the rest.

    A request that finds no reply goes to `answer` if a test has set that; else it is answered with 500, and
    fails the test when the vendor closes.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Awaitable[Reply]] | None = None
        self._replies: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._unexpected: list[Request] = []
        self._closing = asyncio.Event()
        self._left = asyncio.Event()
        self._asked = asyncio.Event()
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)

    async def __aenter__(self) -> FakeVendor:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        self._closing.set()
        await self._runner.cleanup()
        if error is None and self._unexpected:
            raise AssertionError(f"no reply was scripted for {self._unexpected}")

    @property
    def url(self) -> str:
        """Address of the server, without a path."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    @property
    def keys(self) -> list[str]:
        """The keys of the requests, in order."""
        return [request.key for request in self.requests]

    def reply(self, *replies: Reply, key: str = "") -> None:
        """Add replies to the queue; with `key`, only for requests that carry it."""
        self._replies[key].extend(replies)

    async def asked(self, times: int = 1) -> None:
        """Wait until so many requests have come."""
        while len(self.requests) < times:
            self._asked.clear()
            await asyncio.wait_for(self._asked.wait(), timeout=5)

    async def client_left(self) -> None:
        """Wait until a client has closed its connection in the middle of a reply."""
        await asyncio.wait_for(self._left.wait(), timeout=5)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        content = await request.read()
        body = json.loads(content) if content else None
        received = Request(request.method, request.raw_path, request.headers, body)
        self.requests.append(received)
        self._asked.set()
        queue = self._replies[received.key] or self._replies[""]
        if not queue and self.answer is None:
            self._unexpected.append(received)
            return web.Response(status=500, text="no reply is scripted for this request")
        try:
            reply = await self.answer(received) if self.answer and not queue else queue.popleft()
            return await self._play(request, reply)
        except ConnectionError:
            self._left.set()
            return web.Response()
        except asyncio.CancelledError:
            self._left.set()
            raise

    async def _play(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        await asyncio.sleep(reply.delay)
        response = web.StreamResponse(status=reply.status or 200, headers=reply.headers)
        if reply.status is not None:
            await response.prepare(request)
        for piece in reply.pieces:
            if isinstance(piece, bytes):
                await response.write(piece)
            await asyncio.sleep(piece if isinstance(piece, float) else 0)
        if reply.ending == "stall":
            async with asyncio.timeout(LONGEST_STALL):
                await self._closing.wait()
        elif reply.ending != "whole":
            await asyncio.sleep(0.01)  # what was sent shall arrive before the end does
            _hang_up(request, reset=reply.ending == "reset")
        return response


def _hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    assert request.transport is not None
    if reset:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


# ---- Replies ---------------------------------------------------------------------------------------


def raw(
    data: bytes,
    content_type: str = "image/png",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """These bytes under this content type, right or wrong: a picture, HTML, nothing at all."""
    return Reply((data,) if data else (), status, {"Content-Type": content_type, **(headers or {})})


def json_reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Any JSON with any status: an answer, or a refusal."""
    return raw(json.dumps(data).encode(), "application/json", status, headers)


def redirect(location: str) -> Reply:
    """A 307, which asks the client to send the same request elsewhere."""
    return Reply(status=307, headers={"Location": location})


def usage(prompt_tokens: int = 12, completion_tokens: int = 3) -> dict[str, int]:
    total = prompt_tokens + completion_tokens
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": total,
    }


def chat_answer(
    content: Any = "an answer", finish_reason: str | None = "stop", *, used: Any = None, **message: Any
) -> Reply:
    """A whole Chat Completions answer. `used` replaces its usage, `message` adds fields to its message."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    return json_reply(
        {
            "id": "answer-1",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": MODEL,
            "choices": [choice],
            "usage": usage() if used is None else used,
        }
    )


def chunk(content: Any = None, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """One chunk of a streamed answer; `fields` are added beside its choices, or replace them."""
    delta = {} if content is None else {"role": "assistant", "content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {
        "id": "answer-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": MODEL,
        "choices": [choice],
        **fields,
    }


def events(*frames: Mapping[str, Any] | str, done: bool = True) -> Reply:
    """An event stream of these frames, each sent on its own, and [DONE] unless told otherwise."""
    texts = [frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False) for frame in frames]
    pieces = tuple(f"data: {text}\n\n".encode() for text in texts + ["[DONE]"] * done)
    return Reply(pieces, headers={"Content-Type": "text/event-stream"})


def openai_stream(*contents: str, used: Any = None, done: bool = True) -> Reply:
    """A stream as OpenAI sends it: usage in a chunk of its own, without choices, after finish_reason."""
    return events(
        *(chunk(content, usage=None) for content in ("", *contents)),
        chunk(finish_reason="stop", usage=None),
        chunk(choices=[], usage=usage() if used is None else used),
        done=done,
    )


def mistral_stream(*contents: Any, used: Any = None, done: bool = True) -> Reply:
    """A stream as Mistral sends it: usage in the last chunk, the one with finish_reason."""
    *first, last = contents
    return events(
        chunk(""),
        *(chunk(content) for content in first),
        chunk(last, "stop", usage=usage() if used is None else used),
        done=done,
    )


# ---- Faults ----------------------------------------------------------------------------------------

# The connection is reset, or stays silent, before anything of an answer.
RESET = Reply(status=None, ending="reset")
SILENCE = Reply(status=None, ending="stall")


def broken(reply: Reply, after: int | None = None, ending: Ending = "close") -> Reply:
    """The reply's first `after` bytes, or all of them, and then an end that HTTP does not know."""
    return replace(reply, pieces=(reply.body[:after],), ending=ending)


def cut(reply: Reply, *places: int) -> Reply:
    """The same bytes, sent in pieces that end at these places, wherever that is."""
    body = reply.body
    edges: Sequence[int] = [0, *places, len(body)]
    pieces: list[bytes | float] = []
    for start, end in pairwise(edges):
        pieces += [body[start:end], 0.002]
    return replace(reply, pieces=tuple(pieces))


def drip(reply: Reply, size: int = 1, pause: float = 0.0) -> Reply:
    """The same bytes, a few at a time."""
    body = reply.body
    pieces: list[bytes | float] = []
    for start in range(0, len(body), size):
        pieces += [body[start : start + size], pause]
    return replace(reply, pieces=tuple(pieces))


def slowly(reply: Reply, pause: float) -> Reply:
    """The same reply with a pause after each of its pieces."""
    return replace(reply, pieces=tuple(part for piece in reply.pieces for part in (piece, pause)))


def oversized(size: int, content_type: str, beginning: bytes = b"") -> Reply:
    """More than `size` bytes."""
    block = b" " * 1024 * 1024
    return Reply((beginning, *[block] * (size // len(block) + 1)), headers={"Content-Type": content_type})
