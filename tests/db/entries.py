"""Entries for the tests of the books."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from db.budgets import Limit, Scope, Unit, read_used
from db.differences import booked_slots, booked_sums
from db.engine import Connection, Database
from db.history import ConversationKey, NewTurn
from db.ledger import (
    Ending,
    NewAttempt,
    NewRequest,
    admit,
    attempts,
    begin_attempt,
    close_request,
    end_attempt,
    requests,
)
from db.rollup import SPANS, slots, summed
from db.verify import find_discrepancies

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


async def book_at(database: Database, moments: list[datetime], tokens: int = 10, **where: object) -> None:
    """A settled attempt at each of these moments."""

    async def book(connection: Connection) -> None:
        known = len((await connection.execute(select(requests.c.id))).all())
        for number, moment in enumerate(moments, known + 1):
            at = int(moment.timestamp())
            place = {"guild_id": 10, "channel_id": 20, "user_id": 30, "command": "ask", **where}
            common = {name: place[name] for name in ("guild_id", "channel_id", "user_id", "command")}
            row = {**common, "interaction_id": number}
            await connection.execute(
                insert(requests).values(
                    **row,
                    created_at=at,
                    open=False,
                    reserved_tokens=0,
                    reserved_pictures=0,
                    outcome="answered",
                )
            )
            await connection.execute(
                insert(attempts).values(
                    **row,
                    **{"provider": "some-vendor", "model": "some-model", "key_variable": "SOME_KEY"}
                    | {name: where[name] for name in ("provider", "model", "key_variable") if name in where},
                    attempt=1,
                    sent_at=at,
                    ended_at=at,
                    state="settled",
                    usage_source="provider",
                    error_class="",
                    prompt_tokens=tokens,
                    completion_tokens=0,
                    cached_tokens=0,
                    reasoning_tokens=0,
                    pictures=0,
                    cost_micros=tokens,
                    price_date="2026-11-01",
                )
            )
        await roll_up_again(connection)

    await database.run(book)


async def discrepancies(database: Database) -> list[str]:
    return await database.run(find_discrepancies)
