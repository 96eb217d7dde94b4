"""Whom the end of an answer has not been shown yet, and how to reach them.

What it takes to reach them is noted as a request is admitted, and taken back once its end was shown. What is
still there when its process is gone was left by one that was killed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.history import Turn, read_turn
from db.ledger import requests
from db.pictures import StoredPictures, read_pictures
from db.server import read_living

# Said so, and not with a parameter, a database finds it by its partial index.
_NOTED = text("response <> ''")


@dataclass(frozen=True, slots=True)
class Left:
    """A request that has ended, and whose end nobody was shown.

    `response` says how to reach whoever asked, `outcome` is the request's. What was made is the turn or the
    pictures, where they are kept.
    """

    interaction_id: int
    response: str
    outcome: str
    turn: Turn | None
    pictures: StoredPictures | None


async def forget_responses(connection: AsyncConnection, interaction_ids: Collection[int]) -> None:
    """Note of interactions that their end was shown."""
    await connection.execute(
        update(requests).where(requests.c.interaction_id.in_(interaction_ids), _NOTED).values(response="")
    )


async def take_left(connection: AsyncConnection, process: int) -> list[Left]:
    """What processes left that live no more, and that nobody else has taken; whoever takes it has to tell.

    `process` is the number of this one. On SQLite there is no other: to be asked before anything is admitted.
    """
    living = await read_living(connection)
    if process:
        living.add(process)
    rows = await connection.execute(
        select(requests.c.id, requests.c.interaction_id, requests.c.outcome, requests.c.response)
        .where(_NOTED, ~requests.c.open, requests.c.process.not_in(living))
        .order_by(requests.c.id)
        .with_for_update(skip_locked=True)
    )
    found = [
        Left(
            row.interaction_id,
            row.response,
            row.outcome,
            await read_turn(connection, row.id),
            await read_pictures(connection, row.id),
        )
        for row in rows.all()
    ]
    if found:
        await forget_responses(connection, [left.interaction_id for left in found])
    return found
