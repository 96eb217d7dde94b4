"""Stopping an answer: what had come is kept and booked, at whatever moment the stop comes."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import pytest

from assistant import StopSignal
from assistant.ask import STOPPED
from assistant.stopping import Stopped
from assistant.values import Answer, Delta, Question, Refusal
from db.engine import Database
from providers.base import ChatEvent, ChatRequest, Completion, Key, RateLimited, Thought, Usage
from tests.assistant.scene import GatedChat, Scene, origin
from tests.fakes import ScriptedChat, Step, answer


async def test_a_stop_keeps_what_had_come(database: Database) -> None:
    """The vendor's stream ends at once; the text so far is the answer, in the history and in the books."""
    chat = ScriptedChat(["Once upon ", "a time", 60.0])
    scene = Scene(database, [chat])
    stop = StopSignal()
    telling = asyncio.create_task(scene.put(Question(origin(1), "Tell me"), stop))
    await asyncio.sleep(0.2)  # it says nothing for a minute now
    stop.stop()

    *_, end = await asyncio.wait_for(telling, 5)
    assert isinstance(end, Answer)
    assert (end.text, end.finish_reason, end.turn_id) == ("Once upon a time", "stopped", 1)
    assert (end.model, end.provider, end.usage.estimated) == ("scripted-model", "scripted", True)
    assert chat.closed == 1
    [row] = await scene.attempts()
    assert (row.state, row.usage_source, row.error_class) == ("estimated", "tokenizer", "interrupted")
    assert (row.prompt_tokens, row.completion_tokens) == (12, 4)
    assert await scene.outcomes() == {1: "partial"}
    [turn] = await scene.kept()
    assert (turn.answer, turn.finish_reason) == ("Once upon a time", "stopped")


async def test_a_stop_books_the_vendors_count_so_far(database: Database) -> None:
    """Where the vendor had counted by then, its figures count rather than ours."""
    scene = Scene(database, [ScriptedChat(["Once ", Usage(321, 77, reasoning_tokens=70), "upon", 60.0])])
    stop = StopSignal()
    async with aclosing(scene.assistant.ask(Question(origin(1), "Tell me"), stop)) as events:
        async for event in events:
            if event == Delta("upon"):
                stop.stop()

    [row] = await scene.attempts()
    assert (row.prompt_tokens, row.completion_tokens, row.reasoning_tokens) == (321, 77, 70)
    assert row.state == "estimated"


async def test_a_stop_before_any_text_keeps_nothing(database: Database) -> None:
    """The member is told; the vendor may have worked on the prompt, so that is booked."""
    chat = GatedChat()
    scene = Scene(database, [chat])
    stop = StopSignal()
    asking = asyncio.create_task(scene.put(Question(origin(1), "Tell me"), stop))
    await chat.asked.wait()
    stop.stop()
    stop.stop()  # a second press changes nothing

    assert await asking == [Refusal(STOPPED)]
    [row] = await scene.attempts()
    assert (row.state, row.prompt_tokens, row.completion_tokens) == ("estimated", 12, 0)
    assert await scene.turns() == []
    assert await scene.outcomes() == {1: "failed"}


class Thinking(ScriptedChat):
    """Thinks, and says nothing."""

    def __init__(self, thoughts: str) -> None:
        super().__init__(name="thinking")
        self.thoughts = thoughts
        self.heard = asyncio.Event()

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[ChatEvent]:
        yield Thought(self.thoughts)
        self.heard.set()
        await asyncio.sleep(60)


async def test_a_stop_while_the_model_thinks_books_its_thoughts(database: Database) -> None:
    """What the model has thought by then is billed, and nobody has counted it: of that attempt alone."""
    first = ScriptedChat([Usage(999, 999), Thought("Hm. " * 400), RateLimited("no")], name="first")
    second = Thinking("I am thinking about it very hard. " * 100)
    scene = Scene(database, [first, second])
    stop = StopSignal()
    asking = asyncio.create_task(scene.put(Question(origin(1), "Tell me"), stop))
    await second.heard.wait()
    stop.stop()

    assert await asking == [Refusal(STOPPED)]
    _, row = await scene.attempts()
    assert (row.state, row.delivered, row.prompt_tokens) == ("estimated", "none", 12)
    assert row.completion_tokens == row.reasoning_tokens == 850


async def test_thoughts_count_where_the_vendor_counts_nothing(database: Database) -> None:
    """An answer without figures is estimated with its thoughts, which are part of the completion tokens."""
    end = Completion("Yes.", Usage(estimated=True), "stop", "scripted-model")
    scene = Scene(database, [ScriptedChat([Thought("Let me see. " * 20), "Yes.", end])])
    await scene.ask(1)

    [row] = await scene.attempts()
    assert (row.state, row.completion_tokens, row.reasoning_tokens) == ("estimated", 61, 60)


async def test_a_stop_before_the_question_sends_nothing(database: Database) -> None:
    """A question that was stopped before it was asked is neither sent nor booked."""
    chat = ScriptedChat()
    scene = Scene(database, [chat])
    stop = StopSignal()
    stop.stop()

    assert await scene.put(Question(origin(1), "Tell me"), stop) == [Refusal(STOPPED)]
    assert chat.calls == []
    assert await scene.outcomes() == {}


async def test_a_stop_after_the_end_changes_nothing(database: Database) -> None:
    """An answer that was complete is complete."""
    scene = Scene(database, [ScriptedChat(answer("Done."))])
    stop = StopSignal()
    async with aclosing(scene.assistant.ask(Question(origin(1), "Do it"), stop)) as events:
        async for event in events:
            if isinstance(event, Answer):
                stop.stop()
                assert event.finish_reason == "stop"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("shutdown", [False, True], ids=["alone", "with a shutdown"])
async def test_a_stop_at_any_moment(database: Database, shutdown: bool) -> None:
    """Each question ends: whole, stopped, or cut off by the shutdown, which wins; and the books agree."""

    def script() -> list[Step]:
        return ["An ", 0.002, "answer.", 0.002, *answer(" Done.")[1:]]

    rounds = 80
    chat = ScriptedChat(*(script() for _ in range(rounds + 2)))
    scene = Scene(database, [chat])
    for number in (1001, 1002):  # the first one prepares the database's statements
        began = time.monotonic()
        await scene.ask(number)
        takes = time.monotonic() - began
    seen: set[str] = set()
    for number in range(rounds):
        stop = StopSignal()
        task = asyncio.create_task(scene.put(Question(origin(number + 1), f"question {number}", True), stop))
        for _ in range(number % 40):
            await asyncio.sleep(0)
        await asyncio.sleep(1.2 * takes * max(0, number - 40) / 40)
        was_done = task.done()
        stop.stop()
        if shutdown:
            task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            seen.add("cancelled")
            continue
        end = task.result()[-1]
        assert was_done or not shutdown
        assert isinstance(end, Answer) or end == Refusal(STOPPED)
        seen.add(end.finish_reason if isinstance(end, Answer) else "refused")
        assert task.cancelling() == 0

    assert await scene.discrepancies() == []
    assert chat.closed == len(chat.calls)
    assert "open" not in (await scene.outcomes()).values()
    assert ("cancelled" in seen) == shutdown
    if not shutdown:
        assert {"refused", "stopped"} <= seen
    kept = {turn.question: turn for turn in await scene.kept(private_to=30)}
    for turn in kept.values():
        assert turn.finish_reason in ("stop", "stopped")
        assert "An answer. Done.".startswith(turn.answer) or turn.answer == " Done."


async def test_a_stop_that_something_else_replaces_is_taken_back() -> None:
    """When the wait ends with another error than our cancellation, the task is not left half cancelled."""
    stop = StopSignal()

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("the connection broke while it was closed")

    async def work() -> int:
        with suppress(OSError), stop.stoppable():
            stop.begin()
            await wait()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    stop.stop()

    assert await working == 0


async def test_a_stop_waits_until_the_task_does() -> None:
    """While the task does something of its own it is not disturbed; the stop is met at its next wait."""
    stop = StopSignal()
    own = asyncio.Event()

    async def work() -> str:
        with stop.stoppable():
            stop.begin()
            await asyncio.sleep(0)
            stop.end()
            await own.wait()
            stop.begin()
            return "went on"

    working = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    stop.stop()
    await asyncio.sleep(0.01)
    assert not working.done()
    own.set()

    with pytest.raises(Stopped):
        await working
