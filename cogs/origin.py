"""Where an interaction comes from, in the assistant's terms."""

from __future__ import annotations

from typing import Any

import discord

from assistant.values import Origin


def origin_of(interaction: discord.Interaction[Any]) -> Origin:
    """The ids of an interaction; `guild_id` is 0 in direct messages."""
    return Origin(interaction.id, interaction.guild_id or 0, interaction.channel_id or 0, interaction.user.id)
