"""What a server's admins have set."""

from __future__ import annotations

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rollup import insert_into
from db.tables import GuildSettings

guild_settings: Table = GuildSettings.__table__  # type: ignore[assignment]  # declared as FromClause

UTC_NAME = "UTC"


async def read_time_zone(connection: AsyncConnection, guild_id: int) -> str:
    """The name of the server's time zone; UTC where none is set."""
    name: str | None = await connection.scalar(
        select(guild_settings.c.time_zone).where(guild_settings.c.guild_id == guild_id)
    )
    return name or UTC_NAME


async def write_time_zone(connection: AsyncConnection, guild_id: int, name: str) -> None:
    """Set the server's time zone."""
    statement = insert_into(connection, guild_settings).values(guild_id=guild_id, time_zone=name)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["guild_id"], set_={"time_zone": name})
    )
