"""Ways for an SQLite database to fail for real."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from db.engine import Database

sqlite_only = pytest.mark.sqlite_only


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else holds the file's lock."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def refuse(database: Database, what: str) -> None:
    """Have the database refuse something, as a full disk does: `INSERT ON requests` and the like."""
    async with database.transaction() as connection:
        await connection.execute(
            text(f"CREATE TRIGGER refuse BEFORE {what} BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )


async def allow(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("DROP TRIGGER refuse"))
