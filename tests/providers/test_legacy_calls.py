"""The three calls this project descends from: their catalogue entries, as a real socket receives them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from PIL import Image

from providers.base import Completion, ImageRequest, KeyRejected, ModelRetired, Usage
from providers.catalog import load_catalog
from providers.chains import build_chat_router, build_image_router
from providers.route import Budget
from providers.router import ChatRouter, ImageRouter
from providers.walk import NoneAnswered, NothingConfigured
from tests.fake_vendors import FakeVendor, chat_answer, json_reply, raw, usage
from tests.fakes import RecordedLedger, small_picture, small_png
from tests.providers.helpers import QUESTION, QUESTION_AS_JSON, collect, secrets

SIX = [f"key-{number}" for number in range(1, 7)]

# Every way in which a vendor has turned a key away; the sixth key is the last that is left.
REFUSALS = [
    json_reply({"error": "Invalid credentials in Authorization header"}, 401),
    json_reply({"error": "You have depleted your monthly included credits."}, 402),
    json_reply({"error": "This authentication method does not have sufficient permissions"}, 403),
    json_reply({"error": {"message": "Rate limit exceeded", "code": "rate_limit_exceeded"}}, 429),
    json_reply({"error": {"code": "RateLimitReached", "message": "Rate limit of 50 per 86400s"}}, 429),
]

ORDER = ImageRequest("a lighthouse in fog", width=768, height=512, seed=20_261_101, steps=3)


def six(name: str) -> dict[str, str]:
    return {f"{name}{number}": f"key-{number}" for number in range(1, 7)}


@pytest.fixture
def pictures(vendor: FakeVendor, session: aiohttp.ClientSession) -> ImageRouter:
    entries = load_catalog({"hf-inference": {"base_url": vendor.url}})
    keys = secrets(**six("HF_TOKEN"))
    # As the legacy loop, without waiting until a key that was busy is free again.
    return build_image_router(entries, ["hf-inference"], keys, session, budget=Budget(patience_seconds=0))


@pytest.fixture
async def mistral() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as mistral:
        yield mistral


@pytest.fixture
def chats(vendor: FakeVendor, mistral: FakeVendor, session: aiohttp.ClientSession) -> ChatRouter:
    entries = load_catalog(
        {"github-models": {"base_url": vendor.url}, "mistral-pixtral": {"base_url": f"{mistral.url}/v1"}}
    )
    find = secrets(**six("GIT_TOKEN"), MISTRAL_TOKEN="mistral-key")
    return build_chat_router(entries, ["github-models", "mistral-pixtral"], find, session)


def chat_body(model: str) -> dict[str, object]:
    return {
        "messages": QUESTION_AS_JSON,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_tokens": 1024,
        "model": model,
    }


async def test_flux_is_asked_with_exactly_the_old_request(vendor: FakeVendor, pictures: ImageRouter) -> None:
    """FLUX.1-schnell gets a POST on its path, the first key as bearer, and these JSON fields alone."""
    vendor.reply(raw(small_png(96, 64)))

    await pictures.generate(ORDER, RecordedLedger())

    (request,) = vendor.requests
    assert request.method == "POST"
    assert request.path == "/models/black-forest-labs/FLUX.1-schnell"
    assert request.headers["Authorization"] == "Bearer key-1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == {
        "inputs": "a lighthouse in fog",
        "parameters": {
            "guidance_scale": 1.5,
            "num_inference_steps": 3,
            "width": 768,
            "height": 512,
            "seed": 20_261_101,
        },
    }


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_flux_answers_with_the_bytes_of_a_picture(
    vendor: FakeVendor, pictures: ImageRouter, kind: str
) -> None:
    """The bytes of the reply come out as a PNG of the same size, with the seed and steps that were sent."""
    buffer = io.BytesIO()
    small_picture(96, 64).save(buffer, kind)
    vendor.reply(raw(buffer.getvalue(), f"image/{kind.lower()}"))

    picture = await pictures.generate(ORDER, RecordedLedger())

    with Image.open(io.BytesIO(picture.png)) as image:
        assert (image.format, image.size) == ("PNG", (96, 64))
        assert image.convert("RGB").getpixel((50, 50)) == pytest.approx((0, 128, 128), abs=3)
    assert (picture.width, picture.height) == (96, 64)
    assert picture.model == "black-forest-labs/FLUX.1-schnell"
    assert (picture.seed, picture.steps) == (20_261_101, 3)
    assert picture.usage == Usage(pictures=1)


@pytest.mark.parametrize("good", range(6))
async def test_flux_takes_the_keys_in_turn_until_a_200(
    vendor: FakeVendor, pictures: ImageRouter, good: int
) -> None:
    """Keys 1 to 6 are asked one after the other, each once, with the same body, and no key after the 200."""
    for key, refusal in zip(SIX[:good], REFUSALS, strict=False):
        vendor.reply(refusal, key=key)
    vendor.reply(raw(small_png()), key=SIX[good])
    ledger = RecordedLedger()

    await pictures.generate(ORDER, ledger)

    assert vendor.keys == SIX[: good + 1]
    assert all(request.body == vendor.requests[0].body for request in vendor.requests)
    variables = [target.key.variable for target, _ in ledger.begun]
    assert variables == [f"HF_TOKEN{number}" for number in range(1, good + 2)]
    assert len(ledger.failed) == good


async def test_flux_without_a_good_key_is_a_clear_error(vendor: FakeVendor, pictures: ImageRouter) -> None:
    """When all six keys are refused, the caller gets a sentence and the causes in order."""
    vendor.reply(*REFUSALS, REFUSALS[0])

    with pytest.raises(NoneAnswered) as error:
        await pictures.generate(ORDER, RecordedLedger())

    assert vendor.keys == SIX
    assert str(error.value).startswith("All of the bot's models are busy or used up.")
    kinds = [cause.kind for cause in error.value.causes]
    assert kinds == ["auth", "exhausted", "auth", "rate", "exhausted", "auth"]


async def test_flux_is_asked_once_when_the_vendor_has_retired_it(
    vendor: FakeVendor, pictures: ImageRouter
) -> None:
    """The 410 that Hugging Face answers with today stands for all keys: the others are not tried."""
    text = "The requested model is deprecated and no longer supported by provider hf-inference"
    vendor.reply(json_reply({"error": text}, 410))

    with pytest.raises(NoneAnswered) as error:
        await pictures.generate(ORDER, RecordedLedger())

    assert vendor.keys == ["key-1"]
    assert [type(cause) for cause in error.value.causes] == [ModelRetired]


async def test_gpt_4o_mini_is_asked_with_exactly_the_old_request(
    vendor: FakeVendor, chats: ChatRouter
) -> None:
    """GitHub Models gets a POST on /chat/completions with the five fields, unstreamed, and nothing else."""
    vendor.reply(chat_answer("A conversation.", used=usage(27, 4)))

    pieces, completion = await collect(chats.stream(QUESTION, RecordedLedger()))

    (request,) = vendor.requests
    assert (request.method, request.path) == ("POST", "/chat/completions")
    assert request.headers["Authorization"] == "Bearer key-1"
    assert request.body == chat_body("gpt-4o-mini")
    assert pieces == ["A conversation."]
    assert completion == Completion("A conversation.", Usage(27, 4), "stop", "gpt-4o-mini")


@pytest.mark.parametrize("good", range(6))
async def test_gpt_4o_mini_takes_the_keys_in_turn_until_a_200(
    vendor: FakeVendor, mistral: FakeVendor, chats: ChatRouter, good: int
) -> None:
    """Keys 1 to 6 are asked one after the other, each once; Mistral is not asked when one of them answers."""
    for key, refusal in zip(SIX[:good], REFUSALS, strict=False):
        vendor.reply(refusal, key=key)
    vendor.reply(chat_answer("A conversation."), key=SIX[good])
    ledger = RecordedLedger()

    _, completion = await collect(chats.stream(QUESTION, ledger))

    assert vendor.keys == SIX[: good + 1]
    assert mistral.requests == []
    assert completion.text == "A conversation."
    assert (len(ledger.begun), len(ledger.failed)) == (good + 1, good)


async def test_mistral_answers_when_all_keys_of_github_are_refused(
    vendor: FakeVendor, mistral: FakeVendor, chats: ChatRouter
) -> None:
    """The same messages go to Mistral's /v1/chat/completions with its own key; its triple is the answer."""
    vendor.reply(*REFUSALS, REFUSALS[0])
    mistral.reply(chat_answer("Un colloque.", used=usage(31, 5)))
    ledger = RecordedLedger()

    pieces, completion = await collect(chats.stream(QUESTION, ledger))

    assert vendor.keys == SIX
    (request,) = mistral.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["Authorization"] == "Bearer mistral-key"
    assert request.body == chat_body("pixtral-12b-2409")
    assert pieces == ["Un colloque."]
    assert completion == Completion("Un colloque.", Usage(31, 5), "stop", "pixtral-12b-2409")
    assert [target.model for target, _ in ledger.begun] == ["gpt-4o-mini"] * 6 + ["pixtral-12b-2409"]


async def test_mistral_answers_at_once_when_github_has_shut_down(
    vendor: FakeVendor, mistral: FakeVendor, chats: ChatRouter
) -> None:
    """The 410 that GitHub Models answers with today leads to Mistral after one request and not after six."""
    body = {"error": {"code": "github_models_retirement_brownout", "message": "temporarily unavailable"}}
    vendor.reply(json_reply(body, 410))
    mistral.reply(chat_answer("Un colloque."))

    _, completion = await collect(chats.stream(QUESTION, RecordedLedger()))

    assert vendor.keys == ["key-1"]
    assert completion.model == "pixtral-12b-2409"


async def test_a_question_that_nobody_answers_is_a_clear_error(
    vendor: FakeVendor, mistral: FakeVendor, chats: ChatRouter
) -> None:
    """When GitHub's six keys and Mistral's are refused, the stream raises instead of ending in silence."""
    vendor.reply(*[REFUSALS[0]] * 6)
    mistral.reply(json_reply({"message": "Unauthorized"}, 401))
    ledger = RecordedLedger()

    with pytest.raises(NoneAnswered) as error:
        await collect(chats.stream(QUESTION, ledger))

    assert str(error.value) == f"{NoneAnswered.sentence} The bot's host has been told."
    assert [type(cause) for cause in error.value.causes] == [KeyRejected] * 7
    assert len(ledger.begun) == len(ledger.failed) == 7
    assert not any("key-" in text for text in (str(error.value), error.value.detail))


async def test_legacy_calls_without_keys_say_what_is_missing(session: aiohttp.ClientSession) -> None:
    """Without a key no request leaves; the error says that the host has to set one."""
    entries = load_catalog()
    chats = build_chat_router(entries, ["github-models", "mistral-pixtral"], secrets(), session)
    pictures = build_image_router(entries, ["hf-inference"], secrets(), session)

    with pytest.raises(NothingConfigured, match="has to set a key"):
        await collect(chats.stream(QUESTION, RecordedLedger()))
    with pytest.raises(NothingConfigured, match="has to set a key"):
        await pictures.generate(ORDER, RecordedLedger())
