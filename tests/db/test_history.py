"""The history: whole turns, in order, of one channel only."""

import asyncio

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from db.engine import Database, open_database
from db.history import MOST_TURNS, Turn, _storable, add_turn, forget_channel, history, read_turns
from db.ledger import attempts
from tests.db.entries import book, discrepancies, request


async def remember(database: Database, number: int, turn: Turn, channel_id: int = 20) -> None:
    """Book request `number` with its turn."""
    async with database.transaction() as connection:
        of = request(number, channel_id=channel_id)
        turn_id = await book(connection, of)
        await add_turn(connection, turn_id, of.guild_id, of.channel_id, of.user_id, turn)


async def recall(database: Database, channel_id: int = 20) -> list[Turn]:
    return await database.run(lambda connection: read_turns(connection, channel_id))


async def test_turns_come_in_the_order_of_writing(database: Database) -> None:
    """Turns are read oldest first, by when they were written and not by when they were asked."""
    turns = [Turn(f"question {number}", f"answer {number}") for number in range(5)]
    async with database.transaction() as connection:
        ids = [await book(connection, request(number)) for number in range(5)]
        for number in (3, 0, 4, 1, 2):
            await add_turn(connection, ids[number], 10, 20, 30, turns[number])

    assert await recall(database) == [turns[number] for number in (3, 0, 4, 1, 2)]


async def test_turns_written_at_once_are_whole(database: Database) -> None:
    """Of fifty turns written at the same time, each keeps its own question beside its own answer."""
    await asyncio.gather(
        *(remember(database, number, Turn(f"question {number}", f"answer {number}")) for number in range(50))
    )

    turns = await recall(database)
    assert len(turns) == 50
    assert all(turn.answer == turn.question.replace("question", "answer") for turn in turns)


async def test_channels_do_not_hear_each_other(database: Database) -> None:
    """A channel's history holds that channel's turns, and no others."""
    await remember(database, 1, Turn("here", "in the first"), channel_id=20)
    await remember(database, 2, Turn("there", "in the second"), channel_id=21)

    assert await recall(database, 20) == [Turn("here", "in the first")]
    assert await recall(database, 21) == [Turn("there", "in the second")]
    assert await recall(database, 22) == []


async def test_only_the_last_turns_are_read(database: Database) -> None:
    """However long a conversation is, one question reads no more than its last hundred turns, all whole."""
    async with database.transaction() as connection:
        turn_id = 0
        for number in range(1, MOST_TURNS + 4):
            turn_id = await book(connection, request(number))
            await add_turn(connection, turn_id, 10, 20, 30, Turn(f"question {number}", "answer"))

    turns = await recall(database)
    assert len(turns) == MOST_TURNS
    assert turns[0].question == "question 4"
    assert turns[-1].question == f"question {MOST_TURNS + 3}"


async def test_half_a_turn_is_not_read(database: Database) -> None:
    """A turn of which one half is missing is left out, and its neighbours are not mixed up with it."""
    for number in (1, 2, 3):
        await remember(database, number, Turn(f"question {number}", f"answer {number}"))
    async with database.transaction() as connection:
        await connection.execute(history.delete().where(history.c.content == "answer 2"))

    assert [turn.question for turn in await recall(database)] == ["question 1", "question 3"]
    assert await discrepancies(database) == ["1 turns are torn."]
    async with database.transaction() as connection:
        await connection.execute(history.delete())


async def test_request_has_one_turn(database: Database) -> None:
    """A turn that is written a second time is refused by the database, and the first one stays."""
    async with database.transaction() as connection:
        turn_id = await book(connection, request(1))
        await add_turn(connection, turn_id, 10, 20, 30, Turn("question", "answer"))
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await add_turn(connection, turn_id, 10, 20, 30, Turn("question", "another answer"))

    assert await recall(database) == [Turn("question", "answer")]


async def test_turn_needs_a_request(database: Database) -> None:
    """A turn of a request that is not in the books is refused by the database."""
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await add_turn(connection, 99, 10, 20, 30, Turn("question", "answer"))


async def test_any_text_can_be_stored(database: Database) -> None:
    """Right-to-left marks, combining floods and emoji come back as they were; NUL and half surrogates go."""
    strange = (
        "\u202eright to left\u202c a\u0301\u0301\u0301\u0301 \U0001f469\u200d\U0001f680 \r\n\t%s {} '\";--"
    )
    await remember(database, 1, Turn(strange, "with\0 NUL and \ud83d half a surrogate"))

    assert await recall(database) == [Turn(strange, "with NUL and  half a surrogate")]


@hypothesis.settings(database=None)
@hypothesis.given(st.text(st.characters()))
def test_what_is_stored_differs_by_nul_and_surrogates_only(text: str) -> None:
    """Text that goes into the history loses NUL and lone surrogates, and nothing else."""
    kept = "".join(letter for letter in text if letter != "\0" and not "\ud800" <= letter <= "\udfff")

    assert _storable(text) == kept
    _storable(text).encode()


async def test_history_survives_reopening(database_url: str) -> None:
    """What was said is still known after a restart."""
    async with open_database(database_url) as database:
        await remember(database, 1, Turn("question", "answer"))

    async with open_database(database_url) as database:
        assert await recall(database) == [Turn("question", "answer")]


async def test_forgetting_clears_one_channel_and_no_books(database: Database) -> None:
    """Forgetting tells how many turns there were; other channels and the ledger keep all they had."""
    await remember(database, 1, Turn("first", "answer"), channel_id=20)
    await remember(database, 2, Turn("second", "answer"), channel_id=20)
    await remember(database, 3, Turn("elsewhere", "answer"), channel_id=21)

    assert await database.run(lambda connection: forget_channel(connection, 20)) == 2
    assert await database.run(lambda connection: forget_channel(connection, 20)) == 0

    assert await recall(database, 20) == []
    assert await recall(database, 21) == [Turn("elsewhere", "answer")]
    async with database.transaction() as connection:
        assert len((await connection.execute(select(attempts))).all()) == 3
