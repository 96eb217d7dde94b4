"""Many pictures at once: the event loop goes on, and each picture is its own."""

from __future__ import annotations

import asyncio
import base64
import io
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiohttp
from PIL import Image

from providers.base import NO_KEY, ImageRequest, Picture
from providers.catalog import load_catalog
from providers.chains import build_image_router
from providers.pixels import encode_png
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
    try:
        yield lags
    finally:
        task.cancel()


async def smoothly(make: Callable[[], Awaitable[list[Picture]]]) -> list[Picture]:
    """Make these pictures while the loop is watched; what else the machine does can only add to its lag."""
    found = []
    for _ in range(3):
        with lag_of_the_loop() as lags:
            pictures = await make()
        assert len(lags) > 50
        found.append(sorted(lags)[math.ceil(len(lags) * 0.99) - 1])
        if found[-1] < LONGEST_LAG:
            return pictures
    raise AssertionError(f"the loop was held up: {found}")


async def test_twenty_pictures_at_once_leave_the_loop_alone(
    vendor: FakeVendor, session: aiohttp.ClientSession
) -> None:
    """Twenty answers of four megabytes over twenty keys: read, checked and encoded, and nothing held up."""
    bands = [Image.effect_noise((1024, 1024), 60 + band) for band in range(3)]
    encoded = base64.b64encode(encode_png(Image.merge("RGB", bands))).decode()
    assert len(encoded) > 3_900_000
    vendor.reply(*[json_reply({"data": [{"b64_json": encoded}]})] * AT_ONCE * 3)
    keys = {f"HF_TOKEN{number}": f"key-{number}" for number in range(1, AT_ONCE + 1)}
    router = build_image_router(
        load_catalog({"hf-nscale": {"base_url": vendor.url}}), ["hf-nscale"], secrets(**keys), session
    )

    async def make() -> list[Picture]:
        requests = [ImageRequest("a fox", seed=seed) for seed in range(AT_ONCE)]
        return await asyncio.gather(*(router.generate(request, RecordedLedger()) for request in requests))

    pictures = await smoothly(make)

    assert len(set(vendor.keys)) == AT_ONCE
    for seed, picture in enumerate(pictures):
        with Image.open(io.BytesIO(picture.png)) as image:
            assert image.size == (1024, 1024)
            assert f"Seed: {seed}," in image.info["parameters"]


async def test_twenty_sketches_at_once_leave_the_loop_alone() -> None:
    """Drawing is slower than decoding, and holds the loop no longer."""
    sketch = Sketch(load_catalog()["sketch"])

    async def make() -> list[Picture]:
        requests = [ImageRequest("a red fox in the snow", seed=seed) for seed in range(AT_ONCE)]
        return await asyncio.gather(*(sketch.generate(request, NO_KEY) for request in requests))

    assert len({picture.png for picture in await smoothly(make)}) == AT_ONCE
