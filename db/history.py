"""The conversations: of each channel, and of each member in private."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Integer, Row, Table, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.server import wait_for_turn
from db.tables import HistoryEntry, HistoryPicture

history: Table = HistoryEntry.__table__  # type: ignore[assignment]  # declared as FromClause
history_pictures: Table = HistoryPicture.__table__  # type: ignore[assignment]  # declared as FromClause

# What a turn is read from, in the order in which `_whole_turns` takes it apart.
COLUMNS = [
    history.c[name]
    for name in (
        *("turn_id", "role", "content", "channel_id", "private_to", "user_id", "finish_reason"),
        *("speaker", "attached", "pictures", "model"),
    )
]

# More than any token budget lets through, and a bound on what one question reads.
MOST_TURNS = 100
# Behind every turn: the largest number that a column holds.
NO_TURN = 2**63 - 1

# Built once, since every question asks for them.
_LAST_TURNS = (
    select(*COLUMNS)
    .where(
        history.c.channel_id == bindparam("channel"),
        history.c.private_to == bindparam("member"),
        history.c.turn_id < bindparam("end"),
    )
    .order_by(history.c.turn_id.desc())
    .limit(bindparam("most", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """Which conversation: a channel's own, or the one that a member has there in private."""

    channel_id: int
    private_to: int = 0  # the member's id


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture that was asked about."""

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewTurn:
    """One question with its answer, to be written. `turn_id` is the id of the question's request."""

    turn_id: int
    guild_id: int
    key: ConversationKey
    user_id: int
    question: str
    answer: str
    finish_reason: str = "stop"
    speaker: str = ""
    attached: str = ""
    pictures: tuple[StoredPicture, ...] = ()
    model: str = ""  # that was chosen for it; "": none was


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer. `pictures` is how many went along; `model` as in NewTurn."""

    turn_id: int
    key: ConversationKey
    user_id: int
    question: str
    answer: str
    finish_reason: str = "stop"
    speaker: str = ""
    attached: str = ""
    pictures: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted: so many turns, in so many channels, and what so many `/imagine` were made with."""

    turns: int
    channels: int
    pictures: int = 0


async def wait_for_conversation(connection: AsyncConnection, key: ConversationKey) -> None:
    """Until this transaction ends, let no other process admit a question to this conversation."""
    await wait_for_turn(connection, key.channel_id ^ key.private_to)


async def read_turns(
    connection: AsyncConnection, key: ConversationKey, *, before: int | None = None, limit: int = MOST_TURNS
) -> list[Turn]:
    """The last turns of a conversation, or the last before a turn, oldest first."""
    chosen = {
        "channel": key.channel_id,
        "member": key.private_to,
        "end": before or NO_TURN,
        "most": 2 * limit,
    }
    rows = await connection.execute(_LAST_TURNS, chosen)
    return _whole_turns(rows)[::-1]


async def read_turn(connection: AsyncConnection, turn_id: int) -> Turn | None:
    """One turn, if it is kept."""
    rows = await connection.execute(select(*COLUMNS).where(history.c.turn_id == turn_id))
    return next(iter(_whole_turns(rows)), None)


async def read_newest_turn(connection: AsyncConnection, channel_id: int, user_id: int) -> Turn | None:
    """The newest turn of a member in a channel, the private conversation included."""
    rows = await connection.execute(
        select(*COLUMNS)
        .where(history.c.user_id == user_id, history.c.channel_id == channel_id)
        .order_by(history.c.turn_id.desc())
        .limit(2)
    )
    return next(iter(_whole_turns(rows)), None)


async def read_pictures(
    connection: AsyncConnection, turn_ids: Sequence[int]
) -> dict[int, tuple[StoredPicture, ...]]:
    """The pictures of these turns, in their order; a turn without any is left out."""
    rows = await connection.execute(
        select(history.c.turn_id, history_pictures.c.media_type, history_pictures.c.data)
        .join(history, history.c.id == history_pictures.c.entry_id)
        .where(history.c.turn_id.in_(turn_ids))
        .order_by(history.c.turn_id, history_pictures.c.place)
    )
    found: dict[int, tuple[StoredPicture, ...]] = {}
    for turn_id, media_type, data in rows:
        found[turn_id] = (*found.get(turn_id, ()), StoredPicture(media_type, data))
    return found


async def add_turn(connection: AsyncConnection, turn: NewTurn) -> None:
    """Write a turn."""
    common = {
        "turn_id": turn.turn_id,
        "guild_id": turn.guild_id,
        "channel_id": turn.key.channel_id,
        "private_to": turn.key.private_to,
        "user_id": turn.user_id,
        "created_at": int(time.time()),
    }
    question = {
        "role": "user",
        "content": storable(turn.question),
        "speaker": storable(turn.speaker),
        "attached": storable(turn.attached),
        "pictures": len(turn.pictures),
        "model": turn.model,
        "finish_reason": "",
    }
    answer = {
        "role": "assistant",
        "content": storable(turn.answer),
        "speaker": "",
        "attached": "",
        "pictures": 0,
        "model": "",
        "finish_reason": turn.finish_reason,
    }
    await connection.execute(insert(history), [common | question, common | answer])
    if turn.pictures:
        entry_id = await connection.scalar(
            select(history.c.id).where(history.c.turn_id == turn.turn_id, history.c.role == "user")
        )
        await connection.execute(
            insert(history_pictures),
            [
                {"entry_id": entry_id, "place": place, "media_type": picture.media_type, "data": picture.data}
                for place, picture in enumerate(turn.pictures)
            ],
        )


async def replace_answer(connection: AsyncConnection, turn_id: int, answer: str, finish_reason: str) -> bool:
    """Put another answer in the place of a turn's; False when the turn is no longer kept."""
    return await _change_answer(connection, turn_id, None, storable(answer), finish_reason)


async def append_to_answer(connection: AsyncConnection, turn: Turn, more: str, finish_reason: str) -> bool:
    """Add to a turn's answer; False when it is no longer kept, or is another answer by now."""
    return await _change_answer(
        connection, turn.turn_id, turn.answer, turn.answer + storable(more), finish_reason
    )


async def _change_answer(
    connection: AsyncConnection, turn_id: int, old: str | None, new: str, finish_reason: str
) -> bool:
    statement = update(history).where(history.c.turn_id == turn_id, history.c.role == "assistant")
    if old is not None:
        statement = statement.where(history.c.content == old)
    changed = await connection.execute(statement.values(content=new, finish_reason=finish_reason))
    return changed.rowcount == 1


async def forget_channel(connection: AsyncConnection, channel_id: int) -> int:
    """Delete the channel's own conversation and return how many turns it had. The ledger is not touched."""
    result = await connection.execute(
        delete(history)
        .where(history.c.channel_id == channel_id, history.c.private_to == 0)
        .returning(history.c.turn_id)
    )
    return len(set(result.scalars()))


async def forget_member(connection: AsyncConnection, user_id: int) -> Forgotten:
    """Delete every turn of a member, in all servers and channels, private ones too; the ledger stays."""
    result = await connection.execute(
        delete(history).where(history.c.user_id == user_id).returning(history.c.turn_id, history.c.channel_id)
    )
    gone = {row.turn_id: row.channel_id for row in result}
    return Forgotten(len(gone), len(set(gone.values())))


async def find_torn_turns(connection: AsyncConnection) -> list[str]:
    """A sentence for each thing in the history that cannot be true."""
    role, private_to, user_id = history.c.role, history.c.private_to, history.c.user_id
    one_of_each = (func.count() == 2) & (func.min(role) == "assistant") & (func.max(role) == "user")
    of_one_kind = and_(
        *(
            func.min(history.c[name]) == func.max(history.c[name])
            for name in ("guild_id", "channel_id", "private_to", "user_id")
        )
    )
    is_whole = one_of_each & of_one_kind & func.min(private_to).in_([0, func.min(user_id)])
    torn = select(history.c.turn_id).group_by(history.c.turn_id).having(~is_whole)
    there = select(func.count()).where(history_pictures.c.entry_id == history.c.id).correlate(history)
    wrong = select(history.c.id).where(
        (history.c.pictures != there.scalar_subquery()) | ((role != "user") & (history.c.pictures > 0))
    )
    lost = (
        select(history_pictures.c.entry_id)
        .outerjoin(history, history.c.id == history_pictures.c.entry_id)
        .where(history.c.id.is_(None))
    )
    problems = []
    for found, sentence in (
        (torn, "{} turns are torn."),
        (wrong, "{} messages have not the pictures that they should have."),
        (lost, "{} pictures have no question."),
    ):
        if count := await connection.scalar(select(func.count()).select_from(found.subquery())):
            problems.append(sentence.format(count))
    return problems


def _whole_turns(rows: Iterable[Row[Any]]) -> list[Turn]:
    """Both halves of each turn as one, in the order of the rows. A turn of one half is left out."""
    halves: dict[int, tuple[Any, ...]] = {}
    turns = []
    for row in map(tuple, rows):
        turn_id, role = row[:2]
        if (other := halves.pop(turn_id, None)) is None:
            halves[turn_id] = row
        elif {role, other[1]} == {"user", "assistant"}:
            question, answer = (row, other) if role == "user" else (other, row)
            _, _, content, channel_id, private_to, user_id, _, *more = question
            key = ConversationKey(channel_id, private_to)
            turns.append(Turn(turn_id, key, user_id, content, answer[2], answer[6], *more))
    return turns


def storable(text: str) -> str:
    """Text without what a database refuses: NUL (PostgreSQL) and half surrogates (UTF-8)."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")
