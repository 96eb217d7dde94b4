"""How to reach whoever has not seen the end of an answer: kept until they have, taken once."""

from __future__ import annotations

from dataclasses import replace

from db.engine import Database, open_database
from db.ledger import NewRequest, admit, close_request, reconcile
from db.responses import forget_responses, note_response, take_left
from tests.db.entries import request


def asked(number: int, process: int = 0) -> NewRequest:
    return replace(request(number), process=process, response=f"sealed {number}")


async def left(database: Database) -> list[tuple[int, str, str]]:
    found = await database.run(lambda connection: take_left(connection, database.process))
    return [(one.interaction_id, one.response, one.outcome) for one in found]


async def test_what_a_dead_process_left_is_taken_once(database: Database) -> None:
    """Ended without having been shown, it is taken with how it ended; what was shown, or is open, is not."""
    async with database.transaction() as connection:
        for number in (1, 2, 3):
            await admit(connection, asked(number))
        await close_request(connection, 2, "failed")
        await close_request(connection, 3, "failed")
        await forget_responses(connection, [3])
    assert await left(database) == [(2, "sealed 2", "failed")]

    await database.run(reconcile)

    assert await left(database) == [(1, "sealed 1", "lost")]
    assert await left(database) == []


async def test_who_waited_is_taken_though_nothing_was_admitted(database: Database) -> None:
    """A member in a queue is noted before their request is; that it is noted twice does no harm."""
    for _ in range(2):
        await database.run(lambda connection: note_response(connection, 7, 0, "sealed 7"))

    assert await left(database) == [(7, "sealed 7", "")]


async def test_what_a_living_process_has_not_shown_yet_is_left_to_it(postgresql_url: str) -> None:
    """Of several processes each shows its own ends; those of one that has died another one takes."""
    async with open_database(postgresql_url) as other:
        async with open_database(postgresql_url) as one:
            for database, number in ((one, 1), (other, 2)):
                of = asked(number, database.process)
                await database.run(lambda connection, of=of: admit(connection, of))  # type: ignore[misc]
                await database.run(lambda connection, n=number: close_request(connection, n, "failed"))  # type: ignore[misc]
            assert await left(one) == []
            assert await left(other) == []

        assert await left(other) == [(1, "sealed 1", "failed")]
