"""Checking the books: whatever is tampered with is found."""

import sqlite3
from contextlib import closing
from functools import partial

import pytest
from sqlalchemy import text

from db.engine import Database
from db.history import StoredPicture, add_turn
from db.ledger import admit, attempts, begin_attempt, close_request, end_attempt, requests
from db.rollup import slots, summed
from db.verify import find_discrepancies
from tests.db.entries import SETTLED, UNBILLED, attempt, book, discrepancies, request, turn


@pytest.fixture
async def books(database: Database) -> Database:
    """Books in order: an answered request with its turn, and one that was refused."""
    async with database.transaction() as connection:
        turn_id = await book(connection, request(1))
        await add_turn(connection, turn(turn_id, pictures=(StoredPicture("image/png", b"pixels"),)))
        await book(connection, request(2, user_id=31), UNBILLED)
    assert await discrepancies(database) == []
    return database


# The roll-up and each of its sums have their say where something is missing or wrong.
KINDS = ("slots", "slot", "day", "member", "member4", "member16", "channel", "server", "bot")


def differ(*kinds: str) -> list[str]:
    return [f"Ledger and roll-up ({kind}) differ" for kind in kinds]


TAMPERING = {
    "attempts without an end": (
        "UPDATE attempts SET state = 'sent' WHERE interaction_id = 1",
        ["1 attempts have no final state.", "1 requests were answered by nobody.", *differ(*KINDS)],
    ),
    "attempts in a state there is not": (
        "UPDATE attempts SET state = 'paid' WHERE interaction_id = 1",
        ["1 attempts have no final state.", "1 requests were answered by nobody."],
    ),
    "attempts that say nothing of what was asked": (
        "UPDATE attempts SET command = '' WHERE interaction_id = 1",
        [
            "1 attempts do not say what was asked, or when.",
            "1 attempts are not where their requests are.",
            *differ("slots", "slots", "day", "day", "bot", "bot"),
        ],
    ),
    "attempts that ended at no time": (
        "UPDATE attempts SET ended_at = NULL WHERE interaction_id = 1",
        ["1 attempts have ended without a time."],
    ),
    "attempts that ended before they began": (
        "UPDATE attempts SET ended_at = 5 WHERE interaction_id = 1",
        ["1 attempts have ended before they were sent."],
    ),
    "refusals without a reason": (
        "UPDATE attempts SET error_class = '' WHERE interaction_id = 2",
        ["1 unbilled attempts do not say why."],
    ),
    "refusals that were delivered": (
        "UPDATE attempts SET delivered = 'full' WHERE interaction_id = 2",
        ["1 unbilled attempts were delivered."],
    ),
    "more cached than there was": (
        "UPDATE attempts SET cached_tokens = 11 WHERE interaction_id = 1",
        ["1 attempts have parts of their tokens that are more than the whole."],
    ),
    "more thought than there was": (
        "UPDATE attempts SET reasoning_tokens = 6 WHERE interaction_id = 1",
        ["1 attempts have parts of their tokens that are more than the whole."],
    ),
    "times below nothing": (
        "UPDATE attempts SET queue_ms = -1 WHERE interaction_id = 1",
        ["1 attempts have figures below nothing."],
    ),
    "steps below nothing": (
        "UPDATE attempts SET steps = -1 WHERE interaction_id = 1",
        ["1 attempts have figures below nothing."],
    ),
    "an attempt of another member than its request": (
        "UPDATE requests SET user_id = 31 WHERE interaction_id = 1",
        [
            "1 attempts are not where their requests are.",
            "2 messages are not of their requests' servers or members.",
        ],
    ),
    "an attempt of another channel than its request": (
        "UPDATE requests SET channel_id = 21 WHERE interaction_id = 1",
        ["1 attempts are not where their requests are."],
    ),
    "a turn in another server": (
        "UPDATE history SET guild_id = 99",
        ["2 messages are not of their requests' servers or members."],
    ),
    "a turn of an answer that was lost": (
        "UPDATE requests SET outcome = 'lost' WHERE interaction_id = 1",
        ["2 messages belong to a request without an answer."],
    ),
    "a reservation below nothing": (
        "UPDATE requests SET reserved_tokens = -5 WHERE interaction_id = 1",
        ["1 requests are open or hold a reservation."],
    ),
    "roles that are none": (
        "UPDATE requests SET role_ids = '7,x' WHERE interaction_id = 1",
        ["The roles '7,x' of a request are none."],
    ),
    "a budget of no role": (
        "INSERT INTO budgets VALUES (1, 10, 'role', 0, 'tokens', 'day', 5, 1, 1, 0)",
        ["1 budgets are none."],
    ),
    "a budget of no server": (
        "INSERT INTO budgets VALUES (1, 0, 'server', 0, 'tokens', 'day', 5, 1, 1, 0)",
        ["1 budgets are none."],
    ),
    "a time zone there is not": (
        "INSERT INTO guild_settings (guild_id, time_zone) VALUES (10, 'Mars')",
        ["1 time zones are not known here."],
    ),
    "sums of a kind there is not": (
        "UPDATE usage_sums SET kind = 'hour' WHERE kind = 'bot'",
        [*differ("bot"), "The roll-up has sums of the kind 'hour'."],
    ),
    "figures from nowhere": (
        "UPDATE attempts SET usage_source = '' WHERE interaction_id = 1",
        ["1 attempts have figures from a source that does not fit their state."],
    ),
    "unbilled attempts with figures": (
        "UPDATE attempts SET pictures = 1 WHERE interaction_id = 2",
        ["1 unbilled attempts have figures.", *differ(*KINDS)],
    ),
    "unbilled attempts that cost": (
        "UPDATE attempts SET cost_micros = 7, price_date = '2026-11-01' WHERE interaction_id = 2",
        ["1 unbilled attempts cost.", *differ(*KINDS)],
    ),
    "unbilled attempts without a price": (
        "UPDATE attempts SET cost_micros = NULL WHERE interaction_id = 2",
        ["1 unbilled attempts cost."],
    ),
    "figures below nothing": (
        "UPDATE attempts SET cached_tokens = -1 WHERE interaction_id = 1",
        ["1 attempts have figures below nothing."],
    ),
    "a cost from no price": (
        "UPDATE attempts SET cost_micros = 7 WHERE interaction_id = 1",
        ["1 attempts have a cost, and no price it came from.", *differ(*KINDS)],
    ),
    "a price that is forgotten": (
        "UPDATE usage_sums SET unpriced = 0 WHERE kind = 'day' AND unpriced = 1",
        differ("day"),
    ),
    "an unknown delivery": (
        "UPDATE attempts SET delivered = 'perhaps' WHERE interaction_id = 1",
        ["1 attempts have an unknown delivery."],
    ),
    "an attempt's figures": (
        "UPDATE attempts SET prompt_tokens = prompt_tokens + 1 WHERE interaction_id = 1",
        differ(*KINDS),
    ),
    "an attempt's number": (
        "UPDATE attempts SET attempt = 2 WHERE interaction_id = 1",
        ["1 requests miss an attempt."],
    ),
    "an attempt taken away": (
        "DELETE FROM attempts WHERE interaction_id = 1",
        ["1 requests were answered by nobody.", *differ(*KINDS)],
    ),
    "a fallback hidden": (
        "UPDATE attempts SET fallback = true WHERE interaction_id = 1",
        differ(*KINDS),
    ),
    "another key": (
        "UPDATE attempts SET key_variable = 'OTHER_KEY' WHERE interaction_id = 1",
        differ("bot", "bot"),
    ),
    "a roll-up's figures": (
        "UPDATE usage_slots SET completion_tokens = 4 WHERE user_id = 30",
        differ("slots"),
    ),
    "a roll-up's member": (
        "UPDATE usage_slots SET user_id = 32 WHERE user_id = 30",
        differ("slots", "slots"),
    ),
    "a roll-up taken away": (
        "DELETE FROM usage_sums WHERE kind = 'member' AND subject_id = 31",
        differ("member"),
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
    "money that leaked": (
        "UPDATE requests SET reserved_micros = 1 WHERE interaction_id = 1",
        ["1 requests are open or hold a reservation."],
    ),
    "an end there is not": (
        "UPDATE requests SET outcome = 'vanished' WHERE interaction_id = 1",
        ["1 requests have ended in no known way.", "2 messages belong to a request without an answer."],
    ),
    "a role that has used what nobody booked": (
        "UPDATE requests SET role_ids = '7' WHERE interaction_id = 1",
        ["What role 7 has used differs"],
    ),
    "a role that has used nothing": (
        "INSERT INTO usage_roles VALUES (7, 900, 1, 0, 0)",
        ["What role 7 has used differs"],
    ),
    "a budget of nothing there is": (
        "INSERT INTO budgets VALUES (1, 10, 'server', 0, 'bananas', 'day', 5, 1, 1, 0)",
        ["1 budgets are none."],
    ),
    "a notice that is never given": (
        "INSERT INTO budget_notices VALUES ('server 10', 0, 60)",
        ["1 notices are of a share that is never told."],
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


async def test_an_attempt_without_its_request_is_found(books: Database, database_url: str) -> None:
    """As is a message without one: the database itself forbids both."""
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL cannot be opened without its foreign keys")
    with closing(sqlite3.connect(database_url.removeprefix("sqlite+aiosqlite:///"))) as file, file:
        file.execute("DELETE FROM requests WHERE interaction_id = 1")

    found = await discrepancies(books)
    assert found == ["1 attempts belong to no request.", "2 messages belong to no request."]
    await wipe(books)


async def test_a_clock_that_is_put_back_spoils_no_attempt(books: Database) -> None:
    """An attempt ends when it was sent, at the earliest."""
    async with books.transaction() as connection:
        await admit(connection, request(3))
        await begin_attempt(connection, attempt(request(3)))
        await connection.execute(text("UPDATE attempts SET sent_at = 9999999999 WHERE interaction_id = 3"))
        assert await end_attempt(connection, 3, 1, SETTLED)
        await close_request(connection, 3, "answered")

    assert await discrepancies(books) == []


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
        await connection.execute(text("UPDATE usage_slots SET prompt_tokens = 11 WHERE user_id = 30"))

    [sentence] = await discrepancies(books)

    assert "'user_id': 30" in sentence
    assert "'model': 'some-model'" in sentence
    assert (
        "(1, 0, 10, 5, 0, 0, 0, 0, 1, 0, 0) booked, (1, 0, 11, 5, 0, 0, 0, 0, 1, 0, 0) reported" in sentence
    )
    await wipe(books)


async def test_running_request_counts_as_a_discrepancy(books: Database) -> None:
    """What is still running is found too, unless the check is told that the bot is at work."""
    async with books.transaction() as connection:
        await admit(connection, request(3))
        await begin_attempt(connection, attempt(request(3)))

    assert await discrepancies(books) == [
        "1 attempts have no final state.",
        "1 requests are open or hold a reservation.",
    ]
    assert await books.run(partial(find_discrepancies, running=True)) == []
    await wipe(books)


async def wipe(database: Database) -> None:
    """The fixture checks the books at its end too."""
    async with database.transaction() as connection:
        for name in ("history", "budgets", "budget_notices", "usage_roles", "guild_settings"):
            await connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608 (our own names)
        for table in (attempts, slots, summed, requests):
            await connection.execute(table.delete())
