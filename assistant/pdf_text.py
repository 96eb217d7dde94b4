"""The text of a PDF file, read in a process of its own: a file made for harm can burn time and memory there.

Run as a script, this module is that process: it imports nothing of the bot.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MAX_PAGES = 100
MAX_CHARACTERS = 60_000
READING_SECONDS = 15.0  # looked at between pages
KILL_SECONDS = 20.0
WAITING_SECONDS = 60.0
# An ordinary file of 10 MB takes a third of it, and two readers at once fit beside the bot in its container.
MEMORY_BYTES = 256 * 1024**2

# Threads that wait for readers, so that no more than two of those run at once.
_waiting = ThreadPoolExecutor(2, "pdf")


class UnusablePdf(Exception):
    """A PDF that has no text for us; the text says why, as in "is damaged"."""


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of the first `read` of all `pages`."""

    text: str
    read: int
    pages: int


async def read_pdf(
    data: bytes, seconds: float = READING_SECONDS, kill_seconds: float = KILL_SECONDS
) -> PdfText:
    """The text of a PDF's first pages: as many as `seconds` and 60,000 characters hold, and 100 at most.

    Raises UnusablePdf for one that is damaged, protected, without text, or too slow to read.
    """
    try:
        async with asyncio.timeout(WAITING_SECONDS):
            loop = asyncio.get_running_loop()
            output = await loop.run_in_executor(_waiting, _run_reader, data, seconds, kill_seconds)
    except (TimeoutError, subprocess.TimeoutExpired):
        raise UnusablePdf("takes too long to read. Attach the pages that matter as pictures") from None
    try:
        found = json.loads(output)
    except ValueError:  # the reader gave up
        raise UnusablePdf("cannot be opened: it may be damaged. Attach another copy") from None
    if found["encrypted"]:
        raise UnusablePdf("is protected by a password. Attach it without one")
    if not found["text"].strip():
        raise UnusablePdf("has no text in it: it may be a scan. Attach its pages as pictures")
    return PdfText(found["text"], found["read"], found["pages"])


def _run_reader(data: bytes, seconds: float, kill_seconds: float) -> bytes:
    command = [sys.executable, "-P", __file__, str(seconds)]
    reader = subprocess.run(command, input=data, capture_output=True, timeout=kill_seconds, check=False)
    return reader.stdout


def main(data: bytes, seconds: float) -> dict[str, object]:
    """Read a PDF, in the reader's process. Raises whatever a broken file leads to."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    ends_at = time.monotonic() + seconds
    reader = PdfReader(io.BytesIO(data))
    try:
        # Many files that anyone may read are encrypted with an empty password.
        encrypted = reader.is_encrypted and not reader.decrypt("")
    except DependencyError:  # a cipher for which another package would be needed
        encrypted = True
    if encrypted:
        return {"encrypted": True}
    pages = len(reader.pages)
    texts: list[str] = []
    for page in reader.pages[:MAX_PAGES]:
        texts.append(page.extract_text())
        if time.monotonic() > ends_at or sum(map(len, texts)) > MAX_CHARACTERS:
            break
    return {"encrypted": False, "text": "\n\n".join(texts), "read": len(texts), "pages": pages}


if __name__ == "__main__":
    if sys.platform != "win32":
        import resource

        os.nice(10)
        with suppress(OSError):  # where memory runs out all the same, Linux ends the reader and not the bot
            Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
        with suppress(ValueError, OSError):  # not every system has this limit
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print(json.dumps(main(sys.stdin.buffer.read(), float(sys.argv[1]))))  # noqa: T201 (to the bot)
