"""Entries for the tests of the books."""

from __future__ import annotations

from typing import Any

from db.budgets import Limit, Scope, Unit, read_used
from db.engine import Connection, Database
from db.history import ConversationKey, NewTurn
from db.ledger import Ending, NewAttempt, NewRequest, admit, begin_attempt, close_request, end_attempt
from db.rollup import SPANS, slots, summed
from db.verify import booked_slots, booked_sums, find_discrepancies

SETTLED = Ending("settled", "provider", prompt_tokens=10, completion_tokens=5)
ESTIMATED = Ending("estimated", "tokenizer", "interrupted", prompt_tokens=12, completion_tokens=3)
UNBILLED = Ending("unbilled", error_class="rate")


def request(
    number: int = 1,
    *,
    guild_id: int = 10,
    channel_id: int = 20,
    user_id: int = 30,
    command: str = "ask",
    tokens: int = 100,
    pictures: int = 0,
) -> NewRequest:
    return NewRequest(number, guild_id, channel_id, user_id, command, tokens, pictures)


def attempt(
    of: NewRequest,
    number: int = 1,
    *,
    provider: str = "some-vendor",
    model: str = "some-model",
    prompt_tokens: int = 60,
    completion_tokens: int = 40,
    pictures: int = 0,
) -> NewAttempt:
    return NewAttempt(of, number, provider, model, "SOME_KEY", prompt_tokens, completion_tokens, pictures)


async def book(
    connection: Connection, of: NewRequest, ending: Ending = SETTLED, *, model: str = "some-model"
) -> int:
    """A whole request with one attempt; gives its id."""
    request_id = await admit(connection, of)
    assert request_id is not None
    await begin_attempt(connection, attempt(of, model=model))
    assert await end_attempt(connection, of.interaction_id, 1, ending)
    outcome = "failed" if ending.state == "unbilled" else "answered"
    await close_request(connection, of.interaction_id, outcome)
    return request_id


def turn(
    turn_id: int,
    question: str = "question",
    answer: str = "answer",
    *,
    channel_id: int = 20,
    private_to: int = 0,
    user_id: int = 30,
    **more: Any,
) -> NewTurn:
    """A turn to be written."""
    key = ConversationKey(channel_id, private_to)
    return NewTurn(turn_id, 10, key, user_id, question, answer, **more)


async def used_by(connection: Connection, user_id: int | None = None, since: int = 0) -> tuple[int, int]:
    """Tokens and pictures that the bot has used since a day, or a member since a slot, or holds."""
    scope: Scope = "bot" if user_id is None else "member"
    units: tuple[Unit, ...] = ("tokens", "pictures")
    limits = [Limit(scope, user_id or 0, 0, unit, "day", 0, since, 0) for unit in units]
    tokens, pictures = (used.spent + used.held for used in await read_used(connection, limits))
    return tokens, pictures


async def roll_up_again(connection: Connection) -> None:
    """Make the roll-up of a ledger that a test has changed, say by moving it in time."""
    await connection.execute(slots.delete())
    await connection.execute(summed.delete())
    for table, booked in ((slots, booked_slots()), *((summed, booked_sums(kind)) for kind in SPANS)):
        await connection.execute(table.insert().from_select(booked.selected_columns.keys(), booked))


async def discrepancies(database: Database) -> list[str]:
    return await database.run(find_discrepancies)
