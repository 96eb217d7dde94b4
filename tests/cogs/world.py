"""A simulated Discord server around the real bot, as the tests of the cogs see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import discord
import simcord

from bot import Colloquy
from tests.fakes import ScriptedChat, ScriptedImages


@dataclass
class World:
    env: simcord.Env
    bot: Colloquy
    channel: simcord.ChannelHandle
    member: simcord.MemberActor
    admin: simcord.MemberActor
    chat: ScriptedChat
    images: ScriptedImages
    expected_errors: list[type[BaseException]] = field(default_factory=list)


OpenWorld = Callable[..., Awaitable[World]]
Overwrites = dict[
    simcord.RoleHandle
    | simcord.MemberActor
    | simcord.UserHandle
    | discord.Role
    | discord.Member
    | discord.User
    | discord.ClientUser,
    discord.PermissionOverwrite,
]


def allow(world: World, command: str) -> None:
    """Let the ordinary member use a command that Discord would hide, as an admin's overwrite does."""
    command_id = int(world.env.backend.commands[None][(command, 1)]["id"])
    world.env.guild.set_command_permissions(command_id, {world.member: True})
