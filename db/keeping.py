"""What goes on beside the answers: what is owed is written, and what a dead process left is ended."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database, DatabaseError
from db.ledger import Reconciled, attempts, reconcile, requests
from db.probe import prove_writable
from db.server import IDENTIFY_SECONDS, read_living, seconds_up, take_turn_to_identify

log = logging.getLogger(__name__)

# Seconds between two rounds: so old may be what one process knows of what another has learned.
ROUND_SECONDS = 5.0
# After so many rounds it is looked who has died. Whoever is missed twice in a row has: a process whose
# connection breaks has until then to come back.
ROUNDS_BETWEEN_LOOKS = 3
# So old a server has to be, if one look is to tell who lives.
SETTLED_SECONDS = 3 * ROUND_SECONDS


async def find_orphans(connection: AsyncConnection, process: int = 0) -> list[int]:
    """The interactions that are open, or have an attempt that is, and that no living process answers.

    `process` is the number of this one, which lives, even if its connection has just been cut.
    """
    living = await read_living(connection)
    if process:
        living.add(process)
    open_ones = (
        select(requests.c.interaction_id)
        .where(requests.c.open)
        .union(select(attempts.c.interaction_id).where(attempts.c.state == "sent"))
    )
    orphans = select(requests.c.interaction_id).where(
        requests.c.interaction_id.in_(open_ones), requests.c.process.not_in(living)
    )
    return list((await connection.execute(orphans)).scalars())


async def end_orphans(
    database: Database, only: Collection[int] | None = None, *, settled_seconds: float = SETTLED_SECONDS
) -> Sequence[int]:
    """End what no living process answers, or of that `only` these interactions; return what was found."""
    orphans = await database.run(partial(find_orphans, process=database.process))
    if only is None and orphans and database.process:
        # After its own start a server knows of nobody. Those who live show themselves again in a round.
        left = settled_seconds - await database.run(seconds_up)
        if left > 0:
            await asyncio.sleep(left)
            orphans = await database.run(partial(find_orphans, process=database.process))
    found = Reconciled(0, 0)
    for interaction_id in orphans:
        if only is None or interaction_id in only:
            # Each in a transaction of its own: many at once could wait for a process that waits for them.
            one = await database.run(partial(reconcile, interaction_ids=[interaction_id]))
            found = Reconciled(found.attempts + one.attempts, found.requests + one.requests)
    if found.attempts or found.requests:
        log.warning(
            "a run ended in the middle of %d requests; %d calls are booked at the most they may cost",
            found.requests,
            found.attempts,
        )
    return orphans


async def wait_to_identify(database: Database, seconds: float = IDENTIFY_SECONDS) -> None:
    """Wait until no process that shares this database has identified at Discord for so long.

    While the database is away, the time is this process's own.
    """
    try:
        while not await database.run(partial(take_turn_to_identify, seconds=seconds)):  # noqa: ASYNC110 (other processes set no event)
            await asyncio.sleep(random.uniform(0.04, 0.1) * seconds)
    except DatabaseError as error:
        log.warning("the other processes cannot be waited for: %s", error.__cause__ or error)
        await asyncio.sleep(random.uniform(1, 2) * seconds)


@asynccontextmanager
async def keeping(
    database: Database, *chores: Callable[[], Awaitable[object]], seconds: float = ROUND_SECONDS
) -> AsyncIterator[None]:
    """While the block lasts, write what is owed, and see whether the books can be written again.

    And where others may share the database: show that this process lives, end what dead ones left, and do
    the chores.
    """
    task = asyncio.create_task(_keep(database, chores, seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep(
    database: Database, chores: Sequence[Callable[[], Awaitable[object]]], seconds: float
) -> None:
    rounds = 0
    missed: Sequence[int] = ()
    while True:
        await asyncio.sleep(seconds)
        rounds += 1
        try:
            await database.show_presence()
            await database.write_owed()
            if database.failing:
                await database.run(prove_writable)
            if database.process:  # on SQLite there is nobody else
                for chore in chores:
                    await chore()
                if rounds % ROUNDS_BETWEEN_LOOKS == 0:
                    missed = await end_orphans(database, missed)
        except DatabaseError as error:
            database.note(error)
        except Exception:  # it must not be the last round
            log.exception("what goes on beside the answers failed; it will be tried again")
        else:
            database.note(None)
