"""`/budget`: set, listed, taken away; notices where the admin wants them; and what a member has left."""

from __future__ import annotations

import discord
import pytest
import simcord
from discord import app_commands

from tests.cogs.world import OpenWorld, Overwrites, World, allow
from tests.fakes import answer

UNTOLD = "No notices are posted about it."


def text_of(result: simcord.InteractionResult) -> str:
    assert result.response is not None
    assert result.response.ephemeral
    return result.response.content


async def set_budget(world: World, **options: object) -> str:
    chosen: dict[str, object] = {"amount": 1000, "unit": "tokens", "period": "day", **options}
    return text_of(await world.admin.slash(world.channel, "budget set", **chosen))


async def listed(world: World) -> str:
    result = await world.admin.slash(world.channel, "budget list")
    assert result.response is not None
    return result.response.embeds[0].description or ""


async def test_budgets_are_set_listed_and_taken_away(open_world: OpenWorld) -> None:
    """For the server, a channel, a role and each member; one of the same kind takes the other's place."""
    world = await open_world()
    role = world.env.guild.roles["managers"]
    assert await listed(world) == "This server has no budgets. /budget set makes one."
    assert await set_budget(world) == f"Set: this server: 1,000 tokens a day. {UNTOLD}"
    assert await set_budget(world, amount=2000) == f"Set: this server: 2,000 tokens a day. {UNTOLD}"
    here = {"channel": world.channel, "unit": "pictures", "amount": 5, "period": "month"}
    assert await set_budget(world, **here) == f"Set: <#{world.channel.id}>: 5 pictures a month. {UNTOLD}"
    await set_budget(world, role=role, unit="dollars", amount=0.5)
    await set_budget(world, each_member=True)

    assert (await listed(world)).split("\n") == [
        "1. this server: 2,000 tokens a day",
        f"2. <#{world.channel.id}>: 5 pictures a month",
        f"3. <@&{role.id}>: $0.50 a day",
        "4. each member: 1,000 tokens a day",
    ]
    same = {"unit": "tokens", "period": "day", "each_member": True}
    removed = await world.admin.slash(world.channel, "budget remove", **same)
    again = await world.admin.slash(world.channel, "budget remove", **same)
    assert text_of(removed) == "Removed: each member, tokens a day."
    assert text_of(again) == "There is no such budget. /budget list shows those there are."
    assert "each member" not in await listed(world)


async def test_a_budget_is_taken_away_by_its_number(open_world: OpenWorld) -> None:
    """As for a role that is gone, which nobody can choose any more."""
    world = await open_world()
    role = world.env.guild.roles["managers"]
    await set_budget(world)
    await set_budget(world, role=role, unit="dollars")
    removed = await world.admin.slash(world.channel, "budget remove", number=2)
    again = await world.admin.slash(world.channel, "budget remove", number=2)
    neither = await world.admin.slash(world.channel, "budget remove", unit="tokens")

    assert text_of(removed) == f"Removed: <@&{role.id}>, dollars a day."
    assert text_of(again) == "There is no such budget. /budget list shows those there are."
    assert text_of(neither).startswith("Say which one")
    assert await listed(world) == "1. this server: 1,000 tokens a day"


async def test_notices_go_where_they_went_until_they_are_switched_off(open_world: OpenWorld) -> None:
    """Another amount leaves the channel as it is; what becomes of notices is said each time."""
    world = await open_world()
    notices = world.env.guild.create_text_channel("notices")
    there = f"Notices go to <#{notices.id}>."
    assert (await set_budget(world, notices=notices)).endswith(there)
    assert await set_budget(world, amount=2000) == f"Set: this server: 2,000 tokens a day. {there}"
    assert (await set_budget(world, notices=notices, no_notices=True)).startswith("Choose either")
    assert (await listed(world)).endswith(f"(notices: <#{notices.id}>)")

    assert (await set_budget(world, no_notices=True)).endswith(UNTOLD)
    assert "notices" not in await listed(world)


async def test_what_cannot_be_a_budget_is_explained(open_world: OpenWorld) -> None:
    """Two subjects at once, half a token, and the role that everyone has; nothing is set."""
    world = await open_world()
    both = await set_budget(world, channel=world.channel, each_member=True)
    half = await set_budget(world, amount=0.5)
    everyone = await set_budget(world, role=world.env.guild.default_role)

    voice = world.env.guild.create_voice_channel("voice")
    category = world.env.guild.create_category("category")
    assert (await set_budget(world, channel=category)).startswith("A category has no budget")
    assert (await set_budget(world, notices=voice)).startswith("Notices are posted in text channels")
    assert both.startswith("Choose one of channel, role and each_member")
    assert half.startswith("Tokens and pictures come whole")
    assert everyone.startswith("Everyone has this role")
    assert await listed(world) == "This server has no budgets. /budget set makes one."


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("budget set", {"amount": 1, "unit": "tokens", "period": "day"}),
        ("budget list", {}),
        ("budget remove", {"unit": "tokens", "period": "day"}),
        ("budget timezone", {"name": "UTC"}),
    ],
)
async def test_budgets_are_for_people_who_manage_the_server(
    open_world: OpenWorld, name: str, options: dict[str, object]
) -> None:
    """One whom an overwrite lets through is refused by the bot, at each of the commands."""
    world = await open_world()
    allow(world, "budget")
    world.expected_errors = [app_commands.MissingPermissions]
    result = await world.member.slash(world.channel, name, **options)

    assert text_of(result) == "You need the permission to manage server for this."


async def test_a_reached_budget_refuses_and_names_itself(open_world: OpenWorld) -> None:
    """A channel's budget of nothing: questions there are not asked; the member's own report says why."""
    world = await open_world()
    await set_budget(world, amount=0, channel=world.channel)
    asked = await world.member.slash(world.channel, "ask", prompt="hi")
    own = await world.member.slash(world.channel, "mine usage")

    assert asked.response is not None
    assert "Today's limit for this channel is 0 tokens" in asked.response.content
    assert world.chat.calls == []
    assert own.response is not None
    fields = {field.name: field.value or "" for field in own.response.embeds[0].fields}
    assert fields["What is left"].startswith("This channel, today: 0 tokens of 0 tokens, anew <t:")


async def test_a_roles_budget_holds_for_its_members_alone(open_world: OpenWorld) -> None:
    """The bot knows a member's roles from each command, though it caches none."""
    world = await open_world(answer("Yes."))
    await set_budget(world, amount=0, role=world.env.guild.roles["managers"])
    refused = await world.admin.slash(world.channel, "ask", prompt="hi")
    answered = await world.member.slash(world.channel, "ask", prompt="hi")

    assert refused.response is not None
    assert answered.response is not None
    assert "limit for the role" in refused.response.content
    assert "Yes." in answered.response.content


async def test_notices_are_posted_once_where_the_admin_chose(open_world: OpenWorld) -> None:
    """At 50, 80 and 100 %, each at most once; what passes several is told the highest."""
    used = [answer("x", prompt_tokens=tokens, completion_tokens=1) for tokens in (4999, 999, 2999)]
    world = await open_world(*used)
    notices = world.env.guild.create_text_channel("notices")
    said = await set_budget(world, amount=10_000, each_member=True, notices=notices)
    assert said == f"Set: each member: 10,000 tokens a day. Notices go to <#{notices.id}>."
    for _ in used:
        await world.member.slash(world.channel, "ask", prompt="hi")
    posted = [message.content for message in notices.history()]

    assert posted[0] == "Notices about this server's budgets will be posted here."
    assert [text.split(". It begins anew <t:")[0] for text in posted[1:]] == [
        f"Today's budget of <@{world.member.id}> is used to 50 %: 5,000 tokens of 10,000 tokens",
        f"Today's budget of <@{world.member.id}> is used to 80 %: 9,000 tokens of 10,000 tokens",
    ]


async def test_where_the_bot_cannot_post_it_says_what_it_takes(open_world: OpenWorld) -> None:
    """No budget is set; the sentence has the link that invites the bot with the permissions for it."""
    world = await open_world()
    everyone = world.env.guild.default_role
    closed: Overwrites = {everyone: discord.PermissionOverwrite(send_messages=False)}
    notices = world.env.guild.create_text_channel("notices", overwrites=closed)
    said = await set_budget(world, notices=notices)

    assert said.startswith(f"I cannot post in <#{notices.id}>, so nothing was set.")
    permissions = discord.Permissions(view_channel=True, send_messages=True, attach_files=True).value
    assert f"permissions={permissions}" in said
    assert f"guild_id={world.env.guild.id}" in said
    assert await listed(world) == "This server has no budgets. /budget set makes one."


async def test_a_servers_days_are_those_of_its_time_zone(open_world: OpenWorld) -> None:
    """Names are offered while they are typed; one that does not exist is refused."""
    world = await open_world()
    offered = await world.admin.autocomplete(world.channel, "budget timezone", "name", "los ang")
    assert [choice["value"] for choice in offered] == ["America/Los_Angeles"]
    assert len(await world.admin.autocomplete(world.channel, "budget timezone", "name", "a")) == 25
    wrong = await world.admin.slash(world.channel, "budget timezone", name="Mars")
    right = await world.admin.slash(world.channel, "budget timezone", name="Asia/Kolkata")
    report = await world.admin.slash(world.channel, "usage")

    assert text_of(wrong).startswith("There is no such time zone.")
    assert text_of(right) == "Set: days and months of this server are those of Asia/Kolkata."
    assert report.response is not None
    assert "Days of Asia/Kolkata." in (report.response.embeds[0].footer.text or "")
