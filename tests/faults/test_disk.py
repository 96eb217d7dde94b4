"""Disks that are full, and files that are damaged: at the start, and under a running bot."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, closing
from pathlib import Path

import aiosqlite
import pytest

from assistant.booking import BOOKS_CLOSED
from db.engine import open_database
from db.files import DatabaseUnusable, look_through
from tests.db.entries import discrepancies
from tests.db.files import address, booked_file, damage, dump, fatten
from tests.fake_discord import FakeDiscord, FakeInteraction
from tests.fake_vendors import FakeVendor, openai_stream, slowly
from tests.faults.books import Books, read_books
from tests.faults.disks import filled, no_room_for, small_disk
from tests.hosted_bot import Host
from tests.living_bot import answered

OWNER_CHANNEL = 500_000_000_000_000_001
BOT = Path(__file__).parent.parent.parent / "bot.py"


@pytest.fixture
async def file(migrated_file: Path, tmp_path: Path) -> Path:
    """A host's database with one booked request, and settings beside it."""
    return await booked_file(migrated_file, tmp_path)


def start(file: Path, *, room: int = resource.RLIM_INFINITY) -> tuple[int, str]:
    """Start the bot on a database, with files of at most so many bytes; its exit status and what it said."""
    ended = subprocess.run(
        [sys.executable, BOT, "run"],
        cwd=file.parent,
        env={"PATH": os.environ["PATH"], "DISCORD_TOKEN": "x" * 30, "DATABASE_URL": address(file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


def test_damaged_beginning_ends_the_start(file: Path) -> None:
    """Fault 41: a file whose first bytes are gone is told in plain words, and stays as it is."""
    content = bytearray(file.read_bytes())
    content[:100] = bytes(range(100))
    file.write_bytes(content)

    status, said = start(file)

    assert status == 78
    assert f"Colloquy cannot start. The database {file} cannot be used: it is damaged" in said
    assert "Nothing in it was changed" in said
    assert "bot.py restore" in said
    assert file.read_bytes() == content


def test_damaged_page_ends_the_start(file: Path) -> None:
    """Fault 41: one page in the middle, which no start reads by itself, is found; nothing is written."""
    damage(file)
    content = file.read_bytes()

    status, said = start(file)

    assert status == 78
    assert "it is damaged" in said
    assert file.read_bytes() == content


def test_missing_file_with_a_log_beside_it_is_not_made_anew(file: Path) -> None:
    """Fault 41: where only the log of a database is left, no empty one takes its place."""
    file.unlink()
    log = Path(f"{file}-wal")
    log.write_bytes(b"rows of the file that was here")

    status, said = start(file)

    assert status == 78
    assert "is missing or empty, but colloquy.db-wal is beside it" in said
    assert not file.exists()
    assert log.read_bytes() == b"rows of the file that was here"


@pytest.mark.parametrize("name", ["colloquy.db", "new.db"])
def test_start_without_any_room_says_so(file: Path, name: str) -> None:
    """Fault 39: a database, there or new, that finds no room ends the start with "try again later"."""
    place = file.with_name(name)
    before = dump(file)

    status, said = start(place, room=0)

    assert status == 75
    assert "the disk" in said
    assert "full" in said
    assert dump(file) == before
    with closing(asyncio.new_event_loop()) as loop:  # with room again, the same place will do
        loop.run_until_complete(open_once(place))


async def open_once(file: Path) -> None:
    async with open_database(address(file)) as database:
        assert await discrepancies(database) == []


def test_start_on_a_full_disk_says_so(file: Path, tmp_path: Path) -> None:
    """Fault 39: the same on a disk that really is full; what is there stays readable."""
    with small_disk(tmp_path / "disk", 512) as disk:
        place = disk / "colloquy.db"
        place.write_bytes(file.read_bytes())
        before = dump(place)
        with filled(disk):
            status, said = start(place)
        assert status == 75
        assert "the disk" in said
        assert dump(place) == before


async def test_large_file_is_looked_through_as_far_as_there_is_time(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The look ends in time without a finding; with more time it finds what is damaged."""
    fatten(file, megabytes=60)
    caplog.set_level(logging.INFO)
    async with aiosqlite.connect(file) as driver:
        await look_through(driver, file, 0.005)
        assert "too large to be looked through" in caplog.text
    damage(file)
    async with aiosqlite.connect(file) as driver:
        with pytest.raises(DatabaseUnusable, match="damaged"):
            await look_through(driver, file, 60)


async def ask(host: Host, prompt: str, channel_id: int) -> FakeInteraction:
    return await host.fake.slash("ask", {"prompt": prompt}, channel_id=channel_id)


async def live_through(
    host: Host, vendor: FakeVendor, process: asyncio.subprocess.Process, full: AbstractContextManager[object]
) -> None:
    """Ask before, while and after the disk is full, and stop the bot."""
    vendor.reply(openai_stream("Before."), slowly(openai_stream(*["on "] * 12), 0.1), openai_stream("After."))
    before = await ask(host, "Before?", 1)
    await before.until(lambda it: answered(it, "Before."), timeout=15)
    flying = await ask(host, "During?", 2)
    await flying.until(lambda it: answered(it, "on"), timeout=15)
    with full:
        for number in range(3):
            refused = await ask(host, "Refused?", 10 + number)
            await refused.until(lambda it: answered(it, BOOKS_CLOSED), timeout=15)
        await flying.until(lambda it: answered(it, " ".join(["on"] * 12)), timeout=15)
        last = await host.fake.slash("last", channel_id=1)
        await last.until(lambda it: answered(it, "Before."), timeout=15)
        assert len(vendor.requests) == 2
        assert process.returncode is None
    after = await ask(host, "After?", 1)
    await after.until(lambda it: answered(it, "After."), timeout=15)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def told(host: Host) -> list[str]:
    """What the owner has read in their channel."""
    return [message.content for message in host.fake.messages if message.channel_id == OWNER_CHANNEL]


BOOKS = Books(
    ["answered"] * 3,
    ["settled"] * 3,
    ["Before?", "Before.", "During?", "on " * 12, "After?", "After."],
)


@pytest.mark.sqlite_only
async def test_bot_lives_through_a_used_up_quota(
    fake: FakeDiscord, vendor: FakeVendor, tmp_path: Path
) -> None:
    """Fault 39: no vendor is asked, the answer in flight arrives, and with room again all is booked."""
    host = Host(tmp_path, fake, vendor.url)
    host.write(env=host.read(".env") + f"OWNER_CHANNEL_ID={OWNER_CHANNEL}\n")
    async with host.start() as process:
        await fake.ready()
        await live_through(host, vendor, process, no_room_for(process.pid))

    begun, over = told(host)
    assert begun.startswith("The books cannot be written: the disk could not be written or read")
    assert over == "The books can be written again."
    assert await read_books(host.database_url) == BOOKS


@pytest.mark.sqlite_only
async def test_bot_lives_through_a_full_disk(fake: FakeDiscord, vendor: FakeVendor, tmp_path: Path) -> None:
    """Fault 39: the same on a disk that really is full, and the host reads why in the log."""
    host = Host(tmp_path, fake, vendor.url)
    with small_disk(tmp_path / "disk", 2048) as disk:
        host.write(env=host.read(".env").replace(f"{tmp_path}/colloquy.db", f"{disk}/colloquy.db"))
        async with host.start() as process:
            await fake.ready()
            await live_through(host, vendor, process, filled(disk))

        assert await read_books(address(disk / "colloquy.db")) == BOOKS
    assert "full" in host.log
