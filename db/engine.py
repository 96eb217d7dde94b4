"""The engine: opened, migrated and closed as one resource."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.group_commit import GroupCommit, begin_immediate
from db.migrate import SchemaTooNew, upgrade
from db.reader import Reader

if sys.platform != "win32":  # there is no flock on Windows: two bots on one file are not noticed there
    import fcntl

log = logging.getLogger(__name__)

T = TypeVar("T")

# What the functions of this package take.
Connection = AsyncConnection

# What any read or write may raise when the database fails: locked, full, gone.
DatabaseError = SQLAlchemyError


class DatabaseUnusable(Exception):
    """The database cannot be opened; the text says why and what to do, and holds no password."""


class Database:
    """Runs transactions. On SQLite one connection writes, one after the other, and another one reads."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._group_commit: GroupCommit | None = None  # on SQLite
        self._reader: Reader | None = None  # on SQLite
        self._running: set[asyncio.Task[Any]] = set()
        self._owed: deque[Callable[[AsyncConnection], Awaitable[object]]] = deque()
        self._closed = False

    async def prepare(self) -> None:
        """Bring the schema up to date. Raises what a database that cannot be used makes its driver raise."""
        async with self._engine.connect() as connection:
            await upgrade(connection)
            if connection.dialect.name == "sqlite":
                driver = (await connection.get_raw_connection()).driver_connection
                self._group_commit = GroupCommit(driver)
                self._reader = Reader(Path(str(self._engine.url.database)))

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction: committed when it returns, rolled back when it fails.

        It may wait for its statements and for nothing else: on SQLite it runs in the driver's thread.
        A caller that is cancelled waits for its end.
        """

        async def whole() -> T:
            if self._group_commit is not None:
                result: T = await self._group_commit.run(work)
                return result
            async with self._engine.begin() as connection:
                return await work(connection)

        return await self._to_the_end(whole())

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work`, which changes nothing; all it reads is as it was at one moment.

        For what takes long, such as reports: no write waits for it. Otherwise as `run`.
        """

        async def whole() -> T:
            if self._reader is not None:
                result: T = await self._reader.run(work)
                return result
            async with self._engine.connect() as connection:
                await connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                return await work(connection)

        return await self._to_the_end(whole())

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise InvalidRequestError("the database is closed")
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await to_the_end(task)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction as a context manager, for a caller that nobody cancels; see `run`."""
        alone = self._group_commit.lock if self._group_commit is not None else nullcontext()
        async with alone, self._engine.begin() as connection:
            yield connection

    def owe(self, work: Callable[[AsyncConnection], Awaitable[object]]) -> None:
        """Remember a write that could not be made; `work` has to be one that may safely run twice."""
        self._owed.append(work)

    @property
    def owed(self) -> int:
        """How many writes are owed."""
        return len(self._owed)

    async def write_owed(self) -> None:
        """Make the writes that are owed, oldest first. Raises DatabaseError when one fails again."""
        while self._owed:
            work = self._owed[0]
            await self.run(work)
            if self._owed and self._owed[0] is work:  # nobody else has made it meanwhile
                self._owed.popleft()

    async def close(self) -> None:
        """Let what is running end, and run nothing more: it would open the file anew."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        if self._reader is not None:  # before the writer, which then copies the log back into the file
            self._reader.close()
        await self._engine.dispose()


@asynccontextmanager
async def open_database(address: str) -> AsyncIterator[Database]:
    """Open the database at an SQLAlchemy address and bring its schema up to date.

    Raises DatabaseUnusable.
    """
    url = _read_address(address)
    async with _only_process(url):
        database = Database(_create_engine(url))
        try:
            try:
                await database.prepare()
            except SchemaTooNew as error:
                raise DatabaseUnusable(str(error)) from None
            except (DBAPIError, OSError, TypeError, ValueError) as error:
                # The last two: a parameter in the address that the driver does not know or cannot read.
                reason = error.orig if isinstance(error, DBAPIError) else error
                raise DatabaseUnusable(
                    f"The database {_shown(url)} cannot be used: {reason}. Nothing in it was changed. "
                    "Check DATABASE_URL, the disk and who may write there."
                ) from None
            yield database
        finally:
            # To the end: a close that is cut off would leave SQLite's thread running.
            await to_the_end(database.close())


async def to_the_end(work: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T:
    """Await `work` in a task of its own. Whoever is cancelled meanwhile is so once it has ended."""
    task = work if isinstance(work, asyncio.Task) else asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled() and (failure := task.exception()) is not None:
        log.warning("failed while its caller was cancelled: %s", failure.__cause__ or failure)
    raise cancelled


def _read_address(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # Not told what is wrong with it: that could be a part of the password.
        raise DatabaseUnusable(
            "DATABASE_URL cannot be read. It has the form sqlite+aiosqlite:///path/to/file.db or "
            "postgresql+asyncpg://user:password@host:5432/name, where a password with @ : / or % in it "
            "is written with %40 %3A %2F and %25."
        ) from None
    # Neither a database in memory, which would be lost at the end, nor SQLite's own kind of address.
    path = url.database or ""
    if url.get_backend_name() == "sqlite" and (path in ("", ":memory:") or path.startswith("file:")):
        raise DatabaseUnusable(
            "DATABASE_URL names no file. It has the form sqlite+aiosqlite:///path/to/file.db."
        )
    return url


def _create_engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, hide_parameters=True)
    # One connection that writes: SQLite before 3.51.3 can corrupt a WAL file that two of them share, and a
    # single writer with BEGIN IMMEDIATE neither collides nor loses updates.
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=60, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by begin_immediate alone
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # what was acknowledged survives a power loss
        "foreign_keys = ON",
        "busy_timeout = 5000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _shown(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    # Of the host only what follows the last @: a password with an unquoted @ in it ends up there.
    return f"{url.database} on {(url.host or '').rpartition('@')[2]}"


@asynccontextmanager
async def _only_process(url: URL) -> AsyncIterator[None]:
    """Hold a lock file beside an SQLite file, so that a second bot does not start on it."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
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
