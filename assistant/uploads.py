"""Pictures as files that Discord takes: PNG where it fits, and else smaller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from providers.base import Picture
from providers.pictures import PictureTooLarge, shrink_to

# A whole request to Discord, all its files together.
REQUEST_BYTES = 25 * 1024 * 1024
# What else there is in a request than files.
RESERVED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture's file and its name."""

    name: str
    data: bytes = field(repr=False)


async def make_files(pictures: Sequence[Picture], file_limit: int) -> tuple[list[PictureFile], list[str]]:
    """A file for each picture, of at most `file_limit` bytes, and a sentence for what had to be done for it.

    A picture that no encoding makes small enough has no file.
    """
    limit = min(file_limit, (REQUEST_BYTES - RESERVED_BYTES) // max(len(pictures), 1))
    files: list[PictureFile] = []
    names: set[str] = set()
    kinds: set[str] = set()
    lost = 0
    for place, picture in enumerate(pictures, 1):
        try:
            data, extension = await shrink_to(picture.png, limit)
        except PictureTooLarge:
            lost += 1
            continue
        kinds.add(extension)
        name = f"picture-{place if picture.seed is None else picture.seed}"
        if name in names:  # as after the seed that a vendor chose itself
            name += f"-{place}"
        names.add(name)
        files.append(PictureFile(f"{name}.{extension}", data))
    notes = []
    if smaller := " or ".join(name for kind, name in (("webp", "WebP"), ("jpg", "JPEG")) if kind in kinds):
        notes.append(f"As PNG larger than this server takes, so sent as {smaller}.")
    if lost:
        which = "The picture" if len(pictures) == 1 else f"{lost} of the {len(pictures)} pictures"
        notes.append(f"{which} cannot be made small enough for this server. Choose a smaller size.")
    return files, notes
