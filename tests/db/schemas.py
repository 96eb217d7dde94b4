"""Earlier schemas, for tests."""

from alembic import command
from sqlalchemy import Connection

from db.migrate import migration_config


def migrate_to(connection: Connection, revision: str) -> None:
    """Bring the schema to an earlier release's."""
    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
