"""Backups of PostgreSQL by its own programs: pg_dump makes them, pg_restore reads and restores them."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, inspect, select, table, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from db.backup import Backup, BackupError, begin, discard
from db.files import Advance, explain, put_in_place
from db.migrate import newest_revision, read_revisions
from db.reading import open_reader
from db.restore import Restored, refuse_newer
from db.verify import find_discrepancies

# Where the rows of a table begin in what pg_restore writes; they end with a line of its own.
COPY = re.compile(rb'COPY (?:\w+\.)?"?(\w+)"? \(')
END = b"\\."
# Read at once, bytes.
CHUNK = 1 << 20
# How many rows are read back between two looks at how far that is.
ROWS_BETWEEN = 1000


async def dump(url: URL, target: Path, advance: Advance) -> Backup:
    """Dump a database to a file that is not there yet, as it is at one moment, and read the dump back.

    Raises BackupError, and leaves nothing behind then; DatabaseUnusable when the database cannot be read.
    """
    partial = begin(target)
    try:
        async with open_reader(_address(url), any_schema=True) as connection:
            schema = ", ".join(await connection.run_sync(read_revisions))
            if not schema:
                raise BackupError("The database is none of Colloquy, or still empty.")
            expected = await _count_rows(connection)
            total = sum(expected.values())
            snapshot = await connection.scalar(text("SELECT pg_export_snapshot()"))
            options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}")
            await _run("pg_dump", *options, f"--file={partial}", environ=_environ(url))
            problems = None
            if schema == newest_revision():
                problems = await find_discrepancies(connection, running=True)
            place = await _schema_of(connection)
        found = await _rows_in(partial, place, lambda done: advance(done, total))
        if found != expected:
            raise BackupError("No backup was made: the dump has not as many rows as the database.")
        size = await asyncio.to_thread(os.path.getsize, partial)
        await asyncio.to_thread(put_in_place, partial, target)
    except OSError as error:
        raise BackupError(f"No backup was made: {explain(error).reason}.") from None
    finally:
        discard(partial)
    return Backup(target, size, schema, found, problems)


async def restore_dump(backup: Path, url: URL, *, force: bool) -> Restored:
    """Restore a dump into a database without tables. Raises BackupError, DatabaseUnusable."""
    data = _data_of(backup, "--table=alembic_version")
    revisions = [row.decode() async for name, row in data if name == "alembic_version" and row is not None]
    if not revisions:
        raise BackupError(f"{backup} is no backup of Colloquy. Nothing was changed.")
    schema = ", ".join(revisions)
    refuse_newer(backup, schema)
    async with open_reader(_address(url), any_schema=True) as connection:
        if await connection.run_sync(_tables):
            raise BackupError(
                "The database is not empty. Make a new one, point DATABASE_URL there, and restore into that"
                + ("; --force is for SQLite files alone." if force else ".")
            )
        place = await _schema_of(connection)
    expected = await _rows_in(backup, place)
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    await _run("pg_restore", *options, f"--dbname={url.database}", str(backup), environ=_environ(url))
    async with open_reader(_address(url), any_schema=True) as connection:
        if await _count_rows(connection) != expected:
            raise BackupError("The database has not as many rows as the backup: empty it, and try again.")
        problems = None
        if schema == newest_revision():
            problems = await find_discrepancies(connection, running=True)
    return Restored(f"{url.database} on {url.host or 'this machine'}", schema, expected, problems, [])


def _address(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _environ(url: URL) -> dict[str, str]:
    """What tells PostgreSQL's programs where the database is: on a command line all users could read it."""
    host, ssl = url.query.get("host"), url.query.get("ssl") or url.query.get("sslmode")
    given = {
        "PGHOST": url.host or host,
        "PGPORT": url.port or url.query.get("port"),
        "PGUSER": url.username or url.query.get("user"),
        "PGPASSWORD": url.password or url.query.get("password"),
        "PGDATABASE": url.database,
        "PGSSLMODE": ssl,
    }
    return {**os.environ, **{name: str(value) for name, value in given.items() if value}}


def _tables(connection: Connection) -> list[str]:
    return sorted(inspect(connection).get_table_names())


async def _count_rows(connection: AsyncConnection) -> dict[str, int]:
    return {
        name: int(await connection.scalar(select(func.count()).select_from(table(name))) or 0)
        for name in await connection.run_sync(_tables)
    }


async def _schema_of(connection: AsyncConnection) -> str:
    """The name of the schema (PostgreSQL's) that the tables are in; others in the database are not ours."""
    return str(await connection.scalar(select(func.current_schema())))


async def _rows_in(
    backup: Path, place: str, advance: Callable[[int], None] = lambda done: None
) -> dict[str, int]:
    """How many rows of each of our tables are in a dump, by reading all of it."""
    rows: dict[str, int] = {}
    done = 0
    async for name, row in _data_of(backup, f"--schema={place}"):
        rows[name] = rows.get(name, 0) + (row is not None)
        done += row is not None
        if done % ROWS_BETWEEN == 0:
            advance(done)
    return dict(sorted(rows.items()))


async def _data_of(backup: Path, *options: str) -> AsyncIterator[tuple[str, bytes | None]]:
    """Yield each table in a dump with None, and then with each of its rows. Raises BackupError."""
    process = await _start("pg_restore", "--data-only", "--file=-", *options, str(backup), environ=os.environ)
    name, rest = "", b""
    try:
        while chunk := await process.stdout.read(CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if name and line == END:
                    name = ""
                elif name:
                    yield name, line
                elif match := COPY.match(line):
                    name = match[1].decode()
                    yield name, None
        errors = (await process.stderr.read()).decode(errors="replace").strip()
        if await process.wait():
            raise BackupError(f"{backup} cannot be read: {errors}.")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _run(program: str, *arguments: str, environ: dict[str, str]) -> None:
    """Run a program of PostgreSQL to its end. Raises BackupError."""
    process = await _start(program, *arguments, environ=environ)
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise BackupError(f"{program} failed: {errors.decode(errors='replace').strip()}")


async def _start(program: str, *arguments: str, environ: Any) -> Any:
    try:
        return await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise BackupError(
            f"{program} is not there. Install PostgreSQL's client programs, of the server's version or newer."
        ) from None
