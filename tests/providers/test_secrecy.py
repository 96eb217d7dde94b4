"""Canary keys through every fault, with all logs on: they may only ever reach the vendor."""

from __future__ import annotations

import logging
import traceback

import aiohttp
import pytest

from providers.base import ImageRequest
from providers.catalog import load_catalog
from providers.chains import build_chat_router, build_image_router, warn_of_retired
from tests.fake_vendors import (
    RESET,
    FakeVendor,
    Reply,
    broken,
    chunk,
    events,
    json_reply,
    openai_stream,
    raw,
    redirect,
)
from tests.fakes import RecordedLedger
from tests.providers.helpers import QUESTION, collect, secrets, take_error

CANARY = "CANARY0aB1cD2eF3gH4iJ5kL6mN7oP8q"  # like Mistral's, it begins with nothing one could know it by
QUOTE = f"The key {CANARY} (Authorization: Bearer {CANARY}) was refused"

FAULTS = [
    pytest.param(json_reply({"error": {"message": QUOTE, "code": "invalid_api_key"}}, 401), id="JSON"),
    pytest.param(json_reply({"detail": [{"msg": QUOTE, "input": QUOTE}]}, 422), id="FastAPI"),
    pytest.param(raw(QUOTE.encode(), "text/plain", 403), id="text"),
    pytest.param(raw(f"<html>{QUOTE}</html>".encode(), "text/html", 502), id="HTML"),
    pytest.param(json_reply({"error": QUOTE}), id="an error in a 200"),
    pytest.param(events({"error": {"message": QUOTE}}), id="an error frame"),
    pytest.param(events(*[QUOTE] * 4), id="broken frames"),
    pytest.param(broken(openai_stream(QUOTE), after=20), id="a stream that breaks off"),
    pytest.param(raw(QUOTE.encode(), "text/plain"), id="text in a 200"),
    pytest.param(raw(b"x" * 60 + QUOTE.encode(), "image/png"), id="text that calls itself a picture"),
    pytest.param(redirect(f"/{CANARY}"), id="a redirect"),
    pytest.param(RESET, id="a reset connection"),
    pytest.param(Reply((b"x",), headers={"Content-Length": "5"}, ending="close"), id="too short a body"),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_key_reaches_nobody_but_its_vendor(
    vendor: FakeVendor, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, fault: Reply
) -> None:
    """No log of any level, no error and no traceback holds the key, even when the vendor quotes it."""
    caplog.set_level(logging.DEBUG)
    places = {"base_url": vendor.url, "keys": ["SOME_KEY"]}
    painters = ["hf-nscale", "hf-inference", "hf-fal", "webui"]
    entries = load_catalog({name: {**places, "auth": "bearer"} for name in painters} | {"openai": places})
    find = secrets(SOME_KEY=CANARY, SOME_KEY1=f" {CANARY}\n")
    chats = build_chat_router(entries, ["openai"], find, session)
    pictures = [build_image_router(entries, [name], find, session) for name in painters]
    ledger = RecordedLedger()
    vendor.reply(*[fault] * 10)  # what may be tried again is

    errors = [
        await take_error(collect(chats.stream(QUESTION, ledger))),
        *[await take_error(router.generate(ImageRequest("a fox"), ledger)) for router in pictures],
    ]

    assert len(vendor.keys) >= 5
    assert set(vendor.keys) == {CANARY}
    shown = [
        caplog.text,
        repr(chats.routes),
        repr([router.routes for router in pictures]),
        repr(ledger.begun),
        repr(ledger.failed),
    ]
    for error in errors:
        shown += [str(error), repr(error), error.detail, *traceback.format_exception(error)]
        assert error.detail
    assert [text for text in shown if "CANARY" in text] == []
    assert "SOME_KEY1 repeats the key in SOME_KEY" in caplog.text


async def test_a_key_of_a_vendor_that_is_gone_is_not_shown() -> None:
    """The warning about a key without use names its variable only."""
    (warning,) = warn_of_retired(load_catalog(), [], secrets(GIT_TOKEN1=CANARY))

    assert "GIT_TOKEN1" in warning
    assert "CANARY" not in warning


async def test_an_answer_that_breaks_off_does_not_log_its_text(
    vendor: FakeVendor, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """What members and models say stays out of the logs."""
    caplog.set_level(logging.DEBUG)
    entries = load_catalog({"ollama": {"base_url": vendor.url}})
    vendor.reply(events(chunk("CANARY of an answer"), done=False))
    router = build_chat_router(entries, ["ollama"], secrets(), session)

    _, completion = await collect(router.stream(QUESTION, RecordedLedger()))

    assert completion.finish_reason == "interrupted"
    assert "broke off" in caplog.text
    assert "CANARY" not in caplog.text
    assert QUESTION.messages[-1].content not in caplog.text
