"""A vendor that streams hundreds of answers at once, cheaply enough to share a small machine with the bot.

It sends the frames of `tests.fake_vendors`, each on its own and on its time, from a bare asyncio protocol,
for half of the CPU that the aiohttp server there would take.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

from benchmarks.children import obey, say
from tests.fake_vendors import openai_stream

# What the answer's last piece ends with, and a question's number, by which the benchmark knows it again.
END = "This is the end."
NUMBER = re.compile(rb"question (\d+)")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WORDS = ("a", "good", "talk", "is", "slow", "at", "first,", "then", "it", "runs", "all", "by", "itself")


def make_answer(chunks: int) -> list[str]:
    """The pieces of text of an answer, about five letters each as tokens are; fewer than 2,000 in 300."""
    return [f"{WORDS[number % len(WORDS)]} " for number in range(chunks - 1)] + [END]


def make_frames(chunks: int) -> list[bytes]:
    """The answer as HTTP chunks, an event each; the first has no text, the last two are usage and [DONE]."""
    pieces = openai_stream(*make_answer(chunks)).pieces
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if isinstance(piece, bytes)]


class Vendor:
    """What all connections share."""

    def __init__(self, chunks: int, seconds: float) -> None:
        self.frames = make_frames(chunks)
        self.pause = seconds / chunks
        self.first_bytes: dict[str, float] = {}  # when the first text of each question's answer was sent
        self._began = 0.0

    def begin(self) -> None:
        """Count this process's CPU time from here on."""
        self.first_bytes.clear()
        self._began = time.process_time()

    def end(self) -> dict[str, object]:
        """The CPU seconds since, and when each answer's text began (`time.monotonic`)."""
        return {"cpu_s": time.process_time() - self._began, "first_bytes": self.first_bytes}


class Connection(asyncio.Protocol):
    """One client's connection, which may ask again when its answer has ended."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._question = ""
        self._next = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        """Called by asyncio."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Start the answer once the whole request is there."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if not found or length is None or len(body) < int(length[1]):
            return
        self._question = NUMBER.findall(body)[-1].decode()  # earlier ones are the channel's history
        self._received = b""
        self._transport.write(HEAD + self._vendor.frames[0])
        self._next = 1
        self._due = self._loop.time()
        self._send_next()

    def _send_next(self) -> None:
        frames = self._vendor.frames
        if self._next == 1:
            self._vendor.first_bytes[self._question] = time.monotonic()
        if self._next < len(frames) - 3:  # reason, usage and [DONE] come together, as with most vendors
            self._transport.write(frames[self._next])
            self._next += 1
            self._due += self._vendor.pause
            self._timer = self._loop.call_at(self._due, self._send_next)
        else:
            for frame in frames[self._next :]:
                self._transport.write(frame)
            self._transport.write(b"0\r\n\r\n")


async def serve(chunks: int, seconds: float) -> None:
    """Answer until the input ends; the first line said is the port."""
    vendor = Vendor(chunks, seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(vendor), "127.0.0.1", 0, backlog=1024)
    say(server.sockets[0].getsockname()[1])
    await obey({"begin": vendor.begin, "end": vendor.end})


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
