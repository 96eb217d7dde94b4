"""Backups of an SQLite file: what is in them, what is never at their name, and which are deleted."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from db.backup import FORGOTTEN_SECONDS, BackupError, back_up, delete_old, find_backups
from db.engine import Database, open_database
from db.migrate import newest_revision
from tests.db.entries import book, request
from tests.db.files import address, booked_file, damage, dump, fatten

ROOT = Path(__file__).parent.parent.parent

# Makes a backup, with a pause after each step.
SLOW_BACKUP = """
import asyncio, sys, time
from pathlib import Path
from db.backup import back_up

def slowly(done, total):
    print(done, flush=True)
    time.sleep(0.05)

asyncio.run(back_up(sys.argv[1], Path(sys.argv[2]), slowly))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder for backups."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
async def file(migrated_file: Path, tmp_path: Path) -> Path:
    """A database with one booked request, which nobody has open."""
    return await booked_file(migrated_file, tmp_path)


async def test_backup_of_a_bot_at_work_is_one_moment(file: Path, place: Path) -> None:
    """A request is booked after every step of the copy: none has to wait for it, and none is in it."""
    fatten(file, megabytes=6)
    booked = 1
    async with open_database(address(file)) as database:
        loop = asyncio.get_running_loop()

        def book_one(done: int, total: int) -> None:
            nonlocal booked
            booked += 1
            number = booked
            work = database.run(lambda connection: book(connection, request(number)))
            asyncio.run_coroutine_threadsafe(work, loop).result(5)

        made = await back_up(address(file), place / "x.db", book_one)

    assert 6 <= booked <= 12
    assert (made.rows["requests"], made.rows["attempts"]) == (1, 1)
    assert (made.schema, made.problems) == (newest_revision(), [])
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (booked,)


async def test_backup_has_what_is_only_in_the_log(file: Path, place: Path) -> None:
    """Rows that SQLite has not moved into the main file yet, which a plain copy loses, are in the backup."""
    async with open_database(address(file)) as database:
        for number in range(2, 12):
            await database.run(lambda connection, number=number: book(connection, request(number)))  # type: ignore[misc]
        plain = place / "plain.db"
        plain.write_bytes(file.read_bytes())
        made = await back_up(address(file), place / "x.db")

    assert made.rows["requests"] == 11
    with closing(sqlite3.connect(plain)) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone()[0] < 11


async def test_backup_is_one_file_that_only_its_owner_reads(file: Path, place: Path) -> None:
    """Nothing lies beside it, also after it was read, and its content is that of the database."""
    made = await back_up(address(file), place / "x.db")

    assert dump(made.path) == dump(file)
    assert [path.name for path in place.iterdir()] == ["x.db"]
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.stat().st_size == made.size


async def test_nothing_is_overwritten(file: Path, place: Path) -> None:
    """A name that is taken is refused, and what has it stays as it is."""
    (place / "x.db").write_text("something dear")

    with pytest.raises(BackupError, match="there already"):
        await back_up(address(file), place / "x.db")

    assert (place / "x.db").read_text() == "something dear"
    assert len(list(place.iterdir())) == 1


async def test_damaged_database_has_no_backup(file: Path, place: Path) -> None:
    """A copy whose pages do not fit together never gets its name."""
    damage(file)

    with pytest.raises(BackupError, match="damaged"):
        await back_up(address(file), place / "x.db")

    assert list(place.iterdir()) == []


async def test_database_that_is_none_has_no_backup(tmp_path: Path, place: Path) -> None:
    """A missing file, one with other tables and one with something else in it are told apart."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE something (number INTEGER)")
    (tmp_path / "letter.txt").write_text("Dear all, this is a letter.\n" * 100)
    reasons = {"none.db": "not there", "other.db": "no database of Colloquy", "letter.txt": "not a database"}
    for name, reason in reasons.items():
        with pytest.raises(BackupError, match=reason):
            await back_up(address(tmp_path / name), place / "x.db")

    assert list(place.iterdir()) == []
    assert not (tmp_path / "none.db").exists()


async def test_books_that_do_not_agree_are_told(database: Database, database_url: str, place: Path) -> None:
    """The backup is made, and says what is wrong in it."""
    async with database.transaction() as connection:
        await book(connection, request(1))
        await connection.execute(text("UPDATE usage_sums SET requests = 7 WHERE kind = 'day'"))

    made = await back_up(database_url, place / "x.db")

    assert made.problems
    assert "7" in made.problems[0]
    await database.run(lambda connection: connection.execute(text("UPDATE usage_sums SET requests = 1")))


async def test_backup_of_another_schema_is_made_all_the_same(file: Path, place: Path) -> None:
    """Before an update somebody wants a backup too: only the books are not looked at."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0004'")

    made = await back_up(address(file), place / "x.db")

    assert (made.schema, made.problems, made.rows["requests"]) == ("0004", None, 1)


async def test_killed_backup_leaves_nothing_at_its_name(file: Path, place: Path) -> None:
    """kill -9 in the middle of a copy: the name is free, and what was begun goes with a later backup."""
    fatten(file, megabytes=6)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SLOW_BACKUP, address(file), str(place / "colloquy-1.db")),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(3):
        assert await process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    [begun] = place.iterdir()
    assert begun.name == ".colloquy-1.db.partial"

    await back_up(address(file), place / "colloquy-2.db")
    assert begun.exists()  # another backup might be at it
    long_ago = time.time() - FORGOTTEN_SECONDS - 60
    os.utime(begun, (long_ago, long_ago))
    await back_up(address(file), place / "colloquy-3.db")
    assert sorted(path.name for path in place.iterdir()) == ["colloquy-2.db", "colloquy-3.db"]


async def test_cancelled_backup_leaves_nothing(file: Path, place: Path) -> None:
    """Who wants no backup any more waits for no more than a step of it."""
    fatten(file, megabytes=6)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    steps = 0

    def slowly(done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.1)

    task = asyncio.create_task(back_up(address(file), place / "x.db", slowly))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.3)

    assert steps <= 2
    assert list(place.iterdir()) == []


async def test_full_disk_leaves_nothing(file: Path, place: Path) -> None:
    """A backup that finds no room is told in a sentence, leaves nothing, and harms nothing."""
    fatten(file, megabytes=2)
    before = file.read_bytes()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SLOW_BACKUP, address(file), str(place / "x.db")),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    _, errors = await process.communicate()

    assert "BackupError: No backup of" in errors.decode()
    assert "the disk" in errors.decode()
    assert list(place.iterdir()) == []
    assert file.read_bytes() == before


def test_only_backups_are_deleted_and_only_the_oldest(place: Path) -> None:
    """Of the files that are named as backups the newest stay; whatever else is there stays too."""
    days = [f"colloquy-202611{day:02}T040000Z.db" for day in range(1, 6)]
    others = ["colloquy.db", "colloquy-before-update.db", "colloquy-20261101T040000Z.db.txt"]
    for name in (*days, *others):
        (place / name).touch()

    deleted = delete_old(place, 2)

    assert sorted(path.name for path in deleted) == days[:3]
    assert sorted(path.name for path in place.iterdir()) == sorted([*days[3:], *others])
    assert [f"{at:%d}" for at, _ in find_backups(place)] == ["05", "04"]
    assert find_backups(place / "nowhere") == []


def test_backups_from_the_future_push_out_no_others(place: Path) -> None:
    """What a wrong clock has named is left, and the newest of the others is kept beside it."""
    names = ["colloquy-20261101T040000Z.db", "colloquy-20261102T040000Z.db", "colloquy-29991231T040000Z.db"]
    for name in names:
        (place / name).touch()

    assert [path.name for path in delete_old(place, 1)] == names[:1]
