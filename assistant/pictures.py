"""A member's picture, made small enough to go along with a question."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import ExifTags, Image

from providers.base import AttachedPicture
from providers.pictures import UNDECODABLE, encode_png, has_transparency, open_picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAX_PIXELS = 50_000_000
MAX_SIDE = 1280
MAX_BYTES = 200 * 1024
JPEG_QUALITIES = (85, 70, 50)

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnusablePicture(Exception):
    """A picture that cannot be made use of; the text says why, as in "is damaged"."""


def is_picture(data: bytes) -> bool:
    """Whether this begins as one of the formats does."""
    return data.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8")) or (
        data.startswith(b"RIFF") and data[8:12] == b"WEBP"
    )


def shrink(data: bytes) -> AttachedPicture:
    """The picture upright, at most 1,280 pixels a side and 200 KB, without its metadata.

    Of an animation, the first frame. JPEG, or PNG where something is transparent. Slow: call it in a worker
    thread. Raises UnusablePicture, before a pixel is decoded when there are more than 50 megapixels.
    """
    try:
        with open_picture(data, FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnusablePicture(f"has {image.width:,} x {image.height:,} pixels, which is too large")
            image.draft(None, (MAX_SIDE, MAX_SIDE))  # lets a large JPEG be decoded at half its size, or less
            image.load()
            turn = UPRIGHT.get(_orientation(image))
            mode = "RGBA" if has_transparency(image) else "RGB"
            if image.mode.startswith("I"):  # 16 bits a pixel, of which a conversion would keep the lower 8
                image = image.point(lambda value: value / 256).convert("L")
            pixels = image if image.mode == mode else image.convert(mode)
            pixels.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
            pixels = pixels.transpose(turn) if turn is not None else pixels.copy()
    except Image.DecompressionBombError:
        raise UnusablePicture("has too many pixels") from None
    except UNDECODABLE:
        raise UnusablePicture("cannot be opened: it may be damaged") from None
    pixels.info.clear()
    return _encode(pixels)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken metadata says nothing, in many ways
        return 1


def _encode(pixels: Image.Image) -> AttachedPicture:
    """As good as 200 KB allow: with less quality first, then with fewer pixels."""
    transparent = pixels.mode == "RGBA" and pixels.getchannel("A").getextrema() != (255, 255)
    while True:
        for data in _as_png(pixels) if transparent else _as_jpeg(pixels.convert("RGB")):
            if len(data) <= MAX_BYTES:
                return AttachedPicture("image/png" if transparent else "image/jpeg", data)
        pixels = pixels.resize((max(1, pixels.width * 3 // 4), max(1, pixels.height * 3 // 4)))


def _as_jpeg(pixels: Image.Image) -> Iterator[bytes]:
    for quality in JPEG_QUALITIES:
        buffer = io.BytesIO()
        pixels.save(buffer, "JPEG", quality=quality)
        yield buffer.getvalue()


def _as_png(pixels: Image.Image) -> Iterator[bytes]:
    yield encode_png(pixels)
    yield encode_png(pixels.quantize(256, Image.Quantize.FASTOCTREE))
