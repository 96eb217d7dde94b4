"""Checking what a vendor sends as a picture, before anything decodes it."""

from __future__ import annotations

import asyncio
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from providers.base import Unavailable
from providers.errors import safe_detail

MAX_SIDE = 4096
FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow raises for a picture that it cannot decode.
UNDECODABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)

# Warning filters belong to the process and not to a thread; and one picture's pixels in memory are enough.
_one_at_a_time = threading.Lock()


def broken_picture(detail: str) -> Unavailable:
    """The error for a picture that came but is of no use: the vendor made it, so it may cost."""
    return Unavailable(detail, maybe_billed=True)


async def to_png(data: bytes, *, secret: str = "") -> tuple[bytes, int, int]:
    """Return the picture as PNG without its metadata, its width and its height, in a worker thread.

    PNG, JPEG and WebP up to 4096 pixels a side are taken, told apart by content and not by name.
    Raises Unavailable for anything else, animated, cut off or too large. `secret` is the credential that
    was sent: the error quotes what came in place of a picture, but not this.
    """
    return await asyncio.to_thread(_to_png, data, secret)


def encode_png(image: Image.Image) -> bytes:
    """Encode as PNG; slow for large pictures, so call it in a worker thread."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
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


def _to_png(data: bytes, secret: str = "") -> tuple[bytes, int, int]:
    try:
        with open_picture(data, FORMATS) as image:
            if max(image.size) > MAX_SIDE:
                raise broken_picture(f"the picture has {image.width}x{image.height} pixels")
            if getattr(image, "n_frames", 1) != 1:
                raise broken_picture("the picture is animated")
            image.load()
            pixels = image.convert("RGBA" if has_transparency(image) else "RGB")
    except UnidentifiedImageError:
        beginning = ascii(safe_detail(data[:2048].decode("utf-8", "replace"), secret)[:80])
        raise broken_picture(f"the vendor sent no picture but: {beginning}") from None
    except UNDECODABLE as error:
        raise broken_picture(f"the picture cannot be decoded: {type(error).__name__}") from None
    pixels.info.clear()
    return encode_png(pixels), pixels.width, pixels.height
