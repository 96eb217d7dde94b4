"""Pictures from catalogue, chain and keys: who is asked, by which name, and what the member reads."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import pytest

from providers.base import ContentRefused, ImageRequest, Usage
from providers.catalog import load_catalog
from providers.chains import DEFAULT_IMAGE_CHAIN, build_image_router
from providers.router import ImageRouter, NoSuchModel
from providers.walk import NoneAnswered
from tests.fake_vendors import FakeVendor, Reply, json_reply, raw
from tests.fakes import RecordedLedger, small_png
from tests.providers.helpers import secrets, take_error
from tests.providers.test_pictures import flat_png

ORDER = ImageRequest("a fox", 512, 512, 7)
PICTURE = small_png(512, 512)
ONE_PICTURE = Usage(pictures=1, pixels=512 * 512, estimated=True)


def with_picture(data: bytes) -> Reply:
    return json_reply({"data": [{"b64_json": base64.b64encode(data).decode()}]})


def with_address(**fields: Any) -> Reply:
    return json_reply({"images": [{"url": "/1.png"}], "seed": 7, "has_nsfw_concepts": [False]} | fields)


@pytest.fixture
def chain(vendor: FakeVendor, session: aiohttp.ClientSession) -> ImageRouter:
    """The default chain for a host who has two tokens of Hugging Face and nothing else."""
    models = {"big": {"steps": 28, "max_steps": 50}, "old": {"retired": "2026-01-01"}}
    entries = load_catalog(
        {
            "hf-nscale": {"base_url": f"{vendor.url}/nscale/v1", "models": models},
            "hf-fal": {"base_url": f"{vendor.url}/fal-ai"},
        }
    )
    return build_image_router(entries, DEFAULT_IMAGE_CHAIN, secrets(HF_TOKEN1="a", HF_TOKEN2="b"), session)


async def test_one_kind_of_token_has_two_vendors(vendor: FakeVendor, chain: ImageRouter) -> None:
    """Whoever has HF_TOKEN alone is served by nscale, and by fal when nscale no longer has the model."""
    vendor.reply(json_reply({"error": "The requested model is deprecated"}, 410))
    vendor.reply(with_address(), raw(PICTURE))
    ledger = RecordedLedger()

    picture = await chain.generate(ORDER, ledger)

    assert [route.name for route in chain.routes] == ["hf-nscale", "hf-fal"]
    assert [target.provider for target, _ in ledger.begun] == ["hf-nscale", "hf-fal"]
    assert (picture.model, picture.seed, picture.steps) == ("fal-ai/flux/schnell", 7, 4)


@pytest.mark.parametrize("name", ["big", "hf-nscale/big"])
async def test_a_model_is_asked_for_by_name(vendor: FakeVendor, chain: ImageRouter, name: str) -> None:
    """With or without its provider's; what it can do is its own, and nobody else is asked."""
    vendor.reply(with_picture(PICTURE))

    picture = await chain.generate(ImageRequest("a fox", 512, 512, 7, 99, model=name), RecordedLedger())

    assert vendor.requests[0].body["model"] == picture.model == "big"
    assert picture.steps == vendor.requests[0].body["num_inference_steps"] == 50
    assert picture.adjustments == ("This model takes 1 to 50 steps: it took 50, not 99.",)


@pytest.mark.parametrize("name", ["old", "hf-nscale/fal-ai/flux/schnell", "sketch/sketch", "model"])
async def test_a_model_that_nobody_offers_is_a_clear_error(chain: ImageRouter, name: str) -> None:
    """Retired models, those of another provider and those of none are not asked for."""
    ledger = RecordedLedger()

    error = await take_error(chain.generate(ImageRequest("a fox", model=name), ledger))

    assert type(error) is NoSuchModel
    assert ledger.begun == []


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([with_picture(flat_png(512, 512))], id="blank"),
        pytest.param(
            [json_reply({"error": "gone"}, 410), with_address(has_nsfw_concepts=[True])], id="flagged"
        ),
    ],
)
async def test_a_blanked_or_flagged_picture_ends_the_chain_and_is_booked(
    vendor: FakeVendor, chain: ImageRouter, replies: list[Reply]
) -> None:
    """The member reads why, nobody else is asked, and the books hold the picture that the vendor charges."""
    vendor.reply(*replies)
    ledger = RecordedLedger()

    error = await take_error(chain.generate(ORDER, ledger))

    assert type(error) is ContentRefused
    assert str(error).startswith("The model made this picture, but its content filter does not let it out.")
    assert ledger.failed[-1] == (error, ONE_PICTURE)
    assert len(vendor.requests) == len(replies)


async def test_a_picture_that_is_too_large_is_said_so(
    vendor: FakeVendor, session: aiohttp.ClientSession
) -> None:
    """A 20 KB file of 13,000 x 13,000 pixels: the member reads what came and what is taken; it is booked."""
    entries = load_catalog({"hf-nscale": {"base_url": vendor.url}})
    router = build_image_router(entries, ["hf-nscale"], secrets(HF_TOKEN="a"), session)
    vendor.reply(with_picture(flat_png(13_000, 13_000)))
    ledger = RecordedLedger()

    error = await take_error(router.generate(ORDER, ledger))

    assert str(error) == (
        "The model sent a picture of 13000 x 13000 pixels; 4096 x 4096 is the most that is taken. "
        "Please try again in a minute."
    )
    assert [usage for _, usage in ledger.failed] == [ONE_PICTURE]


async def test_different_faults_are_told_as_one(vendor: FakeVendor, chain: ImageRouter) -> None:
    """When each provider fails in its own way, no single one of them is the answer."""
    vendor.reply(with_picture(b"<html>"), json_reply({"error": "overloaded"}, 503))
    vendor.reply(json_reply({"error": "overloaded"}, 503))

    error = await take_error(chain.generate(ORDER, RecordedLedger()))

    assert str(error).startswith(NoneAnswered.sentence)
