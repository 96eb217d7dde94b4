"""A picture's parameters, written into its file and read from it as Stable Diffusion's web UI does it.

    a red fox in the snow
    Negative prompt: people
    Steps: 4, Seed: 42, Size: 1024x1024, Model: FLUX.1-schnell, CFG scale: 3.5

A PNG holds them in a text chunk named `parameters`, JPEG and WebP in the user comment of their EXIF data.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator

KEYWORD = "parameters"
MAX_CHARACTERS = 32_768
MAX_CHUNKS = 20_000
EXIF_IFD, USER_COMMENT = 0x8769, 0x9286
UNICODE, ASCII = b"UNICODE\0", b"ASCII\0\0\0"


def describe(
    prompt: str,
    negative: str,
    *,
    steps: int | None,
    seed: int | None,
    size: tuple[int, int],
    model: str,
    guidance: float | None,
) -> str:
    """The parameters as text; what is None or empty is left out."""
    facts = {
        "Steps": steps,
        "Seed": seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model": _quoted(model),
        "CFG scale": None if guidance is None else f"{guidance:g}",
    }
    lines = [prompt, f"Negative prompt: {negative}"] if negative else [prompt]
    lines.append(", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None))
    text = "\n".join(lines).replace("\0", "")
    return text.encode("utf-8", "replace").decode()[:MAX_CHARACTERS]  # a half character is no text


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if set(value) & set(',:\n"') else value


def read_parameters(data: bytes) -> str | None:
    """The parameters that a PNG, JPEG or WebP file holds; None: it holds none.

    No pixel is decoded, and not more is read than 32,768 characters: it may be called for any file, on the
    event loop.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            text = next((text for text in map(_png_text, _png_chunks(data)) if text is not None), None)
        elif data.startswith(b"\xff\xd8"):
            text = _user_comment(_jpeg_exif(data))
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            text = _user_comment(_webp_exif(data))
        else:
            return None
    except (struct.error, ValueError, zlib.error):  # cut off, or made up
        return None
    return text[:MAX_CHARACTERS] if text else None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            yield kind, data[place + 8 : place + 8 + min(length, 4 * MAX_CHARACTERS)]
        place += 12 + length


def _png_text(chunk: tuple[bytes, bytes]) -> str | None:
    kind, content = chunk
    keyword, _, rest = content.partition(b"\0")
    if keyword != KEYWORD.encode():
        return None
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        return _inflate(rest[1:]).decode("latin-1")
    compressed, rest = rest[:1] == b"\1", rest[2:]
    *_, rest = rest.split(b"\0", 2)  # language and translated keyword
    return (_inflate(rest) if compressed else rest).decode("utf-8", "replace")


def _inflate(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, 4 * MAX_CHARACTERS)


def _jpeg_exif(data: bytes) -> bytes:
    place = 2
    for _ in range(MAX_CHUNKS):
        if place + 4 > len(data):
            break
        marker, kind, length = struct.unpack_from(">BBH", data, place)
        if marker != 0xFF or kind == 0xDA or length < 2:  # the pixels begin
            break
        content = data[place + 4 : place + 2 + length]
        if kind == 0xE1 and content.startswith(b"Exif\0\0"):
            return content[6:]
        place += 2 + length
    return b""


def _webp_exif(data: bytes) -> bytes:
    place = 12
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind == b"EXIF":
            return data[place + 8 : place + 8 + min(length, 8 * MAX_CHARACTERS)].removeprefix(b"Exif\0\0")
        place += 8 + length + length % 2
    return b""


def _user_comment(exif: bytes) -> str | None:
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None

    def entry(directory: int, tag: int) -> tuple[int, int] | None:
        """Length and place (or value) of a tag in the directory at this place."""
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for number in range(min(count, 500)):
            found, _, length, value = struct.unpack_from(f"{order}HHII", exif, directory + 2 + 12 * number)
            if found == tag:
                return length, value
        return None

    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    inner = entry(first, EXIF_IFD)
    comment = entry(inner[1], USER_COMMENT) if inner else None
    if comment is None:
        return None
    length, place = comment
    content = exif[place : place + min(length, 2 * MAX_CHARACTERS + 8)]
    if content.startswith(UNICODE):
        content = content[8:]
        # Not every program keeps to one order; of "Steps", say, the upper half of each unit is zero.
        upper_first = content[::2].count(0) >= content[1::2].count(0)
        return content.decode("utf-16-be" if upper_first else "utf-16-le", "replace")
    return content.removeprefix(ASCII).decode("utf-8", "replace").strip("\0")
