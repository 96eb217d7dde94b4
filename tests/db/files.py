"""SQLite files for tests: what is in them, and what is wrong with them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from db.engine import open_database
from tests.db.entries import book, request

PAGE = 4096


def address(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


async def booked_file(migrated_file: Path, folder: Path) -> Path:
    """A database with one booked request, which nobody has open."""
    path = Path(shutil.copy(migrated_file, folder / "colloquy.db"))
    async with open_database(address(path)) as database:
        await database.run(lambda connection: book(connection, request(1)))
    return path


def dump(file: Path) -> list[str]:
    """The whole content of a file, as SQL."""
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def fatten(file: Path, *, megabytes: int) -> None:
    """Add so much text, in a table that no report reads."""
    with closing(sqlite3.connect(file)) as connection:
        with connection:
            rows = [(-number, "x" * 100_000) for number in range(10 * megabytes)]
            connection.executemany(
                "INSERT INTO guild_settings (guild_id, time_zone, weekly_by) VALUES (?, '', ?)", rows
            )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def damage(file: Path) -> None:
    """Overwrite the page that a table of the ledger begins with, as a failing disk does."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [page] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'attempts'").fetchone()
    with file.open("rb+") as content:
        content.seek((page - 1) * PAGE)
        content.write(b"\xa5" * PAGE)
