"""`/host usage`: for the bot's owner alone, over all servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant.periods import NamedPeriod
from assistant.values import Grouping
from cogs.reports import FIRST, GROUPINGS, LAST, PERIOD_CHOICES, Asked, check_reader, days_asked, show_report

if TYPE_CHECKING:
    from bot import Colloquy

BY = [app_commands.Choice(name=name, value=name) for name in GROUPINGS["host"]]


class Host(commands.Cog):
    """What the bot's host sees."""

    # Discord cannot show a command to one person alone; so it is out of most people's sight at least.
    host = app_commands.Group(
        name="host",
        description="For the bot's host",
        default_permissions=discord.Permissions(administrator=True),
    )

    @host.command()
    @app_commands.describe(
        period="Which days (UTC); 30 days if you do not say",
        by="What to list; servers if you do not say",
        first=FIRST,
        last=LAST,
    )
    @app_commands.rename(first="from", last="to")
    @app_commands.choices(period=PERIOD_CHOICES, by=BY)
    async def usage(
        self,
        interaction: discord.Interaction[Any],
        period: NamedPeriod = "30 days",
        by: Grouping = "server",
        first: str = "",
        last: str = "",
    ) -> None:
        """What all servers together used, by server, key, model and so on."""
        await check_reader(interaction, interaction.client, "host")
        await interaction.response.defer(thinking=True, ephemeral=True)
        await show_report(interaction, interaction.client, Asked("host", days_asked(period, first, last), by))


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Host())
