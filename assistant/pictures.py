"""A member's picture, made small enough to go along with a question."""

from __future__ import annotations

from providers.base import AttachedPicture
from providers.pictures import in_worker


class UnusablePicture(Exception):
    """A picture that cannot be made use of; the text says why, as in "is damaged"."""


def is_picture(data: bytes) -> bool:
    """Whether this begins as one of the formats does."""
    return data.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8")) or (
        data.startswith(b"RIFF") and data[8:12] == b"WEBP"
    )


async def shrink(data: bytes) -> AttachedPicture:
    """The picture upright, at most 1,280 pixels a side and 200 KB, without its metadata.

    Of an animation, the first frame. JPEG, or PNG where something is transparent. Raises UnusablePicture,
    before a pixel is decoded when there are more than 13 million, or 50 in a JPEG that comes in one scan.
    """
    return await in_worker(_shrink, data)


def _shrink(data: bytes) -> AttachedPicture:
    from assistant import shrinking  # with Pillow, which most starts do without

    return shrinking.shrink(data)
