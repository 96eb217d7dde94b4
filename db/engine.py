"""The engine: opened, migrated and closed as one resource."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.migrate import SchemaTooNew, upgrade

if sys.platform != "win32":  # there is no flock on Windows: two bots on one file are not noticed there
    import fcntl

log = logging.getLogger(__name__)


# What the functions of this package take.
Connection = AsyncConnection

# What any read or write may raise when the database fails: locked, full, gone.
DatabaseError = SQLAlchemyError


class DatabaseUnusable(Exception):
    """The database cannot be opened; the text says why and what to do, and holds no password."""


class Database:
    """Hands out transactions. On SQLite there is one connection, and they run one after the other."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction: committed at the end of the `async with`, rolled back when it fails."""
        return self._engine.begin()


@asynccontextmanager
async def open_database(address: str) -> AsyncIterator[Database]:
    """Open the database at an SQLAlchemy address and bring its schema up to date.

    Raises DatabaseUnusable.
    """
    url = make_url(address)
    async with _only_process(url):
        engine = _create_engine(url)
        try:
            try:
                async with engine.connect() as connection:
                    await upgrade(connection)
            except SchemaTooNew as error:
                raise DatabaseUnusable(str(error)) from None
            except (DBAPIError, OSError) as error:
                reason = error.orig if isinstance(error, DBAPIError) else error
                raise DatabaseUnusable(
                    f"The database {_shown(url)} cannot be used: {reason}. Nothing in it was changed. "
                    "Check DATABASE_URL, the disk and who may write there."
                ) from None
            yield Database(engine)
        finally:
            # Shielded: a close that is cut off would leave SQLite's thread running.
            await asyncio.shield(engine.dispose())


def _create_engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, hide_parameters=True)
    # One connection: SQLite before 3.51.3 can corrupt a WAL file that two connections share, and a single
    # writer with BEGIN IMMEDIATE neither collides nor loses updates.
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=60, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_immediate alone
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # what was acknowledged survives a power loss
        "foreign_keys = ON",
        "busy_timeout = 5000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    connection.execute(text("BEGIN IMMEDIATE"))


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


@asynccontextmanager
async def _only_process(url: URL) -> AsyncIterator[None]:
    """Hold a lock file beside an SQLite file, so that a second bot does not start on it."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        yield
        return
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseUnusable(f"The folder of {path} cannot be written to: {error.strerror}.") from None
    try:
        try:
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DatabaseUnusable(f"Another Colloquy is already running on {path}. Stop it first.") from None
        log.info("SQLite %s, %s", sqlite3.sqlite_version, path)
        yield
    finally:
        os.close(lock)
