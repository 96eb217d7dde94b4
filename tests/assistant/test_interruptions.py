"""Requests that are cut off, at any moment and by anyone: the books agree, and nothing stays open."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any

import pytest

from assistant import RESTARTING
from assistant.values import Refusal
from db.engine import Database, open_database
from db.rollup import Totals
from providers.base import RateLimited
from tests.assistant.scene import NO_HISTORY, GatedChat, GatedImages, Scene
from tests.fakes import ScriptedChat, ScriptedImages, Step, answer

# Waits for the moment at which a task is to be cut off.
Moment = Callable[[asyncio.Task[object]], Awaitable[object]]


async def cut_off(work: Coroutine[Any, Any, object], moment: Moment, *, again: bool) -> None:
    """Cancel `work` at a moment; and, if wanted, once more while it is cleaning up."""
    task = asyncio.create_task(work)
    await moment(task)
    task.cancel()
    if again:
        await asyncio.sleep(0.0005)
        task.cancel()
    await asyncio.wait([task])


def moments() -> list[Moment]:
    """After 0 to 59 turns of the loop, after up to 24 thousandths of a second, and never."""

    def turns(number: int) -> Moment:
        async def wait(task: asyncio.Task[object]) -> None:
            for _ in range(number):
                await asyncio.sleep(0)

        return wait

    def seconds(number: float) -> Moment:
        return lambda _: asyncio.sleep(number)

    def never(task: asyncio.Task[object]) -> Awaitable[object]:
        return asyncio.wait([task])

    return [
        *(turns(number) for number in range(60)),
        *(seconds(number * 0.0004) for number in range(60)),
        never,
    ]


def script() -> list[Step]:
    return ["An ", 0.002, "answer.", 0.002, *answer(" Done.")[1:]]


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
async def test_question_cut_off_at_any_moment(database: Database, again: bool) -> None:
    """A question that is cancelled anywhere has ended attempts only; who was never asked costs nothing."""
    refusing = ScriptedChat(*([RateLimited("slow down")] for _ in range(121)), name="first")
    answering = ScriptedChat(*(script() for _ in range(121)), name="second")
    scene = Scene(database, [refusing, answering])
    numbers = count(1)
    for moment in moments():
        number = next(numbers)
        await cut_off(scene.ask(number, f"question {number}", private=True), moment, again=again)

    assert await scene.discrepancies() == []
    assert answering.closed == len(answering.calls)
    asked = {call[0].messages[-1].content for call in answering.calls}
    rows = await scene.attempts()
    for row in rows:
        was_asked = row.provider == "second" and f"question {row.interaction_id}" in asked
        assert row.state in ({"settled", "estimated"} if was_asked else {"unbilled"})
    assert rows[-1].state == "settled"
    assert set((await scene.outcomes()).values()) == {"answered", "failed"}


async def test_answered_question_is_remembered_even_if_cut_off(database: Database) -> None:
    """What is booked as answered is in the history, and what is not is not: both or neither."""
    scene = Scene(database, [ScriptedChat(*(answer("Yes.") for _ in range(121)))], conversation=NO_HISTORY)
    for number, moment in enumerate(moments(), 1):
        await cut_off(scene.ask(number, f"question {number}"), moment, again=True)

    outcomes = await scene.outcomes()
    answered = [number for number, outcome in outcomes.items() if outcome == "answered"]
    assert 0 < len(answered) < len(moments())
    expected = [(f"question {number}", "Yes.") for number in answered]
    assert await scene.turns() == expected[-100:]


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
async def test_picture_cut_off_at_any_moment(database: Database, again: bool) -> None:
    """A picture that is cancelled anywhere is booked once, as made, as perhaps made, or not at all."""
    painter = ScriptedImages(*(0.002 for _ in range(121)))
    scene = Scene(database, painters=[painter])
    for number, moment in enumerate(moments(), 1):
        await cut_off(scene.imagine(number), moment, again=again)

    assert await scene.discrepancies() == []
    rows = await scene.attempts()
    assert {row.state for row in rows} <= {"settled", "estimated", "unbilled"}
    assert rows[-1].state == "settled"
    assert all(row.pictures == (row.state != "unbilled") for row in rows)
    assert sum(row.pictures for row in rows) == len(painter.calls)


async def test_replay_that_is_cut_off_leaves_the_first_alone(database: Database) -> None:
    """The second arrival of an interaction, cancelled anywhere, does not close the request of the first."""
    chat = GatedChat(answer("Here."))
    scene = Scene(database, [chat])
    first = asyncio.create_task(scene.ask(1))
    await chat.asked.wait()
    for moment in moments():
        await cut_off(scene.ask(1), moment, again=False)
        assert await scene.outcomes() == {1: "open"}
    chat.gate.set()
    await first

    assert await scene.outcomes() == {1: "answered"}
    assert len(await scene.attempts()) == 1


async def test_stop_cuts_off_and_books(database: Database) -> None:
    """A stop ends what is running: each question is booked with the text that had come, a picture as one."""
    silent, painter = GatedChat(), GatedImages()
    talking = Scene(database, [ScriptedChat(["Once upon a time", 60.0])], [painter])
    running = [
        asyncio.create_task(talking.ask(1)),
        asyncio.create_task(talking.imagine(2)),
    ]
    waiting = Scene(database, [silent])
    running.append(asyncio.create_task(waiting.ask(3)))
    await asyncio.gather(silent.asked.wait(), painter.asked.wait(), asyncio.sleep(0.1))

    await talking.assistant.stop()
    await waiting.assistant.stop()

    assert all(task.cancelled() for task in running)
    rows = {row.interaction_id: row for row in await talking.attempts()}
    assert {row.state for row in rows.values()} == {"estimated"}
    assert (rows[1].completion_tokens, rows[2].pictures, rows[3].completion_tokens) == (4, 1, 0)
    assert rows[3].prompt_tokens > 0
    assert await talking.outcomes() == {1: "failed", 2: "failed", 3: "failed"}


async def test_stopped_assistant_takes_nothing_more(database: Database) -> None:
    """What arrives after the stop is told that the bot is restarting; nobody is asked, nothing is booked."""
    chat = ScriptedChat()
    scene = Scene(database, [chat], [ScriptedImages()])
    await scene.assistant.stop()

    assert await scene.ask(1) == [Refusal(RESTARTING)]
    assert await scene.imagine(2) == Refusal(RESTARTING)
    assert chat.calls == []
    assert await scene.outcomes() == {}


async def test_bot_that_stops_in_the_middle_starts_clean(database_url: str) -> None:
    """After a stop with a hundred questions in the air, the next start finds nothing to reconcile."""
    chat = GatedChat()
    async with open_database(database_url) as database:
        scene = Scene(database, [chat])
        running = [
            asyncio.create_task(scene.ask(number, channel_id=number, user_id=number)) for number in range(100)
        ]
        await chat.asked.wait()
        await scene.assistant.stop()
        assert all(task.done() for task in running)

    async with open_database(database_url) as database:
        scene = Scene(database)
        assert await scene.discrepancies() == []
        assert (await scene.server_usage()).totals != Totals()
