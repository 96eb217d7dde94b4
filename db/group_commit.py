"""SQLite's transactions, run in its driver's thread and committed in groups.

The asynchronous driver hands every step of every statement to its thread and waits for it, which is most of
what a statement costs. So the thread gets whole transactions here; and all that have come while it was busy
are run in one hop and committed as one, each in a savepoint of its own. Nobody is told that a transaction is
done before it is committed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Engine, Executable, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

Work = Callable[[AsyncConnection], Awaitable[Any]]
Outcome = tuple[Any, Exception | None]  # the result, or what was raised

# So many at once at most: they also fail together when their commit does.
LARGEST_GROUP = 100


class GroupCommit:
    """Runs transactions on the one connection of an asynchronous engine for SQLite.

    Whoever uses the connection otherwise holds `lock` meanwhile.
    """

    def __init__(self, driver: Any) -> None:
        self.lock = asyncio.Lock()
        self._driver = driver
        self._engine: Engine = create_engine(
            "sqlite://", creator=lambda: driver._conn, poolclass=StaticPool, hide_parameters=True
        )
        event.listen(self._engine, "begin", begin_immediate)
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []

    async def run(self, work: Work) -> Any:
        """Run `work` in a transaction, in its turn, and return its result once that is committed."""
        result = asyncio.get_running_loop().create_future()
        self._waiting.append((work, result))
        async with self.lock:
            if not result.done():  # not in the group of somebody who came earlier
                await self._run_group()
        return await result

    async def _run_group(self) -> None:
        group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
        works = [work for work, _ in group]
        outcomes: list[Outcome]
        try:
            # What all of the driver's own methods go through. Not public: the tests are what pins it.
            outcomes = await self._driver._execute(self._transact, works)
        except Exception as failure:  # nothing was committed
            outcomes = [(None, failure)] * len(works)
        for (_, result), (value, error) in zip(group, outcomes, strict=True):
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(value)

    def _transact(self, works: Sequence[Work]) -> list[Outcome]:
        """In the thread: run them all, and return the result or error of each."""
        with self._engine.begin() as connection:
            return [_attempt(connection, self._driver._conn, work) for work in works]


def _attempt(connection: Connection, sqlite: sqlite3.Connection, work: Work) -> Outcome:
    sqlite.execute("SAVEPOINT one_of_many")
    outcome: Outcome
    try:
        outcome = finish(work(cast(AsyncConnection, OnTheSpot(connection)))), None
    except Exception as error:
        if not sqlite.in_transaction:  # on a full disk, SQLite takes back everything by itself
            raise
        sqlite.execute("ROLLBACK TO one_of_many")
        outcome = None, error
    sqlite.execute("RELEASE one_of_many")
    return outcome


def finish(work: Awaitable[Any]) -> Any:
    """The result of a coroutine that never has to wait, as nothing it awaits leaves this thread."""
    coroutine = cast(Coroutine[Any, Any, Any], work)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("a transaction waits for its statements and for nothing else")


class OnTheSpot:
    """As much of an AsyncConnection as transactions need, over one that does not have to be waited for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """As AsyncConnection has it."""
        return self._connection.execute(statement, parameters)

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        """As AsyncConnection has it."""
        return self._connection.scalar(statement, parameters)


def begin_immediate(connection: Connection) -> None:
    """Begin a transaction as a writer: one that began as a reader would fail where two want to write."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
