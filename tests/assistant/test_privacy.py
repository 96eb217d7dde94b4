"""Canaries: what is said in one place is never sent along in another."""

from itertools import count
from typing import Any

from assistant.conversation import NAMES_STAND_FIRST
from assistant.values import LastAnswer, Question
from db.engine import Database
from tests.assistant.scene import Scene, origin
from tests.fakes import ScriptedChat, answer

# Two servers with a channel each, a second channel, a thread in it, and direct messages with two members.
PLACES: list[dict[str, Any]] = [
    {"guild_id": 10, "channel_id": 20, "user_id": 30},
    {"guild_id": 10, "channel_id": 21, "user_id": 30},
    {"guild_id": 10, "channel_id": 22, "user_id": 31},
    {"guild_id": 11, "channel_id": 23, "user_id": 30},
    {"guild_id": 0, "channel_id": 24, "user_id": 30},
    {"guild_id": 0, "channel_id": 25, "user_id": 31},
]
# The same places, and in private: by both members in the first channel.
CONVERSATIONS = [
    *((place, False) for place in PLACES),
    *(({**PLACES[0], "user_id": member}, True) for member in (30, 31)),
    ({**PLACES[1]}, True),
    ({**PLACES[4]}, True),
]


async def test_no_canary_crosses(database: Database) -> None:
    """Whatever is asked where, by whom and how often: each prompt holds the canaries of its own place."""
    chat = ScriptedChat(*(answer(f"canary-a{number}-") for number in range(1000)))
    scene = Scene(database, [chat])
    numbers = count()
    own: list[list[str]] = [[] for _ in CONVERSATIONS]
    for turn in range(4):
        for place, (where, private) in enumerate(CONVERSATIONS):
            number = next(numbers)
            asked = f"canary-q{number}-"
            speaker = f"member {where['user_id']}"
            await scene.put(
                Question(
                    origin(number, **where), asked, private, speaker=speaker, attached=f"canary-f{number}-"
                )
            )
            heard = "\n".join(message.content for message in chat.calls[-1][0].messages)
            for canary in own[place]:
                assert canary in heard
            assert heard.count("canary-") == len(own[place]) + 2
            assert heard.count(asked) == 1
            own[place] += [asked, f"canary-f{number}-", f"canary-a{number}-"]
            assert len(own[place]) == 3 * (turn + 1)
            shared = where["guild_id"] != 0 and not private
            assert (f"{speaker}: {asked}" in heard) == shared
            assert (NAMES_STAND_FIRST in heard) == shared


async def test_the_last_answer_is_the_members_own(database: Database) -> None:
    """A member gets the newest of their own turns in this channel, private ones too, and no other's."""
    scene = Scene(database, [ScriptedChat(*(answer(f"answer {number}") for number in range(1, 5)))])
    last = scene.assistant.last_answer
    assert await last(20, 30) is None
    await scene.ask(1, "openly")
    await scene.ask(2, "of another", user_id=31)
    assert await last(20, 30) == LastAnswer("openly", "answer 1")
    await scene.ask(3, "in private", private=True)
    await scene.ask(4, "elsewhere", channel_id=21)

    assert await last(20, 30) == LastAnswer("in private", "answer 3")
    assert await last(20, 31) == LastAnswer("of another", "answer 2")
    assert await last(22, 30) is None


async def test_a_member_is_forgotten_everywhere(database: Database) -> None:
    """All turns of a member go, in every server and in private; the books and other members' turns stay."""
    scene = Scene(database, [ScriptedChat()])
    await scene.ask(1, "one")
    await scene.ask(2, "two", private=True)
    await scene.ask(3, "three", channel_id=21, guild_id=11)
    await scene.ask(4, "four", user_id=31)
    before = await scene.server_usage()

    forgotten = await scene.assistant.forget_member(30)

    assert (forgotten.turns, forgotten.channels) == (3, 2)
    assert await scene.turns() == [("four", "an answer")]
    assert await scene.turns(20, private_to=30) == await scene.turns(21) == []
    assert await scene.server_usage() == before
    assert len(await scene.attempts()) == 4


async def test_forgetting_a_channel_leaves_private_conversations(database: Database) -> None:
    """What members asked there in private is theirs, and stays."""
    scene = Scene(database, [ScriptedChat()])
    await scene.ask(1, "openly")
    await scene.ask(2, "in private", private=True)

    assert await scene.assistant.forget(20) == 1
    assert await scene.turns(20, private_to=30) == [("in private", "an answer")]
