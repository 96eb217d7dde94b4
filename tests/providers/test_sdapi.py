"""The web UI's API over a real socket: what is asked, what a picture was made with, and how it is stopped."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from PIL import Image

from providers.base import NO_KEY, ImageRequest, KeyRejected, Unavailable
from providers.catalog import load_catalog
from providers.chains import build_image_router
from providers.sdapi import StableDiffusionAPI
from providers.transport import Transport
from tests.fake_vendors import SILENCE, FakeVendor, Reply, json_reply
from tests.fakes import RecordedLedger, key, small_png
from tests.providers.helpers import secrets, take_error

ORDER = ImageRequest("a fox", 768, 512, 11, 30, 5.5, "people")
PNG = base64.b64encode(small_png(768, 512)).decode()
INFO = {
    "prompt": "a fox",
    "seed": 11,
    "all_seeds": [11],
    "steps": 30,
    "cfg_scale": 5.5,
    "sd_model_name": "dreamshaper_8",
}


def made(info: object = INFO, picture: str = PNG) -> Reply:
    text = info if isinstance(info, str) else json.dumps(info)
    return json_reply({"images": [picture], "parameters": {}, "info": text})


def web_ui(vendor: FakeVendor, transport: Transport, **fields: Any) -> StableDiffusionAPI:
    return StableDiffusionAPI(load_catalog({"webui": {"base_url": vendor.url, **fields}})["webui"], transport)


async def test_all_parameters_are_sent(vendor: FakeVendor, transport: Transport) -> None:
    """One picture is asked for with both prompts, steps, guidance, size and seed, and without a key."""
    vendor.reply(made())

    picture = await web_ui(vendor, transport).generate(ORDER, NO_KEY)

    (request,) = vendor.requests
    assert (request.method, request.path) == ("POST", "/sdapi/v1/txt2img")
    assert "Authorization" not in request.headers
    task = request.body.pop("force_task_id")
    assert task.startswith("task(colloquy-")
    assert request.body == {
        "prompt": "a fox",
        "negative_prompt": "people",
        "steps": 30,
        "cfg_scale": 5.5,
        "width": 768,
        "height": 512,
        "seed": 11,
        "batch_size": 1,
    }
    assert (picture.seed, picture.steps, picture.guidance, picture.negative) == (11, 30, 5.5, "people")
    assert (picture.model, picture.adjustments) == ("dreamshaper_8", ())
    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.info["parameters"] == (
            "a fox\nNegative prompt: people\n"
            "Steps: 30, Seed: 11, Size: 768x512, Model: dreamshaper_8, CFG scale: 5.5"
        )


async def test_defaults_are_the_entrys(vendor: FakeVendor, transport: Transport) -> None:
    """20 steps and guidance 7, unless the host or the member says otherwise."""
    vendor.reply(made())

    picture = await web_ui(vendor, transport).generate(ImageRequest("a fox", 768, 512, 11), NO_KEY)

    assert (picture.steps, picture.guidance) == (20, 7)
    assert (vendor.requests[0].body["steps"], vendor.requests[0].body["cfg_scale"]) == (20, 7)


async def test_a_checkpoint_is_asked_for_by_name(vendor: FakeVendor, transport: Transport) -> None:
    """A model of the host's choice is loaded and stays loaded; the picture carries its name."""
    vendor.reply(made())

    picture = await web_ui(vendor, transport, model="sdxl.safetensors").generate(ORDER, NO_KEY)

    body = vendor.requests[0].body
    assert body["override_settings"] == {"sd_model_checkpoint": "sdxl.safetensors"}
    assert body["override_settings_restore_afterwards"] is False
    assert picture.model == "sdxl.safetensors"


async def test_a_login_is_sent_as_name_and_password(vendor: FakeVendor, transport: Transport) -> None:
    """With --api-auth the key is `name:password`; a refusal shows neither form of it."""
    login = key(value="painter:canary-word")
    encoded = base64.b64encode(b"painter:canary-word").decode()
    provider = web_ui(vendor, transport)
    vendor.reply(made(), json_reply({"detail": f"bad: painter:canary-word {encoded}"}, 401))

    await provider.generate(ORDER, login)
    error = await take_error(provider.generate(ORDER, login))

    assert vendor.requests[0].headers["Authorization"] == f"Basic {encoded}"
    assert type(error) is KeyRejected
    assert error.detail == "HTTP 401: bad: [key] [key]"


@pytest.mark.parametrize(
    ("info", "seed", "model"),
    [
        (json.dumps(INFO | {"seed": 99}), 99, "dreamshaper_8"),
        ("", 11, "default"),
        ("no JSON", 11, "default"),
        ("[" * 100_000, 11, "default"),
        ('{"seed": "9", "sd_model_name": 3}', 11, "default"),
        ('{"seed": -1, "sd_model_name": "@everyone `x`"}', 11, "default"),
        ("[]", 11, "default"),
    ],
)
async def test_the_servers_word_on_seed_and_model_is_taken_where_it_can_be_read(
    vendor: FakeVendor, transport: Transport, info: str, seed: int, model: str
) -> None:
    """`info` is JSON in a string, or empty as stable-diffusion.cpp has it; anything else changes nothing."""
    vendor.reply(made(info))

    picture = await web_ui(vendor, transport).generate(ORDER, NO_KEY)

    assert (picture.seed, picture.model) == (seed, model)


@pytest.mark.parametrize(
    ("written", "arrived"),
    [
        ("a fox <lora:evil:1>", "a fox \u2039lora:evil:1>"),
        ("<hypernet:evil:1> <lyco:a:2>", "\u2039hypernet:evil:1> \u2039lyco:a:2>"),
        ("<lo<lora:a:1>ra:b:1>", "\u2039lo\u2039lora:a:1>ra:b:1>"),
        ("a cat AND a dog :2 BREAK a cow", "a cat and a dog :2 break a cow"),
        ("sky ADDCOL sea ADDROW sand ADDBASE x ADDCOMM y", "sky addcol sea addrow sand addbase x addcomm y"),
        ("__../secret__ fox", "_../secret_ fox"),
        ("SAND and BREAKFAST, (red:1.2) [day:night:0.5] I <3 it", None),
    ],
)
async def test_a_prompt_cannot_give_orders(
    vendor: FakeVendor, transport: Transport, written: str, arrived: str | None
) -> None:
    """Tags, composition words and wildcards arrive without effect; weights and schedules are the member's."""
    vendor.reply(made())

    await web_ui(vendor, transport).generate(ImageRequest(written, 768, 512, negative=written), NO_KEY)

    body = vendor.requests[0].body
    assert body["prompt"] == body["negative_prompt"] == (arrived or written)


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"error": "OutOfMemoryError", "detail": "", "errors": "CUDA out of memory."}, 500),
        json_reply({"images": [], "parameters": {}, "info": ""}),
        json_reply({"images": [None], "info": "{}"}),
        made(picture="***"),
    ],
)
async def test_a_server_that_fails_is_the_vendors_failure(
    vendor: FakeVendor, transport: Transport, reply: Reply
) -> None:
    """Out of memory, no picture or half of one: somebody else may be asked."""
    vendor.reply(reply)

    error = await take_error(web_ui(vendor, transport).generate(ORDER, NO_KEY))

    assert isinstance(error, Unavailable)


async def test_pictures_are_asked_for_one_after_the_other(
    vendor: FakeVendor, session: aiohttp.ClientSession
) -> None:
    """Those that wait are neither booked nor asked for, and have their own time once they are."""
    slow = replace(made(), pieces=(0.3, *made().pieces))
    vendor.reply(slow, slow, slow)
    entries = load_catalog({"webui": {"base_url": vendor.url, "total_seconds": 0.5}})
    router = build_image_router(entries, ["webui"], secrets(), session)
    ledgers = [RecordedLedger() for _ in range(4)]
    tasks = [asyncio.create_task(router.generate(ORDER, ledger)) for ledger in ledgers]
    await vendor.asked()

    tasks[1].cancel()
    await asyncio.wait(tasks)

    assert [task.cancelled() for task in tasks] == [False, True, False, False]
    assert [len(ledger.begun) for ledger in ledgers] == [1, 0, 1, 1]
    assert [ledger.failed for ledger in ledgers] == [[]] * 4
    assert [request.path for request in vendor.requests] == ["/sdapi/v1/txt2img"] * 3


@pytest.mark.parametrize("whose", ["ours", "somebody else's", "unknown"])
async def test_stopping_interrupts_our_own_work_only(
    vendor: FakeVendor, transport: Transport, whose: str
) -> None:
    """When nobody waits any more the server is told to stop, unless it works on another's picture."""
    vendor.reply(SILENCE)
    task = asyncio.create_task(web_ui(vendor, transport).generate(ORDER, NO_KEY))
    await vendor.asked()
    ours = vendor.requests[0].body["force_task_id"]
    current = {"ours": ours, "somebody else's": "task(other)"}.get(whose)
    progress = {"progress": 0.5} | ({"current_task": current} if current else {})
    vendor.reply(json_reply(progress), *([json_reply({})] if whose == "ours" else []))

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    paths = [request.path for request in vendor.requests[1:]]
    looked = "/sdapi/v1/progress?skip_current_image=true"
    assert paths == ([looked, "/sdapi/v1/interrupt"] if whose == "ours" else [looked])


async def test_a_server_without_progress_does_no_harm(vendor: FakeVendor, transport: Transport) -> None:
    """stable-diffusion.cpp has no such address: the request is given up all the same."""
    vendor.reply(SILENCE, json_reply({"error": "not found"}, 404))
    task = asyncio.create_task(web_ui(vendor, transport).generate(ORDER, NO_KEY))
    await vendor.asked()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
