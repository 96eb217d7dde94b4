"""Checking the books: whatever is tampered with is found."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text

from db.engine import Database
from db.history import StoredPicture, add_turn
from db.ledger import admit, attempts, begin_attempt, hourly, requests
from tests.db.entries import UNBILLED, attempt, book, discrepancies, request, turn


@pytest.fixture
async def books(database: Database) -> Database:
    """Books in order: an answered request with its turn, and one that was refused."""
    async with database.transaction() as connection:
        turn_id = await book(connection, request(1))
        await add_turn(connection, turn(turn_id, pictures=(StoredPicture("image/png", b"pixels"),)))
        await book(connection, request(2, user_id=31), UNBILLED)
    assert await discrepancies(database) == []
    return database


TAMPERING = {
    "attempts without an end": (
        "UPDATE attempts SET state = 'sent' WHERE interaction_id = 1",
        ["1 attempts have no final state.", "Ledger and roll-up differ"],
    ),
    "attempts in a state there is not": (
        "UPDATE attempts SET state = 'paid' WHERE interaction_id = 1",
        ["1 attempts have no final state."],
    ),
    "unbilled attempts that cost": (
        "UPDATE attempts SET pictures = 1 WHERE interaction_id = 2",
        ["1 unbilled attempts have figures.", "Ledger and roll-up differ"],
    ),
    "an attempt's figures": (
        "UPDATE attempts SET prompt_tokens = prompt_tokens + 1 WHERE interaction_id = 1",
        ["Ledger and roll-up differ"],
    ),
    "an estimate sold as a count": (
        "UPDATE attempts SET state = 'estimated' WHERE interaction_id = 1",
        ["Ledger and roll-up differ"],
    ),
    "an attempt taken away": (
        "DELETE FROM attempts WHERE interaction_id = 1",
        ["Ledger and roll-up differ"],
    ),
    "an attempt of another hour": (
        "UPDATE attempts SET sent_at = sent_at - 3600 WHERE interaction_id = 1",
        ["Ledger and roll-up differ", "Ledger and roll-up differ"],
    ),
    "a roll-up's figures": (
        "UPDATE usage_hourly SET completion_tokens = 4 WHERE user_id = 30",
        ["Ledger and roll-up differ"],
    ),
    "a roll-up's member": (
        "UPDATE usage_hourly SET user_id = 32 WHERE user_id = 30",
        ["Ledger and roll-up differ", "Ledger and roll-up differ"],
    ),
    "a roll-up taken away": (
        "DELETE FROM usage_hourly WHERE user_id = 31",
        ["Ledger and roll-up differ"],
    ),
    "a request left open": (
        "UPDATE requests SET open = true WHERE interaction_id = 1",
        ["1 requests are open or hold a reservation."],
    ),
    "a reservation that leaked": (
        "UPDATE requests SET reserved_tokens = 5",
        ["2 requests are open or hold a reservation."],
    ),
    "a picture's reservation that leaked": (
        "UPDATE requests SET reserved_pictures = 1 WHERE interaction_id = 1",
        ["1 requests are open or hold a reservation."],
    ),
    "half a turn": (
        "DELETE FROM history WHERE role = 'user'",
        ["1 turns are torn."],
    ),
    "a turn in two conversations": (
        "UPDATE history SET private_to = 30 WHERE role = 'user'",
        ["1 turns are torn."],
    ),
    "a turn that is private to another": (
        "UPDATE history SET private_to = 31",
        ["1 turns are torn."],
    ),
    "a question without its picture": (
        "DELETE FROM history_pictures",
        ["1 messages have not the pictures that they should have."],
    ),
    "an answer with a picture": (
        "UPDATE history_pictures SET entry_id = 2",
        ["2 messages have not the pictures that they should have."],
    ),
    "a turn without an answer": (
        "UPDATE history SET role = 'system' WHERE role = 'assistant'",
        ["1 turns are torn."],
    ),
}


@pytest.mark.parametrize(("statement", "sentences"), TAMPERING.values(), ids=TAMPERING)
async def test_tampering_is_found(books: Database, statement: str, sentences: list[str]) -> None:
    """Each thing that cannot be true has a sentence, and nothing else is complained of."""
    async with books.transaction() as connection:
        await connection.execute(text(statement))

    found = await discrepancies(books)

    assert len(found) == len(sentences)
    for sentence, beginning in zip(found, sentences, strict=True):
        assert sentence.startswith(beginning)
    await wipe(books)


async def test_picture_without_its_question_is_found(books: Database, database_url: str) -> None:
    """The database itself forbids it; what got there all the same is found."""
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL cannot be opened without its foreign keys")
    with closing(sqlite3.connect(database_url.removeprefix("sqlite+aiosqlite:///"))) as file, file:
        file.execute("INSERT INTO history_pictures VALUES (99, 0, 'image/png', x'00')")

    assert await discrepancies(books) == ["1 pictures have no question."]
    async with books.transaction() as connection:
        await connection.execute(text("DELETE FROM history_pictures WHERE entry_id = 99"))
    await wipe(books)


async def test_difference_names_its_place_and_figures(books: Database) -> None:
    """A difference between ledger and roll-up says where it is, what is booked and what is reported."""
    async with books.transaction() as connection:
        await connection.execute(text("UPDATE usage_hourly SET prompt_tokens = 11 WHERE user_id = 30"))

    [sentence] = await discrepancies(books)

    assert "'user_id': 30" in sentence
    assert "'model': 'some-model'" in sentence
    assert "(1, 0, 10, 5, 0, 0) booked, (1, 0, 11, 5, 0, 0) reported" in sentence
    await wipe(books)


async def test_running_request_counts_as_a_discrepancy(books: Database) -> None:
    """The check is for quiet moments: what is still running is found too."""
    async with books.transaction() as connection:
        await admit(connection, request(3))
        await begin_attempt(connection, attempt(request(3)))

    assert await discrepancies(books) == [
        "1 attempts have no final state.",
        "1 requests are open or hold a reservation.",
    ]
    await wipe(books)


async def wipe(database: Database) -> None:
    """The fixture checks the books at its end too."""
    async with database.transaction() as connection:
        await connection.execute(text("DELETE FROM history"))
        for table in (attempts, hourly, requests):
            await connection.execute(table.delete())
