"""Where an interaction comes from, in the assistant's terms."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from assistant.values import AttachedPicture, Origin, Question


def origin_of(interaction: discord.Interaction[Any]) -> Origin:
    """The ids of an interaction; `guild_id` is 0 in direct messages."""
    channel = interaction.channel
    return Origin(
        interaction.id,
        interaction.guild_id or 0,
        interaction.channel_id or 0,
        interaction.user.id,
        role_ids_of(interaction.user),
        channel.parent_id if isinstance(channel, discord.Thread) else None,
        interaction.client.seal.close(interaction.token),
    )


def question_of(
    interaction: discord.Interaction[Any],
    prompt: str,
    *,
    private: bool,
    model: str | None = None,
    attached: str = "",
    pictures: tuple[AttachedPicture, ...] = (),
) -> Question:
    """A member's question, with who asks it and where."""
    return Question(
        origin_of(interaction),
        prompt,
        private,
        model=model,
        speaker=interaction.user.display_name,
        channel_name=channel_name(interaction),
        server_name=server_name(interaction),
        attached=attached,
        pictures=pictures,
    )


def role_ids_of(user: discord.abc.User) -> tuple[int, ...]:
    """The ids of a member's roles."""
    # `Member.roles` leaves out those that are not cached, and without the guilds intent none is.
    return tuple(getattr(user, "_roles", ()))


def managed_server(interaction: discord.Interaction[Any]) -> int:
    """The id of the server, for a member who may manage it. Raises MissingPermissions.

    Discord's own permission for a command is only a default that admins may change.
    """
    if interaction.guild_id is None or not interaction.permissions.manage_guild:
        raise app_commands.MissingPermissions(["manage_guild"])
    return interaction.guild_id


def channel_name(interaction: discord.Interaction[Any]) -> str:
    """The channel's name; empty in direct messages."""
    return getattr(interaction.channel, "name", None) or ""


def server_name(interaction: discord.Interaction[Any]) -> str:
    """The server's name; empty in direct messages, and where Discord did not tell."""
    return interaction.guild.name if interaction.guild is not None and interaction.guild.name else ""
