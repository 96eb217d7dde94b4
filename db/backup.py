"""Copies of a database: made while a bot writes to it, read back, and only then given their name."""

from __future__ import annotations

import asyncio
import glob
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from db.engine import to_the_end
from db.files import (
    Advance,
    DatabaseUnusable,
    explain,
    make_folder,
    own_as_folder,
    put_in_place,
    read_address,
    read_only,
    sidecars,
)
from db.migrate import newest_revision

log = logging.getLogger(__name__)

T = TypeVar("T")

# What is copied at once (a page is 4 KiB), and the pause after it: a copy shall not take the disk for itself.
STEP_PAGES = 256
STEP_PAUSE_SECONDS = 0.002

# Copies that are made by themselves, and the only ones that are ever deleted.
NAME = re.compile(r"colloquy-(\d{8}T\d{6})Z\.(db|dump)")

# A file that nothing was written to for so long is no backup in the making.
FORGOTTEN_SECONDS = 86_400
# How many of the copies that are made before the schema changes are left beside the database.
KEPT_COPIES = 3


class BackupError(Exception):
    """A backup could not be made or cannot be used; the text says why. Nothing was overwritten."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made and read back."""

    path: Path
    size: int  # bytes
    schema: str  # its revision
    rows: dict[str, int]  # of each table, compared with the database
    problems: list[str] | None  # of its books; None: not looked at, since this release writes another schema


class _Stopped(Exception):
    """Whoever wanted the copy wants it no more."""


async def back_up(address: str, target: Path, advance: Advance = lambda done, total: None) -> Backup:
    """Copy the database at an SQLAlchemy address to a file that is not there yet, as it is at one moment.

    Raises BackupError, and leaves nothing behind then; DatabaseUnusable.
    """
    url = read_address(address)
    if url.get_backend_name() != "sqlite":
        from db.dump import dump  # for PostgreSQL alone

        return await dump(url, target, advance)
    source = Path(str(url.database))
    partial = begin(target)
    try:
        schema, rows = await in_thread(lambda tell: copy_file(source, partial, tell), advance)
        problems = await read_books(partial, schema)
        size = await asyncio.to_thread(os.path.getsize, partial)
        await asyncio.to_thread(put_in_place, partial, target)
        return Backup(target, size, schema, rows, problems)
    except DatabaseUnusable:
        raise BackupError(f"No backup of {source} was made: the books in it cannot be read.") from None
    except (sqlite3.Error, OSError) as error:
        raise BackupError(f"No backup of {source} was made: {explain(error).reason}.") from None
    finally:
        discard(partial)


async def in_thread(work: Callable[[Advance], T], advance: Advance) -> T:
    """Run `work` in a thread. Whoever is cancelled is so once it has ended, which is at its next step."""
    stop = threading.Event()

    def tell(done: int, total: int) -> None:
        if stop.is_set():
            raise _Stopped
        advance(done, total)

    task = asyncio.create_task(asyncio.to_thread(work, tell))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        with suppress(_Stopped):
            await to_the_end(task)
        raise


def begin(target: Path) -> Path:
    """The place for a file that shall become `target` when it is complete, readable by its owner alone.

    Raises BackupError where there is a file of that name, or none can be made.
    """
    if target.exists():
        raise BackupError(f"{target} is there already. Choose another name, or move it away.")
    partial = target.with_name(f".{target.name}.partial")
    try:
        make_folder(target.parent)
        discard(partial)
        _discard_forgotten(target.parent)
        partial.touch(mode=0o600, exist_ok=False)
        own_as_folder(partial)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}.") from None
    return partial


def _discard_forgotten(folder: Path) -> None:
    """Remove what backups have left that were killed."""
    for partial in folder.glob(".colloquy*.partial"):
        if time.time() - partial.stat().st_mtime > FORGOTTEN_SECONDS:
            discard(partial)


def discard(partial: Path) -> None:
    """Remove what has not become a backup."""
    for path in (partial, *sidecars(partial)):
        path.unlink(missing_ok=True)


def copy_file(source: Path, target: Path, advance: Advance) -> tuple[str, dict[str, int]]:
    """Copy an SQLite database to an empty file, and read the copy back: its pages, and its rows counted.

    Gives the schema's revision and the rows of each table. Blocks. Raises sqlite3.Error, OSError.
    """

    def pace(_: int, remaining: int, total: int) -> None:
        advance(total - remaining, total)
        time.sleep(STEP_PAUSE_SECONDS)

    with closing(read_only(source)) as original:
        # Everything is read in one transaction: what is written meanwhile does not make the copy begin anew.
        original.execute("BEGIN")
        expected = count_rows(original)
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # it is synchronised once, when it is complete
            copy.execute("PRAGMA journal_mode = OFF")
            original.backup(copy, pages=STEP_PAGES, progress=pace)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file that can be read from anywhere
    schema, found = read_back(target)
    if found != expected:
        raise sqlite3.DatabaseError("the copy has not as many rows as the database")
    return schema, found


def read_back(path: Path) -> tuple[str, dict[str, int]]:
    """Read a database through: the schema's revision, and the rows of each table.

    Blocks. Raises sqlite3.Error, also where its pages do not fit together or it is none of Colloquy.
    """
    with closing(read_only(path)) as connection:
        findings = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
        if findings != ["ok"]:
            raise sqlite3.DatabaseError(f"it is damaged: {'; '.join(findings)}")
        rows = count_rows(connection)
        if "alembic_version" not in rows or "requests" not in rows:
            raise sqlite3.DatabaseError("it is no database of Colloquy")
        return ", ".join(
            text for (text,) in connection.execute("SELECT version_num FROM alembic_version")
        ), rows


def count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table has."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY 1"
    )
    return {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 (its own names)
        for (name,) in names.fetchall()
    }


async def read_books(path: Path, schema: str) -> list[str] | None:
    """What is wrong with a copy's books; None where another release wrote it. Raises DatabaseUnusable."""
    if schema != newest_revision():
        return None
    from db.reading import open_reader
    from db.verify import find_discrepancies

    async with open_reader(f"sqlite+aiosqlite:///{path}") as connection:
        return await find_discrepancies(connection, running=True)


async def keep_copy(path: Path, schema: str) -> None:
    """Copy an SQLite file to a place beside it before its schema is changed, and keep the last few of these.

    Raises DatabaseUnusable.
    """
    folder, stem = path.parent, f"{path.name}.schema-"
    target = folder / f"{stem}{schema}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z"
    log.info("copying %s to %s before its schema is changed", path, target)
    try:
        for forgotten in folder.glob(f".{glob.escape(stem)}*.partial"):  # of a start that was killed
            discard(forgotten)
        partial = begin(target)
        try:
            await asyncio.to_thread(copy_file, path, partial, lambda done, total: None)
            await asyncio.to_thread(put_in_place, partial, target)
        finally:
            discard(partial)
        for old in sorted(folder.glob(f"{glob.escape(stem)}*"), key=_time_of)[:-KEPT_COPIES]:
            old.unlink()
    except (BackupError, sqlite3.Error, OSError) as error:
        trouble = explain(error)
        raise DatabaseUnusable(
            f"The database {path} has to be copied before its schema is changed, and that failed: "
            f"{trouble.reason}. Nothing in it was changed. {trouble.remedy}",
            may_pass=trouble.may_pass,
        ) from None


def _time_of(copy: Path) -> str:
    return copy.name.rpartition("-")[2]


def default_folder(address: str) -> Path | None:
    """Where backups go that are told no place: beside an SQLite file; None for a database elsewhere."""
    url = read_address(address)
    return Path(str(url.database)).parent / "backups" if url.get_backend_name() == "sqlite" else None


def new_name(address: str) -> str:
    """The name of a backup that is made now."""
    suffix = "db" if read_address(address).get_backend_name() == "sqlite" else "dump"
    return f"colloquy-{datetime.now(UTC):%Y%m%dT%H%M%S}Z.{suffix}"


def find_backups(folder: Path) -> list[tuple[datetime, Path]]:
    """The backups in a folder that have such a name, with their times; the newest first. Raises OSError."""
    if not folder.is_dir():
        return []
    found = [(match[1], path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [
        (datetime.strptime(time, "%Y%m%dT%H%M%S").replace(tzinfo=UTC), path)
        for time, path in sorted(found, reverse=True)
    ]


def delete_old(folder: Path, keep: int) -> list[Path]:
    """Delete all such backups but the newest; return what was deleted. Raises OSError.

    Those from the future, which a wrong clock has made, are left, and count for none.
    """
    now = datetime.now(UTC)
    old = [path for at, path in find_backups(folder) if at <= now][keep:]
    for path in old:
        path.unlink()
    return old
