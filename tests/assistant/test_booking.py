"""The books of one request, when the task that writes them is cut off while it writes."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from assistant.booking import Booking
from assistant.figures import Figures
from assistant.values import Limits
from db.engine import Connection, Database
from db.history import ConversationKey, NewTurn, add_turn
from providers.base import RateLimited, Usage
from providers.route import Target
from tests.assistant.faults import allow, locked, refuse, sqlite_only
from tests.assistant.scene import Scene, origin
from tests.fakes import key

pytestmark = sqlite_only

TARGET = Target("some-vendor", "some-model", key())
MOST = Usage(60, 40, estimated=True)


@pytest.fixture
def booking(database: Database) -> Booking:
    return Booking(database, origin(1), "ask", Figures(), tokens=100)


async def keep(connection: Connection) -> None:
    """Write the turn of the only request."""
    await add_turn(connection, NewTurn(1, 10, ConversationKey(20), 30, "question", "answer"))


async def cut_off_while_it_waits(file: Path, writing: Coroutine[Any, Any, object]) -> None:
    """Cancel a write that cannot begin yet, since somebody else holds the file's lock."""
    with locked(file):
        task = asyncio.create_task(writing)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_admission_that_is_cut_off_is_known(
    database: Database, booking: Booking, tmp_path: Path
) -> None:
    """A request whose admission was cut off is open, knows it, and can be closed."""
    await cut_off_while_it_waits(tmp_path / "colloquy.db", booking.admit(Limits()))

    assert booking.open
    assert await Scene(database).outcomes() == {1: "open"}
    await booking.abandon(Usage())
    assert await Scene(database).outcomes() == {1: "failed"}


async def test_attempt_that_never_left_costs_nothing(
    database: Database, booking: Booking, tmp_path: Path
) -> None:
    """An attempt that was cut off while it was written down had not been sent: it is unbilled."""
    await booking.admit(Limits())
    await cut_off_while_it_waits(tmp_path / "colloquy.db", booking.begin(TARGET, MOST))
    await booking.abandon(Usage(60, 7, estimated=True))

    [row] = await Scene(database).attempts()
    assert (row.state, row.error_class, row.completion_tokens) == ("unbilled", "interrupted", 0)


async def test_attempt_that_left_is_booked_with_what_came(database: Database, booking: Booking) -> None:
    """An attempt that had been sent is booked with its prompt and the text that had come by then."""
    await booking.admit(Limits())
    await booking.begin(TARGET, MOST)
    await booking.abandon(Usage(60, 7, estimated=True))

    [row] = await Scene(database).attempts()
    assert (row.state, row.usage_source, row.error_class) == ("estimated", "tokenizer", "interrupted")
    assert (row.prompt_tokens, row.completion_tokens) == (60, 7)


async def test_failure_that_is_cut_off_is_booked_once(
    database: Database, booking: Booking, tmp_path: Path
) -> None:
    """A vendor's refusal stands as it was, although its writing was cut off and the request abandoned."""
    await booking.admit(Limits())
    await booking.begin(TARGET, MOST)
    await cut_off_while_it_waits(tmp_path / "colloquy.db", booking.fail(RateLimited(), None))
    await booking.abandon(Usage(60, 7, estimated=True))

    [row] = await Scene(database).attempts()
    assert (row.state, row.error_class, row.completion_tokens) == ("unbilled", "rate", 0)


async def test_answer_that_is_cut_off_is_booked_whole(
    database: Database, booking: Booking, tmp_path: Path
) -> None:
    """An answer whose writing was cut off is booked with the vendor's figures, and remembered."""
    await booking.admit(Limits())
    await booking.begin(TARGET, MOST)
    settling = booking.settle(Usage(12, 34), "answered", keep)
    await cut_off_while_it_waits(tmp_path / "colloquy.db", settling)

    assert not booking.open
    [row] = await Scene(database).attempts()
    assert (row.state, row.prompt_tokens, row.completion_tokens) == ("settled", 12, 34)
    assert await Scene(database).turns() == [("question", "answer")]


async def test_write_that_is_cut_off_is_still_tried_again(database: Database, booking: Booking) -> None:
    """An end that failed and waits for its next try is written by that, although nobody waits any more."""
    await booking.admit(Limits())
    await booking.begin(TARGET, MOST)
    await refuse(database, "UPDATE ON attempts")
    settling = asyncio.create_task(booking.settle(Usage(12, 34), "answered"))
    await asyncio.sleep(0.1)
    settling.cancel()
    await allow(database)
    await asyncio.wait([settling])

    assert [row.state for row in await Scene(database).attempts()] == ["settled"]


async def test_end_that_is_written_twice_counts_once(
    database: Database, booking: Booking, caplog: pytest.LogCaptureFixture
) -> None:
    """An end that had been written although its commit was reported as failed changes nothing again."""
    await booking.admit(Limits())
    await booking.begin(TARGET, MOST)
    for _ in range(2):
        await booking.settle(Usage(12, 34), "answered", keep)

    assert await Scene(database).turns() == [("question", "answer")]
    assert (await Scene(database).server_usage()).totals.completion_tokens == 34
    assert caplog.text == ""
