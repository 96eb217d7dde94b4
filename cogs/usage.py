"""`/usage` for a server's admins, and `/mine usage` for anyone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.values import PERIODS, Line, Period, Totals, UsageReport

if TYPE_CHECKING:
    from bot import Colloquy

PERIOD_CHOICES = [app_commands.Choice(name=name, value=name) for name in PERIODS]
NOTHING = "Nothing was used in this time."


class Usage(commands.Cog):
    """What was used."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    mine = app_commands.Group(name="mine", description="Your own figures")

    @app_commands.command()
    @app_commands.guild_only()
    @app_commands.default_permissions(manage_guild=True)
    @app_commands.describe(period="Which days to list by member and by model; 30 days if you do not say")
    @app_commands.choices(period=PERIOD_CHOICES)
    async def usage(self, interaction: discord.Interaction[Any], period: Period = "30 days") -> None:
        """What this server used: tokens, pictures and requests, by member and by model."""
        # Discord's permission is only a default that admins may change, so it is checked here too.
        if interaction.guild_id is None or not interaction.permissions.manage_guild:
            raise app_commands.MissingPermissions(["manage_guild"])
        await interaction.response.defer(thinking=True, ephemeral=True)
        report = await self._assistant.server_usage(interaction.guild_id, period)
        embed = _embed("Usage of this server", report)
        embed.add_field(name=f"By member, {period}", value=_members(report.by_member), inline=False)
        embed.add_field(name=f"By model, {period}", value=_models(report.by_model), inline=False)
        await interaction.edit_original_response(embed=embed)

    @mine.command(name="usage")
    @app_commands.describe(period="Which days to list by model; 30 days if you do not say")
    @app_commands.choices(period=PERIOD_CHOICES)
    async def my_usage(self, interaction: discord.Interaction[Any], period: Period = "30 days") -> None:
        """What you used here: tokens, pictures and requests, by model."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        report = await self._assistant.member_usage(interaction.guild_id or 0, interaction.user.id, period)
        embed = _embed("Your usage here", report)
        embed.add_field(name=f"By model, {period}", value=_models(report.by_model), inline=False)
        await interaction.edit_original_response(embed=embed)


def _embed(title: str, report: UsageReport) -> discord.Embed:
    # Three columns are narrow on a phone: the word "tokens" stands once, above them.
    embed = discord.Embed(
        title=title,
        description="Prompt tokens, completion tokens, pictures and requests.",
        colour=discord.Colour.blurple(),
    )
    for period in PERIODS:
        totals = report.totals[period]
        name = "Today" if period == "today" else f"Last {period}"
        embed.add_field(name=name, value=_block(totals), inline=True)
    notes = ["Days are UTC days. A request is one call to a model that may cost."]
    totals = report.totals[report.period]
    if totals.estimated_tokens:
        notes.append(f"{totals.estimated_tokens:,} tokens are estimated: the vendor did not count them.")
    if totals.failures:
        notes.append(f"{totals.failures:,} more calls were refused by vendors and cost nothing.")
    embed.set_footer(text=" ".join(notes))
    return embed


def _block(totals: Totals) -> str:
    return (
        f"{totals.prompt_tokens:,} prompt\n"
        f"{totals.completion_tokens:,} completion\n"
        f"{_count(totals.pictures, 'picture')}\n"
        f"{_count(totals.requests, 'request')}"
    )


def _members(rows: list[Line]) -> str:
    return _lines([f"<@{row.key}>: {_short(row.totals)}" for row in rows])


def _models(rows: list[Line]) -> str:
    return _lines(
        [f"{discord.utils.escape_markdown(str(row.key)[:60])}: {_short(row.totals)}" for row in rows]
    )


def _short(totals: Totals) -> str:
    pictures = f", {_count(totals.pictures, 'picture')}" if totals.pictures else ""
    tokens = f"{totals.prompt_tokens:,} + {totals.completion_tokens:,} tokens" if totals.tokens else ""
    requests = _count(totals.requests, "request")
    return f"{tokens}{pictures}, {requests}".removeprefix(", ")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


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
