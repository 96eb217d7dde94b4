"""Weekly reports: which servers have asked for one, and for which Monday it was last posted.

Several processes may share the database. Each changes a row only if it is as it has read it, so of all that
would post a report, one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.guild_settings import UTC_NAME, guild_settings
from db.rollup import insert_into
from db.usage import Grouping


@dataclass(frozen=True, slots=True)
class Subscription:
    """A server's weekly report. `posted` is the Monday of the last one, as 2026-11-30."""

    guild_id: int
    time_zone: str
    channel_id: int
    by: Grouping
    posted: str
    missed: int  # how many weeks in a row it could not be posted


_COLUMNS = (
    guild_settings.c.guild_id,
    guild_settings.c.time_zone,
    guild_settings.c.weekly_channel_id,
    guild_settings.c.weekly_by,
    guild_settings.c.weekly_posted,
    guild_settings.c.weekly_missed,
)


async def read_subscription(connection: AsyncConnection, guild_id: int) -> Subscription | None:
    """A server's weekly report, if it has asked for one."""
    found = select(*_COLUMNS).where(
        guild_settings.c.guild_id == guild_id, guild_settings.c.weekly_channel_id != 0
    )
    row = (await connection.execute(found)).first()
    return Subscription(*row) if row is not None else None


async def read_subscriptions(connection: AsyncConnection) -> list[Subscription]:
    """The weekly reports of all servers."""
    found = select(*_COLUMNS).where(guild_settings.c.weekly_channel_id != 0)
    rows = await connection.execute(found.order_by(guild_settings.c.guild_id))
    return [Subscription(*row) for row in rows]


async def write_subscription(
    connection: AsyncConnection, guild_id: int, channel_id: int, by: Grouping, posted: str
) -> None:
    """Have a report posted after the Monday `posted`, in place of one that the server may have."""
    weekly: dict[str, Any] = {
        "weekly_channel_id": channel_id,
        "weekly_by": by,
        "weekly_posted": posted,
        "weekly_missed": 0,
    }
    statement = insert_into(connection, guild_settings).values(
        guild_id=guild_id, time_zone=UTC_NAME, **weekly
    )
    await connection.execute(statement.on_conflict_do_update(index_elements=["guild_id"], set_=weekly))


async def delete_subscription(connection: AsyncConnection, guild_id: int) -> bool:
    """End a server's weekly report; False when it has none."""
    return await _change(connection, guild_settings.c.guild_id == guild_id, weekly_channel_id=0)


async def change_subscription(
    connection: AsyncConnection, known: Subscription, changed: Subscription
) -> bool:
    """Write what differs (`posted`, `missed`); False when somebody else has changed the row meanwhile."""
    same = (
        (guild_settings.c.guild_id == known.guild_id)
        & (guild_settings.c.weekly_channel_id == known.channel_id)
        & (guild_settings.c.weekly_posted == known.posted)
    )
    return await _change(connection, same, weekly_posted=changed.posted, weekly_missed=changed.missed)


async def _change(connection: AsyncConnection, which: ColumnElement[bool], **values: Any) -> bool:
    statement = update(guild_settings).where(which, guild_settings.c.weekly_channel_id != 0)
    changed = await connection.execute(statement.values(**values).returning(guild_settings.c.guild_id))
    return changed.first() is not None
