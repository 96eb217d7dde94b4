"""How the pieces of an answer are read: the first at once, the others as they gather."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from providers.base import Delta
from providers.chat_completions import ChatCompletions
from providers.transport import GATHER_SECONDS, Transport
from tests.fake_vendors import FakeVendor, Reply, openai_stream
from tests.fakes import key
from tests.providers.helpers import QUESTION, chat_entry

KEY = key(value="the-key")
PIECES = [f"piece {number}, " for number in range(50)]
PAUSE = 0.01


def slowly(reply: Reply) -> Reply:
    """The same reply with a pause after each piece."""
    pieces: list[bytes | float] = []
    for piece in reply.pieces:
        pieces += [piece, PAUSE]
    return Reply(tuple(pieces), headers=reply.headers)


async def test_pieces_come_in_groups_after_the_first(vendor: FakeVendor, transport: Transport) -> None:
    """The first piece is read as it comes, the others several at a time; nothing is lost or out of order."""
    vendor.reply(slowly(openai_stream(*PIECES)))
    chat = ChatCompletions(chat_entry(vendor.url), transport)
    began = time.monotonic()
    pieces: list[tuple[float, str]] = []
    async with aclosing(chat.stream(QUESTION, KEY)) as events:
        async for event in events:
            if isinstance(event, Delta):
                pieces.append((time.monotonic() - began, event.text))
    took = time.monotonic() - began

    assert "".join(text for _, text in pieces) == "".join(PIECES)
    assert pieces[0][1] == PIECES[0]
    assert 3 <= len(pieces) <= took / GATHER_SECONDS + 1
    assert pieces[0][0] < took / 2
    assert pieces[1][0] - pieces[0][0] > GATHER_SECONDS / 2


async def test_whoever_leaves_while_pieces_gather_leaves_at_once(
    vendor: FakeVendor, transport: Transport
) -> None:
    """An answer that nobody wants any more ends the vendor's stream without waiting for more of it."""
    vendor.reply(slowly(openai_stream(*PIECES * 10)))
    chat = ChatCompletions(chat_entry(vendor.url), transport)
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(chat.stream(QUESTION, KEY)) as events:
            async for _ in events:
                begun.set()

    listening = asyncio.create_task(listen())
    await begun.wait()
    await asyncio.sleep(GATHER_SECONDS / 3)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening

    await vendor.client_left()
