"""Chat Completions over a real socket: streams that break, replies that are none, connections that end."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from typing import Any

import pytest

from providers.base import (
    ConnectionBroken,
    ContentRefused,
    KeyRejected,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
    Usage,
)
from providers.chat_completions import BROKEN_FRAMES, ChatCompletions
from providers.transport import STREAM_BYTES, TEXT_BODY_BYTES, Transport
from tests.fake_vendors import (
    RESET,
    FakeVendor,
    Reply,
    broken,
    chat_answer,
    chunk,
    events,
    json_reply,
    mistral_stream,
    openai_stream,
    oversized,
    raw,
    redirect,
    usage,
)
from tests.fakes import key
from tests.providers.helpers import QUESTION, chat_entry, collect, take_up_to_error

KEY = key(value="sk-CANARY-0123456789abcdef")


@pytest.fixture
def chat(vendor: FakeVendor, transport: Transport) -> ChatCompletions:
    return ChatCompletions(chat_entry(vendor.url), transport)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param({"error": "llama runner process has terminated"}, Unavailable, id="Ollama"),
        pytest.param({"error": {"code": 500, "message": "died"}}, Unavailable, id="vLLM, llama.cpp"),
        pytest.param({"object": "error", "message": "died", "code": 500}, Unavailable, id="vLLM, older"),
        pytest.param(
            {"error": {"code": 502, "message": "died"}, **chunk("", "error")}, Unavailable, id="OpenRouter"
        ),
        pytest.param(chunk("", "error"), Unavailable, id="Mistral: finish_reason error"),
        pytest.param({"error": {"code": 429, "message": "slow down"}}, RateLimited, id="rate"),
        pytest.param({"error": {"code": 402, "message": "pay"}}, QuotaExhausted, id="credit"),
        pytest.param({"error": {"code": "content_filter", "message": "no"}}, ContentRefused, id="filter"),
        pytest.param({"error": {"type": "exceed_context_size_error"}}, PromptTooLong, id="context"),
    ],
)
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("begun", [[], ["Hello"]])
async def test_an_error_in_the_stream_ends_it(
    vendor: FakeVendor,
    chat: ChatCompletions,
    frame: dict[str, Any],
    expected: type[ProviderError],
    done: bool,
    begun: list[str],
) -> None:
    """An error frame in a 200 is read like a refusal, before text or after, with [DONE] behind it or not."""
    vendor.reply(events(*(chunk(text) for text in begun), frame, done=done))

    pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert pieces == begun
    assert type(error) is expected


@pytest.mark.parametrize("ending", ["whole", "close", "reset"])
@pytest.mark.parametrize("texts", [[], ["Hello", ", wor"]])
async def test_a_stream_that_breaks_off_is_no_answer(
    vendor: FakeVendor, chat: ChatCompletions, texts: list[str], ending: Any
) -> None:
    """Without finish_reason and [DONE] an answer is incomplete, however its connection ended; it may cost."""
    vendor.reply(broken(events(*(chunk(text) for text in texts), done=False), ending=ending))

    pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert "".join(pieces) == "".join(texts)
    assert type(error) is Unavailable
    assert error.maybe_billed


async def test_a_stream_cut_in_the_middle_of_an_event_keeps_what_was_whole(
    vendor: FakeVendor, chat: ChatCompletions
) -> None:
    """Half an event is not text: only the events before it count."""
    vendor.reply(broken(events(chunk("Hello"), chunk("world"), done=False), after=-12))

    pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert pieces == ["Hello"]
    assert error.maybe_billed


@pytest.mark.parametrize("ending", ["whole", "close", "reset"])
async def test_a_connection_lost_after_the_end_loses_nothing(
    vendor: FakeVendor, chat: ChatCompletions, ending: Any
) -> None:
    """After finish_reason the answer is complete, with the usage that came, however the connection ended."""
    vendor.reply(broken(mistral_stream("Hello", used=usage(20, 2), done=False), ending=ending))

    pieces, completion = await collect(chat.stream(QUESTION, KEY))

    assert pieces == ["Hello"]
    assert (completion.usage, completion.finish_reason) == (Usage(20, 2), "stop")


@pytest.mark.parametrize("garbage", ["{broken", "", "null", "[]", '"words"', "\ufffd", "<html>"])
async def test_a_few_broken_frames_are_passed_over(
    vendor: FakeVendor, chat: ChatCompletions, garbage: str
) -> None:
    """Up to three frames that are no JSON objects are skipped; with one more the stream is none."""
    good = [chunk("Hello"), chunk(finish_reason="stop", usage=usage())]
    vendor.reply(events(*[garbage] * BROKEN_FRAMES, *good), events(*[garbage] * (BROKEN_FRAMES + 1), *good))

    pieces, completion = await collect(chat.stream(QUESTION, KEY))
    nothing, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert (pieces, completion.usage) == (["Hello"], Usage(12, 3))
    assert (nothing, type(error), error.maybe_billed) == ([], Unavailable, True)


HTML = b"<html><body>Please log in.</body></html>"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(raw(HTML, "text/html"), id="HTML"),
        pytest.param(raw(HTML, "text/plain"), id="HTML that calls itself text"),
        pytest.param(raw(HTML, "application/json"), id="HTML that calls itself JSON"),
        pytest.param(raw(HTML, "text/event-stream"), id="HTML that calls itself a stream"),
        pytest.param(raw(b"", "text/event-stream"), id="an empty stream"),
        pytest.param(raw(b"", "application/json"), id="empty JSON"),
        pytest.param(raw(b"[]", "application/json"), id="JSON that is no object"),
        pytest.param(raw(b"data: [DONE]\n\n", "text/event-stream"), id="[DONE] and nothing else"),
        pytest.param(raw(b"\x89PNG\r\n", "image/png"), id="a picture"),
        pytest.param(broken(chat_answer("Hello"), after=40), id="JSON that breaks off"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_200_that_is_no_answer_is_the_vendors_failure(
    vendor: FakeVendor, transport: Transport, stream: bool, reply: Reply
) -> None:
    """Whatever else comes with a 200 yields no text, means the next provider, and may cost."""
    vendor.reply(reply)
    chat = ChatCompletions(chat_entry(vendor.url, stream=stream), transport)

    pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert pieces == []
    assert type(error) is Unavailable
    assert error.maybe_billed
    assert "log in" not in str(error)


async def test_the_log_names_the_type_that_came_in_place_of_a_stream(
    vendor: FakeVendor, chat: ChatCompletions
) -> None:
    """Whoever reads the log learns what the vendor sent, but none of its HTML."""
    vendor.reply(raw(HTML, "text/html; charset=utf-8"))

    _, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert error.detail == "the vendor answered with text/html and not with a stream"


@pytest.mark.parametrize(
    ("reply", "stream"),
    [
        pytest.param(oversized(TEXT_BODY_BYTES, "application/json"), False, id="JSON"),
        pytest.param(oversized(TEXT_BODY_BYTES, "application/json"), True, id="JSON in place of a stream"),
        pytest.param(oversized(STREAM_BYTES, "text/event-stream", b"data: "), True, id="one event"),
    ],
)
async def test_an_oversized_reply_is_cut_off(
    vendor: FakeVendor, transport: Transport, reply: Reply, stream: bool
) -> None:
    """A reply beyond its bound is given up before its end."""
    vendor.reply(dataclasses.replace(reply, ending="stall"))
    chat = ChatCompletions(chat_entry(vendor.url, stream=stream), transport)

    async with asyncio.timeout(10):
        pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert (pieces, type(error), error.maybe_billed) == ([], Unavailable, True)
    await vendor.client_left()


async def test_a_stream_without_end_is_cut_off(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """A stream of small events that goes on for ever is given up at its bound, with the text kept."""
    event = f"data: {json.dumps(chunk('x'))}\n\n".encode()
    keep_alive = b": keep-alive\n\n" * 80_000
    count = STREAM_BYTES // len(keep_alive) + 1
    endless = Reply(
        (event, *[keep_alive] * count), headers={"Content-Type": "text/event-stream"}, ending="stall"
    )
    vendor.reply(endless)

    async with asyncio.timeout(10):
        pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert pieces == ["x"]
    assert "does not end" in error.detail


async def test_a_connection_that_is_reset_may_have_cost(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """The request had reached the vendor when the connection ended, so nobody can say that it was free."""
    vendor.reply(RESET)

    pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert (pieces, type(error), error.maybe_billed) == ([], ConnectionBroken, True)


async def test_a_reply_that_had_begun_did_not_break_early(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """With its headers the vendor has begun to work: what breaks from there on is not tried again."""
    vendor.reply(broken(openai_stream("Hello"), after=0))

    pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert (pieces, type(error), error.maybe_billed) == ([], Unavailable, True)


async def test_a_server_that_is_not_there_costs_nothing(transport: Transport) -> None:
    """Where nobody listens, nothing was sent and nothing can be billed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        chat = ChatCompletions(chat_entry(f"http://127.0.0.1:{unused.getsockname()[1]}"), transport)

        pieces, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert (pieces, type(error), error.maybe_billed) == ([], Unavailable, False)


async def test_a_redirect_is_not_followed(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """A redirect would carry the key elsewhere: the other host never hears of it."""
    async with FakeVendor() as elsewhere:
        vendor.reply(redirect(f"{elsewhere.url}/v1/chat/completions"))

        _, error = await take_up_to_error(chat.stream(QUESTION, KEY))

        assert type(error) is Unavailable
        assert elsewhere.requests == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_is_read_from_status_headers_and_body(
    vendor: FakeVendor, transport: Transport, stream: bool
) -> None:
    """Over the wire a refusal keeps its class, its wait and its words, but not the key it quotes."""
    quote = f"Incorrect API key provided: {KEY.value.get_secret_value()}."
    vendor.reply(
        json_reply({"error": {"message": quote, "code": "invalid_api_key"}}, 401),
        json_reply({"message": "Requests rate limit exceeded"}, 429, {"retry-after": "9"}),
    )
    chat = ChatCompletions(chat_entry(vendor.url, stream=stream), transport)

    _, rejected = await take_up_to_error(chat.stream(QUESTION, KEY))
    _, limited = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert (type(rejected), rejected.status) == (KeyRejected, 401)
    assert "CANARY" not in rejected.detail + str(rejected)
    assert (type(limited), limited.retry_after) == (RateLimited, 9.0)
    assert not rejected.maybe_billed
    assert not limited.maybe_billed


async def test_an_endless_refusal_is_still_a_refusal(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """Of an error's body only the beginning is read, and it is enough."""
    reply = oversized(1_000_000, "text/html", b"<h1>Too many requests</h1>")
    vendor.reply(dataclasses.replace(reply, status=429, ending="stall"))

    async with asyncio.timeout(10):
        _, error = await take_up_to_error(chat.stream(QUESTION, KEY))

    assert (type(error), error.detail) == (RateLimited, "HTTP 429: Too many requests")


async def test_one_connection_serves_many_questions(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """After failures of every kind the shared session still answers."""
    for reply in (RESET, broken(openai_stream("Hello"), after=50), raw(HTML, "text/html"), RESET):
        vendor.reply(reply)
        await take_up_to_error(chat.stream(QUESTION, KEY))
    vendor.reply(openai_stream("Hello"))

    pieces, _ = await collect(chat.stream(QUESTION, KEY))

    assert pieces == ["Hello"]
