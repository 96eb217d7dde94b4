"""Forgetting: a channel's conversation goes, its books stay."""

from db.engine import Database
from providers.base import Message
from tests.assistant.scene import Scene
from tests.fakes import ScriptedChat, answer


async def test_forgotten_turns_are_not_sent_again(database: Database) -> None:
    """After forgetting, a question goes without history, and the conversation begins anew."""
    scene = Scene(database, [ScriptedChat(*(answer(f"answer {number}") for number in (1, 2, 3, 4)))])
    await scene.ask(1, "first")
    await scene.ask(2, "second")

    assert await scene.assistant.forget(20) == 2
    await scene.ask(3, "third")
    assert scene.heard() == [Message("user", "third")]
    await scene.ask(4, "fourth")

    assert [message.content for message in scene.heard()] == ["third", "answer 3", "fourth"]


async def test_forgetting_leaves_other_channels_and_the_books(database: Database) -> None:
    """Other channels keep their conversation, and reports say what they said before."""
    scene = Scene(database, [ScriptedChat(answer("here"), answer("there"))])
    await scene.ask(1, "one", channel_id=20)
    await scene.ask(2, "two", channel_id=21)
    before = await scene.server_usage()

    await scene.assistant.forget(20)

    assert await scene.turns(20) == []
    assert await scene.turns(21) == [("two", "there")]
    assert await scene.server_usage() == before
    assert len(await scene.attempts()) == 2


async def test_forgetting_nothing_is_no_fault(database: Database) -> None:
    """A channel without a conversation has nothing to forget, and says so with a count of none."""
    scene = Scene(database)

    assert await scene.assistant.forget(20) == 0
