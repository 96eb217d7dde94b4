"""Whether the database can be written, found out by writing."""

from __future__ import annotations

import secrets

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.key_states import key_states


async def prove_writable(connection: AsyncConnection) -> None:
    """Write a row and take it back: pages change and are committed, what is kept does not."""
    # A name of its own, since several processes may share the database.
    row = {"provider": "", "holder": secrets.token_hex(8), "model": ""}
    await connection.execute(insert(key_states).values(**row, status="ready", reason="", strikes=0))
    await connection.execute(
        delete(key_states).where(key_states.c.provider == "", key_states.c.holder == row["holder"])
    )
