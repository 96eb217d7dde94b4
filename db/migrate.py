"""Bringing the schema up to date at start-up, in process, without an alembic.ini."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

MIGRATIONS = Path(__file__).with_name("migrations")


class SchemaTooNew(Exception):
    """The database was written by a newer release than this one."""


def migration_config() -> Config:
    """Alembic's configuration; the connection is added as the attribute `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


async def upgrade(connection: AsyncConnection) -> None:
    """Run the migrations that are missing, in one transaction. Raises SchemaTooNew."""
    async with connection.begin():
        await connection.run_sync(_upgrade)
        # A database that can only be read opens all the same. This changes nothing, and fails there.
        await connection.execute(text("DELETE FROM alembic_version WHERE false"))


def _upgrade(connection: Connection) -> None:
    config = migration_config()
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_heads()
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := set(current) - known:
        raise SchemaTooNew(
            f"The database was written by a newer Colloquy (schema {', '.join(sorted(unknown))}). "
            "Update this one, or point DATABASE_URL at another database."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def current_schema(connection: Connection) -> str | None:
    """The revision that a database has."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_schema() -> str | None:
    """The revision that this release writes."""
    return ScriptDirectory.from_config(migration_config()).get_current_head()
