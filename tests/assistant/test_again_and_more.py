"""Another answer to an old question, and more of an answer: for whom, after what, and what is kept."""

import asyncio
from contextlib import aclosing

import pytest

from assistant import Assistant, Limits, StopSignal
from assistant.ask import Event
from assistant.conversation import GO_ON
from assistant.turns import FORGOTTEN, NOT_YOURS, NOTHING_MORE
from assistant.values import Again, Answer, AttachedPicture, Begun, Delta, Question, Refusal
from db.engine import Database
from providers.base import Completion, Message, PromptTooLong, Unavailable, Usage
from providers.router import ChatRouter, ImageRouter
from tests.assistant.scene import DEFAULT, GatedChat, Scene, origin
from tests.fakes import ScriptedChat, Step, answer, chat_route, key

PICTURE = AttachedPicture("image/png", b"pixels")


def cut(*pieces: str) -> list[Step]:
    """An answer that reaches its length limit."""
    return [*pieces, Completion("".join(pieces), Usage(10, 5), "length", "scripted-model")]


async def three_turns(database: Database, *scripts: list[Step]) -> Scene:
    """A conversation of three turns with ids 1 to 3, by members 30, 31 and 30, and what is answered next."""
    chat = ScriptedChat(*(answer(f"answer {number}") for number in (1, 2, 3)), *scripts)
    scene = Scene(database, [chat])
    for number in (1, 2, 3):
        await scene.ask(number, f"question {number}", user_id=31 if number == 2 else 30)
    return scene


async def test_another_answer_takes_the_old_ones_place(database: Database) -> None:
    """The question is asked anew with the turns before it; the ledger keeps both answers."""
    scene = await three_turns(database, answer("better"))

    events = await scene.again(9, 2, user_id=31)

    assert events == [
        Begun("question 2"),
        Delta("better"),
        Answer("better", "stop", Usage(10, 5), "scripted-model", "scripted", turn_id=2),
    ]
    assert [message.content for message in scene.heard()] == ["question 1", "answer 1", "question 2"]
    assert await scene.turns() == [
        ("question 1", "answer 1"),
        ("question 2", "better"),
        ("question 3", "answer 3"),
    ]
    assert [row.interaction_id for row in await scene.attempts()] == [1, 2, 3, 9]
    assert (await scene.server_usage()).totals.requests == 4


async def test_who_may_have_an_answer_anew(database: Database) -> None:
    """The member who asked, and who may manage messages; anybody else is told so, and nothing is booked."""
    scene = await three_turns(database)

    for refused in (await scene.again(9, 2, user_id=30), await scene.more(9, 2, user_id=30)):
        assert refused == [Refusal(NOT_YOURS)]
    assert 9 not in await scene.outcomes()
    assert isinstance((await scene.again(10, 2, user_id=30, may_manage=True))[-1], Answer)
    [row] = await scene.attempts(10)
    assert row.user_id == 30  # who presses is who uses


async def test_what_is_forgotten_cannot_be_had_anew(database: Database) -> None:
    """Nor can a turn of another channel, nor another member's private one, whoever may manage messages."""
    scene = await three_turns(database)
    await scene.ask(4, "in private", private=True, user_id=31)

    gone = [Refusal(FORGOTTEN)]
    assert await scene.again(9, 99, may_manage=True) == gone
    assert await scene.again(9, 1, may_manage=True, channel_id=21) == gone
    assert await scene.again(9, 4, may_manage=True) == gone
    assert await scene.more(9, 4, may_manage=True) == gone
    assert (await scene.again(10, 4, user_id=31))[0] == Begun("in private")
    await scene.assistant.forget(20)
    assert await scene.again(9, 1) == gone


async def test_a_turn_forgotten_meanwhile_is_not_raised_from_the_dead(database: Database) -> None:
    """The new answer is shown and booked, and nothing is written into the history."""
    chat = GatedChat(answer("old"), answer("new"))
    chat.gate.set()
    scene = Scene(database, [chat])
    await scene.ask(1, "first")
    chat.gate.clear()
    again = asyncio.create_task(scene.again(2, 1))
    await chat.asked.wait()
    await chat.until_arrived(2)
    assert await scene.assistant.forget(20) == 1
    chat.gate.set()

    end = (await again)[-1]
    assert isinstance(end, Answer)
    assert (end.text, end.turn_id) == ("new", None)
    assert await scene.turns() == []
    assert [row.state for row in await scene.attempts()] == ["settled", "settled"]


@pytest.mark.parametrize("who", ["channel", "member"])
async def test_what_is_being_answered_is_forgotten_too(database: Database, who: str) -> None:
    """An answer that knows the old conversation is shown, but not remembered after that was forgotten."""
    chat = GatedChat(answer("the secret"), answer("as I said: the secret"), answer("unasked"))
    chat.gate.set()
    scene = Scene(database, [chat])
    await scene.ask(1, "Tell me")
    chat.gate.clear()
    running = asyncio.create_task(scene.ask(2, "Again?"))
    bystander = asyncio.create_task(scene.ask(3, "Me too", user_id=31, channel_id=21))
    await chat.until_arrived(3)
    if who == "channel":
        assert await scene.assistant.forget(20) == 1
    else:
        forgotten = await scene.assistant.forget_member(30)
        assert (forgotten.turns, forgotten.channels) == (1, 1)
    chat.gate.set()

    end = (await running)[-1]
    assert isinstance(end, Answer)
    assert end.turn_id is None
    assert await scene.turns() == []
    assert isinstance((await bystander)[-1], Answer)
    assert len(await scene.turns(21)) == 1


async def test_a_failed_try_leaves_the_old_answer(database: Database) -> None:
    """When nobody answers, or the answer is empty, the turn stays as it was."""
    scene = await three_turns(database, [Unavailable("down")], [Unavailable("down")], answer(" "))

    assert isinstance((await scene.again(9, 1))[-1], Refusal)
    assert isinstance((await scene.again(10, 1))[-1], Refusal)

    assert (await scene.turns())[0] == ("question 1", "answer 1")


async def test_a_stopped_try_keeps_what_had_come(database: Database) -> None:
    """A stop while the question is answered anew leaves the text so far in the turn, as it was shown."""
    scene = await three_turns(database, ["only so", " far", 60.0])
    stop = StopSignal()
    async with aclosing(scene.assistant.ask(Again(origin(9), 1), stop)) as events:
        async for event in events:
            if event == Delta(" far"):
                stop.stop()

    [first, *_] = await scene.kept()
    assert (first.answer, first.finish_reason) == ("only so far", "stopped")


async def test_more_is_added_to_the_answer(database: Database) -> None:
    """The model hears the conversation up to its own answer, and that it is to go on."""
    scene = await three_turns(database, cut("Once upon "), cut("a time "), answer("there was."))
    await scene.ask(4, "Tell me")
    await scene.ask(5, "Meanwhile?", user_id=31)

    events = await scene.more(6, 4)

    assert events[:2] == [Begun("Tell me", "Once upon "), Delta("there was.")]
    assert [(message.role, message.content) for message in scene.heard()][-4:] == [
        ("assistant", "answer 3"),
        ("user", "Tell me"),
        ("assistant", "Once upon "),
        ("user", GO_ON),
    ]
    [_, _, _, told, _] = await scene.kept()
    assert (told.answer, told.finish_reason) == ("Once upon there was.", "stop")
    end = events[-1]
    assert isinstance(end, Answer)
    assert (end.text, end.turn_id) == ("there was.", 4)
    assert await scene.more(7, 4) == [Refusal(NOTHING_MORE)]


async def test_more_twice_at_once_is_added_in_order(database: Database) -> None:
    """Pressed again, it goes on where the first one stopped; and of what is whole there is no more."""
    scene = Scene(database, [ScriptedChat(cut("one "), cut("two "), answer("three."))])
    await scene.ask(1, "Count")

    await asyncio.gather(scene.more(2, 1), scene.more(3, 1), scene.more(4, 1))

    assert await scene.turns() == [("Count", "one two three.")]
    assert set((await scene.outcomes()).values()) == {"answered"}


async def test_more_of_an_answer_that_was_replaced_is_not_added(database: Database) -> None:
    """What belongs to an answer that is no longer there is shown, and not put behind the new one."""
    chat = GatedChat(cut("old "), answer("and more"), answer("new"))
    chat.gate.set()
    scene = Scene(database, [chat])
    await scene.ask(1, "Count")
    chat.gate.clear()
    more = asyncio.create_task(scene.more(2, 1))
    again = asyncio.create_task(scene.again(3, 1, user_id=31, may_manage=True))
    await chat.until_arrived(3)
    await scene.execute("UPDATE history SET content = 'newer' WHERE role = 'assistant'")
    chat.gate.set()
    await again

    end = (await more)[-1]
    assert isinstance(end, Answer)
    assert end.turn_id is None
    [(_, kept)] = await scene.turns()
    assert kept in ("new", "and more")  # whichever the vendor gave to the one that replaced it


def two_models(database: Database, a: ScriptedChat, b: ScriptedChat, chain: bool) -> Scene:
    """A chain that begins with `a`, which is blind; `b` sees, in the chain or asked by name alone."""
    scene = Scene(database, [a, b])
    blind, seeing = chat_route(a, key("a")), chat_route(b, key("b"), sees=True)
    routes, others = ([blind, seeing], []) if chain else ([blind], [seeing])
    router = ChatRouter(routes, others=others)
    scene.assistant = Assistant(database, router, ImageRouter([]), DEFAULT, Limits())
    return scene


async def test_the_model_that_was_chosen_is_asked_again(database: Database) -> None:
    """Also about pictures that nobody else sees; once nobody offers it, the chain's own choice answers."""
    a = ScriptedChat(answer("by a"), name="a", model="ma")
    b = ScriptedChat(cut("a "), cut("fox "), answer("anew"), name="b", model="mb")
    scene = two_models(database, a, b, chain=False)
    await scene.put(Question(origin(1), "What is this?", model="b/mb", pictures=(PICTURE,)))

    await scene.more(2, 1)
    await scene.again(3, 1)
    assert (len(a.calls), len(b.calls)) == (0, 3)
    assert [row.model for row in await scene.kept()] == ["b/mb"]

    scene = two_models(database, a, ScriptedChat(name="b", model="other"), chain=False)
    await scene.ask(4, "Who are you?")
    await scene.execute("UPDATE history SET model = 'b/mb' WHERE role = 'user'")
    await scene.again(5, 4)
    assert len(a.calls) == 2


async def test_more_about_a_picture_takes_a_model_that_sees(database: Database) -> None:
    """The question's pictures go along, so a blind model of the chain is not asked."""
    a = ScriptedChat(name="a", model="ma")
    b = ScriptedChat(cut("a fox "), answer("in snow"), name="b", model="mb")
    scene = two_models(database, a, b, chain=True)
    await scene.put(Question(origin(1), "What is this?", pictures=(PICTURE,)))

    await scene.more(2, 1)

    assert (a.calls, len(b.calls)) == ([], 2)
    assert b.calls[-1][0].messages[-3].pictures == (PICTURE,)


async def test_what_is_gone_on_with_is_sent_however_long_it_is(database: Database) -> None:
    """Where the prompt is too long, history goes, but neither the question nor the answer so far."""
    scene = await three_turns(database, cut("Once upon "), [PromptTooLong()], answer("a time."))
    await scene.ask(4, "Tell me")

    await scene.more(5, 4)

    assert [message.content for message in scene.heard()] == [
        "question 3",
        "answer 3",
        "Tell me",
        "Once upon ",
        GO_ON,
    ]


async def test_pictures_and_attachments_go_along_again(database: Database) -> None:
    """Later questions, another answer and more of one are sent with what the question was asked with."""
    chat = ScriptedChat(cut("a fox"), cut("it is red"), answer("red"), answer("in the snow"))
    scene = Scene(database, [chat], route={"sees": True})
    await scene.put(Question(origin(1), "What is this?", attached="notes.txt", pictures=(PICTURE, PICTURE)))
    asked = Message("user", "What is this?\n\nnotes.txt", (PICTURE, PICTURE))
    assert scene.heard() == [asked]

    await scene.ask(2, "What colour?")
    assert scene.heard()[0] == asked
    assert scene.heard()[-1].pictures == ()
    await scene.again(3, 1)
    assert scene.heard() == [asked]
    await scene.execute(
        "UPDATE history SET finish_reason = 'length' WHERE turn_id = 1 AND role = 'assistant'"
    )
    await scene.more(4, 1)
    assert scene.heard()[0] == asked


async def test_a_running_answer_is_not_heard_by_others(database: Database) -> None:
    """Two members at once: each hears finished turns only, and the turns stand in the order of asking."""
    chat = GatedChat(answer("one"), answer("two"), answer("three"))
    scene = Scene(database, [chat])
    events: list[asyncio.Task[list[Event]]] = []
    for number, member in ((1, 30), (2, 31)):
        events.append(asyncio.create_task(scene.ask(number, f"question {number}", user_id=member)))
        await chat.until_arrived(number)
    chat.gate.set()
    await asyncio.gather(*events)
    await scene.ask(3, "question 3")

    heard = [[message.content for message in call[0].messages[1:]] for call in chat.calls]
    assert heard[0] == ["question 1"]
    assert heard[1] == ["question 2"]
    assert heard[2][0::2] == ["question 1", "question 2", "question 3"]
