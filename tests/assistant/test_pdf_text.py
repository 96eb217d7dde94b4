"""PDF files: their text, read in another process within bounds."""

from __future__ import annotations

import asyncio
import time

import pytest

from assistant.attachments import UnreadableFile, read_file
from assistant.pdf_text import UnusablePdf, read_pdf
from tests.assistant.files import encrypted, pdf

# One page that keeps its reader busy for longer than any test waits.
ENDLESS = pdf(b"BT /F1 12 Tf " + b"1 0 0 1 5 5 Tm (x) Tj " * 300_000 + b"ET")


async def test_the_text_of_all_pages_comes_in_their_order() -> None:
    """A paragraph's break stands between pages; the file's name stands above."""
    attached = await read_file("report.pdf", pdf("First page.", "Second page."))

    assert attached.picture is None
    assert attached.text == 'File "report.pdf":\n```\nFirst page.\n\nSecond page.\n```'


async def test_a_pdf_is_known_by_its_content() -> None:
    """Its name does not make a PDF; the mark at its beginning does."""
    named_otherwise = await read_file("notes.txt", pdf("Really a PDF."))
    only_named = await read_file("notes.pdf", b"Only text.")

    assert "Really a PDF." in named_otherwise.text
    assert "Only text." in only_named.text


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (encrypted(pdf("Secret."), "password"), "x is protected by a password. Attach it without one."),
        (
            pdf(b"1 0 0 RG 10 10 m 90 90 l S"),
            "x has no text in it: it may be a scan. Attach its pages as pictures.",
        ),
        (pdf("Lost.")[:150], "x cannot be opened: it may be damaged. Attach another copy."),
        (b"%PDF-1.7\n" + b"?" * 500, "x cannot be opened: it may be damaged. Attach another copy."),
        (pdf("a") + b" " * 10 * 1024 * 1024, "x is too large. Attach a PDF of at most 10 MB."),
    ],
    ids=["password", "scan", "cut off", "nonsense", "large"],
)
async def test_a_pdf_without_text_for_us_has_its_own_sentence(data: bytes, sentence: str) -> None:
    """The member reads what stands in the way, and what to attach in its place."""
    with pytest.raises(UnreadableFile) as refusal:
        await read_file("x", data)
    assert str(refusal.value) == sentence


async def test_a_pdf_that_anyone_may_open_is_read() -> None:
    """A file that is encrypted with an empty password asks nobody for one."""
    assert "Open to all." in (await read_file("x", encrypted(pdf("Open to all."), ""))).text


async def test_at_most_100_pages_are_read_and_the_text_says_so() -> None:
    """The model is told which part of the file it has."""
    attached = await read_file("book.pdf", pdf(*(f"Page {number}." for number in range(1, 131))))

    assert attached.text.startswith('File "book.pdf" (only the first 100 of its 130 pages):\n')
    assert "Page 100." in attached.text
    assert "Page 101." not in attached.text


async def test_reading_ends_with_enough_text() -> None:
    """Pages beyond 60,000 characters are not even looked at, and the cut is told."""
    attached = await read_file("long.pdf", pdf(*("x" * 25_000 for _ in range(5))))

    assert attached.text.startswith('File "long.pdf" (only its first 60,000 characters):\n')
    assert attached.text.count("x") == 60_000 - 4  # two breaks between pages


async def test_a_slow_file_is_read_as_far_as_its_time_goes() -> None:
    """The time is looked at after each page: what had been read by then is kept."""
    found = await read_pdf(pdf("One.", "Two.", "Three."), seconds=0.0)

    assert (found.text, found.read, found.pages) == ("One.", 1, 3)


async def test_a_page_without_end_is_cut_off_and_the_loop_goes_on() -> None:
    """A page made to burn time ends with its reader's life, and nothing else waits for it."""
    started, turns = time.monotonic(), 0
    reading = asyncio.create_task(read_pdf(ENDLESS, kill_seconds=1.0))
    while not reading.done():
        await asyncio.sleep(0.01)
        turns += 1

    with pytest.raises(UnusablePdf, match="takes too long to read"):
        await reading
    assert time.monotonic() - started < 3
    assert turns > 40


async def test_a_file_that_takes_too_much_memory_is_refused() -> None:
    """A file of 30 KB that would take 400 MB ends its reader, long before the bot's container is full."""
    greedy = pdf(b"BT /F1 12 Tf (" + b"x" * 30_000_000 + b") Tj ET")

    with pytest.raises(UnusablePdf, match="cannot be opened"):
        await read_pdf(greedy, seconds=60, kill_seconds=60)


async def test_a_waiting_reader_does_not_hold_up_other_work() -> None:
    """However many PDFs come at once, worker threads for everything else stay free."""
    readings = [asyncio.create_task(read_pdf(ENDLESS, kill_seconds=1.0)) for _ in range(6)]
    await asyncio.sleep(0.1)

    async with asyncio.timeout(0.5):
        await asyncio.to_thread(time.monotonic)

    assert [type(end) for end in await asyncio.gather(*readings, return_exceptions=True)] == [UnusablePdf] * 6
