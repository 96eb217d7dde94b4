"""Reading a database that a bot may be writing to at the same moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from db.files import DatabaseUnusable, explain, read_address
from db.migrate import newest_revision, read_revisions
from db.server import explain_server


@asynccontextmanager
async def open_reader(address: str, *, any_schema: bool = False) -> AsyncIterator[AsyncConnection]:
    """A connection in one read transaction, which sees the database as it was at one moment.

    On SQLite it is opened read-only. SQLite before 3.51.3 can corrupt a file when two connections write or
    checkpoint at once; this one can do neither. Raises DatabaseUnusable, also where the schema is not this
    release's unless it may be `any_schema`.
    """
    url = read_address(address)
    on_file = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {}
    if on_file:
        url = _read_only(url)
    else:
        options["isolation_level"] = "REPEATABLE READ"
    engine = create_async_engine(url, pool_size=1, max_overflow=0, hide_parameters=True, **options)
    if on_file:
        event.listen(engine.sync_engine, "connect", _leave_transactions_to_us)
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(read_revisions)
            if found != [newest_revision()] and not any_schema:
                raise DatabaseUnusable(
                    f"The database has the schema {', '.join(found) or 'of no Colloquy'}, and this Colloquy "
                    f"writes {newest_revision()}. Start the bot once: it brings the database up to date."
                )
            yield connection
    except (DBAPIError, OSError) as error:
        reason, remedy, may_pass = (explain if on_file else explain_server)(error)
        raise DatabaseUnusable(
            f"The database cannot be read: {reason}. {remedy}", may_pass=may_pass
        ) from None
    finally:
        await engine.dispose()


def _leave_transactions_to_us(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 5000")


def _read_only(url: URL) -> URL:
    path = Path(str(url.database)).absolute()
    if not path.is_file():
        raise DatabaseUnusable(f"There is no database at {path}. Start the bot once.")
    query = {"mode": "ro", "uri": "true"}
    return URL.create(url.drivername, database=f"file:{quote(str(path))}", query=query)
