"""Reads of SQLite beside its writes: on a connection of their own, in a thread of their own.

With the write-ahead log, a reader sees the database as it was when it began, and holds up no writer. SQLite
before 3.51.3 can corrupt a file when one connection writes while another one copies the log back into it;
this connection is opened read-only, and can do neither.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from db.group_commit import OnTheSpot, Work, finish


class Reader:
    """Runs reads of a file one after the other. Its connection is opened by the first."""

    def __init__(self, path: Path) -> None:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"

        def connect() -> sqlite3.Connection:
            # The thread is not always the same one, but there is one at a time.
            return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)

        self._engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool, hide_parameters=True)
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        self._alone = asyncio.Lock()

    async def run(self, work: Work) -> Any:
        """Run `work`, which reads all it does at one moment, and return its result."""
        async with self._alone:
            return await asyncio.to_thread(self._read, work)

    def _read(self, work: Work) -> Any:
        with self._engine.begin() as connection:
            return finish(work(cast(AsyncConnection, OnTheSpot(connection))))

    def close(self) -> None:
        """Close the connection, once nothing runs."""
        self._engine.dispose()
