"""The button below a server's report that has one posted every week."""

from __future__ import annotations

from typing import Any

import discord
import pytest
import simcord

from tests.cogs.world import OpenWorld, Overwrites, World, allow


async def reported(world: World, **options: str) -> simcord.InteractionResult:
    return await world.admin.slash(world.channel, "usage", **options)


async def press(world: World, shown: simcord.InteractionResult, what: str = "member") -> str:
    assert shown.response is not None
    pressed = await world.admin.click(shown.response, custom_id=f"report:weekly:{what}")
    assert pressed.ephemeral
    assert pressed.response is not None
    return pressed.response.content


async def test_a_button_below_the_report_begins_a_weekly_one_and_ends_it(open_world: OpenWorld) -> None:
    """The channel reads what will be posted there; the admin reads from when on."""
    world = await open_world()
    shown = await reported(world, by="model")
    began = await press(world, shown, "model")
    subscription = await world.bot.assistant.weekly.of_server(world.env.guild.id)
    ended = await press(world, shown, "model")

    assert began.startswith("From Monday, ")
    assert "a report by model is posted here every week. Press the button again" in began
    assert subscription is not None
    assert (subscription.channel_id, subscription.by) == (world.channel.id, "model")
    announced = [message.content for message in world.channel.history()]
    assert announced[-1].startswith(
        "Every Monday a report of what this server used in the week before, by model"
    )
    assert ended == "Ended: no weekly report is posted in this server any more."
    assert await world.bot.assistant.weekly.of_server(world.env.guild.id) is None


async def test_a_weekly_report_moves_to_where_it_is_asked_for_last(open_world: OpenWorld) -> None:
    """A server has one: the reply names the channel that no longer gets it."""
    world = await open_world()
    await press(world, await reported(world))
    other = world.env.guild.create_text_channel("figures")
    shown = await world.admin.slash(other, "usage")
    moved = await press(world, shown)

    assert f"posted here every week, and no longer in <#{world.channel.id}>." in moved
    subscription = await world.bot.assistant.weekly.of_server(world.env.guild.id)
    assert subscription is not None
    assert subscription.channel_id == other.id


@pytest.mark.parametrize("missing", ["send_messages", "attach_files", "view_channel"])
async def test_where_the_bot_cannot_post_nothing_is_set(open_world: OpenWorld, missing: str) -> None:
    """The sentence says what it takes, and has the link that invites the bot with it."""
    world = await open_world()
    everyone, managers = world.env.guild.default_role, world.env.guild.roles["managers"]
    closed: Overwrites = {
        everyone: discord.PermissionOverwrite(**{missing: False}),
        managers: discord.PermissionOverwrite(view_channel=True, attach_files=True),
    }
    channel = world.env.guild.create_text_channel("closed", overwrites=closed)
    said = await press(world, await world.admin.slash(channel, "usage"))

    assert said.startswith(f"I cannot post in <#{channel.id}>, so nothing was set.")
    assert f"guild_id={world.env.guild.id}" in said
    assert await world.bot.assistant.weekly.of_server(world.env.guild.id) is None


async def test_the_button_is_for_people_who_manage_the_server(open_world: OpenWorld) -> None:
    """Whoever lost the permission meanwhile ends nothing either."""
    world = await open_world()
    shown = await reported(world)
    await press(world, shown)
    guild = world.env.backend.guilds[world.env.guild.id]
    guild.roles[world.env.guild.roles["managers"].id].permissions = 0

    assert await press(world, shown) == "You need the permission to manage server for this."
    assert await world.bot.assistant.weekly.of_server(world.env.guild.id) is not None


async def test_the_hosts_report_has_no_weekly_button(open_world: OpenWorld) -> None:
    """What all servers used is posted in none."""
    world = await open_world()
    world.bot.owner_id = world.admin.id
    allow(world, "host")
    world.env.guild.set_command_permissions(
        int(world.env.backend.commands[None][("host", 1)]["id"]), {world.admin: True}
    )
    shown = await world.admin.slash(world.channel, "host usage")
    assert shown.response is not None
    items: list[Any] = [item for row in shown.response.components for item in row["components"]]
    assert not [item for item in items if "weekly" in item["custom_id"]]
