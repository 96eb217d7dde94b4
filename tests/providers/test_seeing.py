"""Questions with pictures: what is sent of them, and who is asked."""

from __future__ import annotations

import base64

import aiohttp
import pytest

from providers.base import (
    NO_KEY,
    AttachedPicture,
    ChatRequest,
    Message,
    RateLimited,
    Unavailable,
)
from providers.catalog import CatalogError, load_catalog
from providers.chains import build_chat_router
from providers.chat_completions import ChatCompletions
from providers.router import CannotSee, ChatRouter
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, openai_stream
from tests.fakes import RecordedLedger, ScriptedChat, answer, chat_route, key
from tests.providers.helpers import QUESTION, chat_entry, collect, secrets, take_error

PNG, JPEG = AttachedPicture("image/png", b"\x89PNG first"), AttachedPicture("image/jpeg", b"\xff\xd8 second")
WITH_PICTURES = ChatRequest(
    (
        Message("system", "Answer briefly."),
        Message("user", "Before."),
        Message("assistant", "Yes."),
        Message("user", "What are these?", (PNG, JPEG)),
    )
)


# ---- What is sent ----------------------------------------------------------------------------------


async def test_pictures_go_as_parts_of_their_message_alone(vendor: FakeVendor, transport: Transport) -> None:
    """The text comes first, then each picture as a data URI; messages without pictures stay plain text."""
    vendor.reply(openai_stream("A fox and a hen."))

    await collect(ChatCompletions(chat_entry(vendor.url), transport).stream(WITH_PICTURES, NO_KEY))

    assert vendor.requests[0].body["messages"] == [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": "Before."},
        {"role": "assistant", "content": "Yes."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What are these?"},
                {"type": "image_url", "image_url": {"url": PNG.data_uri}},
                {"type": "image_url", "image_url": {"url": JPEG.data_uri}},
            ],
        },
    ]


def test_a_data_uri_holds_the_whole_picture() -> None:
    """Its type stands in front; the rest is the bytes in base64. In logs the bytes never show."""
    head, _, encoded = JPEG.data_uri.partition(",")

    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(encoded) == JPEG.data
    assert "second" not in repr(Message("user", "hi", (JPEG,)))


# ---- Who is asked ----------------------------------------------------------------------------------


async def test_pictures_go_only_to_models_that_see() -> None:
    """A blind model at the chain's head is passed over, without a row in the books; it still gets text."""
    blind = ScriptedChat(answer("Text."), name="blind")
    seeing = ScriptedChat(answer("A fox."), name="seeing")
    router = ChatRouter([chat_route(blind), chat_route(seeing, sees=True)])
    ledger = RecordedLedger()

    _, pictured = await collect(router.stream(WITH_PICTURES, ledger))
    _, plain = await collect(router.stream(QUESTION, RecordedLedger()))

    assert (pictured.text, plain.text) == ("A fox.", "Text.")
    assert [target.provider for target, _ in ledger.begun] == ["seeing"]
    assert [request for request, _ in seeing.calls] == [WITH_PICTURES]
    assert [request for request, _ in blind.calls] == [QUESTION]


async def test_fallbacks_and_retries_stay_among_models_that_see() -> None:
    """When the first that sees fails, the next that sees is asked; the blind one between them never."""
    first = ScriptedChat([RateLimited(retry_after=60)], [Unavailable(status=503)], name="first")
    blind = ScriptedChat(name="blind")
    last = ScriptedChat([Unavailable(status=503)], answer("A fox."), name="last")
    router = ChatRouter(
        [
            chat_route(first, key("KEY1"), key("KEY2", "another"), sees=True),
            chat_route(blind),
            chat_route(last, sees=True),
        ]
    )

    _, completion = await collect(router.stream(WITH_PICTURES, RecordedLedger()))

    assert completion.text == "A fox."
    assert (len(first.calls), len(blind.calls), len(last.calls)) == (2, 0, 2)


async def test_the_notice_of_a_fallback_is_not_about_answers_to_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The host is not told that a fallback is in use when the chain's first model merely cannot see."""
    router = ChatRouter(
        [chat_route(ScriptedChat(name="blind")), chat_route(ScriptedChat(name="seeing"), sees=True)]
    )

    await collect(router.stream(WITH_PICTURES, RecordedLedger()))

    assert caplog.records == []


async def test_pictures_of_earlier_turns_do_not_decide_who_answers() -> None:
    """A later question without a picture goes to any model; a blind one gets the conversation as text."""
    blind = ScriptedChat(answer("Text."), name="blind")
    router = ChatRouter([chat_route(blind)])
    earlier = (*WITH_PICTURES.messages, Message("assistant", "A fox."), Message("user", "Which colour?"))

    await collect(router.stream(ChatRequest(earlier), RecordedLedger()))

    [(sent, _)] = blind.calls
    assert [message.content for message in sent.messages] == [message.content for message in earlier]
    assert not any(message.pictures for message in sent.messages)


async def test_a_blind_model_that_is_chosen_refuses_and_names_those_that_see() -> None:
    """Nobody else answers in its place; the sentence names models of the chain and beside it."""
    chosen = ScriptedChat(name="blind", model="small")
    router = ChatRouter(
        [chat_route(chosen), chat_route(ScriptedChat(name="seeing"), sees=True)],
        others=[chat_route(ScriptedChat(name="beside", model="large"), sees=True)],
    )
    ledger = RecordedLedger()

    asked = ChatRequest(WITH_PICTURES.messages, model="blind/small")
    error = await take_error(collect(router.stream(asked, ledger)))

    assert isinstance(error, CannotSee)
    assert error.kind == "bad_request"
    assert str(error) == "That needs a model that can look at pictures. Choose one: seeing, beside."
    assert (chosen.calls, ledger.begun) == ([], [])


async def test_without_any_model_that_sees_the_sentence_says_so() -> None:
    """A member whom no model can help reads to leave the picture out."""
    router = ChatRouter([chat_route(ScriptedChat())], others=[chat_route(ScriptedChat(model="other"))])

    error = await take_error(collect(router.stream(WITH_PICTURES, RecordedLedger())))

    assert str(error) == "None of the bot's models can look at pictures. Ask without the picture."


# ---- What the catalogue knows ----------------------------------------------------------------------


async def test_a_route_knows_what_its_model_can(session: aiohttp.ClientSession) -> None:
    """Facts stand with the model, in the chain and beside it; what is not known is not claimed."""
    find = secrets(MISTRAL_API_KEY="m", GROQ_API_KEY="g", OPENAI_API_KEY="o")

    router = build_chat_router(load_catalog(), ["mistral", "groq", "openai", "ollama"], find, session)

    known = {r.provider.model: (r.sees, r.context_tokens) for r in (*router.routes, *router.others)}
    assert known == {
        "ministral-14b-latest": (True, 256_000),
        "ministral-8b-latest": (True, 256_000),
        "mistral-small-latest": (True, 256_000),
        "openai/gpt-oss-120b": (False, 131_072),
        "gpt-6-luna": (True, 922_000),
        "gpt-4o-mini": (True, 128_000),
        "llama3.2": (False, None),
    }


async def test_what_we_say_of_our_model_is_not_said_of_the_hosts(session: aiohttp.ClientSession) -> None:
    """A host that names a model we do not know starts from nothing, and may say what it can."""
    entries = load_catalog(
        {
            "gemini": {"model": "unknown"},
            "groq": {"model": "unknown", "sees": True, "context_tokens": 8192},
            "openai": {"model": "gpt-4o-mini"},
        }
    )
    find = secrets(GEMINI_API_KEY="g", GROQ_API_KEY="g", OPENAI_API_KEY="o")

    router = build_chat_router(entries, ["gemini", "groq", "openai"], find, session)

    assert [(route.sees, route.context_tokens) for route in router.routes] == [
        (False, None),
        (True, 8192),
        (True, 128_000),
    ]


async def test_an_offered_model_inherits_what_is_not_said_of_it(session: aiohttp.ClientSession) -> None:
    """The provider's own facts hold for its other models, but for what stands with those."""
    table = {
        "wire": "chat-completions",
        "base_url": "http://localhost:1",
        "model": "base",
        "sees": True,
        "context_tokens": 1000,
        "models": {"same": {}, "blind": {"sees": False}, "long": {"context_tokens": 5000}},
    }

    router = build_chat_router(load_catalog({"mine": table}), ["mine"], secrets(), session)

    assert {r.provider.model: (r.sees, r.context_tokens) for r in router.others} == {
        "same": (True, 1000),
        "blind": (False, 1000),
        "long": (True, 5000),
    }


def test_a_model_in_the_bots_process_cannot_be_said_to_see() -> None:
    """llama.cpp is run without what pictures need; its context stays at 4096 tokens unless it is set."""
    assert load_catalog()["local"].context_tokens == 4096
    assert load_catalog({"local": {"context_tokens": 8192}})["local"].context_tokens == 8192
    with pytest.raises(
        CatalogError, match=r"\[providers.local\] sees: a model in the bot's own process cannot"
    ):
        load_catalog({"local": {"sees": True}})
