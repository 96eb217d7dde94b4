"""Pictures that members attach: checked before they are decoded, then made small."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from assistant.attachments import UnreadableFile, read_file
from providers.base import AttachedPicture
from tests.assistant.files import empty_png, encode

ROOT = Path(__file__).parents[2]
# Prints by how many KiB a process grows at its peak while it reads a file, and the refusal.
MEASURE = """
import asyncio, sys
from pathlib import Path
from assistant.attachments import UnreadableFile, read_file
from tests.assistant.test_attached_pictures import encode, Image

def memory(name):
    return int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0])

data = sys.stdin.buffer.read()
for kind in ("PNG", "JPEG", "WEBP", "GIF"):
    asyncio.run(read_file("small", encode(Image.new("RGB", (9, 9)), kind)))
before = memory("VmHWM")
refusal = ""
try:
    asyncio.run(read_file("sky.png", data))
except UnreadableFile as reason:
    refusal = reason
print(memory("VmHWM") - before, refusal)
"""
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
CANARY = "taken at 51.5 north by ada"


async def read(data: bytes, name: str = "picture") -> tuple[AttachedPicture, Image.Image]:
    """What a model is shown of a picture, and the same decoded."""
    attached = await read_file(name, data)
    assert attached.text == ""
    assert attached.picture is not None
    return attached.picture, Image.open(io.BytesIO(attached.picture.data))


def colours(image: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    """Red, green and blue of one pixel."""
    red, green, blue = image.convert("RGB").crop((x, y, x + 1, y + 1)).tobytes()
    return red, green, blue


def gradient(width: int, height: int) -> Image.Image:
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.frombytes(mode, (width, height), os.urandom(width * height * len(mode)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_every_kind_becomes_a_jpeg_whatever_its_name_says(kind: str) -> None:
    """Kinds are told apart by content; a small picture keeps its size."""
    picture, image = await read(encode(gradient(300, 200), kind), name="notes.txt")

    assert picture.media_type == "image/jpeg"
    assert (image.format, image.size, image.mode) == ("JPEG", (300, 200), "RGB")
    assert min(colours(image, 150, 195)) > 200


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (1281, 10), (10, 9000)])
async def test_a_large_picture_is_scaled_down_in_its_shape(size: tuple[int, int]) -> None:
    """The longer side is 1,280 pixels then, and the other follows."""
    _, image = await read(encode(gradient(*size), "JPEG"))

    assert max(image.size) == 1280
    assert min(image.size) == max(1, round(min(size) * 1280 / max(size)))


@pytest.mark.parametrize(
    ("picture", "kind"),
    [(noise(2000, 1500), "PNG"), (noise(1280, 1280), "JPEG"), (noise(900, 900, "RGBA"), "PNG")],
    ids=["PNG", "JPEG", "transparent"],
)
async def test_no_picture_is_larger_than_200_kb(picture: Image.Image, kind: str) -> None:
    """What quality cannot do, fewer pixels do: even noise, which nothing compresses, gets through."""
    attached, image = await read(encode(picture, kind))

    assert len(attached.data) <= 200 * 1024
    assert min(image.size) > 200
    assert attached.media_type == ("image/png" if picture.mode == "RGBA" else "image/jpeg")


async def test_what_is_transparent_stays_so() -> None:
    """A picture with transparent parts becomes a PNG; one that merely could have some becomes a JPEG."""
    seen_through = Image.new("RGBA", (40, 30), (255, 0, 0, 255))
    seen_through.putpixel((0, 0), (0, 0, 0, 0))
    palette = Image.new("P", (40, 30), 1)

    transparent, image = await read(encode(seen_through, "WEBP", lossless=True))
    keyed, keyed_image = await read(encode(palette, "GIF", transparency=1))
    opaque, _ = await read(encode(Image.new("RGBA", (40, 30), "red"), "PNG"))

    assert transparent.media_type == keyed.media_type == "image/png"
    assert image.getpixel((0, 0)) == (0, 0, 0, 0)
    assert image.getpixel((20, 20)) == (255, 0, 0, 255)
    assert keyed_image.convert("RGBA").getpixel((20, 20)) == (0, 0, 0, 0)
    assert opaque.media_type == "image/jpeg"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
async def test_of_an_animation_the_first_frame_is_shown(kind: str) -> None:
    """The rest of it is not decoded."""
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue", "green")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])

    _, image = await read(data)

    assert getattr(image, "n_frames", 1) == 1
    red, _, blue = colours(image, 30, 20)
    assert red > 200
    assert blue < 50


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_picture_is_turned_as_its_camera_was_held(orientation: int, kind: str) -> None:
    """The corner that is the top left one for people is the top left one for the model."""
    upright = Image.new("RGB", (80, 40), "white")
    upright.paste("black", (0, 0, 20, 10))
    # What a camera stores, so that the orientation's turn gives the upright picture back.
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encode(upright.transpose(stored) if stored is not None else upright, kind, exif=exif)

    _, image = await read(data)

    assert image.size == (80, 40)
    corners = [colours(image, *place) for place in ((5, 3), (75, 3), (5, 37), (75, 37))]
    assert [max(corner) < 128 for corner in corners] == [True, False, False, False]


async def test_no_metadata_goes_along() -> None:
    """Where and by whom a picture was taken is nobody's business: EXIF, comments, texts and profiles go."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = CANARY
    picture = gradient(50, 50)
    picture.info["comment"] = CANARY.encode()
    transparent = Image.new("RGBA", (50, 50))
    for data in (
        encode(picture, "JPEG", exif=exif, icc_profile=CANARY.encode()),
        encode(picture, "WEBP", exif=exif, xmp=CANARY.encode()),
        encode(transparent, "PNG", exif=exif, icc_profile=CANARY.encode()),
    ):
        assert CANARY.encode() in data or b"iCCP" in data
        attached, image = await read(data)
        assert CANARY.encode() not in attached.data
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}


async def test_broken_metadata_costs_nothing_but_itself() -> None:
    """A picture whose EXIF is nonsense is shown as it is."""
    _, image = await read(encode(gradient(50, 40), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0"))

    assert image.size == (50, 40)


async def test_deep_grey_and_print_colours_are_understood() -> None:
    """16 bits a pixel and CMYK become what every vendor takes."""
    _, grey = await read(encode(Image.new("I;16", (20, 20), 40_000), "PNG"))
    _, ink = await read(encode(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"))

    assert colours(grey, 10, 10)[0] in range(150, 163)  # 40,000 of 65,535
    red, green, _ = colours(ink, 10, 10)
    assert red > 200
    assert green < 60


def peak(data: bytes) -> tuple[int, str]:
    """By how many KiB a process grows that reads a picture, and the sentence with which it refuses it."""
    process = subprocess.run(
        [sys.executable, "-c", MEASURE], input=data, capture_output=True, cwd=ROOT, check=True, timeout=60
    )
    grown, _, sentence = process.stdout.decode().strip().partition(" ")
    return int(grown), sentence


@on_linux
def test_a_bomb_is_refused_without_being_decoded() -> None:
    """A PNG of 20 KB that would take half a gigabyte costs its header alone, in a process that shows it."""
    bomb = empty_png(13_000, 13_000)
    assert len(bomb) < 25_000

    grown, sentence = peak(bomb)

    most = "where 13 million are the most. Attach another picture."
    assert sentence == f"sky.png has 13,000 x 13,000 pixels, {most}"
    assert grown < 20_000  # decoded it would be 160,000 and more


@on_linux
@pytest.mark.parametrize(
    ("picture", "kind", "options"),
    [
        (Image.new("P", (4160, 3120)), "PNG", {"transparency": 0}),
        (Image.new("LA", (4160, 3120)), "PNG", {}),
        (Image.new("RGBA", (4160, 3120), (1, 2, 3, 4)), "WEBP", {}),
        (Image.new("P", (4160, 3120)), "GIF", {"transparency": 0}),
        (Image.new("CMYK", (4160, 3120)), "JPEG", {"progressive": True}),
        (Image.new("CMYK", (8660, 5770)), "JPEG", {}),
    ],
    ids=["palette", "grey", "WebP", "GIF", "progressive", "camera"],
)
def test_the_largest_pictures_fit_beside_the_bot(
    picture: Image.Image, kind: str, options: dict[str, object]
) -> None:
    """What is let through takes some 220 MiB at most, in a container that has 512."""
    grown, sentence = peak(encode(picture, kind, **options))

    assert sentence == ""
    assert grown < 230 * 1024


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("WEBP", {}), ("GIF", {}), ("JPEG", {"progressive": True})],
    ids=["PNG", "WebP", "GIF", "progressive"],
)
async def test_only_a_jpeg_in_one_scan_may_have_more_pixels(kind: str, options: dict[str, object]) -> None:
    """All others are held as a whole while they are decoded, however few bytes they are."""
    picture = Image.new("L", (4000, 3300))

    with pytest.raises(UnreadableFile, match=r"^x has 4,000 x 3,300 pixels, where 13 million are the most"):
        await read_file("x", encode(picture, kind, **options))
    await read(encode(picture, "JPEG"))


async def test_more_pixels_than_pillow_opens_are_refused_too() -> None:
    """Pillow's own check comes before ours for the largest; the member reads a sentence all the same."""
    with pytest.raises(UnreadableFile, match=r"^x has too many pixels\. Attach another picture\.$"):
        await read_file("x", empty_png(20_000, 10_000))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.1, 0.6])
async def test_a_picture_that_was_cut_off_is_refused(kind: str, part: float) -> None:
    """Half a picture is told as damaged, not shown as a half-grey one."""
    data = encode(noise(200, 200), kind)

    with pytest.raises(UnreadableFile, match=r"^x cannot be opened: it may be damaged\. Attach another pict"):
        await read_file("x", data[: int(len(data) * part)])
