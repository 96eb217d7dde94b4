"""The work on the pixels of a member's picture. Slow: it is called in a worker thread."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import ExifTags, Image

from assistant.pictures import UnusablePicture
from providers.base import AttachedPicture
from providers.pixels import UNDECODABLE, encode_png, has_transparency, open_picture

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


def shrink(data: bytes) -> AttachedPicture:
    """See `assistant.pictures.shrink`."""
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
