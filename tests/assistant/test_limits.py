"""Limits: what a day allows, to the bot and to each member, also when all come at once."""

import asyncio
import time
from datetime import UTC
from itertools import islice
from typing import Any

from assistant.periods import budget_bounds
from assistant.values import Answer, Limits, Pictures, Refusal
from db.engine import Database
from providers.base import ContentRefused, Unavailable
from tests.assistant.scene import NO_HISTORY, GatedChat, GatedImages, Scene
from tests.db.entries import roll_up_again
from tests.fakes import ScriptedChat, ScriptedImages, answer

# The question "Hi" reserves 7 for the system prompt, 4 for itself, and the answer's 89.
EACH = 100
ROUTE = {"max_tokens": EACH - 11}


def scene_with(database: Database, chat: ScriptedChat, **limits: Any) -> Scene:
    return Scene(database, [chat], limits=Limits(**limits), conversation=NO_HISTORY, route=ROUTE)


async def test_hundred_at_once_cannot_pass_a_limit_for_ten(database: Database) -> None:
    """Of a hundred questions at the same time, as many are asked as the limit has room for at their most."""
    chat = GatedChat(*(answer("Yes.") for _ in range(100)))
    scene = scene_with(database, chat, tokens_per_day=10 * EACH)
    asking = [
        asyncio.create_task(scene.ask(number, "Hi", user_id=number, channel_id=number))
        for number in range(100)
    ]
    for done in islice(asyncio.as_completed(asking), 90):  # the ten that were admitted wait at the gate
        [refusal] = await done
        assert isinstance(refusal, Refusal)
    assert len([row for row in await scene.attempts() if row.state == "sent"]) == 10
    chat.gate.set()
    await asyncio.wait(asking)

    assert len(chat.calls) == 10
    assert set((await scene.outcomes()).values()) == {"answered"}


async def test_members_have_limits_of_their_own(database: Database) -> None:
    """A member who has used up the day does not take anything from another one."""
    scripts = [answer("Yes.", prompt_tokens=80, completion_tokens=70)] * 2
    scene = scene_with(database, ScriptedChat(*scripts), member_tokens_per_day=2 * EACH)
    await scene.ask(1, "Hi", user_id=30)

    [refusal] = await scene.ask(2, "Hi", user_id=30)
    _, midnight = budget_bounds("day", UTC, time.time())
    assert refusal == Refusal(
        "Today's limit for you is 200 tokens, and what is left (50 tokens) is too little for this. "
        f"It opens again <t:{midnight}:R>. The bot's host can raise it."
    )
    assert isinstance((await scene.ask(3, "Hi", user_id=31))[-1], Answer)


async def test_member_takes_the_limit_along_to_other_servers(database: Database) -> None:
    """A member's day is one day, whichever server or direct message the questions come from."""
    scripts = [answer("Yes.", prompt_tokens=80, completion_tokens=70)] * 2
    scene = scene_with(database, ScriptedChat(*scripts), member_tokens_per_day=2 * EACH)
    await scene.ask(1, "Hi", guild_id=10)

    assert isinstance((await scene.ask(2, "Hi", guild_id=0))[-1], Refusal)


async def test_refused_question_leaves_no_trace(database: Database) -> None:
    """A question that a limit refuses is not booked, reserves nothing, and may come again."""
    chat = ScriptedChat()
    scene = scene_with(database, chat, tokens_per_day=EACH - 1)

    assert isinstance((await scene.ask(1, "Hi"))[-1], Refusal)
    assert await scene.outcomes() == {}
    assert chat.calls == []
    assert isinstance((await scene.ask(1, "Hi"))[-1], Refusal)


async def test_reservation_makes_room_when_it_is_given_back(database: Database) -> None:
    """Only what was really used counts once a question is answered, or has failed."""
    chat = ScriptedChat(answer("Yes."), [ContentRefused("no")], answer("Yes."))
    scene = scene_with(database, chat, tokens_per_day=EACH + 20)

    assert isinstance((await scene.ask(1, "Hi"))[-1], Answer)
    assert isinstance((await scene.ask(2, "Hi"))[-1], Refusal)  # the vendor's
    assert len(chat.calls) == 2
    assert isinstance((await scene.ask(3, "Hi"))[-1], Answer)
    assert "limit" in str((await scene.ask(4, "Hi"))[-1])


async def test_estimates_count_towards_limits(database: Database) -> None:
    """What an attempt may have cost counts, although no vendor has confirmed it."""
    chat = ScriptedChat([Unavailable("too late", maybe_billed=True)])
    scene = scene_with(database, chat, tokens_per_day=EACH)
    await scene.ask(1, "Hi")

    assert "limit" in str((await scene.ask(2, "Hi"))[-1])


async def test_yesterday_does_not_count(database: Database) -> None:
    """A new day (UTC) begins with the whole limit."""
    scene = scene_with(database, ScriptedChat(), tokens_per_day=EACH)
    await scene.ask(1, "Hi")
    assert isinstance((await scene.ask(2, "Hi"))[-1], Refusal)
    await scene.execute("UPDATE attempts SET sent_at = sent_at - 86400")
    await database.run(roll_up_again)

    assert isinstance((await scene.ask(3, "Hi"))[-1], Answer)


async def test_pictures_at_once_cannot_pass_their_limit(database: Database) -> None:
    """Of twenty pictures at the same time, as many are made as the limit allows."""
    painter = GatedImages()
    scene = Scene(database, painters=[painter], limits=Limits(pictures_per_day=3))
    ordered = [
        asyncio.create_task(scene.imagine(number, user_id=number, channel_id=number)) for number in range(20)
    ]
    done: set[asyncio.Task[object]] = set()
    while len(done) < 17:
        done, _ = await asyncio.wait(ordered, return_when=asyncio.FIRST_COMPLETED, timeout=0.01)
    painter.gate.set()
    results = await asyncio.gather(*ordered)

    assert sum(isinstance(result, Pictures) for result in results) == 3
    assert len(painter.calls) == 3
    assert "3 pictures, and none is left" in str(next(result for result in results if result in results[3:]))


async def test_an_order_has_to_fit_into_the_limit_as_a_whole(database: Database) -> None:
    """Four pictures are refused where three are left, and three of them are made; each counts."""
    scene = Scene(database, painters=[ScriptedImages()], limits=Limits(member_pictures_per_day=4))
    await scene.imagine(1)

    refusal = await scene.imagine(2, count=4)
    assert isinstance(refusal, Refusal)
    assert "what is left (3 pictures) is too little for this" in refusal.sentence
    assert isinstance(await scene.imagine(3, count=3), Pictures)
    assert isinstance(await scene.imagine(4), Refusal)


async def test_limits_of_one_kind_leave_the_other_alone(database: Database) -> None:
    """No tokens left does not stop pictures, and no pictures left does not stop questions."""
    scene = Scene(
        database, [ScriptedChat()], [ScriptedImages()], limits=Limits(tokens_per_day=0, pictures_per_day=1)
    )
    assert isinstance((await scene.ask(1))[-1], Refusal)
    assert isinstance(await scene.imagine(2), Pictures)
    assert isinstance(await scene.imagine(3), Refusal)

    scene = Scene(database, [ScriptedChat()], [ScriptedImages()], limits=Limits(pictures_per_day=0))
    assert isinstance((await scene.ask(4))[-1], Answer)
    assert isinstance(await scene.imagine(5), Refusal)
