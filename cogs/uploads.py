"""Files on their way to Discord."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import discord

# A host's line that sends more slowly than this cannot deliver pictures.
LEAST_BYTES_PER_SECOND = 250_000


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be sent. `description` is what is read out in place of a picture."""

    name: str
    content: bytes
    description: str = ""
    spoiler: bool = False


def opened(files: Sequence[Upload]) -> list[discord.File]:
    """The files as discord.py takes them; made anew for each try, since sending one reads it to its end."""
    return [
        discord.File(
            io.BytesIO(file.content),
            file.name,
            spoiler=file.spoiler,
            description=file.description or None,
        )
        for file in files
    ]


def upload_seconds(files: Sequence[Upload]) -> float:
    """How long it may take to send them."""
    return sum(len(file.content) for file in files) / LEAST_BYTES_PER_SECOND
