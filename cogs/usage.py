"""`/usage` for a server's admins, and `/mine usage` for anyone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.budgets import LimitStatus
from assistant.limits import in_unit
from assistant.periods import NamedPeriod
from assistant.values import PERIODS, BudgetPeriod, Grouping, Line, MemberUsage, Period, Totals
from cogs.origin import managed_server, origin_of
from cogs.report_texts import NOTHING, counted, figures
from cogs.reports import FIRST, GROUPINGS, ITEMS, LAST, PERIOD_CHOICES, Asked, days_asked, show_report

if TYPE_CHECKING:
    from bot import Colloquy

OWN_PERIODS = [app_commands.Choice(name=name, value=name) for name in PERIODS]
REPORT_GROUPINGS = [app_commands.Choice(name=name, value=name) for name in GROUPINGS["server"]]
WHOSE = {"member": "You", "role": "The role <@&{}>", "channel": "This channel", "server": "This server"}


class Usage(commands.Cog):
    """What was used."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    mine = app_commands.Group(name="mine", description="Your own figures")

    @app_commands.command()
    @app_commands.guild_only()
    @app_commands.default_permissions(manage_guild=True)
    @app_commands.describe(
        period="Which days; 30 days if you do not say",
        by="What to list; members if you do not say",
        first=FIRST,
        last=LAST,
    )
    @app_commands.rename(first="from", last="to")
    @app_commands.choices(period=PERIOD_CHOICES, by=REPORT_GROUPINGS)
    async def usage(
        self,
        interaction: discord.Interaction[Any],
        period: NamedPeriod = "30 days",
        by: Grouping = "member",
        first: str = "",
        last: str = "",
    ) -> None:
        """What this server used: tokens, pictures, requests and cost, as a chart, a list and files."""
        managed_server(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        asked = Asked("server", days_asked(period, first, last), by)
        await show_report(interaction, interaction.client, asked)

    @mine.command(name="usage")
    @app_commands.describe(period="Which days to list by model; 30 days if you do not say")
    @app_commands.choices(period=OWN_PERIODS)
    async def my_usage(self, interaction: discord.Interaction[Any], period: Period = "30 days") -> None:
        """What you used here: tokens, pictures and requests, by model."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        guild_id, user_id = interaction.guild_id or 0, interaction.user.id
        report = await self._assistant.reports.of_member(guild_id, user_id, period)
        embed = _embed(report, period)
        embed.add_field(name=f"By model, {period}", value=_models(report.by_model), inline=False)
        if left := _left(await self._assistant.budgets.holding(origin_of(interaction))):
            embed.add_field(name="What is left", value=_lines(left), inline=False)
        await interaction.edit_original_response(embed=embed)


def _embed(report: MemberUsage, chosen: Period) -> discord.Embed:
    # Three columns are narrow on a phone: the word "tokens" stands once, above them.
    embed = discord.Embed(
        title="Your usage here",
        description="Prompt tokens, completion tokens, pictures and requests.",
        colour=discord.Colour.blurple(),
    )
    for period in PERIODS:
        totals = report.totals[period]
        name = "Today" if period == "today" else f"Last {period}"
        embed.add_field(name=name, value=_block(totals), inline=True)
    notes = [f"Days of {report.time_zone}. A request is one call to a model that may cost."]
    totals = report.totals[chosen]
    if totals.estimated_tokens:
        notes.append(f"{totals.estimated_tokens:,} tokens are estimated: the vendor did not count them.")
    if totals.failures:
        notes.append(f"{totals.failures:,} more calls failed and cost nothing.")
    embed.set_footer(text=" ".join(notes))
    return embed


def _block(totals: Totals) -> str:
    return (
        f"{totals.prompt_tokens:,} prompt\n"
        f"{totals.completion_tokens:,} completion\n"
        f"{counted(totals.pictures, 'picture')}\n"
        f"{counted(totals.requests, 'request')}"
    )


def _left(limits: list[LimitStatus]) -> list[str]:
    """A line for each limit that holds for the member here, but for those of the whole bot."""
    return [
        f"{WHOSE[limit.scope].format(limit.scope_id)}, {_when(limit.period)}: "
        f"{in_unit(status.left, limit.unit)} of {in_unit(limit.amount, limit.unit)}, anew <t:{limit.until}:R>"
        for status in limits
        if (limit := status.limit).scope != "bot"
    ]


def _when(period: BudgetPeriod) -> str:
    return "today" if period == "day" else "this month"


def _models(rows: list[Line]) -> str:
    return _lines(
        [f"{discord.utils.escape_markdown(str(row.key)[:60])}: {figures(row.totals)}" for row in rows]
    )


def _lines(lines: list[str]) -> str:
    """As many lines as an embed's field holds (1,024 characters)."""
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(kept) + len(line) > 1000:
            kept.append("…")
            break
        kept.append(line)
    return "\n".join(kept) or NOTHING


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Usage(bot.assistant))
    bot.add_dynamic_items(*ITEMS)
