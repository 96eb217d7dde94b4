"""Which models may be asked by name, which one answered, and what has no room in one."""

import pytest

from assistant import Assistant, Conversation, Limits
from assistant.conversation import QUESTION_TOO_LONG
from assistant.values import Answer, AttachedPicture, ModelChoice, Question, Refusal
from db.engine import Database
from providers.base import KeyRejected, ModelRetired
from providers.router import ChatRouter, ImageRouter, NoSuchModel
from tests.assistant.scene import DEFAULT, Scene, origin
from tests.fakes import ScriptedChat, answer, chat_route, key


def scene_of(database: Database, first: ScriptedChat, second: ScriptedChat, other: ScriptedChat) -> Scene:
    scene = Scene(database, [first])
    router = ChatRouter(
        [chat_route(first, key("FIRST")), chat_route(second, sees=True)], others=[chat_route(other)]
    )
    scene.assistant = Assistant(database, router, ImageRouter([]), DEFAULT, Limits())
    return scene


async def test_models_that_are_ready_are_offered(database: Database) -> None:
    """The chain's own come first, then those asked only by name; what cannot be asked now is left out."""
    first = ScriptedChat([KeyRejected("no")], name="first", model="a")
    second, other = (
        ScriptedChat(name="second", model="b"),
        ScriptedChat([ModelRetired("gone")], name="c", model="d"),
    )
    scene = scene_of(database, first, second, other)
    choices = [
        ModelChoice("first/a", "first", default=True),
        ModelChoice("second/b", "second", default=False),
        ModelChoice("c/d", "c", default=False),
    ]
    assert scene.assistant.models() == choices

    end = (await scene.ask(1))[-1]
    assert isinstance(end, Answer)
    assert (end.provider, end.fallback) == ("second", True)
    assert isinstance((await scene.put(Question(origin(2), "Hi", model="c/d")))[-1], Refusal)

    assert scene.assistant.models() == [ModelChoice("second/b", "second", default=True)]


async def test_a_model_is_asked_by_name(database: Database) -> None:
    """It answers, and nobody else does; that is no fallback. One that does not exist is refused."""
    first, second, other = (
        ScriptedChat(answer(name), name=name, model="m") for name in ("one", "two", "three")
    )
    scene = scene_of(database, first, second, other)

    for number, name in enumerate(("two", "three", "one"), 1):
        end = (await scene.put(Question(origin(number), "Hi", model=f"{name}/m")))[-1]
        assert isinstance(end, Answer)
        assert (end.text, end.provider, end.fallback) == (name, name, False)
    assert await scene.put(Question(origin(4), "Hi", model="no/such")) == [Refusal(NoSuchModel.sentence)]
    assert 4 not in await scene.outcomes()


@pytest.mark.parametrize(
    "question",
    [Question(origin(1), "word " * 700), Question(origin(1), "Hi", attached="word " * 700)],
    ids=["prompt", "attached"],
)
async def test_a_question_without_room_is_not_sent(database: Database, question: Question) -> None:
    """What does not fit the model even without history is refused at once, and nothing is booked."""
    chat = ScriptedChat()
    scene = Scene(database, [chat], route={"context_tokens": 1000, "max_tokens": 200})

    assert await scene.put(question) == [Refusal(QUESTION_TOO_LONG)]
    assert chat.calls == []
    assert await scene.outcomes() == {}


async def test_room_is_measured_for_a_model_that_can_answer(database: Database) -> None:
    """With a picture a blind first choice is not asked, so its small context refuses nothing."""
    small, seeing = (
        ScriptedChat(name="small", model="a"),
        ScriptedChat(answer("a fox"), name="seeing", model="b"),
    )
    scene = Scene(database, [small])
    routes = [
        chat_route(small, context_tokens=1000, max_tokens=200),
        chat_route(seeing, sees=True, context_tokens=100_000),
    ]
    scene.assistant = Assistant(database, ChatRouter(routes), ImageRouter([]), DEFAULT, Limits())
    question = Question(origin(1), "word " * 2000, pictures=(AttachedPicture("image/png", b"pixels"),))

    end = (await scene.put(question))[-1]
    assert isinstance(end, Answer)
    assert (end.text, small.calls) == ("a fox", [])


async def test_history_leaves_room_for_question_and_answer(database: Database) -> None:
    """On a model with little room fewer turns go along than the host has set, and all of them whole."""
    scripts = [answer("x" * 400, prompt_tokens=0) for _ in range(9)]  # 100 tokens each, and 4 + 4 + 3
    scene = Scene(
        database,
        [ScriptedChat(*scripts)],
        conversation=Conversation("", 100_000),
        route={"context_tokens": 1000, "max_tokens": 500},
    )
    for number in range(8):
        await scene.ask(number + 1, f"question {number}")
    await scene.ask(9, "y" * 700)

    sizes = [len(call[0].messages) // 2 for call in scene.chats[0].calls]
    assert sizes == [0, 1, 2, 3, 4, 4, 4, 4, 2]
