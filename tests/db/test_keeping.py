"""Several processes on one PostgreSQL: who lives, what the dead leave, and what all of them know."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from assistant import KeyMemory
from assistant.values import Answer, Limits, Refusal
from db.engine import Connection, Database, DatabaseError, open_database
from db.history import ConversationKey, read_turns
from db.keeping import end_orphans, find_orphans, keeping
from db.ledger import admit, begin_attempt, requests
from db.server import PROCESSES, read_living
from providers.base import Key, QuotaExhausted
from providers.healths import Status
from providers.pool import KeyPool, Ring
from tests.assistant.scene import GatedChat, Scene
from tests.db.entries import attempt, book, discrepancies, request
from tests.fakes import ScriptedChat, ScriptedImages, answer, key

ROOT = Path(__file__).parent.parent.parent

# Admits a question, sends it, and lives on.
ASKING = """
import asyncio, sys
from dataclasses import replace
from db.engine import open_database
from db.ledger import admit, begin_attempt
from tests.db.entries import attempt, request

async def ask():
    async with open_database(sys.argv[1]) as database:
        async with database.transaction() as connection:
            asked = replace(request(1), process=database.process)
            await admit(connection, asked)
            await begin_attempt(connection, attempt(asked))
        print("asked", flush=True)
        await asyncio.sleep(60)

asyncio.run(ask())
"""


@pytest.fixture
async def other(postgresql_url: str) -> AsyncIterator[Database]:
    """What another process has of the same database."""
    async with open_database(postgresql_url) as database:
        yield database


@pytest.fixture
async def one(postgresql_url: str) -> AsyncIterator[Database]:
    async with open_database(postgresql_url) as database:
        yield database
        assert await discrepancies(database) == []


async def until(holds: Callable[[], object]) -> None:
    """Wait until this holds, or gives something that does when it is awaited."""
    async with asyncio.timeout(10):
        while True:
            found = holds()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.02)


async def lives(database: Database, number: int) -> bool:
    return number in await database.run(read_living)


def recovers(pool: KeyPool, ring: Ring, which: Key) -> bool:
    """Whether this key may be asked again, and answers."""
    if (lease := pool.acquire(ring, which)) is None:
        return False
    lease.confirm()
    lease.release()
    return True


async def test_who_has_the_database_open_lives(one: Database, postgresql_url: str) -> None:
    """Each process has a number of its own, and is gone when it closes."""
    async with open_database(postgresql_url) as second:
        assert len({0, one.process, second.process}) == 3
        assert await one.run(read_living) == {one.process, second.process}

    assert await one.run(read_living) == {one.process}


async def test_sqlite_has_one_process(tmp_path: Path) -> None:
    """It has no number, there are no others, and whatever is open was left by a run before."""
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database:
        await database.run(lambda connection: admit(connection, request(1)))
        assert database.process == 0
        assert await database.run(read_living) == set()
        assert await end_orphans(database) == [1]
        assert await discrepancies(database) == []


async def test_sqlite_writes_what_is_owed_without_being_asked(tmp_path: Path) -> None:
    """With room again the bookings are made and the host is told, even if nobody asks anything more."""
    told: list[str] = []
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}") as database:
        database.listeners.append(told.append)
        database.note(DatabaseError("no room"))
        database.owe(lambda connection: book(connection, request(1)))
        async with keeping(database, seconds=0.02):
            await until(lambda: len(told) == 2)

        assert database.owed == 0
        assert told[1] == "The books can be written again."
        assert [row.state for row in await Scene(database).attempts()] == ["settled"]


async def test_what_a_living_process_answers_is_left_alone(one: Database, other: Database) -> None:
    """The start of one process closes nothing that another has open, and that is booked as it ends."""
    chat = GatedChat(answer("Yes."))
    asking = asyncio.create_task(Scene(other, [chat]).ask(1))
    await chat.asked.wait()

    assert await end_orphans(one) == []
    chat.gate.set()

    [*_, end] = await asking
    assert isinstance(end, Answer)
    assert await Scene(one).outcomes() == {1: "answered"}


async def test_what_a_killed_process_left_is_ended_by_the_next_start(
    one: Database, postgresql_url: str
) -> None:
    """As long as it lives its request stays open; once it is killed, its attempt is booked at its most."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASKING, postgresql_url), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"asked\n"
    assert await end_orphans(one, settled_seconds=0) == []

    process.send_signal(signal.SIGKILL)
    await process.communicate()
    await until(
        lambda: end_orphans(one, settled_seconds=0)
    )  # the server sees it when it looks at the connection

    scene = Scene(one)
    assert await scene.outcomes() == {1: "lost"}
    assert [(row.state, row.usage_source) for row in await scene.attempts()] == [("estimated", "cap")]


async def test_the_dead_are_noticed_by_those_who_live_on(one: Database) -> None:
    """A process that runs on ends what another left, without being started anew, and after a second look."""
    orphan = request(1)
    async with one.transaction() as connection:
        await admit(connection, orphan)  # by a process that is not there
        await begin_attempt(connection, attempt(orphan))
    looks = 0

    async def chore() -> None:
        nonlocal looks
        looks += 1

    async with keeping(one, chore, seconds=0.02):
        await until(lambda: looks == 4)  # after the first look, at the third round
        assert await Scene(one).outcomes() == {1: "open"}
        await until(lambda: looks == 8)

    assert await Scene(one).outcomes() == {1: "lost"}


async def test_a_process_that_lost_its_connection_shows_itself_again(one: Database, other: Database) -> None:
    """Its connection is cut by the server; a moment later it holds its lock over a new one."""

    async def cut(connection: Connection) -> None:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                "AND classid = :processes AND objid::bigint = :number"
            ),
            {"processes": PROCESSES, "number": other.process},
        )

    await one.run(cut)
    await asyncio.sleep(0.1)
    assert await one.run(read_living) == {one.process}

    async with keeping(other, seconds=0.02):
        await until(lambda: lives(one, other.process))


async def test_a_chore_that_fails_does_not_end_the_others(
    one: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log, and tried again with the next round."""
    rounds = 0

    async def chore() -> None:
        nonlocal rounds
        rounds += 1
        raise LookupError("a reason")

    async with keeping(one, chore, seconds=0.01):
        await until(lambda: rounds >= 3)

    assert "a reason" in caplog.text


async def test_what_one_process_learns_of_a_key_the_others_know_soon(one: Database, other: Database) -> None:
    """A key that is spent is not asked by the other process either; once it is well, it is again."""
    keys = [key("first", "one secret"), key("second", "another secret")]
    ring = Ring("vendor", "some-model", keys)
    mine, theirs = KeyPool(KeyMemory(one)), KeyPool(KeyMemory(other))
    lease = mine.acquire(ring, keys[0])
    assert lease is not None
    lease.fail(QuotaExhausted("no credit", retry_after=0.5))
    await mine.save()

    async with keeping(other, theirs.refresh, seconds=0.02):
        await until(lambda: theirs.worst(ring, keys[0]).status is Status.SPENT)
        assert theirs.acquire(ring, keys[0]) is None
        next_one = theirs.acquire(ring)
        assert next_one is not None
        assert next_one.key == keys[1]

        await until(lambda: recovers(mine, ring, keys[0]))
        await mine.save()
        await until(lambda: theirs.health(ring.account(keys[0])).status is Status.READY)


async def test_what_is_not_saved_yet_is_not_forgotten(one: Database) -> None:
    """What this process has learned since it last wrote stands against what it reads."""
    ring = Ring("vendor", "some-model", [key("first")])
    pool = KeyPool(KeyMemory(one))
    lease = pool.acquire(ring)
    assert lease is not None
    lease.fail(QuotaExhausted("no credit", retry_after=60))

    await pool.refresh()
    assert pool.acquire(ring) is None
    await pool.save()
    before = pool.health(ring.account(ring.keys[0]))
    await pool.refresh()

    assert pool.health(ring.account(ring.keys[0])) is before  # the store has whole seconds, and is no news


async def test_one_budget_holds_for_all_processes(one: Database, other: Database) -> None:
    """Of sixty pictures ordered at once of two processes, as many are made as the limit lets through."""
    limits = Limits(pictures_per_day=20)
    scenes = [Scene(database, painters=[ScriptedImages()], limits=limits) for database in (one, other)]
    ends = await asyncio.gather(
        *(scenes[n % 2].imagine(n, channel_id=100 + n, user_id=1000 + n) for n in range(60))
    )

    assert sum(isinstance(end, Refusal) for end in ends) == 40
    assert len(await scenes[0].attempts()) == 20


async def test_an_interaction_that_two_processes_get_is_answered_by_one(
    one: Database, other: Database
) -> None:
    """Fifty questions are handed to both at the same moment: each is asked of the vendor once."""
    chats = [ScriptedChat(*[answer("Yes.")] * 50) for _ in range(2)]
    scenes = [Scene(one, [chats[0]]), Scene(other, [chats[1]])]

    heard = await asyncio.gather(
        *(scene.ask(n, channel_id=100 + n, user_id=1000 + n) for n in range(50) for scene in scenes)
    )

    assert len(chats[0].calls) + len(chats[1].calls) == 50
    assert sum(isinstance(events[-1], Answer) for events in heard if events) == 50
    assert sum(not events for events in heard) == 50


async def test_turns_stand_in_order_whichever_process_asked(one: Database, other: Database) -> None:
    """Of one conversation in two processes, each question is sent with the turns before it and no other."""
    chats = [ScriptedChat(*[answer("Yes.")] * 20) for _ in range(2)]
    scenes = [Scene(one, [chats[0]]), Scene(other, [chats[1]])]
    await asyncio.gather(*(scenes[n % 2].ask(n, f"question {n}", user_id=1000 + n) for n in range(40)))

    turns = await one.run(lambda connection: read_turns(connection, ConversationKey(20)))
    assert len(turns) == 40
    order = [turn.question for turn in turns]
    calls = [call for chat in chats for call in chat.calls]
    assert len(calls) == 40
    for chat_request, _ in calls:
        said = [message.content for message in chat_request.messages if message.role == "user"]
        *before, question = [next(name for name in order if content.endswith(name)) for content in said]
        places = [order.index(name) for name in before]
        assert places == sorted(places)
        assert all(place < order.index(question) for place in places)
    async with one.transaction() as connection:
        assert await connection.scalar(select(func.count()).select_from(requests)) == 40
        assert await find_orphans(connection) == []
