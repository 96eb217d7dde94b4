"""What the key pool remembers: through a restart, without a key, and at no answer's cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from assistant import Assistant, Conversation, KeyMemory, Limits
from assistant.values import Answer
from db.engine import Database, open_database
from db.tables import Base
from providers.base import (
    Key,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    ProviderError,
    QuotaExhausted,
    RateLimited,
)
from providers.healths import DAY, NEVER, Health, Holder, Status
from providers.pool import KeyPool, Ring
from providers.route import State
from providers.router import ChatRouter, ImageRouter
from tests.assistant.scene import Scene
from tests.fakes import ScriptedChat, answer, chat_route, key
from tests.providers.clock import Clock

CANARY = "canary-value-of-a-key"
NOW = 20_000 * DAY + 0.25
ERRORS: list[ProviderError] = [
    RateLimited(retry_after=30.3),
    QuotaExhausted(retry_after=7200),
    NotEntitled(),
    KeyRejected(),
    RateLimited(),
]
KEYS = [key(f"KEY{number}", f"{CANARY}-{number}") for number in range(len(ERRORS))]


def ring(*keys: Key) -> Ring:
    return Ring("vendor", "model", keys or KEYS)


async def pool_over(database: Database, clock: Clock) -> KeyPool:
    pool = KeyPool(KeyMemory(database), clock)
    await pool.load()
    return pool


async def refuse_all(pool: KeyPool) -> None:
    for one, error in zip(KEYS, ERRORS, strict=True):
        lease = pool.acquire(ring(one))
        assert lease is not None
        lease.fail(error)
    await pool.save()


async def test_whoever_rests_still_rests_after_a_restart(database_url: str) -> None:
    """Resting, spent and dead keys come back as they were, to the second and never too soon."""
    clock = Clock(NOW)
    async with open_database(database_url) as database:
        pool = await pool_over(database, clock)
        await refuse_all(pool)
        before = [pool.worst(ring(), one) for one in KEYS]
    async with open_database(database_url) as database:
        pool = await pool_over(database, clock)
        after = [pool.worst(ring(), one) for one in KEYS]

        assert [(health.status, health.reason, health.strikes) for health in after] == [
            (Status.RESTING, "rate", 0),
            (Status.SPENT, "exhausted", 0),
            (Status.SPENT, "not_entitled", 0),
            (Status.DEAD, "auth", 0),
            (Status.RESTING, "rate", 1),
        ]
        for old, new in zip(before, after, strict=True):
            assert old.until == new.until == NEVER or 0 <= new.until - old.until < 1
        assert pool.acquire(ring()) is None
        clock.now = before[0].until - 0.001
        assert pool.acquire(ring(KEYS[0])) is None
        clock.now += 2
        assert pool.acquire(ring(KEYS[0])) is not None


async def test_another_process_does_not_take_back_a_new_try(database: Database) -> None:
    """What one process tries again is not overruled by what the store still says of it."""
    clock = Clock(NOW)
    pool = await pool_over(database, clock)
    await refuse_all(pool)
    clock.now += 1
    pool.try_again()
    await pool.refresh()
    await pool.save()
    other = await pool_over(database, clock)
    clock.now += 1
    for known in (pool, other):
        assert [known.worst(ring(), one).reason for one in KEYS] == ["rate", "exhausted", "", "", "rate"]


async def test_a_model_that_is_gone_is_remembered(database: Database) -> None:
    """After a restart no key asks it before its day is over."""
    clock = Clock(NOW)
    pool = await pool_over(database, clock)
    lease = pool.acquire(ring())
    assert lease is not None
    lease.fail(ModelRetired())
    await pool.save()
    pool = await pool_over(database, clock)
    assert pool.acquire(ring()) is None
    clock.now += DAY + 1
    assert pool.acquire(ring()) is not None


async def test_who_is_well_again_is_forgotten(database: Database) -> None:
    """A key that answers leaves no trace, and the next start finds it ready."""
    clock = Clock(NOW)
    pool = await pool_over(database, clock)
    await refuse_all(pool)
    assert len(await KeyMemory(database).load()) == len(KEYS)
    clock.now += 2 * DAY
    for one in KEYS:
        if lease := pool.acquire(ring(one)):
            lease.confirm()
            lease.release()
    await pool.save()

    dead = Holder("vendor", KEYS[3].fingerprint, "")
    assert await KeyMemory(database).load() == {dead: Health(Status.DEAD, NEVER, "auth")}


async def test_no_key_is_ever_written_down(database: Database, tmp_path: Path) -> None:
    """Neither a table nor the database file nor anything beside it holds a key's value."""
    await refuse_all(await pool_over(database, Clock(NOW)))

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    async with database.transaction() as connection:
        if connection.dialect.name == "sqlite":
            assert {path.name for path in files} >= {"colloquy.db", "colloquy.db-wal"}
        for table in Base.metadata.sorted_tables:
            content += str((await connection.execute(select(table))).all()).encode()
    assert KEYS[0].fingerprint.encode() in content
    assert CANARY.encode() not in content


async def test_memory_that_fails_costs_no_answer(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The member is answered by the next key, the host reads the fault, and it is saved once it can be."""
    scene = Scene(database)
    chat = ScriptedChat([RateLimited(retry_after=3600)], answer("Yes."), answer("Still."))
    state = State(KeyMemory(database))
    router = ChatRouter([chat_route(chat, KEYS[0], KEYS[1])], state)
    scene.assistant = Assistant(database, router, ImageRouter([]), Conversation("", 0), Limits())
    await scene.execute("ALTER TABLE key_states RENAME TO stolen")
    assert isinstance((await scene.ask(1))[-1], Answer)
    assert "the state of the keys could not be saved" in caplog.text
    assert CANARY not in caplog.text

    await scene.execute("ALTER TABLE stolen RENAME TO key_states")
    assert isinstance((await scene.ask(2))[-1], Answer)
    (health,) = (await KeyMemory(database).load()).values()
    assert (health.status, health.reason) == (Status.RESTING, "rate")
    assert [one.variable for _, one in chat.calls] == ["KEY0", "KEY1", "KEY1"]


async def test_what_is_known_of_keys_that_are_gone_does_no_harm(database: Database) -> None:
    """Of a key that has been taken out of the settings nothing is asked and nothing told."""
    clock = Clock(NOW)
    await refuse_all(await pool_over(database, clock))
    pool = await pool_over(database, clock)
    new = key("KEY9", "new")
    assert pool.worst(ring(new), new).status is Status.READY
    assert pool.acquire(ring(new)) is not None
