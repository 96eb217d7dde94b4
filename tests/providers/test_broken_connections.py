"""Connections that break before the first byte of a reply, on real sockets: the question goes on."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from providers.base import ImageRequest, Unavailable, Usage
from providers.chat_completions import ChatCompletions
from providers.openai_images import OpenAIImages
from providers.router import ChatRouter, ImageRouter
from providers.transport import Transport
from tests.fake_vendors import RESET, FakeVendor, json_reply, openai_stream
from tests.fakes import RecordedLedger, ScriptedChat, chat_route, image_route, key, small_png
from tests.providers.helpers import QUESTION, chat_entry, collect, take_error
from tests.providers.walking import answered

ONE, TWO = key("KEY1", "value-1"), key("KEY2", "value-2")


async def test_a_reset_is_tried_with_the_same_key_then_the_next_then_the_next_provider(
    vendor: FakeVendor, transport: Transport
) -> None:
    """Each try is an attempt of its own, booked as what it may have cost."""
    vendor.reply(RESET, RESET, RESET)
    chat, second = ChatCompletions(chat_entry(vendor.url), transport), ScriptedChat(name="second")
    ledger = RecordedLedger()

    _, completion = await collect(
        ChatRouter([chat_route(chat, ONE, TWO), chat_route(second)]).stream(QUESTION, ledger)
    )

    assert completion.text == "an answer"
    assert vendor.keys == ["value-1", "value-1", "value-2"]
    assert [(error.kind, bool(usage)) for error, usage in ledger.failed] == [("transient", True)] * 3


async def test_a_picture_survives_a_reset(vendor: FakeVendor, images: OpenAIImages) -> None:
    """The second try goes to the same key; what the first may have cost is one picture."""
    vendor.reply(RESET, json_reply({"data": [{"b64_json": base64.b64encode(small_png(64, 64)).decode()}]}))
    ledger = RecordedLedger()
    await ImageRouter([image_route(images, ONE, TWO)]).generate(ImageRequest("a fox", 64, 64), ledger)
    assert vendor.keys == ["value-1", "value-1"]
    assert [usage for _, usage in ledger.failed] == [Usage(pictures=1, estimated=True, pixels=64 * 64)]


async def test_a_question_for_work_on_its_way_is_no_order_of_new_work(
    vendor: FakeVendor, transport: Transport
) -> None:
    """A reset while a job's state is read is an outage: asking anew would have the picture made twice."""
    vendor.reply(RESET, RESET)  # aiohttp by itself repeats what only reads
    error = await take_error(transport.send("GET", f"{vendor.url}/status", ONE))
    assert type(error) is Unavailable


@asynccontextmanager
async def tired_server() -> AsyncIterator[tuple[str, list[int]]]:
    """Answers once on each connection, and closes it when a second request comes, as one whose time is up."""
    requests: list[int] = []  # for each, its place on its connection

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for place in (1, 2):
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                assert length is not None
                await reader.readexactly(int(length[1]))
                requests.append(place)
                if place == 1:
                    body = openai_stream("Yes.").body
                    lines = (
                        f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body)}"
                    )
                    writer.write(f"{lines}\r\n\r\n".encode() + body)
                    await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


async def test_a_connection_that_the_server_has_just_closed_costs_no_answer(transport: Transport) -> None:
    """The second question meets the end of the first one's connection, and is asked over a new one."""
    async with tired_server() as (url, requests):
        router = ChatRouter([chat_route(ChatCompletions(chat_entry(url), transport), ONE)])
        for _ in range(2):
            assert (await answered(router)).text == "Yes."
        assert requests == [1, 2, 1]
