"""Bringing the schema up to date at start-up, in process, without an alembic.ini.

Alembic is imported only where there is something to migrate: it would take a third of every start's time, and
12 MiB.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.server import MIGRATING, wait_for_turn

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")


class SchemaTooNew(Exception):
    """The database was written by a newer release than this one."""


def migration_config() -> Config:
    """Alembic's configuration; the connection is added as the attribute `connection`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


async def upgrade(
    connection: AsyncConnection, before: Callable[[str], Awaitable[None]] | None = None
) -> None:
    """Run the migrations that are missing, in one transaction. Raises SchemaTooNew.

    `before` is awaited ahead of them with the revision that the database has, unless it is empty.
    """
    async with connection.begin():
        found = await connection.run_sync(read_revisions)
    if unknown := set(found) - known_revisions():
        raise SchemaTooNew(
            f"The database was written by a newer Colloquy (schema {', '.join(sorted(unknown))}). "
            "Update this one, or point DATABASE_URL at another database."
        )
    if found and found != [newest_revision()] and before is not None:
        await before(found[0])
    async with connection.begin():
        # Of processes that start together one migrates, and the others wait for it.
        await wait_for_turn(connection, MIGRATING)
        if await connection.run_sync(read_revisions) != [newest_revision()]:
            await connection.run_sync(_upgrade)
        # A database that can only be read opens all the same, and so does one on a disk that is full. This
        # changes nothing, and fails there.
        await connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def newest_revision() -> str:
    """The revision of a schema that is up to date: the number that the last migration's file begins with."""
    return max(known_revisions())


def known_revisions() -> set[str]:
    """The revisions of all schemas that this release can read or bring up to date."""
    return {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def read_revisions(connection: Connection) -> list[str]:
    """The revision that a database has; none when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _upgrade(connection: Connection) -> None:
    from alembic import command

    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
