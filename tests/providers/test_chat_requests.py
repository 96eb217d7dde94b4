"""Chat Completions over a real socket: what is asked of which vendor."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from providers.base import NO_KEY, ChatRequest, Message
from providers.catalog import load_catalog
from providers.chat_completions import ChatCompletions
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, chat_answer, openai_stream
from tests.fakes import key
from tests.providers.helpers import QUESTION, QUESTION_AS_JSON, chat_entry, collect

KEY = key(value="the-key")


@pytest.fixture
def chat(vendor: FakeVendor, transport: Transport) -> ChatCompletions:
    return ChatCompletions(chat_entry(vendor.url), transport)


EVERYTHING = dataclasses.replace(QUESTION, max_tokens=50, temperature=0.25, top_p=0.5, seed=7)


@pytest.mark.parametrize(
    ("name", "request_", "fields"),
    [
        pytest.param(
            "mistral",
            EVERYTHING,
            {"max_tokens": 50, "temperature": 0.25, "top_p": 0.5, "random_seed": 7, "stream": True},
            id="Mistral: random_seed, no stream_options",
        ),
        pytest.param(
            "mistral",
            QUESTION,
            {"max_tokens": 1024, "temperature": 0.7, "stream": True},
            id="Mistral: defaults",
        ),
        pytest.param(
            "openai",
            EVERYTHING,
            {
                "max_completion_tokens": 50,
                "reasoning_effort": "none",
                "temperature": 0.25,
                "top_p": 0.5,
                "seed": 7,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
            id="OpenAI: max_completion_tokens and reasoning_effort",
        ),
        pytest.param(
            "gemini",
            EVERYTHING,
            {
                "max_tokens": 50,
                "reasoning_effort": "low",
                "temperature": 0.25,
                "top_p": 0.5,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
            id="Gemini: no seed",
        ),
    ],
)
async def test_a_vendors_quirks_are_data(
    vendor: FakeVendor, transport: Transport, name: str, request_: ChatRequest, fields: dict[str, Any]
) -> None:
    """Each catalogue entry sends the fields its vendor knows, by its own names, and no other."""
    entry = load_catalog({name: {"base_url": f"{vendor.url}/v9/"}})[name]
    vendor.reply(openai_stream("yes"))

    await collect(ChatCompletions(entry, transport).stream(request_, KEY))

    (request,) = vendor.requests
    assert (request.method, request.path) == ("POST", "/v9/chat/completions")
    assert request.body == {"model": entry.model, "messages": QUESTION_AS_JSON, **fields}


async def test_extra_fields_are_added_and_dropped_ones_left_out(
    vendor: FakeVendor, transport: Transport
) -> None:
    """`extra_body` goes over everything, nested tables too; what `drop` names is never sent."""
    extra = {"top_k": 40, "options": {"num_ctx": 8192}, "temperature": 0.1}
    entry = chat_entry(vendor.url, extra_body=extra, drop=("stream_options", "top_p"))
    vendor.reply(openai_stream("yes"))

    await collect(ChatCompletions(entry, transport).stream(EVERYTHING, KEY))

    assert vendor.requests[0].body == {
        "model": "fake-model",
        "messages": QUESTION_AS_JSON,
        "max_tokens": 50,
        "seed": 7,
        "stream": True,
        **extra,
    }


async def test_without_a_key_no_authorization_is_sent(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """A server of one's own is asked without the header; with a key it is a bearer token."""
    vendor.reply(openai_stream("yes"), openai_stream("yes"))

    await collect(chat.stream(QUESTION, NO_KEY))
    await collect(chat.stream(QUESTION, KEY))

    without, with_key = vendor.requests
    assert "Authorization" not in without.headers
    assert with_key.headers["Authorization"] == "Bearer the-key"


async def test_any_text_reaches_the_vendor_as_it_is(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """Line ends, other scripts, control characters and lone surrogates arrive unchanged."""
    text = 'Grüße\n"世界" \u202e\u0000 🜁 \ud800 </s> {}'
    vendor.reply(openai_stream("yes"))

    await collect(chat.stream(ChatRequest((Message("user", text),)), KEY))

    assert vendor.requests[0].body["messages"] == [{"role": "user", "content": text}]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_server_behind_a_password_gets_it_as_it_wants_it(
    vendor: FakeVendor, transport: Transport, stream: bool
) -> None:
    """With `auth = "basic"` the key is a name and a password."""
    vendor.reply(openai_stream("Yes.") if stream else chat_answer("Yes."))
    entry = chat_entry(vendor.url, auth="basic", stream=stream)

    await collect(ChatCompletions(entry, transport).stream(QUESTION, key(value="host:secret")))

    assert vendor.requests[0].headers["Authorization"] == "Basic aG9zdDpzZWNyZXQ="
