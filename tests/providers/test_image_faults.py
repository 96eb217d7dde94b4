"""What goes wrong on both picture wires that answer at once: refusals, and 200s without a picture."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from providers.base import ContentRefused, ImageRequest, ProviderError, RateLimited, Unavailable
from providers.hf_inference import HuggingFaceInference
from providers.openai_images import OpenAIImages
from providers.transport import PICTURE_BODY_BYTES
from tests.fake_vendors import FakeVendor, Reply, broken, json_reply, oversized, raw
from tests.fakes import key, small_png
from tests.providers.helpers import take_error

KEY = key(value="the-key")
ORDER = ImageRequest("a fox", width=768, height=512, seed=11)
PNG = small_png(24, 16)
BASE64 = base64.b64encode(PNG).decode()


def with_data(*items: object) -> Reply:
    return json_reply({"created": 1_790_000_000, "data": list(items)})


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
    pytest.param(with_data(7), id="an item that is no object"),
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

        assert error.kind == "transient"
        assert error.maybe_billed
        assert "log in" not in str(error)
