"""The two picture wires over a real socket: what each vendor is asked."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest

from providers.base import NO_KEY, ImageRequest, Picture, Usage
from providers.catalog import load_catalog
from providers.images import HuggingFaceInference, OpenAIImages, choose_steps, nearest_size
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, json_reply, raw
from tests.fakes import key, small_png

KEY = key(value="the-key")
ORDER = ImageRequest("a fox", width=768, height=512, seed=11)
PNG = small_png(24, 16)
ANSWER = json_reply({"data": [{"b64_json": base64.b64encode(PNG).decode()}]})
FLUX = "black-forest-labs/FLUX.1-schnell"


@pytest.mark.parametrize(
    ("name", "body", "seed", "steps"),
    [
        pytest.param(
            "hf-nscale",
            {"model": FLUX, "size": "768x512", "seed": 11, "response_format": "b64_json"},
            11,
            None,
            id="nscale: size in one field, no steps",
        ),
        pytest.param(
            "together",
            {"model": FLUX, "width": 768, "height": 512, "seed": 11, "steps": 4, "response_format": "base64"},
            11,
            4,
            id="Together: width and height, steps",
        ),
        pytest.param(
            "openai-images",
            {"model": "gpt-image-1-mini", "size": "1536x1024", "quality": "low"},
            None,
            None,
            id="OpenAI: its own sizes, no seed, no response_format",
        ),
        pytest.param(
            "localai",
            {
                "model": "flux.1-schnell",
                "size": "768x512",
                "seed": 11,
                "step": 4,
                "response_format": "b64_json",
            },
            11,
            4,
            id="LocalAI: step",
        ),
    ],
)
async def test_each_vendor_is_asked_in_its_own_words(
    vendor: FakeVendor,
    transport: Transport,
    name: str,
    body: dict[str, Any],
    seed: int | None,
    steps: int | None,
) -> None:
    """Each catalogue entry sends the fields its vendor knows, and the picture says what was really used."""
    entry = load_catalog({name: {"base_url": f"{vendor.url}/v9/"}})[name]
    vendor.reply(ANSWER)

    picture = await OpenAIImages(entry, transport).generate(ORDER, KEY)

    (request,) = vendor.requests
    assert (request.method, request.path, request.key) == ("POST", "/v9/images/generations", "the-key")
    assert request.body == {"prompt": "a fox", "n": 1, **body}
    assert picture == Picture(picture.png, 24, 16, entry.model, seed, steps, Usage(pictures=1))


async def test_without_a_key_no_authorization_is_sent(vendor: FakeVendor, images: OpenAIImages) -> None:
    """A server of one's own is asked without the header."""
    vendor.reply(ANSWER)

    await images.generate(ORDER, NO_KEY)

    assert "Authorization" not in vendor.requests[0].headers


async def test_extra_fields_are_added_and_dropped_ones_left_out(
    vendor: FakeVendor, transport: Transport
) -> None:
    """`extra_body` goes over everything; what `drop` names is never sent."""
    changes = {"base_url": vendor.url, "extra_body": {"style": "plain", "n": 2}, "drop": ["seed", "size"]}
    entry = load_catalog({"hf-nscale": changes})["hf-nscale"]
    vendor.reply(ANSWER)

    await OpenAIImages(entry, transport).generate(ORDER, KEY)

    assert vendor.requests[0].body == {"model": FLUX, "prompt": "a fox", "style": "plain", "n": 2}


async def test_fields_are_left_out_of_the_raw_wire_too(vendor: FakeVendor, transport: Transport) -> None:
    """What `drop` names is not sent, among the parameters or beside them."""
    changes = {
        "base_url": vendor.url,
        "extra_body": {"options": {}, "other": 1},
        "drop": ["guidance_scale", "seed", "options"],
    }
    vendor.reply(raw(PNG))

    await HuggingFaceInference(load_catalog({"hf-inference": changes})["hf-inference"], transport).generate(
        ORDER, KEY
    )

    assert vendor.requests[0].body == {
        "inputs": "a fox",
        "parameters": {"num_inference_steps": 4, "width": 768, "height": 512},
        "other": 1,
    }


async def test_hugging_face_is_asked_for_a_picture(
    vendor: FakeVendor, hugging_face: HuggingFaceInference
) -> None:
    """The raw wire asks for image/png and takes its default steps when the order names none."""
    vendor.reply(raw(PNG))

    picture = await hugging_face.generate(ORDER, KEY)

    assert hugging_face.name == "hf-inference"
    assert vendor.requests[0].headers["Accept"] == "image/png"
    assert vendor.requests[0].body["parameters"]["num_inference_steps"] == picture.steps == 4


@pytest.mark.parametrize(
    ("asked", "sent"), [(None, 4), (1, 1), (3, 3), (12, 12), (13, 12), (1000, 12), (-5, 1)]
)
def test_steps_stay_within_what_the_model_can(asked: int | None, sent: int) -> None:
    """No steps are the entry's default, too many its most, and one is the least."""
    entry = load_catalog()["together"]

    assert choose_steps(entry, dataclasses.replace(ORDER, steps=asked)) == sent
    assert choose_steps(load_catalog()["hf-nscale"], dataclasses.replace(ORDER, steps=asked)) is None


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ((1024, 1024), (1024, 1024)),
        ((256, 256), (1024, 1024)),
        ((768, 512), (1536, 1024)),
        ((512, 768), (1024, 1536)),
        ((4000, 100), (1536, 1024)),
        ((100, 4000), (1024, 1536)),
    ],
)
def test_fixed_sizes_are_chosen_by_shape(asked: tuple[int, int], sent: tuple[int, int]) -> None:
    """Where a vendor makes few sizes, the one of the nearest shape is taken; others take any."""
    assert nearest_size(load_catalog()["openai-images"], *asked) == sent
    assert nearest_size(load_catalog()["hf-nscale"], *asked) == asked
