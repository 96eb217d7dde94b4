"""JPEG files that are small and take minutes to read: refused, and what cameras write is not."""

from __future__ import annotations

import asyncio
import io
import random
import struct
import time
from typing import Any

import pytest
from PIL import Image

from assistant.attachments import UnreadableFile, read_file
from providers.jpeg import MOST_SCANS, MOST_SEGMENTS, takes_too_long
from providers.pictures import UnusablePicture, to_png
from providers.pixels import FORMATS, open_picture
from tests.fakes import small_png


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def packed(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")


def slow_jpeg(side: int, scans: int) -> bytes:
    """A grey square in a progressive JPEG, whose every scan goes over all of it and has 34 bytes at most."""
    blocks = (side // 8) ** 2
    runs = "".join(
        f"0{min(left, 32_767) - 16_384:014b}" if left >= 16_384 else "10" * left
        for left in range(blocks, 0, -32_767)
    )
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, b"\0" + bytes([1] * 64)),
            segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0])),
            segment(0xC4, bytes([0x00, 1, 1, *[0] * 14, 0, 8])),
            segment(0xC4, bytes([0x10, 1, 1, *[0] * 14, 0xE0, 0])),
            segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + packed("1011111111" + "0" * (blocks - 1)),
            (segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + packed(runs)) * scans,
            b"\xff\xd9",
        )
    )


def photograph(**options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((320, 240), 60).convert("RGB").save(buffer, "JPEG", **options)
    return buffer.getvalue()


async def test_a_jpeg_of_very_many_scans_is_refused_at_once() -> None:
    """Decoding it would take minutes; as an attachment and from a vendor it is told by its scans alone."""
    slow = slow_jpeg(4096, 20_000)
    assert len(slow) < 800_000
    began = time.perf_counter()

    with pytest.raises(UnreadableFile, match="cannot be opened"):
        await read_file("cat.jpg", slow)
    with pytest.raises(UnusablePicture):
        await to_png(slow)

    assert time.perf_counter() - began < 2


def test_the_scans_that_programs_write_are_taken() -> None:
    """Up to a hundred, which no program comes near; each is counted."""
    assert not takes_too_long(slow_jpeg(64, MOST_SCANS - 1))
    assert takes_too_long(slow_jpeg(64, MOST_SCANS))


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xFE])
@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "within another"])
def test_a_jpeg_of_very_many_segments_is_refused(marker: int, hidden: bool) -> None:
    """Pillow takes each for itself, also those that stand in one which it does not know."""
    segments = segment(marker, b"Exif\0\0a") * (MOST_SEGMENTS + 1)
    data = photograph()

    assert takes_too_long(data[:2] + (segment(0xC8, segments) if hidden else segments) + data[2:])


@pytest.mark.parametrize(
    "data",
    [
        photograph(progressive=True),
        photograph(restart_marker_blocks=1, quality=95),
        photograph() + random.Random(1).randbytes(3_000_000),
        photograph(exif=b"Exif\0\0" + random.Random(2).randbytes(60_000), comment=b"\xff\xda" * 500),
        photograph(icc_profile=random.Random(3).randbytes(5_000_000)),
        photograph()[:-2] + b"\xff" * 20_000_000 + b"\xff\xd9",
    ],
    ids=["progressive", "restarts", "a film behind it", "metadata", "a large profile", "filling"],
)
def test_what_cameras_and_programs_write_is_taken(data: bytes) -> None:
    """What only looks like scans, or belongs to something else in the file, does not count."""
    assert not takes_too_long(data)


async def test_nobody_waits_for_a_picture_that_another_opens() -> None:
    """One picture being decoded, however slowly, keeps no other from being opened."""
    with open_picture(photograph(), FORMATS):
        async with asyncio.timeout(5):
            assert (await to_png(small_png(64, 64)))[1:] == (64, 64)
