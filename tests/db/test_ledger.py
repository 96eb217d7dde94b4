"""The ledger: every request admitted once, every attempt ended once, every ending in the roll-up once."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.ledger import (
    Ending,
    NewRequest,
    Reconciled,
    admit,
    attempts,
    begin_attempt,
    close_request,
    end_attempt,
    reconcile,
    requests,
)
from db.rollup import Totals, slots
from db.usage import View, read_totals
from tests.db.entries import ESTIMATED, SETTLED, UNBILLED, attempt, discrepancies, request, used_by


@dataclass
class Books:
    """The ledger's functions, each in a transaction of its own."""

    database: Database

    async def admit(self, request: NewRequest) -> int | None:
        return await self.database.run(lambda connection: admit(connection, request))

    async def begin(self, of: NewRequest, number: int = 1, **most: Any) -> None:
        await self.database.run(lambda connection: begin_attempt(connection, attempt(of, number, **most)))

    async def end(self, of: NewRequest, ending: Ending, number: int = 1) -> bool:
        return await self.database.run(
            lambda connection: end_attempt(connection, of.interaction_id, number, ending)
        )

    async def close(self, of: NewRequest) -> None:
        await self.database.run(lambda connection: close_request(connection, of.interaction_id, "failed"))

    async def reconcile(self) -> Reconciled:
        return await self.database.run(reconcile)

    async def used(self, user_id: int | None = None, since: int = 0) -> tuple[int, int]:
        return await self.database.run(lambda connection: used_by(connection, user_id, since))

    async def totals(self) -> Totals:
        return await self.database.run(lambda connection: read_totals(connection, View(None), 0, 2**40))


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


async def test_replayed_interaction_is_not_admitted(books: Books) -> None:
    """An interaction is admitted once; its second arrival gets no id and reserves nothing."""
    first = await books.admit(request(1, tokens=100))
    second = await books.admit(request(1, tokens=5000))

    assert first is not None
    assert second is None
    assert await books.used() == (100, 0)
    await books.close(request(1))


async def test_one_of_many_arrivals_is_admitted(books: Books) -> None:
    """Of twenty arrivals of one interaction at the same time, one is admitted."""
    ids = await asyncio.gather(*(books.admit(request(1)) for _ in range(20)))

    assert sum(found is not None for found in ids) == 1
    await books.close(request(1))


async def test_attempt_numbers_are_unique_in_a_request(books: Books) -> None:
    """A request has one attempt of each number: a second one with it is refused by the database."""
    await books.admit(request(1))
    await books.begin(request(1), 1)
    with pytest.raises(IntegrityError):
        await books.begin(request(1), 1)

    await books.begin(request(1), 2)
    await books.reconcile()


async def test_attempt_needs_a_request(books: Books) -> None:
    """Nothing is sent for a request that was not admitted."""
    with pytest.raises(IntegrityError):
        await books.begin(request(1))


async def test_attempt_is_sent_with_its_most_before_it_ends(books: Books) -> None:
    """An attempt is on record, with all that N1 asks for, as soon as it is begun."""
    await books.admit(request(1))
    await books.begin(request(1), prompt_tokens=60, completion_tokens=40)

    async with books.database.transaction() as connection:
        row = (await connection.execute(select(attempts))).one()
    assert (row.interaction_id, row.attempt, row.guild_id, row.channel_id, row.user_id) == (1, 1, 10, 20, 30)
    assert (row.provider, row.model, row.key_variable) == ("some-vendor", "some-model", "SOME_KEY")
    assert (row.state, row.prompt_tokens, row.completion_tokens, row.ended_at) == ("sent", 60, 40, None)
    assert await books.totals() == Totals()
    await books.reconcile()


@pytest.mark.parametrize("first", [SETTLED, ESTIMATED, UNBILLED])
async def test_attempt_ends_exactly_once(books: Books, first: Ending) -> None:
    """The first ending stands; a later one changes neither the attempt nor the roll-up."""
    await books.admit(request(1))
    await books.begin(request(1))
    assert await books.end(request(1), first)
    totals = await books.totals()

    for later in (SETTLED, ESTIMATED, UNBILLED):
        assert not await books.end(request(1), later)

    async with books.database.transaction() as connection:
        assert await connection.scalar(select(attempts.c.state)) == first.state
    assert await books.totals() == totals
    await books.close(request(1))


async def test_concurrent_endings_count_once(books: Books) -> None:
    """Of twenty endings of one attempt at the same time, one counts."""
    await books.admit(request(1))
    await books.begin(request(1))
    ended = await asyncio.gather(*(books.end(request(1), SETTLED) for _ in range(20)))

    assert sum(ended) == 1
    assert await books.totals() == Totals(requests=1, prompt_tokens=10, completion_tokens=5, unpriced=1)
    await books.close(request(1))


async def test_ending_of_nothing_counts_nothing(books: Books) -> None:
    """An ending for an attempt that was never begun is not booked."""
    await books.admit(request(1))

    assert not await books.end(request(1), SETTLED)
    assert await books.totals() == Totals()
    await books.close(request(1))


async def test_endings_add_up_by_their_kind(books: Books) -> None:
    """The roll-up counts what may cost as requests, what does not as failures, and estimates apart."""
    await books.admit(request(1))
    for number, ending in enumerate([UNBILLED, ESTIMATED, SETTLED], 1):
        await books.begin(request(1), number)
        await books.end(request(1), ending, number)
    await books.close(request(1))

    assert await books.totals() == Totals(
        requests=2,
        failures=1,
        prompt_tokens=22,
        completion_tokens=8,
        estimated_tokens=15,
        unpriced=2,
        estimated=1,
    )


async def test_usage_belongs_to_the_quarter_of_an_hour_of_sending(books: Books) -> None:
    """An attempt that was sent before the clock struck and ended after it counts in the quarter before."""
    await books.admit(request(1))
    await books.begin(request(1))
    sent_at = 1_800_000_000 - 1
    async with books.database.transaction() as connection:
        await connection.execute(update(attempts).values(sent_at=sent_at))
    await books.end(request(1), SETTLED)
    await books.close(request(1))

    async with books.database.transaction() as connection:
        assert await connection.scalar(select(slots.c.slot)) == 1_800_000_000 - 900
    assert await books.used(30, since=1_800_000_000 - 900) == (15, 0)
    assert await books.used(30, since=1_800_000_000) == (0, 0)


async def test_reservation_counts_until_it_is_given_back(books: Books) -> None:
    """An open request counts with its reservation, for the bot and its member; a closed one with its use."""
    await books.admit(request(1, user_id=30, tokens=100))
    await books.admit(request(2, user_id=31, tokens=0, pictures=1))
    assert await books.used() == (100, 1)
    assert await books.used(30) == (100, 0)
    assert await books.used(31) == (0, 1)

    await books.begin(request(1))
    await books.end(request(1), SETTLED)
    assert await books.used(30) == (115, 0)
    await books.close(request(1))
    await books.close(request(2))

    assert await books.used() == (15, 0)


async def test_closing_twice_changes_nothing(books: Books) -> None:
    """A request keeps the outcome with which it was closed."""
    await books.admit(request(1))
    await books.close(request(1))
    async with books.database.transaction() as connection:
        await close_request(connection, 1, "answered")
        assert await connection.scalar(select(requests.c.outcome)) == "failed"


async def test_reconcile_books_open_attempts_at_their_most(books: Books) -> None:
    """After a crash an attempt that was sent counts with all it may have used, as an estimate."""
    picture = request(1, command="imagine", tokens=0, pictures=1)
    await books.admit(picture)
    await books.begin(picture, prompt_tokens=60, completion_tokens=40, pictures=1)
    await books.admit(request(2))

    assert await books.reconcile() == Reconciled(attempts=1, requests=2)

    async with books.database.transaction() as connection:
        row = (await connection.execute(select(attempts))).one()
        outcomes = (await connection.execute(select(requests.c.outcome))).scalars().all()
    assert (row.state, row.usage_source, row.error_class) == ("estimated", "cap", "interrupted")
    assert list(outcomes) == ["lost", "lost"]
    assert await books.used() == (100, 1)
    assert await books.totals() == Totals(1, 0, 60, 40, 100, 1, unpriced=1, estimated=1)


async def test_reconcile_leaves_what_has_ended(books: Books) -> None:
    """A start after a clean end finds nothing and changes nothing."""
    await books.admit(request(1))
    await books.begin(request(1))
    await books.end(request(1), SETTLED)
    await books.close(request(1))

    assert await books.reconcile() == Reconciled(0, 0)
    assert await books.totals() == Totals(requests=1, prompt_tokens=10, completion_tokens=5, unpriced=1)


async def test_crash_between_begin_and_end_shows_as_a_discrepancy(books: Books) -> None:
    """What a crash leaves behind is found, and nothing is once it is reconciled."""
    await books.admit(request(1))
    await books.begin(request(1))
    assert len(await discrepancies(books.database)) == 2

    await books.reconcile()

    assert await discrepancies(books.database) == []


async def test_numbers_may_be_large(books: Books) -> None:
    """Ids of 63 bits and a thousand million tokens fit."""
    huge = request(2**63 - 1, guild_id=2**63 - 2, channel_id=2**63 - 3, user_id=2**63 - 4, tokens=10**9)
    await books.admit(huge)
    await books.begin(huge)
    await books.end(huge, Ending("settled", "provider", prompt_tokens=10**9, completion_tokens=10**9))
    await books.close(huge)

    assert await books.used(2**63 - 4) == (2 * 10**9, 0)
    async with books.database.transaction() as connection:
        assert await connection.scalar(select(func.max(attempts.c.guild_id))) == 2**63 - 2
