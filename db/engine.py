"""The engine: opened, migrated and closed as one resource."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import NullPool, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.files import DatabaseUnusable as DatabaseUnusable  # what `open_database` raises
from db.files import explain, look_through, only_process, read_address, refuse_leftovers, unusable
from db.group_commit import GroupCommit, begin_immediate
from db.migrate import SchemaTooNew, upgrade
from db.reader import Reader
from db.server import Presence, create_engine, explain_server, is_unfinished, reaching

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between tries to reach a server: doubled each time, up to the longest.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# How long the look at an SQLite file may take at the start: some 800 MB on a machine of 2026.
QUICK_CHECK_SECONDS = 1.0

# What the functions of this package take.
Connection = AsyncConnection

# What any read or write may raise when the database fails: locked, full, gone.
DatabaseError = SQLAlchemyError


class Database:
    """Runs transactions. On SQLite one connection writes, one after the other, and another one reads.

    On PostgreSQL the process shows that it lives, to others that use the same database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._presence = Presence(engine.url) if engine.dialect.name == "postgresql" else None
        self._group_commit: GroupCommit | None = None  # on SQLite
        self._reader: Reader | None = None  # on SQLite
        self._running: set[asyncio.Task[Any]] = set()
        self._owed: deque[Callable[[AsyncConnection], Awaitable[object]]] = deque()
        self._closed = False
        self.failing = False  # whether the books could not be written when that was last tried
        self.listeners: list[Callable[[str], None]] = []  # told when the books close, and when they open

    async def prepare(self) -> None:
        """Bring the schema up to date, after a look at an SQLite file and a copy of it.

        Raises DatabaseUnusable, and what a database that cannot be used makes its driver raise.
        """
        if self._presence is not None:
            await self._presence.show()
            # To change a large table may take longer than any statement of a bot that runs.
            engine = create_engine(self._engine.url, statement_seconds=None, poolclass=NullPool)
            async with engine.connect() as connection:
                await upgrade(connection)
                if await is_unfinished(connection):
                    raise DatabaseUnusable(
                        "A move from SQLite to this database is not complete. Give the same command "
                        "`bot.py migrate --to ...` once more, with DATABASE_URL set to the SQLite file."
                    )
            await engine.dispose()
            return
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            path = Path(str(self._engine.url.database))
            await look_through(driver, path, QUICK_CHECK_SECONDS)
            await upgrade(connection, partial(_keep_copy, path))
            self._group_commit = GroupCommit(driver)
            self._reader = Reader(path)

    @property
    def process(self) -> int:
        """The number of this process among those that share the database; 0 on SQLite, where it is alone."""
        return self._presence.number if self._presence is not None else 0

    async def show_presence(self) -> None:
        """Let the others see that this process lives, again if need be. Raises DatabaseError."""
        if self._presence is not None:
            with reaching():
                await self._presence.show()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction: committed when it returns, rolled back when it fails.

        It may wait for its statements and for nothing else: on SQLite it runs in the driver's thread.
        A caller that is cancelled waits for its end.
        """

        async def whole() -> T:
            if self._group_commit is not None:
                result: T = await self._group_commit.run(work)
                return result
            with reaching():
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
            with reaching():
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
        with reaching() if self._presence is not None else nullcontext():
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

    def note(self, failure: DatabaseError | None) -> None:
        """Remember whether the books can be written; the listeners are told when that changes."""
        if self.failing is (failure is not None):
            return
        self.failing = failure is not None
        sentence = "The books can be written again."
        if failure is not None:
            reason = explain(failure).reason
            sentence = f"The books cannot be written: {reason}. Until they can be, no vendor is asked."
        log.warning("%s", sentence)
        for listener in self.listeners:
            listener(sentence)

    async def close(self) -> None:
        """Let what is running end, and run nothing more: it would open the file anew."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)
        if self._reader is not None:  # before the writer, which then copies the log back into the file
            self._reader.close()
        if self._presence is not None:
            await self._presence.close()
        await self._engine.dispose()


@asynccontextmanager
async def open_database(address: str, *, patient: bool = False) -> AsyncIterator[Database]:
    """Open the database at an SQLAlchemy address and bring its schema up to date.

    `patient`: wait for a server that is away, however long. Raises DatabaseUnusable.
    """
    url = read_address(address)
    with _alone(url):
        try:
            database = Database(_create_engine(url))
        except (TypeError, ValueError) as error:  # a parameter in the address that the driver cannot read
            raise unusable(_shown(url), explain(error)) from None
        try:
            await _prepare(database, url, patient)
            yield database
        finally:
            # To the end: a close that is cut off would leave SQLite's thread running.
            await to_the_end(database.close())


async def _prepare(database: Database, url: URL, patient: bool) -> None:
    pause = FIRST_PAUSE_SECONDS
    on_server = url.get_backend_name() == "postgresql"
    while True:
        try:
            await database.prepare()
            return
        except SchemaTooNew as error:
            raise DatabaseUnusable(str(error)) from None
        except (DBAPIError, sqlite3.Error, OSError, TypeError, ValueError) as error:
            # The last two: a parameter in the address that the driver does not know or cannot read.
            failure = unusable(_shown(url), explain_server(error) if on_server else explain(error))
        if not (patient and on_server and failure.may_pass):
            raise failure
        log.warning("%s The next try is in %.0f seconds.", failure, pause)
        await asyncio.sleep(pause * random.uniform(0.8, 1))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


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


def _create_engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)  # after the server was away, what is pooled is dead
    # One connection that writes: SQLite before 3.51.3 can corrupt a WAL file that two of them share, and a
    # single writer with BEGIN IMMEDIATE neither collides nor loses updates.
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=60, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", begin_immediate)
    return engine


@contextmanager
def _alone(url: URL) -> Iterator[None]:
    """Be the only process on an SQLite file."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = Path(str(url.database))
    with only_process(path):
        refuse_leftovers(path)
        log.info("SQLite %s, %s", sqlite3.sqlite_version, path)
        yield


async def _keep_copy(path: Path, schema: str) -> None:
    """Copy an SQLite file before its schema is changed. Raises DatabaseUnusable."""
    from db.backup import keep_copy  # where there is something to migrate, as with Alembic

    await keep_copy(path, schema)


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
