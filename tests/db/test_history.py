"""The history: whole turns, in order, of one conversation only."""

import asyncio
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from db.engine import Database, open_database
from db.history import (
    MOST_TURNS,
    ConversationKey,
    Forgotten,
    StoredPicture,
    Turn,
    add_turn,
    append_to_answer,
    forget_channel,
    forget_member,
    history,
    history_pictures,
    read_newest_turn,
    read_pictures,
    read_turn,
    read_turns,
    replace_answer,
    storable,
)
from db.ledger import attempts
from tests.db.entries import book, discrepancies, request, turn

HERE = ConversationKey(20)
PICTURES = (StoredPicture("image/png", b"one"), StoredPicture("image/jpeg", b"\0two"))


async def remember(
    database: Database, number: int, question: str = "question", answer: str = "answer", **fields: Any
) -> int:
    """Book request `number` with its turn, and give the turn's id."""
    async with database.transaction() as connection:
        turn_id = await book(connection, request(number, user_id=fields.get("user_id", 30)))
        await add_turn(connection, turn(turn_id, question, answer, **fields))
        return turn_id


async def kept(database: Database, turn_id: int) -> Turn | None:
    return await database.run(lambda connection: read_turn(connection, turn_id))


async def recall(
    database: Database, channel_id: int = 20, private_to: int = 0, before: int | None = None
) -> list[tuple[str, str]]:
    """The questions of a conversation, each with its answer."""
    key = ConversationKey(channel_id, private_to)
    turns = await database.run(lambda connection: read_turns(connection, key, before=before))
    return [(turn.question, turn.answer) for turn in turns]


async def test_turns_stand_in_the_order_of_their_questions(database: Database) -> None:
    """Turns are read oldest first, by when they were asked and not by when their answers were done."""
    async with database.transaction() as connection:
        ids = [await book(connection, request(number)) for number in range(5)]
        for number in (3, 0, 4, 1, 2):
            await add_turn(connection, turn(ids[number], f"question {number}"))

    assert await recall(database) == [(f"question {number}", "answer") for number in range(5)]
    assert [question for question, _ in await recall(database, before=ids[2])] == ["question 0", "question 1"]


async def test_turns_written_at_once_are_whole(database: Database) -> None:
    """Of fifty turns written at the same time, each keeps its own question beside its own answer."""
    await asyncio.gather(
        *(remember(database, number, f"question {number}", f"answer {number}") for number in range(50))
    )

    turns = await recall(database)
    assert len(turns) == 50
    assert all(answer == question.replace("question", "answer") for question, answer in turns)


async def test_channels_do_not_hear_each_other(database: Database) -> None:
    """A channel's history holds that channel's turns, and no others."""
    await remember(database, 1, "here", "in the first", channel_id=20)
    await remember(database, 2, "there", "in the second", channel_id=21)

    assert await recall(database, 20) == [("here", "in the first")]
    assert await recall(database, 21) == [("there", "in the second")]
    assert await recall(database, 22) == []


async def test_only_the_last_turns_are_read(database: Database) -> None:
    """However long a conversation is, one question reads no more than its last hundred turns, all whole."""
    async with database.transaction() as connection:
        turn_id = 0
        for number in range(1, MOST_TURNS + 4):
            turn_id = await book(connection, request(number))
            await add_turn(connection, turn(turn_id, f"question {number}", "answer"))

    turns = await recall(database)
    assert len(turns) == MOST_TURNS
    assert turns[0][0] == "question 4"
    assert turns[-1][0] == f"question {MOST_TURNS + 3}"


async def test_half_a_turn_is_not_read(database: Database) -> None:
    """A turn of which one half is missing is left out, and its neighbours are not mixed up with it."""
    for number in (1, 2, 3):
        await remember(database, number, f"question {number}", f"answer {number}")
    async with database.transaction() as connection:
        await connection.execute(history.delete().where(history.c.content == "answer 2"))

    assert [question for question, _ in await recall(database)] == ["question 1", "question 3"]
    assert await discrepancies(database) == ["1 turns are torn."]
    async with database.transaction() as connection:
        await connection.execute(history.delete())


async def test_request_has_one_turn(database: Database) -> None:
    """A turn that is written a second time is refused by the database, and the first one stays."""
    async with database.transaction() as connection:
        turn_id = await book(connection, request(1))
        await add_turn(connection, turn(turn_id, "question", "answer"))
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await add_turn(connection, turn(turn_id, "question", "another answer"))

    assert await recall(database) == [("question", "answer")]


async def test_turn_needs_a_request(database: Database) -> None:
    """A turn of a request that is not in the books is refused by the database."""
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await add_turn(connection, turn(99, "question", "answer"))


async def test_any_text_can_be_stored(database: Database) -> None:
    """Right-to-left marks, combining floods and emoji come back as they were; NUL and half surrogates go."""
    strange = (
        "\u202eright to left\u202c a\u0301\u0301\u0301\u0301 \U0001f469\u200d\U0001f680 \r\n\t%s {} '\";--"
    )
    await remember(database, 1, strange, "with\0 NUL and \ud83d half a surrogate")

    assert await recall(database) == [(strange, "with NUL and  half a surrogate")]


@hypothesis.settings(database=None)
@hypothesis.given(st.text(st.characters()))
def test_what_is_stored_differs_by_nul_and_surrogates_only(written: str) -> None:
    """Text that goes into the history loses NUL and lone surrogates, and nothing else."""
    kept = "".join(letter for letter in written if letter != "\0" and not "\ud800" <= letter <= "\udfff")

    assert storable(written) == kept
    storable(written).encode()


async def test_history_survives_reopening(database_url: str) -> None:
    """What was said is still known after a restart."""
    async with open_database(database_url) as database:
        await remember(database, 1, "question", "answer")

    async with open_database(database_url) as database:
        assert await recall(database) == [("question", "answer")]


async def test_forgetting_clears_one_channel_and_no_books(database: Database) -> None:
    """Forgetting tells how many turns there were; other channels and the ledger keep all they had."""
    await remember(database, 1, "first", "answer", channel_id=20)
    await remember(database, 2, "second", "answer", channel_id=20)
    await remember(database, 3, "elsewhere", "answer", channel_id=21)

    assert await database.run(lambda connection: forget_channel(connection, 20)) == 2
    assert await database.run(lambda connection: forget_channel(connection, 20)) == 0

    assert await recall(database, 20) == []
    assert await recall(database, 21) == [("elsewhere", "answer")]
    async with database.transaction() as connection:
        assert len((await connection.execute(select(attempts))).all()) == 3


async def test_private_conversations_stand_apart(database: Database) -> None:
    """What a member asked in private is in neither the channel's conversation nor another member's."""
    await remember(database, 1, "openly", user_id=30)
    await remember(database, 2, "in private", user_id=30, private_to=30)
    await remember(database, 3, "in private too", user_id=31, private_to=31)

    assert await recall(database) == [("openly", "answer")]
    assert await recall(database, private_to=30) == [("in private", "answer")]
    assert await recall(database, private_to=31) == [("in private too", "answer")]


async def test_a_turn_comes_back_as_it_was_written(database: Database) -> None:
    """A turn is kept with its speaker, what was attached, its pictures in order, and how it ended."""
    turn_id = await remember(
        database, 1, speaker="Robin", attached="a file", finish_reason="length", pictures=PICTURES
    )
    other = await remember(database, 2)

    assert await kept(database, turn_id) == Turn(
        turn_id, HERE, 30, "question", "answer", "length", "Robin", "a file", 2
    )
    assert await kept(database, other + 1) is None
    ids = [turn_id, other, other + 1]
    assert await database.run(lambda connection: read_pictures(connection, ids)) == {turn_id: PICTURES}


async def test_an_answer_is_replaced(database: Database) -> None:
    """The new answer stands where the old one stood; a turn that is gone stays gone."""
    first, second = await remember(database, 1, "first"), await remember(database, 2, "second")

    assert await database.run(lambda connection: replace_answer(connection, first, "better\0", "length"))
    assert await recall(database) == [("first", "better"), ("second", "answer")]
    turn = await kept(database, first)
    assert turn is not None
    assert turn.finish_reason == "length"

    await database.run(lambda connection: forget_channel(connection, 20))
    assert not await database.run(lambda connection: replace_answer(connection, second, "again", "stop"))
    assert await recall(database) == []


async def test_an_answer_is_added_to_once(database: Database) -> None:
    """More is added to the answer that was read; to one that has changed since, or is gone, it is not."""
    turn_id = await remember(database, 1, answer="Once upon", finish_reason="length")
    old = await kept(database, turn_id)
    assert old is not None

    assert await database.run(lambda connection: append_to_answer(connection, old, " a time.", "stop"))
    assert not await database.run(lambda connection: append_to_answer(connection, old, " a day.", "stop"))
    assert await recall(database) == [("question", "Once upon a time.")]
    await database.run(lambda connection: forget_channel(connection, 20))
    assert not await database.run(lambda connection: append_to_answer(connection, old, " a year.", "stop"))


async def test_a_channel_forgets_its_own_conversation_only(database: Database) -> None:
    """What members asked there in private stays, and so does every other channel."""
    await remember(database, 1, pictures=PICTURES)
    await remember(database, 2, private_to=30, pictures=PICTURES)
    await remember(database, 3, channel_id=21)

    assert await database.run(lambda connection: forget_channel(connection, 20)) == 1
    assert len(await recall(database, private_to=30)) == len(await recall(database, 21)) == 1
    async with database.transaction() as connection:
        assert len((await connection.execute(select(history_pictures))).all()) == 2


async def test_a_member_is_forgotten_everywhere(database: Database) -> None:
    """All turns of a member go, wherever they were asked, with their pictures; other members' stay."""
    await remember(database, 1, pictures=PICTURES)
    await remember(database, 2, private_to=30, pictures=PICTURES)
    await remember(database, 3, channel_id=21)
    await remember(database, 4, "of another", user_id=31)

    assert await database.run(lambda connection: forget_member(connection, 30)) == Forgotten(3, 2)
    assert await database.run(lambda connection: forget_member(connection, 30)) == Forgotten(0, 0)
    assert await recall(database) == [("of another", "answer")]
    async with database.transaction() as connection:
        assert (await connection.execute(select(history_pictures))).all() == []
        assert len((await connection.execute(select(attempts))).all()) == 4


async def test_the_newest_turn_of_a_member(database: Database) -> None:
    """It is the one asked last in that channel by that member, in private or not."""
    await remember(database, 1, "openly")
    await remember(database, 2, "in private", private_to=30)
    await remember(database, 3, "by another", user_id=31)
    await remember(database, 4, "elsewhere", channel_id=21)

    async def newest(channel_id: int, user_id: int) -> str | None:
        turn = await database.run(lambda connection: read_newest_turn(connection, channel_id, user_id))
        return turn.question if turn else None

    assert await newest(20, 30) == "in private"
    assert await newest(20, 31) == "by another"
    assert await newest(21, 30) == "elsewhere"
    assert await newest(21, 31) is None


async def test_reading_a_conversation_uses_its_index(database: Database) -> None:
    """The last turns are found by the index and in its order: nothing is sorted, however many there are."""
    async with database.transaction() as connection:
        if connection.dialect.name != "sqlite":
            pytest.skip("PostgreSQL plans by statistics, and reads a small table whole")
        rows = await connection.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT * FROM history WHERE channel_id = 20 AND private_to = 0 "
                "ORDER BY turn_id DESC LIMIT 200"
            )
        )
        plan = [row.detail for row in rows]
    assert len(plan) == 1
    assert "USING INDEX ix_history_channel_id_private_to_turn_id" in plan[0]
