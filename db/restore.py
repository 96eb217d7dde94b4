"""Putting a backup in a database's place, where nothing is overwritten: what was there is kept aside."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from db.backup import BackupError, copy_file, discard, in_thread, read_back, read_books
from db.files import (
    RESTORING,
    Advance,
    DatabaseUnusable,
    explain,
    leftovers,
    only_process,
    own_as_folder,
    put_in_place,
    read_address,
    sidecars,
)
from db.migrate import known_revisions


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place."""

    place: str
    schema: str
    rows: dict[str, int]
    problems: list[str] | None  # of its books; None: not looked at, since this release writes another schema
    aside: list[Path]  # where what was there is now


async def restore(
    backup: Path, address: str, *, force: bool = False, advance: Advance = lambda done, total: None
) -> Restored:
    """Put a backup where an SQLAlchemy address points; nothing may be there, unless `force` moves it aside.

    A backup that cannot be read, or that a newer release made, is refused before anything is touched. Raises
    BackupError, and DatabaseUnusable where a bot is running there.
    """
    url = read_address(address)
    if url.get_backend_name() != "sqlite":
        from db.dump import restore_dump  # for PostgreSQL alone

        return await restore_dump(backup, url, force=force)
    try:
        schema, _ = await asyncio.to_thread(read_back, backup)
        refuse_newer(backup, schema)
        problems = await read_books(backup, schema)
    except (sqlite3.Error, DatabaseUnusable) as error:
        unread = isinstance(error, DatabaseUnusable)
        reason = "its books cannot be read" if unread else explain(error).reason
        raise BackupError(f"{backup} is no backup that can be used: {reason}. Nothing was changed.") from None
    path = Path(str(url.database))
    with only_process(path):
        try:
            return await in_thread(lambda tell: _replace(backup, path, force, tell, problems), advance)
        except (sqlite3.Error, OSError) as error:
            raise BackupError(f"{backup} was not restored: {explain(error).reason}.") from None


def refuse_newer(backup: Path, schema: str) -> None:
    """Raise BackupError for a schema that this release does not know."""
    if unknown := set(schema.split(", ")) - known_revisions():
        raise BackupError(
            f"{backup} was made by a newer Colloquy (schema {', '.join(sorted(unknown))}). Update this one "
            "first. Nothing was changed."
        )


def _replace(backup: Path, path: Path, force: bool, advance: Advance, problems: list[str] | None) -> Restored:
    there = path.exists() and path.stat().st_size > 0
    if there and path.samefile(backup):
        raise BackupError(f"{backup} is the database itself. Nothing was changed.")
    if (there or leftovers(path)) and not force:
        raise BackupError(
            f"There is a database at {path}. With --force it is moved aside, and the backup takes its place."
        )
    restoring = Path(f"{path}{RESTORING}")
    discard(restoring)
    try:
        restoring.touch(mode=0o600)
        own_as_folder(restoring)
        schema, rows = copy_file(backup, restoring, advance)
    except BaseException:
        discard(restoring)
        raise
    # From here on, until it has its name, a bot refuses to start: see `refuse_leftovers`.
    aside = _move_aside(path)
    put_in_place(restoring, path)
    return Restored(str(path), schema, rows, problems, aside)


def _move_aside(path: Path) -> list[Path]:
    """Rename a database with all that SQLite keeps beside it: the log may hold its newest rows."""
    name = f"{path}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    moved = []
    for found in (*([path] if path.exists() else []), *sidecars(path)):
        target = Path(name + str(found).removeprefix(str(path)))
        os.rename(found, target)
        moved.append(target)
    return moved
