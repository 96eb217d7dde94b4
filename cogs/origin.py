"""Where an interaction comes from, in the assistant's terms."""

from __future__ import annotations

from typing import Any

import discord

from assistant.values import Origin


def origin_of(interaction: discord.Interaction[Any]) -> Origin:
    """The ids of an interaction; `guild_id` is 0 in direct messages."""
    return Origin(interaction.id, interaction.guild_id or 0, interaction.channel_id or 0, interaction.user.id)


def channel_name(interaction: discord.Interaction[Any]) -> str:
    """The channel's name; empty in direct messages."""
    return getattr(interaction.channel, "name", None) or ""


def server_name(interaction: discord.Interaction[Any]) -> str:
    """The server's name; empty in direct messages, and where Discord did not tell."""
    return interaction.guild.name if interaction.guild is not None and interaction.guild.name else ""
