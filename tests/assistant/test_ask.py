"""A question on its way: what the member gets, what is booked, and what is remembered."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from assistant import Conversation
from assistant.ask import EMPTY_ANSWER
from assistant.values import Answer, Delta, Question, Refusal
from db.engine import Database
from db.rollup import Totals
from providers.base import (
    AttachedPicture,
    BadRequest,
    Completion,
    ContentRefused,
    KeyRejected,
    Message,
    PromptTooLong,
    RateLimited,
    Unavailable,
    Usage,
)
from providers.walk import NoneAnswered, NothingConfigured
from tests.assistant.scene import SYSTEM, GatedChat, Scene, origin
from tests.fakes import ScriptedChat, answer, small_png


async def test_pieces_come_before_the_answer(database: Database) -> None:
    """The answer's pieces are passed on as they come; last comes the whole, with model and usage."""
    scene = Scene(database, [ScriptedChat(answer("It is ", "blue."))])

    assert await scene.ask() == [
        Delta("It is "),
        Delta("blue."),
        Answer("It is blue.", "stop", Usage(10, 5), "scripted-model", "scripted", turn_id=1),
    ]


async def test_vendors_figures_are_booked_as_they_are(database: Database) -> None:
    """An answered question has one settled attempt with the vendor's very figures, and nothing reserved."""
    usage = Usage(1234, 567, cached_tokens=89, reasoning_tokens=12)
    scene = Scene(database, [ScriptedChat(["Yes.", Completion("Yes.", usage, "stop", "exact-model")])])
    await scene.ask()

    [row] = await scene.attempts()
    assert (row.state, row.usage_source, row.error_class) == ("settled", "provider", "")
    assert (row.prompt_tokens, row.completion_tokens) == (1234, 567)
    assert (row.cached_tokens, row.reasoning_tokens, row.pictures) == (89, 12, 0)
    assert (row.provider, row.model, row.key_variable) == ("scripted", "scripted-model", "scripted-key")
    assert (row.guild_id, row.channel_id, row.user_id, row.command) == (10, 20, 30, "ask")
    assert await scene.outcomes() == {1: "answered"}
    assert (await scene.server_usage()).totals == Totals(1, 0, 1234, 567, 0, 0)


async def test_attempt_is_booked_before_the_vendor_is_asked(database: Database) -> None:
    """While the vendor thinks, the attempt stands in the ledger with the most it may use."""
    chat = GatedChat()
    scene = Scene(database, [chat], route={"max_tokens": 300})
    asking = asyncio.create_task(scene.ask(prompt="abcdefgh"))
    await chat.asked.wait()

    [row] = await scene.attempts()
    assert (row.state, row.prompt_tokens, row.completion_tokens) == ("sent", 3 + 4 + 2 + 4, 300)
    assert await scene.outcomes() == {1: "open"}
    chat.gate.set()
    await asking


async def test_history_goes_along(database: Database) -> None:
    """The next question in a channel is sent with the turns before it, oldest first, whoever asked them."""
    scene = Scene(database, [ScriptedChat(answer("Paris."), answer("Two million."), answer("No."))])
    await scene.ask(1, "Capital of France?")
    await scene.ask(2, "How many live there?", user_id=31)
    await scene.ask(3, "Is it far?")

    assert scene.heard() == [
        Message("user", "Capital of France?"),
        Message("assistant", "Paris."),
        Message("user", "How many live there?"),
        Message("assistant", "Two million."),
        Message("user", "Is it far?"),
    ]


async def test_channels_share_nothing(database: Database) -> None:
    """What was said in one channel or server is never sent along in another, or in direct messages."""
    scene = Scene(database, [ScriptedChat(answer("canary one"), answer("canary two"))])
    await scene.ask(1, "canary three", channel_id=20)
    await scene.ask(2, "canary four", channel_id=21, guild_id=11)
    await scene.ask(3, "clean", channel_id=22, guild_id=0)

    assert scene.heard() == [Message("user", "clean")]


async def test_private_question_neither_reads_nor_writes(database: Database) -> None:
    """A private question is sent without the channel's history, does not enter it, and is booked."""
    scene = Scene(database, [ScriptedChat(answer("openly"), answer("secretly"), answer("again"))])
    await scene.ask(1, "in the open")
    await scene.ask(2, "in private", private=True)
    assert scene.heard() == [Message("user", "in private")]
    await scene.ask(3, "once more")

    assert "in private" not in [message.content for message in scene.heard()]
    assert await scene.turns() == [("in the open", "openly"), ("once more", "again")]
    assert len(await scene.attempts()) == 3


async def test_history_is_cut_at_whole_turns(database: Database) -> None:
    """Only so many turns go along as the budget holds, the latest ones, each with question and answer."""
    scripts = [answer(f"answer {number} " + "x" * 100, prompt_tokens=0) for number in range(4)]
    scene = Scene(
        database, [ScriptedChat(*scripts)], conversation=Conversation(SYSTEM.content, 80)
    )  # a turn is about 40
    for number in range(4):
        await scene.ask(number + 1, f"question {number}")

    heard = [message.content[:10] for message in scene.heard()]
    assert heard == ["question 1", "answer 1 x", "question 2", "answer 2 x", "question 3"]


@pytest.mark.parametrize(
    ("finish", "sentence"), [("stop", EMPTY_ANSWER), ("content_filter", ContentRefused.sentence)]
)
async def test_empty_answer_is_booked_and_told(database: Database, finish: str, sentence: str) -> None:
    """An answer without text is billed, so it is booked; the member is told, and it is not remembered."""
    end = Completion(" \n", Usage(10, 3), finish, "scripted-model")  # type: ignore[arg-type]
    scene = Scene(database, [ScriptedChat([end])])

    assert await scene.ask() == [Refusal(sentence)]
    [row] = await scene.attempts()
    assert (row.state, row.prompt_tokens, row.completion_tokens) == ("settled", 10, 3)
    assert await scene.turns() == []


async def test_fallback_books_each_attempt(database: Database) -> None:
    """Each vendor that was asked has its own attempt: those that refused cost nothing."""
    refusing = ScriptedChat([RateLimited("slow down")], name="first", model="first-model")
    broken = ScriptedChat([Unavailable("too late", maybe_billed=True)], name="second")
    scene = Scene(database, [refusing, broken, ScriptedChat(answer("Here."), name="third")])

    assert (await scene.ask())[-1] == Answer(
        "Here.", "stop", Usage(10, 5), "scripted-model", "third", fallback=True, turn_id=1
    )
    rows = await scene.attempts()
    assert [(row.attempt, row.provider, row.state, row.error_class) for row in rows] == [
        (1, "first", "unbilled", "rate"),
        (2, "second", "estimated", "transient"),
        (3, "third", "settled", ""),
    ]
    assert rows[0].prompt_tokens == rows[0].completion_tokens == 0
    assert rows[1].prompt_tokens > 0
    assert rows[1].completion_tokens == 0


async def test_nobody_answers(database: Database) -> None:
    """When every vendor refuses, the member gets one sentence, nothing is billed and nothing stays open."""
    vendors = [
        ScriptedChat([KeyRejected("no")], name="first"),
        ScriptedChat([BadRequest("what?")], name="second"),
        ScriptedChat([Unavailable("gone")], [Unavailable("still gone")], name="third"),
    ]
    scene = Scene(database, vendors)

    assert await scene.ask() == [Refusal(f"{NoneAnswered.sentence} Please try again in a minute.")]
    assert [row.provider for row in await scene.attempts()] == ["first", "second", "third", "third"]
    assert [row.state for row in await scene.attempts()] == ["unbilled"] * 4
    assert await scene.outcomes() == {1: "failed"}
    assert await scene.turns() == []


async def test_refusal_of_the_content_ends_the_chain(database: Database) -> None:
    """A question that the first vendor's filter refuses, or that is too long, is not taken to the next."""
    first = ScriptedChat([ContentRefused("filtered")], [PromptTooLong("no")], name="first")
    second = ScriptedChat(name="second")
    scene = Scene(database, [first, second])

    assert await scene.ask(1) == [Refusal(ContentRefused.sentence)]
    assert await scene.ask(2) == [Refusal(PromptTooLong.sentence)]
    assert second.calls == []


async def test_vendors_words_are_not_shown(database: Database) -> None:
    """What a vendor wrote in its refusal stays out of the sentence that the member reads."""
    scene = Scene(database, [ScriptedChat([BadRequest("canary in the vendor's words")])])

    [refusal] = await scene.ask()

    assert "canary" not in str(refusal)


async def test_partial_answer_costs_what_its_vendor_had_counted(database: Database) -> None:
    """Where the vendor had counted before it broke off, its figures are booked, and no estimate."""
    scene = Scene(
        database, [ScriptedChat(["Once upon", Usage(20, 7), Unavailable("broken")]), ScriptedChat()]
    )

    end = (await scene.ask())[-1]

    assert isinstance(end, Answer)
    assert (end.text, end.finish_reason, end.usage) == ("Once upon", "interrupted", Usage(20, 7))
    [row] = await scene.attempts()
    assert (row.state, row.usage_source, row.error_class) == ("settled", "provider", "interrupted")
    assert (row.prompt_tokens, row.completion_tokens) == (20, 7)
    assert (await scene.server_usage()).totals.estimated_tokens == 0
    assert await scene.outcomes() == {1: "partial"}


async def test_failed_attempt_costs_what_its_vendor_had_counted(database: Database) -> None:
    """A vendor that counted thoughts and then failed is booked with them; the next one answers."""
    thinking = ScriptedChat([Usage(20, 90), Unavailable("broken", maybe_billed=True)], name="first")
    scene = Scene(database, [thinking, ScriptedChat(answer("Here."), name="second")])

    end = (await scene.ask())[-1]

    assert isinstance(end, Answer)
    assert (end.text, end.finish_reason, end.usage, end.fallback) == ("Here.", "stop", Usage(10, 5), True)
    rows = await scene.attempts()
    assert [(row.state, row.usage_source, row.error_class) for row in rows] == [
        ("settled", "provider", "transient"),
        ("settled", "provider", ""),
    ]
    assert (rows[0].prompt_tokens, rows[0].completion_tokens) == (20, 90)


async def test_partial_answer_is_kept(database: Database) -> None:
    """An answer that breaks off is kept and marked, booked as an estimate, and remembered as it is."""
    scene = Scene(database, [ScriptedChat(["Once upon a ", "time", Unavailable("broken")]), ScriptedChat()])
    *deltas, end = await scene.ask(prompt="Tell me")

    assert deltas == [Delta("Once upon a "), Delta("time")]
    assert isinstance(end, Answer)
    assert (end.text, end.finish_reason) == ("Once upon a time", "interrupted")
    [row] = await scene.attempts()
    assert (row.state, row.usage_source, row.error_class) == ("estimated", "tokenizer", "interrupted")
    assert (row.prompt_tokens, row.completion_tokens) == (12, 4)
    assert await scene.outcomes() == {1: "partial"}
    assert await scene.turns() == [("Tell me", "Once upon a time")]


async def test_listener_who_leaves_stops_the_vendor(database: Database) -> None:
    """Whoever stops listening stops the vendor: what had come is booked, and nothing is remembered."""
    chat = ScriptedChat(["Once upon a ", "time", 60.0])
    scene = Scene(database, [chat])
    async with aclosing(scene.assistant.ask(Question(origin(1), "Tell me"))) as events:
        async for event in events:
            if event == Delta("time"):
                break

    assert chat.closed == 1
    [row] = await scene.attempts()
    assert (row.state, row.usage_source, row.completion_tokens) == ("estimated", "tokenizer", 4)
    assert await scene.outcomes() == {1: "failed"}
    assert await scene.turns() == []


async def test_listener_who_leaves_at_the_answer_changes_nothing(database: Database) -> None:
    """By the time the answer is handed over it is booked, whether anybody takes it or not."""
    scene = Scene(database, [ScriptedChat(answer("Done."))])
    async with aclosing(scene.assistant.ask(Question(origin(1), "Do it"))) as events:
        async for event in events:
            if isinstance(event, Answer):
                break

    assert [row.state for row in await scene.attempts()] == ["settled"]
    assert await scene.turns() == [("Do it", "Done.")]


async def test_interaction_that_comes_twice_is_answered_once(database: Database) -> None:
    """The second arrival of an interaction yields nothing and asks nobody, even while the first one runs."""
    chat = GatedChat()
    scene = Scene(database, [chat])
    first = asyncio.create_task(scene.ask(1))
    await chat.asked.wait()
    assert await scene.ask(1) == []
    assert await scene.outcomes() == {1: "open"}
    chat.gate.set()

    assert isinstance((await first)[-1], Answer)
    assert await scene.ask(1) == []
    assert len(chat.calls) == 1
    assert await scene.outcomes() == {1: "answered"}


async def test_bot_without_models_says_so(database: Database) -> None:
    """With nobody to ask, the member is told that the host has to set a key, and nothing is booked."""
    scene = Scene(database)

    assert await scene.ask() == [Refusal(NothingConfigured.sentence)]
    assert await scene.outcomes() == {}


async def test_hundred_questions_at_once_keep_their_turns_whole(database: Database) -> None:
    """Questions that are answered at the same time leave whole turns, one after the other."""
    scripts = [[0.001 * (number % 7), *answer(f"answer {number}")] for number in range(100)]
    scene = Scene(database, [ScriptedChat(*scripts)])
    numbers = range(100)
    await asyncio.gather(
        *(
            scene.ask(number + 1, f"question {number}", user_id=number, channel_id=20 + number % 2)
            for number in numbers
        )
    )

    for channel_id in (20, 21):
        turns = await scene.turns(channel_id)
        asked_here = [f"question {number}" for number in numbers if number % 2 == channel_id % 2]
        assert [question for question, _ in turns] == asked_here
        assert len({answer for _, answer in turns}) == 50
    assert (await scene.server_usage()).totals == Totals(100, 0, 1000, 500, 0, 0)


async def test_a_question_about_a_picture_is_no_fallback_for_skipping_the_blind(database: Database) -> None:
    """The first that sees is the first choice: the answer says what the ledger says."""
    scene = Scene(database, [ScriptedChat(name="blind"), ScriptedChat(name="seeing")])
    router = scene.assistant._chat_router
    router.routes = (router.routes[0], replace(router.routes[1], sees=True))
    picture = AttachedPicture("image/png", small_png())
    end = (await scene.put(Question(origin(1), "What is it?", pictures=(picture,))))[-1]

    assert isinstance(end, Answer)
    [row] = await scene.attempts()
    assert (end.provider, end.fallback) == ("seeing", False)
    assert (row.provider, row.fallback) == ("seeing", False)
