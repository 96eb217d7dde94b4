"""The work on the pixels of a member's picture. Slow: it is called in a worker thread."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import ExifTags, Image

from assistant.pictures import UnusablePicture
from providers.base import AttachedPicture
from providers.pixels import UNDECODABLE, encode_png, has_transparency, open_picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
# Decoded, this many take some 200 MiB for a moment, in whatever format.
MAX_PIXELS = 13_000_000
# A JPEG in one scan is made smaller while it is decoded, and never held as a whole.
MAX_JPEG_PIXELS = 50_000_000
MAX_SIDE = 1280
MAX_BYTES = 200 * 1024
# Markers in a JPEG: of the frames that may come in one scan, and of a scan.
SEQUENTIAL = (0xC0, 0xC1)
SCAN = 0xDA
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
            most = MAX_JPEG_PIXELS if image.format == "JPEG" and _is_one_scan(data) else MAX_PIXELS
            if image.width * image.height > most:
                size = f"{image.width:,} x {image.height:,} pixels"
                raise UnusablePicture(f"has {size}, where {most // 10**6} million are the most")
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


def _is_one_scan(jpeg: bytes) -> bool:
    """Whether all of a JPEG comes in one go, as it does from cameras; False too where its header is odd."""
    at, components = 2, 0
    while jpeg[at : at + 1] == b"\xff":
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == SCAN:
            return jpeg[at + 4] == components
        if marker in SEQUENTIAL:
            components = jpeg[at + 9]
        at += 2 + max(length, 2)
    return False


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
