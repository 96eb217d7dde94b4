"""`/status`: every provider and key for the host, and for members whether the bot works."""

from __future__ import annotations

import re
import time

import pytest
import simcord

from providers.base import Key, KeyRejected, NotEntitled, QuotaExhausted, RateLimited, Unavailable
from tests.cogs.world import OpenWorld, World
from tests.fakes import ScriptedImages, answer, key

CANARY = "canary-value-of-a-key"
CHAT_KEYS = [key(f"CHAT_KEY{number}", f"{CANARY}-{number}") for number in range(1, 5)]
IMAGE_KEY = key("IMAGE_KEY", f"{CANARY}-9")


async def ask_as_owner(world: World) -> dict[str, str]:
    """The lists that the application's owner sees, by name: of each the text of all its fields."""
    world.bot.owner_id = world.admin.id
    result = await world.admin.slash(world.channel, "status")
    assert result.ephemeral
    assert result.response is not None
    assert result.response.content == ""
    assert CANARY not in str(result.response.embeds[0].to_dict())
    lists: dict[str, str] = {}
    for field in result.response.embeds[0].fields:
        assert 0 < len(field.value or "") <= 1024
        name, _, continued = (field.name or "").partition(", ")
        assert bool(continued) == (name in lists)
        lists[name] = f"{lists[name]}\n{field.value}" if name in lists else f"{field.value}"
    assert len(result.response.embeds[0]) <= 6000
    return lists


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
        "scripted `CHAT_KEY1`: dead, refused, until it is changed (requests: 1, failed: 1)",
        "scripted `CHAT_KEY2`: spent, used up, again TIME (requests: 1, failed: 1)",
        "scripted `CHAT_KEY3`: resting, too many requests, again TIME (requests: 1, failed: 1)",
        "scripted `CHAT_KEY4`: ready (requests: 2, failed: 0)",
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
    world = await open_world(*[[down]] * 6, chat_keys=CHAT_KEYS[:2])
    for _ in range(3):
        await world.member.slash(world.channel, "ask", prompt="hi")
    assert (await text_for(world, world.member)).startswith("Answers: not at the moment.")

    first, *lines = (await ask_as_owner(world))["Answers"].split("\n")
    assert first == "Nobody can be asked now."
    assert [line.split(", again")[0] for line in lines] == [
        "scripted `CHAT_KEY1`: resting, not reachable",
        "scripted `CHAT_KEY2`: resting, not reachable",
    ]


async def test_what_may_have_cost_and_brought_nothing_is_a_failure(open_world: OpenWorld) -> None:
    """A timeout is booked as an estimate, and counts as failed; an answer that broke off does not."""
    late = Unavailable(maybe_billed=True)
    world = await open_world([late], ["Once upon", late], [late], chat_keys=CHAT_KEYS[:1])
    for _ in range(3):
        await world.member.slash(world.channel, "ask", prompt="hi")

    _, line = (await ask_as_owner(world))["Answers"].split("\n")
    assert line.endswith("(requests: 3, failed: 2)")


async def test_a_provider_without_a_key_has_none_to_show(open_world: OpenWorld) -> None:
    """A server of one's own needs none: its line has the provider alone."""
    world = await open_world()
    assert (await ask_as_owner(world))[
        "Answers"
    ] == "Next: scripted\nscripted: ready (requests: 0, failed: 0)"


def numbered(variable: str, count: int) -> list[Key]:
    return [key(f"{variable}{number}", f"{CANARY}-{variable}-{number}") for number in range(count)]


async def test_more_keys_than_a_field_holds_go_on_in_the_next(open_world: OpenWorld) -> None:
    """Discord takes 1024 characters a field: every key is there all the same, in its order."""
    world = await open_world(chat_keys=numbered("CHAT_KEY", 60), image_keys=numbered("IMAGE_KEY", 20))
    lists = await ask_as_owner(world)

    for name, variable, count in (("Answers", "CHAT_KEY", 60), ("Pictures", "IMAGE_KEY", 20)):
        assert len(lists[name]) > 1024
        _, *lines = lists[name].split("\n")
        assert [line.split("`")[1] for line in lines] == [f"{variable}{number}" for number in range(count)]


@pytest.mark.parametrize(("chats", "pictures"), [(300, 1), (300, 300), (2, 300), (90, 90)])
async def test_more_keys_than_a_message_holds_are_counted(
    open_world: OpenWorld, chats: int, pictures: int
) -> None:
    """Of 6000 characters each list takes half, or what the other leaves, and says how many more there are."""
    world = await open_world(
        chat_keys=numbered("CHAT_KEY", chats), image_keys=numbered("IMAGE_KEY", pictures)
    )
    lists = await ask_as_owner(world)

    for name, count in (("Answers", chats), ("Pictures", pictures)):
        _, *shown, last = lists[name].split("\n")
        more = re.fullmatch(r"And ([\d,]+) more\.", last)
        assert len(shown) + (int(more[1]) if more else 1) == count
        assert (more is None) == (count < 10)
    sizes = [len(text) for text in lists.values()]
    assert sum(sizes) > 5400
    if chats == pictures:
        assert min(sizes) > 2600


async def test_a_hosts_long_names_are_cut(open_world: OpenWorld) -> None:
    """A title, or a setting's name, of any length leaves room for the rest of its line."""
    world = await open_world(
        images=ScriptedImages(name="_" * 5000), image_keys=[key("K" * 5000, "value"), IMAGE_KEY]
    )
    title, name = "\\_" * 99 + "…", "K" * 100

    assert (await ask_as_owner(world))["Pictures"].split("\n") == [
        f"Next: {title}",
        f"{title} `{name}`: ready (requests: 0, failed: 0)",
        f"{title} `IMAGE_KEY`: ready (requests: 0, failed: 0)",
    ]
