"""What pictures were asked for and made with, for the buttons below them; they themselves are on Discord."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.history import storable
from db.rollup import insert_into
from db.tables import PictureSet

pictures: Table = PictureSet.__table__  # type: ignore[assignment]  # declared as FromClause


@dataclass(frozen=True, slots=True)
class Made:
    """What one picture was really made with. What its model has none of is None, or empty."""

    width: int
    height: int
    model: str
    seed: int | None
    steps: int | None = None
    guidance: float | None = None
    negative: str = ""


@dataclass(frozen=True, slots=True)
class StoredPictures:
    """One row. `id` is the request's, `seed` the first picture's, `model` "" for the chain's own choice."""

    id: int
    guild_id: int
    channel_id: int
    user_id: int
    prompt: str
    negative: str
    model: str
    width: int
    height: int
    seed: int
    steps: int | None
    guidance: float | None
    count: int
    spoiler: bool
    private: bool
    made: tuple[Made, ...]
    created_at: int = 0  # set when it is added


async def add_pictures(connection: AsyncConnection, row: StoredPictures) -> None:
    """Keep what pictures were made with; a row that is there already is left as it is."""
    values: dict[str, Any] = {name: getattr(row, name) for name in pictures.columns.keys()}  # noqa: SIM118 (of columns)
    values |= {
        "prompt": storable(row.prompt),
        "negative": storable(row.negative),
        "made": json.dumps([asdict(one) for one in row.made]),
        "created_at": row.created_at or int(time.time()),
    }
    statement = insert_into(connection, pictures).values(values)
    await connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]))


async def read_pictures(connection: AsyncConnection, row_id: int) -> StoredPictures | None:
    """The row of this id, if it is still kept."""
    found = (await connection.execute(select(pictures).where(pictures.c.id == row_id))).one_or_none()
    if found is None:
        return None
    values: dict[str, Any] = found._asdict()
    return StoredPictures(**{**values, "made": tuple(Made(**one) for one in json.loads(found.made))})


async def forget_pictures(connection: AsyncConnection, row_id: int) -> None:
    """Delete a row, if it is there."""
    await connection.execute(delete(pictures).where(pictures.c.id == row_id))


async def forget_pictures_of(connection: AsyncConnection, user_id: int) -> int:
    """Delete what a member's pictures were made with, and return for how many requests."""
    result = await connection.execute(delete(pictures).where(pictures.c.user_id == user_id))
    return result.rowcount
