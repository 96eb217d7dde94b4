"""A picture's parameters in its file: written as other tools do, and read from any file within bounds."""

from __future__ import annotations

import io
import struct
import time
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import PngImagePlugin

from providers.parameters import MAX_CHARACTERS, describe, read_parameters
from providers.pixels import as_exif, as_png_text
from tests.fakes import small_picture

TEXT = "a fox\nNegative prompt: people\nSteps: 4, Seed: 1"


def save(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    small_picture(32, 24).save(buffer, kind, **options)
    return buffer.getvalue()


def with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with these chunks behind its header."""
    png = save("PNG")
    added = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return png[:33] + added + png[33:]


def test_the_text_is_that_of_the_web_ui() -> None:
    """Prompt, negative prompt, then the facts on one line; what there is none of is left out."""
    facts: dict[str, Any] = {"steps": 4, "seed": 1, "size": (1024, 768), "model": "FLUX.1-schnell"}

    assert describe("a fox", "people", guidance=3.5, **facts) == (
        "a fox\nNegative prompt: people\n"
        "Steps: 4, Seed: 1, Size: 1024x768, Model: FLUX.1-schnell, CFG scale: 3.5"
    )
    bare = facts | {"steps": None, "seed": None, "model": "a: b, c"}
    assert describe("a fox", "", guidance=None, **bare) == 'a fox\nSize: 1024x768, Model: "a: b, c"'


@given(st.text(max_size=60).filter(bool))
def test_any_prompt_comes_back_from_the_file(prompt: str) -> None:
    """Every prompt that is text, in any script, is read from PNG, JPEG and WebP as it was written."""
    text = describe(prompt, "", steps=4, seed=1, size=(8, 8), model="m", guidance=None)

    for kind in ("PNG", "JPEG", "WEBP"):
        options = {"pnginfo": as_png_text(text)} if kind == "PNG" else {"exif": as_exif(text)}
        assert read_parameters(save(kind, **options)) == text
    assert prompt.replace("\0", "").encode("utf-8", "replace").decode() in text


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("text", [TEXT, f"{TEXT} \N{FOX FACE}"])
def test_files_of_other_tools_are_read(text: str, zipped: bool) -> None:
    """tEXt, zTXt and iTXt, packed or not, before or behind other texts, all hold parameters."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "another tool")
    info.add_itxt("parameters", text, zip=zipped) if not text.isascii() else info.add_text(
        "parameters", text, zip=zipped
    )
    info.add_text("prompt", "{}")

    assert read_parameters(save("PNG", pnginfo=info)) == text


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "ascii"])
def test_the_user_comment_is_read_in_either_order(order: str, encoding: str) -> None:
    """Programs disagree on the order of bytes: the text itself decides."""
    content = (b"ASCII\0\0\0" if encoding == "ascii" else b"UNICODE\0") + TEXT.encode(encoding)
    head = b"II*\0" if order == "<" else b"MM\0*"
    inner = struct.pack(f"{order}HHHIII", 1, 0x9286, 7, len(content), 26 + 18, 0)
    exif = head + struct.pack(f"{order}IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0) + inner + content

    assert read_parameters(save("JPEG", exif=b"Exif\0\0" + exif)) == TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP",
        b"<html>",
        save("PNG"),
        save("JPEG"),
        save("WEBP"),
        save("GIF"),
        with_chunks((b"tEXt", b"Comment\0parameters")),
        with_chunks((b"tEXt", b"parameters\0")),
        with_chunks((b"zTXt", b"parameters\0\0no zlib")),
        with_chunks((b"iTXt", b"parameters\0")),
    ],
)
def test_a_file_without_parameters_has_none(data: bytes) -> None:
    """Other files, other texts and broken ones are no error."""
    assert read_parameters(data) is None


def test_what_is_read_is_bounded() -> None:
    """A text of a megabyte is cut, and one that unpacks to a gigabyte is not unpacked further."""
    long = with_chunks((b"tEXt", b"parameters\0" + b"a" * 1_000_000))
    bomb = with_chunks((b"zTXt", b"parameters\0\0" + zlib.compress(bytes(100_000_000))))

    assert read_parameters(long) == "a" * MAX_CHARACTERS
    assert len(read_parameters(bomb) or "") == MAX_CHARACTERS


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + (struct.pack(">I", 0) + b"tEXt" + bytes(4)) * 2_000_000,
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 6_000_000,
        b"RIFF\0\0\0\0WEBP" + b"ABCD\0\0\0\0" * 3_000_000,
    ],
    ids=["PNG", "JPEG", "WebP"],
)
def test_a_file_of_nothing_but_parts_takes_no_time(data: bytes) -> None:
    """25 MB of empty parts are given up on before the event loop would feel it."""
    started = time.perf_counter()

    assert read_parameters(data) is None

    assert time.perf_counter() - started < 0.25


@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_damage_is_survived(noise: bytes, place: int) -> None:
    """Whatever stands in a file, the answer is a text or nothing."""
    for kind, options in (("PNG", {"pnginfo": as_png_text(TEXT)}), ("JPEG", {"exif": as_exif(TEXT)})):
        data = save(kind, **options)

        read_parameters(data[:place] + noise + data[place + len(noise) :])
        read_parameters(data[: place * 10])
