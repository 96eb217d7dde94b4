"""A database that fails for real: nothing is spent that cannot be booked, and nothing needs a restart."""

import asyncio
import logging
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.booking import BOOKS_CLOSED
from assistant.values import Answer, Delta, Pictures, Refusal
from db.engine import Connection, Database
from db.history import forget_channel
from db.rollup import Totals
from providers.base import Unavailable
from tests.assistant.faults import allow, locked, refuse, sqlite_only
from tests.assistant.scene import NO_HISTORY, GatedChat, Scene
from tests.fakes import ScriptedChat, ScriptedImages, answer

pytestmark = sqlite_only

CLOSED = [Refusal(BOOKS_CLOSED)]


@pytest.fixture
async def impatient(database: Database) -> Database:
    """A database that waits for a lock no longer than 20 ms, and not for five seconds."""
    async with database.transaction() as connection:
        await connection.execute(text("PRAGMA busy_timeout = 20"))
    return database


@pytest.mark.parametrize("private", [False, True])
async def test_locked_database_refuses_questions_and_recovers(
    impatient: Database, tmp_path: Path, private: bool
) -> None:
    """While the file is locked nobody is asked and the member is told; afterwards it goes on by itself."""
    chat, painter = ScriptedChat(), ScriptedImages()
    scene = Scene(impatient, [chat], [painter])
    with locked(tmp_path / "colloquy.db"):
        assert await scene.ask(1, private=private) == CLOSED
        assert await scene.imagine(2) == CLOSED[0]
        assert len(chat.calls) == len(painter.calls) == 0

    assert isinstance((await scene.ask(1, private=private))[-1], Answer)
    assert isinstance(await scene.imagine(2), Pictures)


@pytest.mark.parametrize("table", ["requests", "attempts"])
async def test_what_cannot_be_booked_is_not_sent(database: Database, table: str) -> None:
    """When the request or the attempt cannot be written nobody is asked, and no reservation is left."""
    chat, painter = ScriptedChat(), ScriptedImages()
    scene = Scene(database, [chat], [painter])
    await refuse(database, f"INSERT ON {table}")

    assert await scene.ask(1) == CLOSED
    assert await scene.imagine(2) == CLOSED[0]

    assert len(chat.calls) == len(painter.calls) == 0
    assert await scene.discrepancies() == []
    await allow(database)
    assert isinstance((await scene.ask(3))[-1], Answer)


async def test_end_is_written_again_when_it_failed(database: Database) -> None:
    """An answer that cannot be booked at once is booked a moment later, as it was, and then shown."""
    chat = GatedChat(answer("Here."))
    scene = Scene(database, [chat])
    asking = asyncio.create_task(scene.ask(1, "Where?"))
    await chat.asked.wait()
    await refuse(database, "UPDATE ON attempts")
    chat.gate.set()
    await asyncio.sleep(0.1)
    assert not asking.done()
    await allow(database)

    assert isinstance((await asking)[-1], Answer)
    assert [row.state for row in await scene.attempts()] == ["settled"]
    assert await scene.turns() == [("Where?", "Here.")]


async def test_answer_is_shown_and_booked_later(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that cannot be booked for long is shown; until it is booked nothing more is spent."""
    scene = Scene(database, [ScriptedChat(answer("Here."), answer("There."))])
    await refuse(database, "INSERT ON history")
    with caplog.at_level(logging.ERROR):
        assert isinstance((await scene.ask(1, "Where?"))[-1], Answer)
    assert "disk full" in caplog.text
    assert await scene.ask(2) == CLOSED
    assert [row.state for row in await scene.attempts()] == ["sent"]
    await allow(database)

    assert isinstance((await scene.ask(3, "And now?"))[-1], Answer)

    assert [row.state for row in await scene.attempts()] == ["settled", "settled"]
    assert await scene.outcomes() == {1: "answered", 3: "answered"}
    assert await scene.turns() == [("Where?", "Here."), ("And now?", "There.")]


async def test_stop_writes_what_is_owed(database: Database) -> None:
    """What could not be booked when it ended is booked at the stop, if it then can be."""
    scene = Scene(database, [ScriptedChat()])
    await scene.ask(1)
    database.owe(lambda connection: forget_channel(connection, 20))

    await scene.assistant.stop()

    assert await scene.turns() == []


async def test_stop_on_a_dead_database_ends(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A stop that still cannot book says so in the log, and leaves it to the next start."""

    async def fail(connection: Connection) -> None:
        await connection.execute(text("SELECT * FROM no_such_table"))

    database.owe(fail)
    await Scene(database).assistant.stop()

    assert "left to the next start" in caplog.text


async def test_failed_vendor_and_failed_books(database: Database) -> None:
    """When a vendor's refusal cannot be booked, the next vendor is not asked before it can be."""
    first, second = ScriptedChat([Unavailable("gone", status=503)], name="first"), ScriptedChat(name="second")
    scene = Scene(database, [first, second])
    await scene.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON attempts WHEN NEW.provider = 'second' "
        "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )

    assert await scene.ask(1) == CLOSED

    assert second.calls == []
    assert [(row.provider, row.state) for row in await scene.attempts()] == [("first", "unbilled")]
    assert await scene.outcomes() == {1: "failed"}


async def test_full_disk(database: Database) -> None:
    """A disk that fills up under the running bot loses no booked answer; with room again it goes on."""
    chat = ScriptedChat(*(answer(f"answer {number} " + "x" * 3000) for number in range(60)))
    scene = Scene(database, [chat], conversation=NO_HISTORY)
    await scene.ask(1)
    async with database.transaction() as connection:
        pages = int(await connection.scalar(text("PRAGMA page_count")) or 0)
        await connection.execute(text(f"PRAGMA max_page_count = {pages + 5}"))
    number, answered = 1, 1
    while (events := await scene.ask(number := number + 1)) != CLOSED:
        assert number < 60
        answered += isinstance(events[-1], Answer)
        assert Delta("x") not in events
    asked = len(chat.calls)
    assert asked == answered
    assert await scene.ask(number) == CLOSED
    assert len(chat.calls) == asked

    await scene.execute("PRAGMA max_page_count = 1000000")

    assert isinstance((await scene.ask(number))[-1], Answer)
    assert (await scene.server_usage()).totals == Totals(
        answered + 1, 0, 10 * (answered + 1), 5 * (answered + 1), 0, 0
    )
    assert len(await scene.turns()) == answered + 1
