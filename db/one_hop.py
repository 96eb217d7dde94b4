"""Whole transactions in the thread of SQLite's driver.

The asynchronous driver hands every step of every statement to its thread and waits for it: of a statement's
cost that is nearly all. So a transaction is handed over as a whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Engine, Executable, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

T = TypeVar("T")


class OneHop:
    """Runs transactions on the connection of an asynchronous engine for SQLite, in that connection's thread.

    Nobody else may be in a transaction on it meanwhile.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._engine: Engine = create_engine(
            "sqlite://", creator=lambda: driver._conn, poolclass=StaticPool, hide_parameters=True
        )
        event.listen(self._engine, "begin", begin_immediate)

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction. It may wait for statements and for nothing else."""

        def transaction() -> T:
            with self._engine.begin() as connection:
                return _finish(work(cast(AsyncConnection, OnTheSpot(connection))))

        # What all of the driver's own methods go through. It is not public, so the tests are what pins it.
        result: T = await self._driver._execute(transaction)
        return result


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


def _finish(work: Awaitable[T]) -> T:
    """The result of a coroutine that never has to wait, as nothing it awaits leaves this thread."""
    coroutine = cast(Coroutine[Any, Any, T], work)
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a transaction waits for its statements and for nothing else")
