"""Pictures as files: what a vendor sends is checked before anything decodes it, and leaves as plain PNG.

Pixels are decoded and encoded in two worker threads of this module's own, so that neither the event loop
waits for them nor a crowd of pictures is in memory at once.
"""

from __future__ import annotations

import asyncio
import binascii
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError

from providers.base import ContentRefused, Unavailable
from providers.errors import safe_detail
from providers.parameters import as_exif, as_png_text, read_parameters

T = TypeVar("T")

MAX_SIDE = 4096
FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow raises for a picture that it cannot decode.
UNDECODABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# What is tried in turn for a picture that is too large as PNG.
SMALLER = (("WEBP", 90), ("WEBP", 75), ("WEBP", 50), ("JPEG", 60), ("JPEG", 30), ("JPEG", 10))
BASE64_PIECE = 1024 * 1024  # decoding holds the interpreter: no longer than a few milliseconds at a time

_workers = ThreadPoolExecutor(2, thread_name_prefix="pictures")
# Warning filters belong to the process and not to a thread.
_one_at_a_time = threading.Lock()

Describe = Callable[[int, int], str]  # from a picture's width and height to the text of its parameters


class UnusablePicture(Unavailable):
    """What came is no picture that can be passed on. The vendor made it, so it may cost."""

    sentence = "The model sent something that is not a usable picture."


class PictureTooLarge(Exception):
    """A picture that no encoding makes small enough."""


def broken_picture(detail: str, sentence: str = "") -> UnusablePicture:
    """The error for a picture that came but is of no use."""
    return UnusablePicture(detail, sentence=sentence, maybe_billed=True)


def flagged_picture(detail: str) -> ContentRefused:
    """The error for a picture that the vendor's filter took back after it was made, and so charges for."""
    sentence = "The model made this picture, but its content filter does not let it out. Try other words."
    return ContentRefused(detail, sentence=sentence, maybe_billed=True)


async def in_worker(work: Callable[..., T], *arguments: Any) -> T:
    """Run slow work on a picture in one of the worker threads."""
    return await asyncio.get_running_loop().run_in_executor(_workers, work, *arguments)


async def to_png(
    data: bytes, describe: Describe | None = None, *, secret: str = ""
) -> tuple[bytes, int, int]:
    """Return the picture as PNG with nothing but its pixels and the parameters, its width and its height.

    PNG, JPEG and WebP up to 4096 pixels a side are taken, told apart by content and not by name. Raises
    UnusablePicture for anything else, animated, cut off or too large, and ContentRefused for a picture of
    one colour, which is what a filter leaves. `secret` is the credential that was sent: the error quotes what
    came in place of a picture, but not this.
    """
    return await in_worker(_to_png, data, secret, describe)


def encode_png(image: Image.Image, parameters: str = "") -> bytes:
    """Encode as PNG; slow for large pictures, so call it in a worker thread."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3, pnginfo=as_png_text(parameters))
    return buffer.getvalue()


@contextmanager
def open_picture(data: bytes, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open a picture for one block, its pixels not decoded yet; call it in a worker thread.

    The formats are told apart by content. Only one picture is open at a time, and Pillow's warnings, of
    large pictures and of broken metadata, are silenced: check `size` before decoding. Raises, like the
    decoding inside the block, one of UNDECODABLE.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=formats) as image:
            yield image


def has_transparency(image: Image.Image) -> bool:
    """Whether the picture's format says that some of it may be transparent."""
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def decode_base64(text: str) -> bytes:
    """The bytes of a base64 text; slow for large ones, as above. Raises UnusablePicture."""
    pieces = (text[start : start + BASE64_PIECE] for start in range(0, len(text), BASE64_PIECE))
    try:
        return b"".join(binascii.a2b_base64(piece, strict_mode=True) for piece in pieces)
    except (binascii.Error, ValueError):
        raise broken_picture("the picture's base64 is broken") from None


async def shrink_to(png: bytes, limit: int) -> tuple[bytes, str]:
    """The picture in at most `limit` bytes, and the extension of its format: png, webp or jpg.

    As it is where that will do; else as WebP, then as JPEG, with quality going down. Its parameters go along,
    as EXIF. Raises PictureTooLarge when even the last is too large.
    """
    if len(png) <= limit:
        return png, "png"
    return await in_worker(_shrink_to, png, limit)


def _shrink_to(png: bytes, limit: int) -> tuple[bytes, str]:
    exif = as_exif(read_parameters(png) or "")
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        for kind, quality in SMALLER:
            buffer = io.BytesIO()
            pixels = image.convert("RGB") if kind == "JPEG" and image.mode != "RGB" else image
            pixels.save(buffer, kind, quality=quality, exif=exif)
            if buffer.tell() <= limit:
                return buffer.getvalue(), "webp" if kind == "WEBP" else "jpg"
    raise PictureTooLarge(f"{len(png):,} bytes do not fit into {limit:,}")


def _to_png(data: bytes, secret: str = "", describe: Describe | None = None) -> tuple[bytes, int, int]:
    try:
        image = _decode(data)
    except UnidentifiedImageError:
        beginning = ascii(safe_detail(data[:2048].decode("utf-8", "replace"), secret)[:80])
        raise broken_picture(f"the vendor sent no picture but: {beginning}") from None
    except Image.DecompressionBombError:
        raise _too_large("more than 178 million") from None
    except UNDECODABLE as error:
        raise broken_picture(f"the picture cannot be decoded: {type(error).__name__}") from None
    if _is_blank(image):
        raise flagged_picture("the picture has one colour only")
    image.info.clear()
    width, height = image.size
    return encode_png(image, describe(width, height) if describe else ""), width, height


def _decode(data: bytes) -> Image.Image:
    """The pixels, as RGB or RGBA. Raises one of UNDECODABLE, and UnusablePicture."""
    with open_picture(data, FORMATS) as image:
        if max(image.size) > MAX_SIDE:
            raise _too_large(f"{image.width} x {image.height}")
        if getattr(image, "n_frames", 1) != 1:
            raise broken_picture("the picture is animated")
        image.load()
        return image.convert("RGBA" if has_transparency(image) else "RGB")


def _too_large(pixels: str) -> UnusablePicture:
    most = f"{MAX_SIDE} x {MAX_SIDE} is the most that is taken"
    return broken_picture(
        f"the picture has {pixels} pixels", f"The model sent a picture of {pixels} pixels; {most}."
    )


def _is_blank(image: Image.Image) -> bool:
    """Whether the picture has one colour, give or take what JPEG makes of it."""

    def has_one_colour(pixels: Image.Image) -> bool:
        bands = (band.histogram() for band in pixels.split())
        used = ([value for value, count in enumerate(band) if count] for band in bands)
        return all(values[-1] - values[0] <= 8 for values in used)

    return has_one_colour(image.resize((16, 16), Image.Resampling.NEAREST)) and has_one_colour(image)
