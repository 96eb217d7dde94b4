"""The conversation of each channel."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables import HistoryEntry

history: Table = HistoryEntry.__table__  # type: ignore[assignment]  # declared as FromClause

# More than any token budget lets through, and a bound on what one question reads.
MOST_TURNS = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer."""

    question: str
    answer: str


async def read_turns(connection: AsyncConnection, channel_id: int) -> list[Turn]:
    """The channel's last turns, oldest first."""
    rows = await connection.execute(
        select(history.c.turn_id, history.c.role, history.c.content)
        .where(history.c.channel_id == channel_id)
        .order_by(history.c.id.desc())
        .limit(2 * MOST_TURNS)
    )
    turns: dict[int, dict[str, str]] = {}
    for turn_id, role, content in rows:
        turns.setdefault(turn_id, {})[role] = content
    # Written together, read together; a turn cut by the limit is left out.
    return [Turn(turn["user"], turn["assistant"]) for turn in reversed(turns.values()) if len(turn) == 2]


async def read_question(connection: AsyncConnection, turn_id: int, channel_id: int) -> str | None:
    """The question of one turn of this channel, if it is kept."""
    question: str | None = await connection.scalar(
        select(history.c.content).where(
            history.c.turn_id == turn_id, history.c.channel_id == channel_id, history.c.role == "user"
        )
    )
    return question


async def add_turn(
    connection: AsyncConnection, turn_id: int, guild_id: int, channel_id: int, user_id: int, turn: Turn
) -> None:
    """Write a turn; `turn_id` is the id of its request."""
    now = int(time.time())
    common = {
        "turn_id": turn_id,
        "guild_id": guild_id,
        "channel_id": channel_id,
        "user_id": user_id,
        "created_at": now,
    }
    await connection.execute(
        insert(history),
        [
            {**common, "role": "user", "content": _storable(turn.question)},
            {**common, "role": "assistant", "content": _storable(turn.answer)},
        ],
    )


async def forget_channel(connection: AsyncConnection, channel_id: int) -> int:
    """Delete the channel's history and return how many turns that were. The ledger is not touched."""
    result = await connection.execute(
        delete(history).where(history.c.channel_id == channel_id).returning(history.c.turn_id)
    )
    return len(set(result.scalars()))


async def forget_member(connection: AsyncConnection, user_id: int) -> tuple[int, int]:
    """Delete what the member said everywhere; how many turns in how many channels."""
    result = await connection.execute(
        delete(history).where(history.c.user_id == user_id).returning(history.c.turn_id, history.c.channel_id)
    )
    rows = result.all()
    return len({row.turn_id for row in rows}), len({row.channel_id for row in rows})


def _storable(text: str) -> str:
    """Text without what a database refuses: NUL (PostgreSQL) and half surrogates (UTF-8)."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")
