"""What PostgreSQL needs and a file does not: a server may be away, and other processes use it too."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import NullPool, extract, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.files import Trouble

# A statement of ours takes milliseconds; one that has to wait so long waits for a server that is gone.
CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 20.0
# Whoever stops in the middle of a transaction, frozen or cut off, must not keep the others from their turn.
# And one whose machine has died is not taken to live for the hours that TCP would wait.
SESSION = {
    "application_name": "colloquy",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# What PostgreSQL says, by its codes, when a later try may go better: the connection broke (08), no room (53),
# it is stopping or starting (57P), an administrator ended a connection (57P01).
PASSING = ("08", "53", "57P")

# The first numbers of advisory locks that two processes may want; what they are is of no importance.
PROCESSES = 7_230_002
MIGRATING = 7_230_003
MOVING = 7_230_004
IDENTIFYING = 7_230_005

# Discord takes one identify of a bot in so many seconds.
IDENTIFY_SECONDS = 5.0

# The table that is there while a host is being moved to this database.
UNFINISHED = "unfinished_transfer"


class ServerAway(SQLAlchemyError):
    """The server cannot be reached, or does not answer in time."""


def create_engine(
    url: URL, *, statement_seconds: float | None = STATEMENT_SECONDS, **options: Any
) -> AsyncEngine:
    """An engine for PostgreSQL. `options` are SQLAlchemy's; None: a statement may take its time."""
    arguments = {
        "timeout": CONNECT_SECONDS,
        "command_timeout": statement_seconds,
        "server_settings": SESSION,
    }
    return create_async_engine(url, connect_args=arguments, hide_parameters=True, **options)


@contextmanager
def reaching() -> Iterator[None]:
    """Raise ServerAway for the errors of the network, which SQLAlchemy leaves as they are."""
    try:
        yield
    except OSError as error:  # a TimeoutError is one too
        raise ServerAway(describe(error)) from None


def describe(error: BaseException) -> str:
    """What was wrong, in a few words, without a secret in it."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return str(error.orig if isinstance(error, DBAPIError) else error) or type(error).__name__


def explain_server(error: BaseException) -> Trouble:
    """What an error in opening a database on a server means, and whether a later try may go better."""
    may_pass = isinstance(error, OSError)
    if isinstance(error, DBAPIError):
        code = str(getattr(error.orig, "sqlstate", None) or "")
        may_pass = error.connection_invalidated or code.startswith(PASSING)
    remedy = "Check DATABASE_URL, and what its user may do there."
    if may_pass:
        remedy = "Is its server running, and does DATABASE_URL name the right one?"
    return Trouble(describe(error), remedy, may_pass)


class Presence:
    """That this process lives: a lock that the server holds for it as long as its connection lasts.

    `number` tells it from the others that use this database.
    """

    def __init__(self, url: URL) -> None:
        self.number = random.randrange(1, 2**31)
        # Of its own, and without a pool: this connection is not shared.
        self._engine = create_engine(url, poolclass=NullPool)
        self._connection: AsyncConnection | None = None

    async def show(self) -> None:
        """Hold the lock, over a new connection when the old one is gone. Raises DatabaseError, OSError."""
        if self._connection is not None:
            try:
                await self._connection.execute(text("SELECT 1"))
                return
            except (SQLAlchemyError, OSError):
                await self.hide()
        connection = await self._engine.connect()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            # False while the server has not noticed that the old connection is gone: then that one holds it.
            if await connection.scalar(select(func.pg_try_advisory_lock(PROCESSES, self.number))):
                self._connection = connection
        finally:
            if self._connection is None:
                await connection.close()

    async def hide(self) -> None:
        """Give the lock up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                await connection.close()

    async def close(self) -> None:
        """End everything."""
        await self.hide()
        await self._engine.dispose()


async def read_living(connection: AsyncConnection) -> set[int]:
    """The numbers of the processes that live; on SQLite there is only this one, and it has no number."""
    if connection.dialect.name == "sqlite":
        return set()
    found = await connection.execute(
        text(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
            "AND classid = :processes "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        {"processes": PROCESSES},
    )
    return set(found.scalars())


async def seconds_up(connection: AsyncConnection) -> float:
    """How long the server has been running."""
    age = extract("epoch", func.clock_timestamp() - func.pg_postmaster_start_time())
    return float(await connection.scalar(select(age)) or 0)


async def take_turn_to_identify(connection: AsyncConnection, seconds: float) -> bool:
    """Have the turn for so long, which has passed then; False: another process has it."""
    if not await connection.scalar(select(func.pg_try_advisory_xact_lock(IDENTIFYING))):
        return False
    # Before the caller identifies, and not after: so nothing has to be held while it does.
    await connection.execute(select(func.pg_sleep(seconds)))
    return True


async def is_unfinished(connection: AsyncConnection) -> bool:
    """Whether a host that is being moved here has not arrived yet."""
    found = await connection.scalar(select(func.to_regclass(UNFINISHED).is_not(None)))
    return bool(found)


async def wait_for_turn(connection: AsyncConnection, number: int) -> None:
    """Until this transaction ends, let no other process into what has this number (on PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(number)))
