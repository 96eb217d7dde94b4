"""The engine on SQLite: what a transaction promises, also to callers that are cut off."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from db.engine import Connection, Database, DatabaseError, open_database, to_the_end


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Database]:
    """An SQLite file with a table of one number."""
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE counter (number INTEGER)"))
            await connection.execute(text("INSERT INTO counter VALUES (0)"))
        yield database


async def read(connection: Connection) -> int:
    return int(await connection.scalar(text("SELECT number FROM counter")) or 0)


async def count_up(connection: Connection) -> None:
    """Read, then write what was read, plus one."""
    number = await read(connection)
    await connection.execute(text("UPDATE counter SET number = :number"), {"number": number + 1})


async def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    """A file is opened with a write-ahead log, full synchronisation, and foreign keys that bind."""
    async with (
        open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database,
        database.transaction() as connection,
    ):
        values = {
            name: await connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


async def test_sqlite_has_one_connection(tmp_path: Path) -> None:
    """Twenty transactions at once all run on the same connection: each sees what only that one can."""

    async def look(connection: Connection) -> int:
        return int(await connection.scalar(text("SELECT number FROM mine")) or 0)

    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TEMPORARY TABLE mine AS SELECT 7 AS number"))
        seen = await asyncio.gather(*(database.run(look) for _ in range(20)))

    assert seen == [7] * 20


async def test_concurrent_updates_lose_nothing(counter: Database) -> None:
    """Of 200 transactions at once that read and then write, every one counts."""
    await asyncio.gather(*(counter.run(count_up) for _ in range(200)))

    assert await counter.run(read) == 200


async def test_failed_transaction_leaves_nothing(counter: Database) -> None:
    """What a transaction wrote before it failed is taken back."""

    async def fail(connection: Connection) -> None:
        await count_up(connection)
        raise LookupError

    with pytest.raises(LookupError):
        await counter.run(fail)

    assert await counter.run(read) == 0


async def test_transaction_that_waits_for_something_else_fails(counter: Database) -> None:
    """Work that waits for more than its statements is refused and rolled back, and the next one runs."""

    async def wander(connection: Connection) -> None:
        await count_up(connection)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="nothing else"):
        await counter.run(wander)

    assert await counter.run(read) == 0


async def test_transactions_of_both_kinds_take_turns(counter: Database) -> None:
    """Of 100 transactions at once, half of them context managers that are held for a while, each counts."""

    async def hold() -> None:
        async with counter.transaction() as connection:
            await asyncio.sleep(0.001)
            await count_up(connection)

    await asyncio.gather(*(hold() if number % 2 else counter.run(count_up) for number in range(100)))

    assert await counter.run(read) == 100


async def test_cancelled_caller_waits_for_its_transaction(counter: Database) -> None:
    """However often a caller is cancelled, its transaction ends first and is whole; then it is cancelled."""
    inside, gate = threading.Event(), threading.Event()  # of threads: the transaction is in the driver's

    async def slow(connection: Connection) -> None:
        await count_up(connection)
        inside.set()
        assert gate.wait(5)
        await count_up(connection)

    caller = asyncio.create_task(counter.run(slow))
    assert await asyncio.to_thread(inside.wait, 5)
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0.01)
        assert not caller.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await caller

    assert await counter.run(read) == 2


async def test_cancelled_transactions_leave_the_database_usable(counter: Database) -> None:
    """Cut off at any of 100 moments, a caller leaves no lock behind, and no half of its work."""
    done = 0

    async def work(connection: Connection) -> None:
        nonlocal done
        await count_up(connection)
        done += 1

    for moment in range(100):
        caller = asyncio.create_task(counter.run(work))
        if moment % 2:
            await asyncio.sleep(moment * 0.00003)
        else:
            for _ in range(moment):
                await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        async with asyncio.timeout(2):  # one that is locked out waits for five seconds, and fails
            await counter.run(work)

    assert await counter.run(read) == done
    assert done > 100


async def test_failure_of_a_cancelled_caller_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    """What fails after its caller was cancelled is in the log; the caller is cancelled and nothing else."""

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise LookupError("a reason")

    caller = asyncio.create_task(to_the_end(fail()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    assert "a reason" in caplog.text


async def test_locked_database_fails_and_recovers(counter: Database, tmp_path: Path) -> None:
    """While somebody else holds the file's lock a transaction fails; afterwards the next one works."""
    async with counter.transaction() as connection:
        await connection.execute(text("PRAGMA busy_timeout = 20"))
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="locked"):
        await counter.run(count_up)
    other.close()

    await counter.run(count_up)

    assert await counter.run(read) == 1


async def test_owed_writes_are_made_in_order(counter: Database) -> None:
    """What could not be written is written later, oldest first; one that fails again stays owed."""
    order: list[str] = []
    works = False

    async def first(connection: Connection) -> None:
        if not works:
            await connection.execute(text("SELECT * FROM no_such_table"))
        order.append("first")

    async def second(connection: Connection) -> None:
        order.append("second")

    counter.owe(first)
    counter.owe(second)
    with pytest.raises(DatabaseError):
        await counter.write_owed()
    assert order == []
    works = True
    await asyncio.gather(counter.write_owed(), counter.write_owed())

    assert [*dict.fromkeys(order)] == ["first", "second"]
    order.clear()
    await counter.write_owed()
    assert order == []


async def test_closing_waits_for_what_runs_and_runs_nothing_more(tmp_path: Path) -> None:
    """A transaction that runs while the database is closed is completed; a later one is refused."""
    inside = threading.Event()

    async def slow(connection: Connection) -> None:
        await connection.execute(text("CREATE TABLE made (number INTEGER)"))
        inside.set()
        time.sleep(0.05)  # noqa: ASYNC251 (a transaction runs in the driver's thread)

    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database:
        running = asyncio.create_task(database.run(slow))
        assert await asyncio.to_thread(inside.wait, 5)

    await running
    with pytest.raises(DatabaseError, match="closed"):
        await database.run(slow)
    found = sqlite3.connect(tmp_path / "x.db")
    assert found.execute("SELECT count(*) FROM made").fetchone() == (0,)
    found.close()


async def test_one_failure_in_a_group_takes_nothing_from_the_others(counter: Database) -> None:
    """Of 60 transactions at once every third fails after it has written: the others count, and only they."""

    async def fail(connection: Connection) -> None:
        await count_up(connection)
        raise LookupError

    works = [counter.run(count_up if number % 3 else fail) for number in range(60)]
    ends = await asyncio.gather(*works, return_exceptions=True)

    assert [isinstance(end, LookupError) for end in ends] == [number % 3 == 0 for number in range(60)]
    assert await counter.run(read) == 40


async def test_full_file_fails_one_and_spares_the_others(counter: Database) -> None:
    """A transaction that finds no room fails with that reason; those beside it count."""

    async def fill(connection: Connection) -> None:
        await connection.execute(text("CREATE TABLE large AS SELECT zeroblob(1000000) AS content"))

    async with counter.transaction() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {pages + 2}"))
    works = (count_up, count_up, fill, count_up)
    ends = await asyncio.gather(*map(counter.run, works), return_exceptions=True)

    assert [type(end).__name__ for end in ends] == ["NoneType", "NoneType", "OperationalError", "NoneType"]
    assert "full" in str(ends[2])
    assert await counter.run(read) == 3


async def test_group_that_sqlite_takes_back_fails_as_a_whole(counter: Database) -> None:
    """When SQLite by itself rolls back everything, all who shared that commit are told, and none counts."""

    async def ruin(connection: Connection) -> None:
        await count_up(connection)
        await connection.execute(text("INSERT INTO single VALUES (1)"))
        await connection.execute(text("INSERT OR ROLLBACK INTO single VALUES (1)"))

    async with counter.transaction() as connection:
        await connection.execute(text("CREATE TABLE single (number INTEGER UNIQUE)"))
    works = (count_up, count_up, ruin, count_up)  # the first goes alone, the others while it is busy
    ends = await asyncio.gather(*map(counter.run, works), return_exceptions=True)

    assert ends[0] is None
    assert all(isinstance(end, DatabaseError) and "UNIQUE" in str(end) for end in ends[1:])
    assert await counter.run(read) == 1


async def test_what_is_acknowledged_is_in_the_file(counter: Database, tmp_path: Path) -> None:
    """Each of 300 transactions at once, when it is done, can be seen by another process's connection."""
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    done = 0

    async def count_and_look() -> None:
        nonlocal done
        await counter.run(count_up)
        done += 1
        assert other.execute("SELECT number FROM counter").fetchone()[0] >= done

    await asyncio.gather(*(count_and_look() for _ in range(300)))

    assert done == 300
    other.close()
