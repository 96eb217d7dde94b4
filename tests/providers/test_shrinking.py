"""Pictures above a server's limit of size: as WebP or JPEG, with their parameters."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from providers.parameters import read_parameters
from providers.pictures import PictureTooLarge, shrink_to
from providers.pixels import encode_png

NOISE = encode_png(Image.effect_noise((400, 300), 80).convert("RGBA"), "a fox\nSteps: 4, Seed: 1")


async def test_a_picture_that_fits_stays_as_it_is() -> None:
    """Up to the limit it is the PNG, byte for byte."""
    assert await shrink_to(NOISE, len(NOISE)) == (NOISE, "png")


@pytest.mark.parametrize(("share", "extension"), [(0.99, "webp"), (0.33, "webp"), (0.13, "jpg")])
async def test_a_picture_that_does_not_fit_loses_quality(share: float, extension: str) -> None:
    """It becomes WebP and then JPEG of the same size in pixels, within the limit, with its parameters."""
    limit = int(len(NOISE) * share)

    data, kind = await shrink_to(NOISE, limit)

    assert kind == extension
    assert len(data) <= limit
    assert read_parameters(data) == "a fox\nSteps: 4, Seed: 1"
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ({"webp": "WEBP", "jpg": "JPEG"}[kind], (400, 300))


async def test_a_picture_that_never_fits_is_said_so() -> None:
    """When nothing makes it small enough, the caller hears of it."""
    with pytest.raises(PictureTooLarge):
        await shrink_to(NOISE, 500)
