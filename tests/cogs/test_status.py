"""`/status`: every provider and key for the host, and for members whether the bot works."""

from __future__ import annotations

import re
import time

import pytest
import simcord

from providers.base import KeyRejected, NotEntitled, QuotaExhausted, RateLimited, Unavailable
from tests.cogs.world import OpenWorld, World
from tests.fakes import ScriptedImages, answer, key

CANARY = "canary-value-of-a-key"
CHAT_KEYS = [key(f"CHAT_KEY{number}", f"{CANARY}-{number}") for number in range(1, 5)]
IMAGE_KEY = key("IMAGE_KEY", f"{CANARY}-9")


async def ask_as_owner(world: World) -> dict[str, str]:
    """The fields of the report that the application's owner sees."""
    world.bot.owner_id = world.admin.id
    result = await world.admin.slash(world.channel, "status")
    assert result.ephemeral
    assert result.response is not None
    assert result.response.content == ""
    assert CANARY not in str(result.response.embeds[0].to_dict())
    return {field.name or "": field.value or "" for field in result.response.embeds[0].fields}


async def text_for(world: World, actor: simcord.MemberActor) -> str:
    result = await actor.slash(world.channel, "status")
    assert result.ephemeral
    assert result.response is not None
    assert result.response.embeds == []
    return result.response.content


async def test_the_owner_sees_every_key_with_its_state_and_todays_counts(open_world: OpenWorld) -> None:
    """By the names of their settings: who is refused, used up, resting until when, and ready."""
    world = await open_world(
        [KeyRejected()],
        [QuotaExhausted(retry_after=7200)],
        [RateLimited(retry_after=600)],
        answer("Yes."),
        answer("Yes."),
        images=ScriptedImages(NotEntitled()),
        chat_keys=CHAT_KEYS,
        image_keys=[IMAGE_KEY],
    )
    began = time.time()
    for _ in range(2):
        await world.member.slash(world.channel, "ask", prompt="hi")
    await world.member.slash(world.channel, "imagine", prompt="a fox")
    fields = await ask_as_owner(world)

    chat = fields["Answers"].split("\n")
    times = [int(match[1]) for line in chat if (match := re.search(r"<t:(\d+):R>", line))]
    assert [re.sub(r"<t:\d+:R>", "TIME", line) for line in chat] == [
        "Next: scripted",
        "scripted `CHAT_KEY1`: dead, refused, until it is changed (requests: 0, refused: 1)",
        "scripted `CHAT_KEY2`: spent, used up, again TIME (requests: 0, refused: 1)",
        "scripted `CHAT_KEY3`: resting, too many requests, again TIME (requests: 0, refused: 1)",
        "scripted `CHAT_KEY4`: ready (requests: 2, refused: 0)",
    ]
    assert times == [pytest.approx(began + 7200, abs=30), pytest.approx(began + 600, abs=30)]
    pictures = fields["Pictures"].split("\n")
    assert pictures[0] == "Nobody can be asked now."
    assert pictures[1].startswith("scripted-images `IMAGE_KEY`: spent, not allowed this model, again <t:")


async def test_members_and_admins_read_only_whether_the_bot_works(open_world: OpenWorld) -> None:
    """Two sentences, without a provider's name, a key's or a reason; seen by their reader alone."""
    world = await open_world(
        images=ScriptedImages(QuotaExhausted(retry_after=7200)), chat_keys=CHAT_KEYS, image_keys=[IMAGE_KEY]
    )
    before = "Answers: they work.\nPictures: they work."
    assert await text_for(world, world.member) == before
    await world.member.slash(world.channel, "imagine", prompt="a fox")
    for actor in (world.member, world.admin):
        assert await text_for(world, actor) == "Answers: they work.\nPictures: not at the moment."


async def test_a_provider_that_is_left_alone_is_not_reachable(open_world: OpenWorld) -> None:
    """An outage shows on every key of the provider, and members read that answers do not work."""
    down = Unavailable(status=503)
    world = await open_world(*[[down]] * 4, chat_keys=CHAT_KEYS[:2])
    for _ in range(2):
        await world.member.slash(world.channel, "ask", prompt="hi")
    assert (await text_for(world, world.member)).startswith("Answers: not at the moment.")

    first, *lines = (await ask_as_owner(world))["Answers"].split("\n")
    assert first == "Nobody can be asked now."
    assert [line.split(", again")[0] for line in lines] == [
        "scripted `CHAT_KEY1`: resting, not reachable",
        "scripted `CHAT_KEY2`: resting, not reachable",
    ]


async def test_a_provider_without_a_key_has_none_to_show(open_world: OpenWorld) -> None:
    """A server of one's own needs none: its line has the provider alone."""
    world = await open_world()
    assert (await ask_as_owner(world))[
        "Answers"
    ] == "Next: scripted\nscripted: ready (requests: 0, refused: 0)"


async def test_more_keys_than_a_message_holds_are_cut_and_marked(open_world: OpenWorld) -> None:
    """Discord takes 1024 characters a field: the report is sent all the same."""
    keys = [key(f"CHAT_KEY{number}", f"{CANARY}-{number}") for number in range(60)]
    world = await open_world(chat_keys=keys)
    text = (await ask_as_owner(world))["Answers"]
    assert len(text) <= 1024
    assert text.endswith("\n…")
