"""`/budget`: what a server, a channel, a role or each member may use, and the notices about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.limits import MICROS, in_unit
from assistant.periods import BadPeriod, zone_names
from assistant.values import BudgetPeriod, StoredBudget, Unit
from cogs.budget_notices import BudgetNotices
from cogs.origin import managed_server
from cogs.posting import try_posting

if TYPE_CHECKING:
    from bot import Colloquy

TEXT_CHANNELS = (discord.ChannelType.text, discord.ChannelType.news)
MOST_CHOICES = 25
MOST_LISTED = 40
ONE_AT_A_TIME = "Choose one of channel, role and each_member, or none of them for the whole server."
WHOLE_NUMBER = "Tokens and pictures come whole: please give a number without a fraction."
NO_ROLE_FOR_ALL = "Everyone has this role: leave it out to limit the server, or choose each_member."
NO_CATEGORY = "A category has no budget of its own. Choose a channel in it."
NO_TEXT_CHANNEL = "Notices are posted in text channels. Choose one."
NO_BUDGETS = "This server has no budgets. /budget set makes one."
NO_SUCH_BUDGET = "There is no such budget. /budget list shows those there are."
WHICH_BUDGET = "Say which one: by its number in /budget list, or by its unit and period."
ON_OR_OFF = "Choose either a channel for notices or no_notices."
WILL_POST = "Notices about this server's budgets will be posted here."

# As Discord resolves them: a guild's own channel objects are not cached without the guilds intent.
Channel = app_commands.AppCommandChannel


class Budget(commands.Cog):
    """The budgets of servers."""

    def __init__(self, bot: Colloquy, assistant: Assistant) -> None:
        self._bot = bot
        self._assistant = assistant
        self._notices = BudgetNotices(bot)

    budget = app_commands.Group(
        name="budget",
        description="What may be used here in a day or a month",
        guild_only=True,
        default_permissions=discord.Permissions(manage_guild=True),
    )

    async def cog_load(self) -> None:
        """Hear of budgets that are used up to 50, 80 and 100 %."""
        self._assistant.budget_listeners.append(self._notices.tell)

    async def cog_unload(self) -> None:
        """Hear no more of them, and post none."""
        self._assistant.budget_listeners.remove(self._notices.tell)
        self._notices.stop()

    @budget.command(name="set")
    @app_commands.describe(
        amount="How many tokens or pictures, or how many dollars",
        unit="What is counted",
        period="Of a day or of a calendar month, in the server's time zone",
        channel="Only in this channel and its threads",
        role="Only for members with this role, all together",
        each_member="For each member by themselves",
        notices="Where to post when 50, 80 and 100 % are used; as before if you do not say",
        no_notices="Post no notices about it any more",
    )
    async def set_budget(
        self,
        interaction: discord.Interaction[Any],
        amount: app_commands.Range[float, 0.0, 1e12],
        unit: Unit,
        period: BudgetPeriod,
        channel: Channel | None = None,
        role: discord.Role | None = None,
        each_member: bool = False,
        notices: Channel | None = None,
        no_notices: bool = False,
    ) -> None:
        """Set what may be used; in place of the budget there is for the same, if any."""
        guild_id = managed_server(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        problem = _problem(guild_id, amount, unit, channel, role, each_member)
        if problem is None and notices is not None:
            if no_notices or notices.type not in TEXT_CHANNELS:
                problem = ON_OR_OFF if no_notices else NO_TEXT_CHANNEL
            else:
                problem = await try_posting(self._bot, guild_id, notices.id, WILL_POST)
        if problem is not None:
            await interaction.edit_original_response(content=problem)
            return
        budget = _stored(guild_id, unit, period, channel, role, each_member, amount, interaction.user.id)
        if notices is not None:
            budget = replace(budget, warn_channel_id=notices.id)
        keep_channel = notices is None and not no_notices
        budget = await self._assistant.budgets.set(budget, keep_channel=keep_channel)
        channel_id = budget.warn_channel_id
        told = f"Notices go to <#{channel_id}>." if channel_id else "No notices are posted about it."
        await interaction.edit_original_response(content=f"Set: {_line(budget)}. {told}")

    @budget.command(name="list")
    async def list_budgets(self, interaction: discord.Interaction[Any]) -> None:
        """The budgets of this server."""
        guild_id = managed_server(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        budgets = await self._assistant.budgets.of_server(guild_id)
        zone = await self._assistant.reports.time_zone(guild_id)
        lines = [
            f"{number}. {_line(budget)}"
            + f" (notices: <#{budget.warn_channel_id}>)" * bool(budget.warn_channel_id)
            for number, budget in enumerate(budgets[:MOST_LISTED], 1)
        ]
        if len(budgets) > MOST_LISTED:
            lines.append(f"And {len(budgets) - MOST_LISTED:,} more.")
        embed = discord.Embed(title="Budgets of this server", colour=discord.Colour.blurple())
        embed.description = "\n".join(lines) or NO_BUDGETS
        embed.set_footer(text=f"Days and months are those of {zone}. The tightest limit counts.")
        await interaction.edit_original_response(embed=embed)

    @budget.command()
    @app_commands.describe(
        number="Its number in /budget list, in place of all that follows",
        unit="What is counted",
        period="Of a day or of a month",
        channel="The channel it is for",
        role="The role it is for",
        each_member="Whether it is for each member",
    )
    async def remove(
        self,
        interaction: discord.Interaction[Any],
        number: app_commands.Range[int, 1] | None = None,
        unit: Unit | None = None,
        period: BudgetPeriod | None = None,
        channel: Channel | None = None,
        role: discord.Role | None = None,
        each_member: bool = False,
    ) -> None:
        """Take a budget away."""
        guild_id = managed_server(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        problem = budget = None
        if number is not None:  # the only way for one whose channel or role is gone
            budgets = await self._assistant.budgets.of_server(guild_id)
            budget = next(iter(budgets[number - 1 : number]), None)
        elif unit is None or period is None:
            problem = WHICH_BUDGET
        else:
            problem = _problem(guild_id, 0, unit, channel, role, each_member)
            budget = _stored(guild_id, unit, period, channel, role, each_member, 0, interaction.user.id)
        if problem is None:
            removed = budget is not None and await self._assistant.budgets.remove(budget)
            problem = None if removed else NO_SUCH_BUDGET
        if problem is None and budget is not None:
            problem = f"Removed: {_whose(budget)}, {budget.unit} a {budget.period}."
        await interaction.edit_original_response(content=problem)

    @budget.command()
    @app_commands.describe(name="Such as Europe/Berlin or Asia/Kolkata")
    async def timezone(self, interaction: discord.Interaction[Any], name: str) -> None:
        """Set whose days this server's budgets and reports have."""
        guild_id = managed_server(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        try:
            await self._assistant.reports.set_time_zone(guild_id, name.strip())
        except BadPeriod as problem:
            await interaction.edit_original_response(content=str(problem))
            return
        text = f"Set: days and months of this server are those of {name.strip()}."
        await interaction.edit_original_response(content=text)

    @timezone.autocomplete("name")
    async def zones(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        """The time zones that have what was typed in their names."""
        wanted = typed.strip().lower().replace(" ", "_")
        found = sorted(name for name in zone_names() if wanted in name.lower())
        return [app_commands.Choice(name=name, value=name) for name in found[:MOST_CHOICES]]


def _problem(
    guild_id: int,
    amount: float,
    unit: Unit,
    channel: Channel | None,
    role: discord.Role | None,
    each_member: bool,
) -> str | None:
    """What is wrong with what was chosen."""
    if (channel is not None) + (role is not None) + each_member > 1:
        return ONE_AT_A_TIME
    if role is not None and role.id == guild_id:
        return NO_ROLE_FOR_ALL
    if channel is not None and channel.type is discord.ChannelType.category:
        return NO_CATEGORY
    if unit != "dollars" and amount != int(amount):
        return WHOLE_NUMBER
    return None


def _stored(
    guild_id: int,
    unit: Unit,
    period: BudgetPeriod,
    channel: Channel | None,
    role: discord.Role | None,
    each_member: bool,
    amount: float,
    set_by: int,
) -> StoredBudget:
    whole = round(amount * MICROS) if unit == "dollars" else int(amount)
    if channel is not None:
        return StoredBudget(guild_id, "channel", channel.id, unit, period, whole, set_by)
    if role is not None:
        return StoredBudget(guild_id, "role", role.id, unit, period, whole, set_by)
    return StoredBudget(guild_id, "member" if each_member else "server", 0, unit, period, whole, set_by)


def _line(budget: StoredBudget) -> str:
    return f"{_whose(budget)}: {in_unit(budget.amount, budget.unit)} a {budget.period}"


def _whose(budget: StoredBudget) -> str:
    names = {"channel": f"<#{budget.scope_id}>", "role": f"<@&{budget.scope_id}>", "member": "each member"}
    return names.get(budget.scope, "this server")


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Budget(bot, bot.assistant))
