"""Many pictures at once: the event loop goes on, and each picture is its own."""

from __future__ import annotations

import asyncio
import base64
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from PIL import Image

from providers.base import NO_KEY, ImageRequest
from providers.catalog import load_catalog
from providers.chains import build_image_router
from providers.pictures import encode_png
from providers.sketch import Sketch
from tests.fake_vendors import FakeVendor, json_reply
from tests.fakes import RecordedLedger
from tests.providers.helpers import secrets

AT_ONCE = 20
LONGEST_LAG = 0.050  # seconds, of the 99th hundredth


@contextmanager
def lag_of_the_loop() -> Iterator[list[float]]:
    """By how many seconds each of many short sleeps ended late."""
    lags: list[float] = []

    async def sleep() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.002
            await asyncio.sleep(0.002)
            lags.append(loop.time() - due)

    task = asyncio.create_task(sleep())
    yield lags
    task.cancel()


def p99(lags: list[float]) -> float:
    return sorted(lags)[math.ceil(len(lags) * 0.99) - 1]


async def test_twenty_pictures_at_once_leave_the_loop_alone(
    vendor: FakeVendor, session: aiohttp.ClientSession
) -> None:
    """Twenty answers of four megabytes over twenty keys: read, checked and encoded, and nothing held up."""
    bands = [Image.effect_noise((1024, 1024), 60 + band) for band in range(3)]
    noise = encode_png(Image.merge("RGB", bands))
    encoded = base64.b64encode(noise).decode()
    assert len(encoded) > 3_900_000
    vendor.reply(*[json_reply({"data": [{"b64_json": encoded}]})] * AT_ONCE)
    keys = {f"HF_TOKEN{number}": f"key-{number}" for number in range(1, AT_ONCE + 1)}
    router = build_image_router(
        load_catalog({"hf-nscale": {"base_url": vendor.url}}), ["hf-nscale"], secrets(**keys), session
    )

    with lag_of_the_loop() as lags:
        pictures = await asyncio.gather(
            *(router.generate(ImageRequest("a fox", seed=seed), RecordedLedger()) for seed in range(AT_ONCE))
        )

    assert len(set(vendor.keys)) == AT_ONCE
    for seed, picture in enumerate(pictures):
        with Image.open(io.BytesIO(picture.png)) as image:
            assert image.size == (1024, 1024)
            assert f"Seed: {seed}," in image.info["parameters"]
    assert len(lags) > 50
    assert p99(lags) < LONGEST_LAG


async def test_twenty_sketches_at_once_leave_the_loop_alone() -> None:
    """Drawing is slower than decoding, and holds the loop no longer."""
    sketch = Sketch(load_catalog()["sketch"])
    requests = [ImageRequest("a red fox in the snow", seed=seed) for seed in range(AT_ONCE)]

    with lag_of_the_loop() as lags:
        pictures = await asyncio.gather(*(sketch.generate(request, NO_KEY) for request in requests))

    assert len({picture.png for picture in pictures}) == AT_ONCE
    assert p99(lags) < LONGEST_LAG
