"""Pictures as files: what a vendor sends is checked before anything decodes it, and leaves as plain PNG.

Pixels are decoded and encoded in two worker threads of this module's own, so that neither the event loop
waits for them nor a crowd of pictures is in memory at once. Pillow comes in with the first picture (see
`providers.pixels`): most starts are sooner done without its 3 MiB.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from providers.base import ContentRefused, Unavailable

T = TypeVar("T")

BASE64_PIECE = 1024 * 1024  # decoding holds the interpreter: no longer than a few milliseconds at a time

_workers = ThreadPoolExecutor(2, thread_name_prefix="pictures")

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
    return await in_worker(_to_png, data, describe, secret)


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


def _to_png(data: bytes, describe: Describe | None, secret: str) -> tuple[bytes, int, int]:
    from providers import pixels

    return pixels.to_png(data, describe, secret=secret)


def _shrink_to(png: bytes, limit: int) -> tuple[bytes, str]:
    from providers import pixels

    return pixels.shrink_to(png, limit)
