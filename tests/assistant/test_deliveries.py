"""Deliveries and times: what the ledger knows of an answer beside its cost."""

import asyncio

import pytest

from assistant.deliveries import Deliveries
from db.engine import Database
from providers.base import RateLimited
from tests.assistant.faults import allow, refuse, sqlite_only
from tests.assistant.scene import Scene
from tests.fakes import ScriptedChat, ScriptedImages, answer


async def test_deliveries_are_written_together(database: Database) -> None:
    """Notes of many answers go into the ledger at once; the last word on each counts, on what answered it."""
    first = ScriptedChat([RateLimited("no")], name="first")
    scene = Scene(database, [first, ScriptedChat(name="second")])
    for number in range(1, 4):
        await scene.ask(number)
    deliveries = scene.assistant.deliveries
    deliveries.note(1, "partial")
    deliveries.note(1, "full")
    deliveries.note(2, "none")
    assert [row.delivered for row in await scene.attempts()] == ["none", "", "", ""]

    await scene.assistant.stop()

    rows = await scene.attempts()
    assert [(row.provider, row.delivered) for row in rows] == [
        ("first", "none"),
        ("second", "full"),
        ("second", "none"),
        ("second", ""),
    ]


async def test_deliveries_are_written_a_moment_later(database: Database) -> None:
    """Without a stop a note is in the ledger after about a second."""
    scene = Scene(database, [ScriptedChat()])
    await scene.ask(1)
    scene.assistant.deliveries.note(1, "full")
    await asyncio.sleep(1.3)

    assert [row.delivered for row in await scene.attempts()] == ["full"]


@sqlite_only
async def test_the_delivery_of_an_answer_that_is_booked_late_is_noted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member may have an answer before the books have: the note waits for them."""
    monkeypatch.setattr("assistant.booking.RETRY_AFTER", (0.01,))
    scene = Scene(database, [ScriptedChat()])
    await refuse(database, "INSERT ON usage_sums")
    await scene.ask(1)
    deliveries = Deliveries(database)
    deliveries.note(1, "full")
    await deliveries.write()
    assert [(row.state, row.delivered) for row in await scene.attempts()] == [("sent", "")]
    await allow(database)
    await database.write_owed()
    await deliveries.close()

    assert [(row.state, row.delivered) for row in await scene.attempts()] == [("settled", "full")]


@sqlite_only
async def test_deliveries_outlive_a_fault(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Notes that cannot be written are kept until they can be; the answers are not touched by it."""
    scene = Scene(database, [ScriptedChat()])
    await scene.ask(1)
    deliveries = Deliveries(database)
    await refuse(database, "UPDATE ON attempts")
    deliveries.note(1, "full")
    await asyncio.sleep(1.2)
    assert "cannot be noted now" in caplog.text
    await allow(database)
    await deliveries.close()

    assert [row.delivered for row in await scene.attempts()] == ["full"]


async def test_times_are_booked(database: Database) -> None:
    """Each attempt has its time from the question, to its first text and to its end, in milliseconds."""
    slow = ScriptedChat([0.05, "It ", 0.05, *answer("is.")], name="slow")
    scene = Scene(
        database, [ScriptedChat([0.04, RateLimited("no")], name="first"), slow], [ScriptedImages(0.03)]
    )
    await scene.ask(1)
    await scene.imagine(2)
    refused, answered, picture = await scene.attempts()

    assert 40 <= refused.total_ms < 4000
    assert refused.first_text_ms is None
    assert refused.queue_ms + 40 <= answered.queue_ms  # it waited for the refusal
    assert 50 <= answered.first_text_ms <= answered.total_ms - 50
    assert picture.first_text_ms is None
    assert picture.total_ms >= 30
    assert (picture.pictures, picture.pixels, picture.delivered) == (1, 64, "")
