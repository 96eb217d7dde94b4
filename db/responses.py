"""Whom the end of an answer has not been shown yet, and how to reach them.

What it takes to reach them is noted when they have to wait, or are admitted, and deleted once the end was
shown. What is still there when its process is gone was left by one that was killed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Table, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

from db.history import Turn, read_turn
from db.pictures import StoredPictures, read_pictures
from db.rollup import insert_for
from db.server import read_living
from db.tables import Request, Response

requests: Table = Request.__table__  # type: ignore[assignment]  # declared as FromClause
responses: Table = Response.__table__  # type: ignore[assignment]  # declared as FromClause


@dataclass(frozen=True, slots=True)
class Left:
    """An interaction whose end nobody was shown.

    `response` says how to reach whoever asked, `outcome` is the request's; "": it was never admitted. What
    was made is the turn or the pictures, where they are kept.
    """

    interaction_id: int
    response: str
    outcome: str
    turn: Turn | None
    pictures: StoredPictures | None


@cache
def _noting(dialect: str) -> Insert:
    return insert_for(dialect, responses).on_conflict_do_nothing(index_elements=["interaction_id"])


async def note_response(
    connection: AsyncConnection, interaction_id: int, process: int, response: str
) -> None:
    """Note how to reach whoever asked; it may have been noted before."""
    row: dict[str, Any] = {"interaction_id": interaction_id, "process": process, "response": response}
    await connection.execute(_noting(connection.dialect.name), row)


async def forget_responses(connection: AsyncConnection, interaction_ids: Collection[int]) -> None:
    """Note of interactions that their end was shown."""
    await connection.execute(delete(responses).where(responses.c.interaction_id.in_(interaction_ids)))


async def take_left(connection: AsyncConnection, process: int) -> list[Left]:
    """What processes left that live no more, and that nobody else has taken; whoever takes it has to tell.

    `process` is the number of this one. On SQLite there is no other: to be asked before anything is noted.
    """
    living = await read_living(connection)
    if process:
        living.add(process)
    rows = await connection.execute(
        select(responses.c.interaction_id, responses.c.response, requests.c.id, requests.c.outcome)
        .outerjoin(requests, requests.c.interaction_id == responses.c.interaction_id)
        .where(responses.c.process.not_in(living), or_(requests.c.id.is_(None), ~requests.c.open))
        .order_by(responses.c.interaction_id)
        .with_for_update(skip_locked=True, of=responses)
    )
    found = [
        Left(
            row.interaction_id,
            row.response,
            row.outcome or "",
            await read_turn(connection, row.id or 0),
            await read_pictures(connection, row.id or 0),
        )
        for row in rows.all()
    ]
    if found:
        await forget_responses(connection, [left.interaction_id for left in found])
    return found
