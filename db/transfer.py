"""Moving a host from its SQLite file to PostgreSQL: table by table, in batches, and on after a stop.

What has been copied is noted in the target with each batch, in a table that is there until all is done. As
long as it is there no bot starts on the target.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    LargeBinary,
    MetaData,
    NullPool,
    Table,
    Text,
    delete,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.files import Advance, only_process, read_address
from db.history import storable
from db.migrate import SchemaTooNew, newest_revision, read_revisions, upgrade
from db.reading import open_reader
from db.server import MOVING, UNFINISHED, create_engine, describe, is_unfinished, read_living, wait_for_turn
from db.tables import Base

BATCH = 1000
BATCH_OF_PICTURES = 20  # they may have megabytes each

_progress = Table(
    UNFINISHED,
    MetaData(),
    Column("name", Text, primary_key=True),  # of a table; "" is the source itself
    Column("position", Text, nullable=False),  # the primary key of its last row that is copied, as JSON
)


class TransferError(Exception):
    """The host is not moved; the text says why and what to do, and holds no password."""


async def transfer(source: str, target: str, advance: Advance) -> dict[str, int]:
    """Copy everything from an SQLite address to a PostgreSQL address; return how many rows each table has.

    The source is only read, and no bot can start on it meanwhile. One that was interrupted goes on where it
    was, or begins anew where the source has changed since. Raises TransferError, DatabaseUnusable.
    """
    file, url = _source_file(source), _target_url(target)
    if not file.is_file():
        raise TransferError(f"There is no database at {file}.")
    engine = create_engine(url, statement_seconds=None, poolclass=NullPool)
    with only_process(file):
        async with open_reader(source) as rows:
            try:
                async with engine.connect() as connection:
                    await _refuse_others(connection)
                    await upgrade(connection)
                    await _begin(connection, _state_of(file))
                    await _copy(rows, connection, advance)
                    return await _finish(rows, connection)
            except SchemaTooNew as error:
                raise TransferError(str(error)) from None
            except (DBAPIError, OSError, TypeError, ValueError) as error:
                # The last two: a parameter in the address that the driver does not know or cannot read.
                raise TransferError(
                    f"PostgreSQL does not take it: {describe(error)}. The SQLite file is as it was. "
                    "When that is put right, the same command goes on where it was."
                ) from None


def _source_file(address: str) -> Path:
    url = read_address(address)
    if url.get_backend_name() != "sqlite":
        raise TransferError("DATABASE_URL is no SQLite file, so there is nothing to move.")
    return Path(str(url.database))


def _target_url(address: str) -> URL:
    form = "The target has the form postgresql+asyncpg://user:password@host:5432/name."
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise TransferError(form) from None
    if url.drivername != "postgresql+asyncpg" or not url.database:
        raise TransferError(form)
    return url


def _state_of(file: Path) -> str:
    """What changes whenever somebody writes to an SQLite file."""
    parts = [path.stat() for path in (file, Path(f"{file}-wal")) if path.exists() and path.stat().st_size]
    return json.dumps([str(file.absolute()), *([part.st_size, part.st_mtime_ns] for part in parts)])


async def _refuse_others(target: AsyncConnection) -> None:
    """Raise TransferError, before anything is changed, where a target has tables that are not as ours."""
    async with target.begin():
        tables = await target.run_sync(lambda connection: inspect(connection).get_table_names())
        if tables and await target.run_sync(read_revisions) != [newest_revision()]:
            raise TransferError(
                "The target has tables already, of another release or of something else. "
                "Name a database that is empty."
            )


async def _begin(target: AsyncConnection, state: str) -> None:
    """Mark the target, if it is empty or marked already. Raises TransferError."""
    async with target.begin():
        await wait_for_turn(target, MOVING)
        new = not await is_unfinished(target)
        if new:
            for table in Base.metadata.sorted_tables:
                if (await target.execute(select(literal(1)).select_from(table).limit(1))).first():
                    raise TransferError(
                        "The target holds data of a Colloquy already. Name a database that is empty."
                    )
            await target.run_sync(_progress.create)
            await target.execute(insert(_progress).values(name="", position=state))
    async with target.begin():
        # Marked first, and looked after that: a bot that starts now has shown itself, or sees the mark.
        if await read_living(target):
            if new:
                await target.run_sync(_progress.drop)
            raise TransferError("A Colloquy is running on the target. Stop it first.")
        seen = await target.scalar(select(_progress.c.position).where(_progress.c.name == ""))
        if seen != state:  # the rows that were copied may have changed
            for table in reversed(Base.metadata.sorted_tables):
                await target.execute(delete(table))
            await target.execute(delete(_progress).where(_progress.c.name != ""))
            await target.execute(update(_progress).values(position=state))


async def _copy(source: AsyncConnection, target: AsyncConnection, advance: Advance) -> None:
    total = sum([await _count(source, table) for table in Base.metadata.sorted_tables])
    done = sum([await _count(target, table) for table in Base.metadata.sorted_tables])
    await target.rollback()  # reading has begun a transaction
    advance(done, total)
    for table in Base.metadata.sorted_tables:
        keys = list(table.primary_key.columns)
        with_pictures = any(isinstance(column.type, LargeBinary) for column in table.columns)
        batch = select(table).order_by(*keys).limit(BATCH_OF_PICTURES if with_pictures else BATCH)
        async with target.begin():
            noted = await target.scalar(select(_progress.c.position).where(_progress.c.name == table.name))
            if noted is None:
                await target.execute(insert(_progress).values(name=table.name, position="null"))
        position = json.loads(noted or "null")
        while True:
            rest = batch if position is None else batch.where(_after(keys, position))
            rows = [_storable(row) for row in (await source.execute(rest)).mappings()]
            if not rows:
                break
            position = [rows[-1][key.name] for key in keys]
            async with target.begin():
                await target.execute(insert(table), rows)
                await target.execute(
                    update(_progress)
                    .where(_progress.c.name == table.name)
                    .values(position=json.dumps(position))
                )
            done += len(rows)
            advance(done, total)


def _after(keys: list[Column[Any]], position: list[Any]) -> Any:
    return tuple_(*keys) > tuple_(
        *(literal(value, key.type) for key, value in zip(keys, position, strict=True))
    )


def _storable(row: Any) -> dict[str, Any]:
    """A row without what PostgreSQL refuses in texts."""
    return {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}


async def _count(connection: AsyncConnection, table: Table) -> int:
    return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def _finish(source: AsyncConnection, target: AsyncConnection) -> dict[str, int]:
    """Compare, set what counts up to where it is, and take the mark away: all of it or nothing."""
    counts: dict[str, int] = {}
    async with target.begin():
        for table in Base.metadata.sorted_tables:
            counts[table.name], copied = await _count(source, table), await _count(target, table)
            if counts[table.name] != copied:
                raise TransferError(
                    f"The table {table.name} has {counts[table.name]:,} rows, and {copied:,} arrived. "
                    "Drop the target database, create it anew and begin again."
                )
            for key in table.primary_key.columns:
                # NULL, and no harm done, for a key that does not count up by itself.
                sequence = func.pg_get_serial_sequence(table.name, key.name)
                largest = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
                if await target.scalar(select(sequence)):
                    await target.execute(select(func.setval(sequence, largest, False)))
        await target.execute(text("ANALYZE"))  # or the first reports would be planned for empty tables
        await target.run_sync(_progress.drop)
    return counts
