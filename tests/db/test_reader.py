"""Reads beside writes: what a report sees, and that no answer waits for it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from db.engine import Connection, Database, DatabaseError, open_database


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Database]:
    """An SQLite file with a table of one number."""
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE counter (number INTEGER)"))
            await connection.execute(text("INSERT INTO counter VALUES (0)"))
        yield database


async def look(connection: Connection) -> int:
    return int(await connection.scalar(text("SELECT number FROM counter")) or 0)


async def count_up(connection: Connection) -> None:
    await connection.execute(text("UPDATE counter SET number = number + 1"))


class SlowRead:
    """A read of two looks, with all the time in the world between them."""

    def __init__(self) -> None:
        self.has_looked, self.may_go_on = threading.Event(), threading.Event()

    async def __call__(self, connection: Connection) -> tuple[int, int]:
        first = await look(connection)
        self.has_looked.set()
        assert self.may_go_on.wait(10)
        return first, await look(connection)


async def test_read_waits_for_no_write(counter: Database) -> None:
    """While a transaction is open, a read sees what was committed before it; then it sees the new."""
    async with counter.transaction() as connection:
        await count_up(connection)
        assert await counter.read(look) == 0
    assert await counter.read(look) == 1


async def test_write_waits_for_no_read(counter: Database) -> None:
    """Writes are committed while a read goes on, which sees none of them: all it reads is of one moment."""
    slow = SlowRead()
    reading = asyncio.create_task(counter.read(slow))
    await asyncio.to_thread(slow.has_looked.wait, 10)
    for _ in range(3):
        await counter.run(count_up)
    assert not reading.done()
    slow.may_go_on.set()

    assert await reading == (0, 0)
    assert await counter.read(look) == 3


async def test_read_cannot_write(counter: Database) -> None:
    """What would change something fails, and the reads after it do not."""
    with pytest.raises(DatabaseError, match="readonly"):
        await counter.read(count_up)

    assert await counter.read(look) == 0


async def test_cancelled_reads_leave_the_database_usable(counter: Database) -> None:
    """A caller that is cut off waits for its read, and the next one has its turn."""
    slow = SlowRead()
    reading = asyncio.create_task(counter.read(slow))
    await asyncio.to_thread(slow.has_looked.wait, 10)
    reading.cancel()
    waiting = asyncio.create_task(counter.read(look))
    await asyncio.sleep(0.01)
    assert not reading.done()
    slow.may_go_on.set()

    assert await waiting == 0
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_closing_waits_for_reads_and_leaves_one_file(tmp_path: Path) -> None:
    """A read that runs ends first; then the log is copied back into the file, and nothing is read anew."""
    slow = SlowRead()
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE counter AS SELECT 5 AS number"))
        reading = asyncio.create_task(database.read(slow))
        await asyncio.to_thread(slow.has_looked.wait, 10)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        slow.may_go_on.set()
        assert await reading == (5, 5)
        await closing
        with pytest.raises(DatabaseError, match="closed"):
            await database.read(look)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.db", "x.db.lock"]
