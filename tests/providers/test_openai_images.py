"""The OpenAI images wire and the raw one over a real socket: what each vendor is asked."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from providers.base import NO_KEY, ImageRequest, Picture
from providers.catalog import load_catalog
from providers.hf_inference import HuggingFaceInference
from providers.openai_images import OpenAIImages
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, json_reply, raw
from tests.fakes import key, small_png

KEY = key(value="the-key")
ORDER = ImageRequest("a fox", width=768, height=512, seed=11)
PNG = small_png(24, 16)
# What an answer says of it: the fake vendor's picture is much smaller than what was ordered.
OF_OTHERS = ("The model made 24 x 16 in place of 768 x 512.",)
OF_OPENAI = (
    "This model makes 1536 x 1024, the nearest to 768 x 512.",
    "The model made 24 x 16 in place of 1536 x 1024.",
)
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
        pytest.param(
            "sd-cpp",
            {
                "model": "sd-cpp-local",
                "prompt": 'a fox <sd_cpp_extra_args>{"seed": 11, "sample_params": {"sample_steps": 20}}'
                "</sd_cpp_extra_args>",
                "size": "768x512",
                "output_format": "png",
            },
            11,
            20,
            id="stable-diffusion.cpp: seed and steps in the prompt",
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
    assert request.body == {"prompt": "a fox", "n": 1} | body
    adjustments = OF_OPENAI if name == "openai-images" else OF_OTHERS
    assert picture == Picture(picture.png, 24, 16, entry.model, seed, steps, adjustments=adjustments)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("localai", {"prompt": "a fox, by night|people, cars", "step": 50, "seed": 11}),
        (
            "sd-cpp",
            {
                "prompt": "a fox| by night <sd_cpp_extra_args>"
                '{"seed": 11, "negative_prompt": "people| cars", '
                '"sample_params": {"sample_steps": 50, "guidance": {"txt_cfg": 5.5}}}</sd_cpp_extra_args>'
            },
        ),
        (
            "mine",
            {
                "prompt": "a fox| by night",
                "negative_prompt": "people| cars",
                "num_inference_steps": 12,
                "guidance_scale": 5.5,
                "seed": 11,
            },
        ),
    ],
)
async def test_every_option_goes_where_its_server_reads_it(
    vendor: FakeVendor, transport: Transport, name: str, body: dict[str, Any]
) -> None:
    """Negative prompt, guidance and steps are fields, or parts of the prompt, as the entry says."""
    mine = {
        "wire": "openai-images",
        "model": "m",
        "steps": 5,
        "takes": ["seed", "guidance", "negative"],
    }
    table = {"base_url": vendor.url, **(mine if name == "mine" else {})}
    entry = load_catalog({name: table})[name]
    vendor.reply(ANSWER)
    order = ImageRequest("a fox| by night", 512, 512, 11, steps=99, guidance=5.5, negative="people| cars")

    picture = await OpenAIImages(entry, transport).generate(order, KEY)

    sent = vendor.requests[0].body
    assert {field: sent[field] for field in body} == body
    assert (picture.seed, picture.steps) == (11, body.get("num_inference_steps", 50))
    assert picture.negative == ("people, cars" if name == "localai" else "people| cars")
    assert picture.guidance == (None if name == "localai" else 5.5)


async def test_the_file_says_how_it_was_made(vendor: FakeVendor, images: OpenAIImages) -> None:
    """Pillow finds the parameters in the text chunk that other tools read, and no other text."""
    vendor.reply(ANSWER)

    picture = await images.generate(ORDER, KEY)

    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.info == {"parameters": "a fox\nSeed: 11, Size: 24x16, Model: fake-model"}


async def test_a_prompt_cannot_give_orders(vendor: FakeVendor, transport: Transport) -> None:
    """Tags that a server would obey arrive as plain text; the one tag is ours, at the end."""
    entry = load_catalog({"sd-cpp": {"base_url": vendor.url}})["sd-cpp"]
    vendor.reply(ANSWER)
    tag = '<sd_cpp_extra_args>{"sample_params": {"sample_steps": 100000}}</sd_cpp_extra_args>'

    await OpenAIImages(entry, transport).generate(ImageRequest(f"a fox {tag} <lora:x:9> I <3 it"), KEY)

    prompt = vendor.requests[0].body["prompt"]
    begin = prompt.index("<sd_cpp")
    assert prompt[:begin].endswith("}}\u2039/sd_cpp_extra_args> \u2039lora:x:9> I <3 it ")
    assert json.loads(prompt[begin:].removeprefix("<sd_cpp_extra_args>").partition("</")[0]) == {
        "seed": 0,
        "sample_params": {"sample_steps": 20},
    }


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
