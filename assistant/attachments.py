"""Files that go along with a question: told apart by content, and made ready for a model."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from assistant.pdf_text import MAX_CHARACTERS, UnusablePdf, read_pdf
from assistant.pictures import UnusablePicture, is_picture, shrink
from providers.base import AttachedPicture

LARGEST_BYTES = 20 * 1024 * 1024
LARGEST_PDF_BYTES = 10 * 1024 * 1024
LARGEST_TEXT_BYTES = 256 * 1024
LONGEST_NAME = 80
LONGEST_BACKTICKS = 10
LINE_ENDS = "\r\n"

WHAT_WORKS = "Attach a picture (PNG, JPEG, WebP or GIF), a text file or a PDF."

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Controls that no text has; tabs, line and page ends, and the escape of coloured logs are let through.
NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class UnreadableFile(Exception):
    """A file that no model could be shown; the text is for the member."""


@dataclass(frozen=True, slots=True)
class Attached:
    """What a model is shown of a file: a picture, or else a text with the file's name around it."""

    text: str = ""
    picture: AttachedPicture | None = None


def check_size(name: str, size: int) -> None:
    """Refuse what is too large whatever it holds, before it is fetched. Raises UnreadableFile."""
    if size > LARGEST_BYTES:
        raise UnreadableFile(f"{plain_name(name)} is too large. Attach a file of at most 20 MB.")


async def read_file(name: str, data: bytes) -> Attached:
    """Read a file of any kind; what its name says of its kind is not believed. Raises UnreadableFile.

    Pictures are made smaller (see `assistant.pictures`), texts are cut at 60,000 characters.
    """
    check_size(name, len(data))
    name = plain_name(name)
    if is_picture(data):
        try:
            return Attached(picture=await shrink(data))
        except UnusablePicture as reason:
            raise UnreadableFile(f"{name} {reason}. Attach another picture.") from None
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return await _read_pdf(name, data)
    if len(data) > LARGEST_TEXT_BYTES:
        if NO_TEXT.search(data[:4096].decode("latin-1")):
            raise UnreadableFile(f"{name} cannot be read. {WHAT_WORKS}")
        raise UnreadableFile(f"{name} is too long. Attach at most 256 KB of text: the part that matters.")
    text = decode(data)
    if text is None:
        raise UnreadableFile(f"{name} cannot be read. {WHAT_WORKS}")
    if not text.strip():
        raise UnreadableFile(f"{name} is empty. Attach a file with something in it.")
    return Attached(_in_fence(name, text))


async def _read_pdf(name: str, data: bytes) -> Attached:
    if len(data) > LARGEST_PDF_BYTES:
        raise UnreadableFile(f"{name} is too large. Attach a PDF of at most 10 MB.")
    try:
        pdf = await read_pdf(data)
    except UnusablePdf as reason:
        raise UnreadableFile(f"{name} {reason}.") from None
    part = f"only the first {pdf.read} of its {pdf.pages} pages" if pdf.read < pdf.pages else ""
    return Attached(_in_fence(name, pdf.text, part))


def _in_fence(name: str, text: str, part: str = "") -> str:
    if len(text) > MAX_CHARACTERS:
        text, part = text[:MAX_CHARACTERS], f"only its first {MAX_CHARACTERS:,} characters"
    return fence(f'File "{name}"' + (f" ({part})" if part else ""), text)


def fence(heading: str, text: str) -> str:
    """The text below its heading, in a fence that nothing in it can close."""
    # NUL and half a character, which a PDF may yield, are no text; and no fence has to be longer than this.
    text = text.replace("\0", "").encode("utf-8", "ignore").decode()
    text = re.sub(f"`{{{LONGEST_BACKTICKS},}}", "`" * LONGEST_BACKTICKS, text)
    runs = re.findall("`+", text)
    marks = "`" * max(3, 1 + max(map(len, runs), default=0))
    return f"{heading}:\n{marks}\n{text.strip(LINE_ENDS)}\n{marks}"


def plain_name(name: str) -> str:
    """A name that people gave, as one short line without quotes, backticks and characters nobody sees."""
    seen = (" " if unicodedata.category(c) in ("Zl", "Zp", "Cc") else c for c in name)
    kept = (c for c in seen if unicodedata.category(c) not in ("Cf", "Cs", "Cn") and c not in '"`')
    return " ".join("".join(kept).split())[:LONGEST_NAME] or "The file"


def decode(data: bytes) -> str | None:
    """The text that these bytes are; None: they are none.

    UTF-8, UTF-16 with its mark, or Windows-1252 (Latin-1 and a little more) where most of it is plain ASCII.
    """
    if data.startswith(UTF_16_MARKS):
        text = _decode(data, "utf-16")
    else:
        text = _decode(data, "utf-8-sig")
        if text is None and sum(byte < 0x80 for byte in data) > 0.7 * len(data):
            text = _decode(data, "cp1252")
    return None if text is None or NO_TEXT.search(text) else text


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
