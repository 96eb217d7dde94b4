"""Reads of SQLite beside its writes: on a connection of their own, in a thread of their own.

With the write-ahead log, a reader sees the database as it was when it began, and holds up no writer. SQLite
before 3.51.3 can corrupt a file when one connection writes while another one copies the log back into it;
this connection is opened read-only, and can do neither.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from db.files import read_only
from db.group_commit import OnTheSpot, Work, finish


class Reader:
    """Runs reads of a file one after the other. Its connection is opened by the first."""

    def __init__(self, path: Path) -> None:
        self._engine = create_engine(
            "sqlite://", creator=partial(read_only, path), poolclass=StaticPool, hide_parameters=True
        )
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
