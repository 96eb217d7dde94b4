"""Reports that a member asks for: with menus and buttons below them that outlive a restart."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands

from assistant.charts import chart
from assistant.export import TooLarge, as_files
from assistant.periods import NAMED_PERIODS, BadPeriod, NamedPeriod
from assistant.usage import Report
from assistant.values import Grouping, View
from cogs.errors import NotTheHost
from cogs.origin import managed_server
from cogs.posting import cannot_post, try_posting
from cogs.report_texts import Scope, as_embed, date_of, days_of

if TYPE_CHECKING:
    from bot import Colloquy

GROUPINGS: dict[Scope, tuple[Grouping, ...]] = {
    "server": ("member", "channel", "command", "model", "provider", "day"),
    "host": ("server", "key", "command", "model", "provider", "day"),
}

PERIOD_CHOICES = [app_commands.Choice(name=name, value=name) for name in NAMED_PERIODS]

# What the options of the commands say.
FIRST = "The first day in place of a period, as 2026-11-30"
LAST = "The last day; today if you do not say"
WILL_POST = "Every Monday a report of what this server used in the week before, by {by}, will be posted here."
STARTED = (
    "From Monday, {first} on, a report by {by} is posted here every week{moved}. "
    "Press the button again to end that."
)
ENDED = "Ended: no weekly report is posted in this server any more."
TOO_LARGE = "These files are larger than Discord takes. Choose fewer days, or another grouping."
NO_WEEKLY_REPORT = "No weekly report is posted in this server. /usage has a button that begins one."

Button = discord.ui.Button[discord.ui.View]
Select = discord.ui.Select[discord.ui.View]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which report: of a server or of the whole bot, of which days, and what its lines are."""

    scope: Scope
    period: NamedPeriod | tuple[str, str]
    by: Grouping

    @property
    def period_name(self) -> str:
        """The period in one word, as custom ids and menus have it."""
        return self.period if isinstance(self.period, str) else "..".join(self.period)


def days_asked(period: NamedPeriod, first: str, last: str) -> NamedPeriod | tuple[str, str]:
    """A named period, or in its place what was written as first and last day."""
    return (first.strip(), last.strip()) if first or last else period


def _asked(scope: str, period: str, by: str) -> Asked:
    """What a custom id or a menu names. Raises BadPeriod for what no menu of ours holds."""
    host: Scope = "host" if scope == "host" else "server"
    named = next((name for name in NAMED_PERIODS if name == period), None)
    first, _, last = period.partition("..")
    grouping = next((known for known in GROUPINGS[host] if known == by), GROUPINGS[host][0])
    return Asked(host, named or (first, last), grouping)


_ASKED = r"(?P<scope>server|host):(?P<period>[a-z0-9 .-]+):(?P<by>[a-z]+)"


def _in_words(period_name: str) -> str:
    """A named period as it is, and dates as people write them: those without an end go on to today."""
    first, dots, last = period_name.partition("..")
    return f"{first} to {last or 'today'}" if dots else first


def _custom_id(what: str, asked: Asked) -> str:
    return f"report:{what}:{asked.scope}:{asked.period_name}:{asked.by}"


class ReportMenu(discord.ui.DynamicItem[Select], template=rf"report:(?P<what>period|by):{_ASKED}"):
    """Switches a report's period or grouping in place. Its custom id holds both."""

    def __init__(self, what: str, asked: Asked) -> None:
        if what == "period":
            names = list(dict.fromkeys((*NAMED_PERIODS, asked.period_name)))
            chosen = asked.period_name
            options = [(_sentence_case(_in_words(name)), name) for name in names]
        else:
            chosen = asked.by
            options = [(f"By {name}", name) for name in GROUPINGS[asked.scope]]
        select: Select = discord.ui.Select(
            custom_id=_custom_id(what, asked),
            options=[
                discord.SelectOption(label=label, value=value, default=value == chosen)
                for label, value in options
            ],
        )
        super().__init__(select)
        self._what, self._shown = what, asked

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Called by discord.py for a choice."""
        return cls(match["what"], _asked(match["scope"], match["period"], match["by"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> Any:
        """Show the other report, with the care that commands get."""
        bot: Colloquy = interaction.client
        await bot.tree.answer_press(interaction, self._show(interaction, bot))

    async def _show(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        value = self.item.values[0]
        old = self._shown
        period, by = (value, old.by) if self._what == "period" else (old.period_name, value)
        asked = _asked(old.scope, period, by)
        await check_reader(interaction, bot, asked.scope)
        await interaction.response.defer()
        await show_report(interaction, bot, asked)


class ReportFile(discord.ui.DynamicItem[Button], template=rf"report:file:{_ASKED}"):
    """Gives a report as files, with every line."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(discord.ui.Button(label="As files", custom_id=_custom_id("file", asked)))
        self._asked = asked

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Called by discord.py for a press."""
        return cls(_asked(match["scope"], match["period"], match["by"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> Any:
        """Send them, with the care that commands get."""
        bot: Colloquy = interaction.client
        await bot.tree.answer_press(interaction, self._send(interaction, bot))

    async def _send(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        await check_reader(interaction, bot, self._asked.scope)
        await interaction.response.defer(thinking=True, ephemeral=True)
        report = await _find(interaction, bot, self._asked, top=None)
        if report is None:
            return
        stem = f"usage-by-{report.by}-{report.days.first}-{report.days.last}"
        try:
            contents = await as_files(report, interaction.filesize_limit)
        except TooLarge:
            await interaction.edit_original_response(content=TOO_LARGE)
            return
        files = [discord.File(io.BytesIO(content), f"{stem}.{kind}") for kind, content in contents.items()]
        await interaction.edit_original_response(
            content=f"{days_of(report.days)} by {report.by}: all lines, for a spreadsheet and for programs.",
            attachments=files,
        )


class WeeklyButton(discord.ui.DynamicItem[Button], template=r"report:weekly:(?P<what>[a-z]+)"):
    """Has a report posted here every week, or (`by` None) ends that. Pressed again, it ends what it began."""

    def __init__(self, by: Grouping | None) -> None:
        label, what = ("Weekly report", by) if by is not None else ("End weekly report", "end")
        super().__init__(discord.ui.Button(label=label, custom_id=f"report:weekly:{what}"))
        self._by = by

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Called by discord.py for a press."""
        return cls(next((by for by in GROUPINGS["server"] if by == match["what"]), None))

    async def callback(self, interaction: discord.Interaction[Any]) -> Any:
        """Do what it says, with the care that commands get."""
        bot: Colloquy = interaction.client
        await bot.tree.answer_press(interaction, self._press(interaction, bot))

    async def _press(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        guild_id = managed_server(interaction)
        await interaction.response.defer(thinking=True, ephemeral=True)
        weekly, channel_id = bot.assistant.weekly, interaction.channel_id or 0
        now = await weekly.of_server(guild_id)
        if self._by is None or (now and (now.channel_id, now.by) == (channel_id, self._by)):
            ended = await weekly.end(guild_id)
            await interaction.edit_original_response(content=ENDED if ended else NO_WEEKLY_REPORT)
            return
        problem: str | None = cannot_post(bot, guild_id, channel_id)
        if interaction.app_permissions.attach_files:
            problem = await try_posting(bot, guild_id, channel_id, WILL_POST.format(by=self._by))
        if problem is not None:
            await interaction.edit_original_response(content=problem)
            return
        first = await weekly.start(guild_id, channel_id, self._by)
        moved = f", and no longer in <#{now.channel_id}>" if now and now.channel_id != channel_id else ""
        await interaction.edit_original_response(
            content=STARTED.format(first=date_of(first), by=self._by, moved=moved)
        )


ITEMS = (ReportMenu, ReportFile, WeeklyButton)


async def check_reader(interaction: discord.Interaction[Any], bot: Colloquy, scope: Scope) -> None:
    """Let through who manages this server, or for the whole bot its owner. Raises CheckFailure."""
    if scope == "server":
        managed_server(interaction)
    elif not await bot.is_owner(interaction.user):
        raise NotTheHost


async def show_report(interaction: discord.Interaction[Any], bot: Colloquy, asked: Asked) -> None:
    """Put a report into the response to an interaction that was deferred. The reader was checked before."""
    report = await _find(interaction, bot, asked)
    if report is None:
        return
    embed, files = as_embed(report, await chart(report))
    view = discord.ui.View(timeout=None)
    view.add_item(ReportMenu("period", asked))
    view.add_item(ReportMenu("by", asked))
    view.add_item(ReportFile(asked))
    if asked.scope == "server":
        view.add_item(WeeklyButton(asked.by))
    await interaction.edit_original_response(content=None, embed=embed, attachments=files, view=view)


async def _find(
    interaction: discord.Interaction[Any], bot: Colloquy, asked: Asked, **more: Any
) -> Report | None:
    """The report; of one that there cannot be, the reader is told why."""
    view = View(None if asked.scope == "host" else interaction.guild_id)
    reports = bot.assistant.reports
    try:
        if isinstance(asked.period, tuple) and not asked.period[1]:  # until today
            today = await reports.days(view, "today")
            asked = replace(asked, period=(asked.period[0], today.last.isoformat()))
        days = await reports.days(view, asked.period)
    except BadPeriod as problem:
        await interaction.edit_original_response(content=str(problem))
        return None
    return await reports.report(view, days, asked.by, **more)


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
