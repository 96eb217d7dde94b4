"""What a vendor sends as a picture: taken as PNG without metadata, or refused before it can do harm."""

from __future__ import annotations

import asyncio
import io
import random
import struct
import subprocess
import sys
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from providers import pixels
from providers.base import ContentRefused, Unavailable
from providers.parameters import read_parameters
from providers.pictures import UnusablePicture, to_png
from tests.fakes import small_png

ROOT = Path(__file__).parents[2]
FORMATS = ["PNG", "JPEG", "WEBP"]


def encode(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or Image.effect_noise((48, 32), 60).convert("RGB")).save(buffer, kind, **options)
    return buffer.getvalue()


def flat_png(width: int, height: int, pattern: bytes = b"\0") -> bytes:
    """A PNG with one bit a pixel, eight of them in the pattern: few bytes for as many pixels as one likes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + pattern * ((width + 7) // 8)) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def chunks_of(png: bytes) -> list[bytes]:
    kinds, place = [], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kinds.append(png[place + 4 : place + 8])
        place += 12 + length
    return kinds


@pytest.mark.parametrize("kind", FORMATS)
async def test_the_three_formats_become_png(kind: str) -> None:
    """PNG, JPEG and WebP are told apart by content and come out as PNG of the same size."""
    png, width, height = await to_png(encode(kind))

    assert (width, height) == (48, 32)
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (48, 32))


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        ("RGBA", "PNG", "RGBA"),
        ("RGBA", "WEBP", "RGBA"),
        ("LA", "PNG", "RGBA"),
        ("L", "PNG", "RGB"),
        ("1", "PNG", "RGB"),
        ("P", "PNG", "RGB"),
        ("I;16", "PNG", "RGB"),
        ("L", "JPEG", "RGB"),
        ("CMYK", "JPEG", "RGB"),
    ],
)
async def test_every_kind_of_pixel_becomes_plain_colour(mode: str, kind: str, expected: str) -> None:
    """Grey, palette, print and 16-bit pictures come out as RGB; transparency stays."""
    picture = Image.linear_gradient("L").resize((8, 8)).convert(mode)
    if mode.endswith("A"):
        picture.putalpha(100)
    png, _, _ = await to_png(encode(kind, picture))

    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == expected


@pytest.mark.parametrize("kind", FORMATS)
async def test_metadata_is_gone(kind: str) -> None:
    """EXIF, text chunks, XMP, profiles and whatever follows the picture do not get through."""
    exif = Image.Exif()
    exif[0x010E] = "CANARY in EXIF"
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "CANARY in a text chunk")
    text.add_itxt("prompt", "CANARY in another")
    extra: dict[str, Any] = {"pnginfo": text} if kind == "PNG" else {"xmp": b"<x>CANARY in XMP</x>"}
    data = encode(kind, exif=exif, icc_profile=b"CANARY in a profile", **extra) + b"CANARY at the end"
    assert data.count(b"CANARY") >= 4

    png, _, _ = await to_png(data)

    assert b"CANARY" not in png
    assert set(chunks_of(png)) == {b"IHDR", b"IDAT", b"IEND"}


async def test_broken_metadata_does_no_harm() -> None:
    """A picture whose EXIF is cut off is taken like any other: its metadata would be dropped anyway."""
    data = encode("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0")

    _, width, height = await to_png(data)

    assert (width, height) == (48, 32)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html><body>Please log in</body></html>", id="HTML"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', id="SVG"),
        pytest.param(b'{"error": "no"}', id="JSON"),
        pytest.param(encode("GIF"), id="GIF"),
        pytest.param(encode("BMP"), id="BMP"),
        pytest.param(encode("TIFF"), id="TIFF"),
        pytest.param(b"%PDF-1.7", id="PDF"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="a signature alone"),
        pytest.param(b"<!DOCTYPE html>" + small_png(), id="a picture behind HTML"),
    ],
)
async def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """Anything but the three formats is refused, and the log sees how it began; it may have cost."""
    with pytest.raises(Unavailable) as error:
        await to_png(data)

    assert error.value.detail.startswith("the vendor sent no picture but: ")
    assert error.value.maybe_billed
    assert "log in" not in str(error.value)


async def test_the_log_does_not_see_a_key_in_what_is_no_picture() -> None:
    """A page that quotes the key is not quoted in turn."""
    with pytest.raises(Unavailable) as error:
        await to_png(b"Invalid token: hf_CANARYaBcDeFgHiJkLmNoPqRsTuVwXyZ")

    assert "CANARY" not in error.value.detail


@pytest.mark.parametrize("tail", [b"<script>CANARY</script>", b"PK\x05\x06 CANARY " + bytes(18)])
@pytest.mark.parametrize("kind", FORMATS)
async def test_a_picture_that_is_also_something_else_is_a_picture_alone(kind: str, tail: bytes) -> None:
    """Of a file that is a picture at its beginning and HTML or a ZIP at its end only the pixels are kept."""
    png, _, _ = await to_png(encode(kind) + tail)

    assert b"CANARY" not in png
    assert png.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (0, 128, 128)])
async def test_a_blank_picture_is_a_refusal(kind: str, colour: tuple[int, int, int]) -> None:
    """A picture of one colour is what a filter leaves: the model made it, so it may cost."""
    with pytest.raises(ContentRefused) as error:
        await to_png(encode(kind, Image.new("RGB", (640, 480), colour)))

    assert error.value.maybe_billed
    assert "content filter does not let it out" in str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_a_picture_with_one_dot_is_not_blank(kind: str) -> None:
    """Little is not nothing: a single dot that differs makes it a picture."""
    picture = Image.new("RGB", (640, 480))
    picture.putpixel((333, 77), (40, 0, 0))

    assert (await to_png(encode(kind, picture, lossless=True)))[1:] == (640, 480)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
async def test_a_picture_that_is_cut_off_is_refused(kind: str, part: float) -> None:
    """Half a picture is none."""
    data = encode(kind)

    with pytest.raises(Unavailable) as error:
        await to_png(data[: int(len(data) * part)])

    assert error.value.maybe_billed


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_an_animated_picture_is_refused(kind: str) -> None:
    """More than one frame is no picture for us."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = encode(kind, frames[0], save_all=True, append_images=frames[1:], duration=50)

    with pytest.raises(Unavailable) as error:
        await to_png(data)

    assert error.value.detail == "the picture is animated"


async def test_the_longest_side_is_the_limit() -> None:
    """4096 pixels are taken, 4097 are not, in either direction."""
    assert (await to_png(flat_png(pixels.MAX_SIDE, 2, b"\x0f")))[1:] == (pixels.MAX_SIDE, 2)
    for width, height in ((pixels.MAX_SIDE + 1, 2), (2, pixels.MAX_SIDE + 1)):
        with pytest.raises(UnusablePicture) as error:
            await to_png(flat_png(width, height))
        assert str(error.value) == (
            f"The model sent a picture of {width} x {height} pixels; 4096 x 4096 is the most that is taken."
        )


MEASURE = """
import resource, sys
from providers.base import Unavailable
from providers.pixels import to_png
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    to_png(data)
except Unavailable as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


@pytest.mark.parametrize(("side", "pixels"), [(13_000, "13000 x 13000"), (30_000, "more than 178 million")])
def test_a_decompression_bomb_is_refused_undecoded(side: int, pixels: str) -> None:
    """A picture of 20 to 110 KB with hundreds of millions of pixels is refused by its header."""
    bomb = flat_png(side, side)
    assert len(bomb) < 120_000

    process = subprocess.run(
        [sys.executable, "-c", MEASURE], input=bomb, capture_output=True, cwd=ROOT, check=True, timeout=30
    )

    grown, _, sentence = process.stdout.decode().strip().partition(" ")
    assert sentence == (
        f"The model sent a picture of {pixels} pixels; 4096 x 4096 is the most that is taken."
    )
    assert int(grown) < 20_000  # KiB; decoded it would be 160,000 and more
    assert process.stderr == b""


async def test_pictures_in_many_threads_leave_the_warnings_alone() -> None:
    """Good pictures and bombs at the same time each get their own end, and no filter stays changed."""
    filters = list(warnings.filters)
    broken_exif = encode("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0")
    bomb = flat_png(10_000, 10_000)

    ends = await asyncio.gather(*map(to_png, [broken_exif, bomb] * 12), return_exceptions=True)

    assert [type(end) for end in ends] == [tuple, UnusablePicture] * 12
    assert list(warnings.filters) == filters


@pytest.mark.parametrize(
    "text", ["a fox\nSteps: 4, Seed: 1", "\N{FOX FACE} \u96ea\nNegative prompt: \xe9t\xe9\nSteps: 4, Seed: 1"]
)
async def test_the_parameters_are_the_only_text_in_a_picture(text: str) -> None:
    """What the description says of the decoded size goes into one chunk that Pillow and we can read."""
    png, _, _ = await to_png(encode("JPEG"), lambda width, height: f"{text}, Size: {width}x{height}")

    assert read_parameters(png) == f"{text}, Size: 48x32"
    with Image.open(io.BytesIO(png)) as image:
        assert image.info == {"parameters": f"{text}, Size: 48x32"}
    assert {kind for kind in chunks_of(png) if kind not in (b"IHDR", b"IDAT", b"IEND")} < {b"tEXt", b"iTXt"}


ORIGINALS = [encode(kind) for kind in FORMATS] + [encode("WEBP", lossless=True)]


@settings(deadline=None, max_examples=300)
@given(
    original=st.sampled_from(ORIGINALS), seed=st.integers(0, 2**32), reach=st.sampled_from([60, 300, 100_000])
)
def test_any_damage_to_a_picture_is_survived(original: bytes, seed: int, reach: int) -> None:
    """Flipped, lost and added bytes leave a picture, or an error of ours, and nothing else."""
    chance = random.Random(seed)
    data = bytearray(original)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(min(len(data), reach))
        data[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))

    with suppress(Unavailable, ContentRefused):
        png, width, height = pixels.to_png(bytes(data))
        with Image.open(io.BytesIO(png)) as image:
            assert image.size == (width, height)
