"""The two picture wires over a real socket: how a picture comes, and what comes in its place."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from typing import Any

import pytest
from PIL import Image

from providers.base import ContentRefused, ImageRequest, ProviderError, RateLimited, Unavailable, Usage
from providers.images import HuggingFaceInference, OpenAIImages
from providers.transport import PICTURE_BODY_BYTES
from tests.fake_vendors import FakeVendor, Reply, broken, json_reply, oversized, raw
from tests.fakes import key, small_png
from tests.providers.helpers import take_error

KEY = key(value="the-key")
ORDER = ImageRequest("a fox", width=768, height=512, seed=11)
PNG = small_png(24, 16)
BASE64 = base64.b64encode(PNG).decode()


def with_data(*items: object, **fields: object) -> Reply:
    return json_reply({"created": 1_790_000_000, "data": list(items), **fields})


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"b64_json": BASE64}, id="base64"),
        pytest.param({"b64_json": BASE64, "url": None, "revised_prompt": "a red fox"}, id="and more"),
        pytest.param({"url": f"data:image/png;base64,{BASE64}"}, id="a data URI"),
        pytest.param({"url": "{url}/generated-images/1.png"}, id="an address on the same host"),
        pytest.param({"url": "/generated-images/1.png"}, id="a relative address"),
        pytest.param({"b64_json": "", "url": "/generated-images/1.png"}, id="empty base64 and an address"),
    ],
)
async def test_a_picture_comes_in_many_forms(
    vendor: FakeVendor, images: OpenAIImages, item: dict[str, Any]
) -> None:
    """Base64, a data URI and an address on the vendor's host are the same picture."""
    item = {name: value and value.replace("{url}", vendor.url) for name, value in item.items()}
    vendor.reply(with_data(item, usage={"total_tokens": 0}))
    vendor.reply(raw(PNG))

    picture = await images.generate(ORDER, KEY)

    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.size == (picture.width, picture.height) == (24, 16)
        assert image.convert("RGB").getpixel((3, 3)) == (0, 128, 128)
    assert picture.usage == Usage(pictures=1)
    for fetched in vendor.requests[1:]:
        assert (fetched.method, fetched.path, fetched.key) == ("GET", "/generated-images/1.png", "")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"output": ["{url}/out/1.png"]}, id="Replicate: a list"),
        pytest.param({"output": "{url}/out/1.png"}, id="Replicate: one"),
        pytest.param({"output": [f"data:image/png;base64,{BASE64}"]}, id="a data URI"),
        pytest.param(
            {"images": [{"url": "{url}/out/1.png", "width": 24}], "has_nsfw_concepts": [False]}, id="fal"
        ),
        pytest.param({"data": [{"b64_json": BASE64}]}, id="nscale"),
    ],
)
async def test_a_routers_json_is_read_in_every_vendors_shape(
    vendor: FakeVendor, hugging_face: HuggingFaceInference, images: OpenAIImages, answer: dict[str, Any]
) -> None:
    """Where JSON comes in place of bytes the picture is found under any of the names it goes by."""
    reply = json_reply(json.loads(json.dumps(answer).replace("{url}", vendor.url)))
    vendor.reply(raw(PNG), raw(PNG))  # for requests without the key
    for provider in (hugging_face, images):
        vendor.reply(reply, key=KEY.value.get_secret_value())

        picture = await provider.generate(ORDER, KEY)

        assert (picture.width, picture.height) == (24, 16)


async def test_a_picture_that_the_vendors_filter_has_blanked_is_refused(
    vendor: FakeVendor, hugging_face: HuggingFaceInference, images: OpenAIImages
) -> None:
    """fal's 200 with a black picture means its filter; the picture is not fetched, and may cost."""
    reply = json_reply({"images": [{"url": f"{vendor.url}/1.png"}], "has_nsfw_concepts": [True]})
    for provider in (hugging_face, images):
        vendor.reply(reply)

        error = await take_error(provider.generate(ORDER, KEY))

        assert (type(error), error.maybe_billed) == (ContentRefused, True)
    assert [request.method for request in vendor.requests] == ["POST", "POST"]


async def test_a_foreign_address_is_refused(
    vendor: FakeVendor, images: OpenAIImages, hugging_face: HuggingFaceInference
) -> None:
    """A vendor cannot make the bot ask other servers near it, by whatever name it gives the address."""
    async with FakeVendor() as other:
        for address in (f"{other.url}/1.png", f"{other.url}/1.png".replace("http:", "https:")):
            for answer in ({"data": [{"url": address}]}, {"output": [address]}, {"output": address}):
                for provider in (images, hugging_face):
                    vendor.reply(json_reply(answer))

                    error = await take_error(provider.generate(ORDER, KEY))

                    assert "not safe to fetch" in error.detail
        assert other.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(raw(PNG, "image/png"), id="image/png"),
        pytest.param(raw(PNG, "application/octet-stream"), id="no type"),
        pytest.param(raw(PNG, "text/html"), id="the wrong type"),
        pytest.param(with_data({"b64_json": BASE64}), id="JSON with base64"),
    ],
)
async def test_raw_bytes_are_known_by_their_content(
    vendor: FakeVendor, hugging_face: HuggingFaceInference, reply: Reply
) -> None:
    """On the raw wire the bytes decide, whatever the reply calls them; JSON may hold the picture too."""
    vendor.reply(reply)

    picture = await hugging_face.generate(ORDER, KEY)

    assert (picture.width, picture.height, picture.seed, picture.steps) == (24, 16, 11, 4)


# ---- Faults ----------------------------------------------------------------------------------------

LOADING = {"error": "Model FLUX.1-schnell is currently loading", "estimated_time": 42.3}


@pytest.mark.parametrize(
    ("reply", "expected", "wait"),
    [
        pytest.param(json_reply(LOADING), Unavailable, 42.3, id="loading, in a 200"),
        pytest.param(json_reply(LOADING, 503), Unavailable, 42.3, id="loading"),
        pytest.param(json_reply({"error": "busy"}, 429, {"Retry-After": "8"}), RateLimited, 8.0, id="rate"),
        pytest.param(
            json_reply({"error": {"code": "content_filter", "message": "no"}}, 400),
            ContentRefused,
            None,
            id="filter",
        ),
    ],
)
async def test_a_refusal_is_read_on_both_wires(
    vendor: FakeVendor,
    images: OpenAIImages,
    hugging_face: HuggingFaceInference,
    reply: Reply,
    expected: type[ProviderError],
    wait: float | None,
) -> None:
    """An error with any status is its class, with its wait, and costs nothing."""
    for provider in (images, hugging_face):
        vendor.reply(reply)

        error = await take_error(provider.generate(ORDER, KEY))

        assert (type(error), error.retry_after, error.maybe_billed) == (expected, wait, False)


NO_PICTURES = [
    pytest.param(with_data(), id="no data"),
    pytest.param(json_reply({}), id="nothing"),
    pytest.param(with_data({}), id="an empty item"),
    pytest.param(with_data(BASE64), id="an item that is no object"),
    pytest.param(json_reply({"output": None}), id="Replicate: still cold"),
    pytest.param(json_reply({"output": ["a.png"]}), id="a name that is no address"),
    pytest.param(json_reply({"output": {"url": 7}}), id="an address that is a number"),
    pytest.param(with_data({"b64_json": 7, "url": 7}), id="numbers"),
    pytest.param(with_data({"b64_json": "***"}), id="broken base64"),
    pytest.param(with_data({"b64_json": BASE64[:60]}), id="base64 of half a picture"),
    pytest.param(with_data({"b64_json": base64.b64encode(b"<html>").decode()}), id="base64 of HTML"),
    pytest.param(with_data({"url": "data:image/svg+xml,<svg/>"}), id="a data URI without base64"),
    pytest.param(json_reply([]), id="a list"),
    pytest.param(raw(b"<html>log in</html>", "text/html"), id="HTML"),
    pytest.param(raw(b"<html>log in</html>", "image/png"), id="HTML that calls itself a picture"),
    pytest.param(raw(b"", "image/png"), id="nothing at all"),
    pytest.param(broken(raw(PNG), after=40), id="a reply that breaks off"),
    pytest.param(
        dataclasses.replace(oversized(PICTURE_BODY_BYTES, "image/png"), ending="stall"), id="too much of it"
    ),
]


@pytest.mark.parametrize("reply", NO_PICTURES)
async def test_a_200_without_a_picture_may_cost(
    vendor: FakeVendor, images: OpenAIImages, hugging_face: HuggingFaceInference, reply: Reply
) -> None:
    """Whatever else comes in place of a picture is the vendor's failure on both wires, and may be billed."""
    for provider in (images, hugging_face):
        vendor.reply(reply)

        error = await take_error(provider.generate(ORDER, KEY))

        assert type(error) is Unavailable
        assert error.maybe_billed
        assert "log in" not in str(error)
