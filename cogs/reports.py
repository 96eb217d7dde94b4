"""Reports of what was used, as Discord shows them: lines, chart, files, and menus that outlive a restart."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import discord

from assistant.charts import chart
from assistant.export import as_files
from assistant.limits import in_unit
from assistant.periods import NAMED_PERIODS, BadPeriod, Days, NamedPeriod
from assistant.usage import Report
from assistant.values import Grouping, Line, Totals, View
from cogs.errors import NotTheHost
from cogs.origin import managed_server

if TYPE_CHECKING:
    from bot import Colloquy

Scope = Literal["server", "host"]
GROUPINGS: dict[Scope, tuple[Grouping, ...]] = {
    "server": ("member", "channel", "command", "model", "provider", "day"),
    "host": ("server", "key", "command", "model", "provider", "day"),
}
TITLES = {"server": "Usage of this server", "host": "Usage of the whole bot"}
NOTHING = "Nothing was used in this time."
HIDDEN = "a channel that you cannot see"
# So many of the days stand in the list; the chart and the file have all of them.
LISTED_DAYS = 10
CENT = 10_000  # millionths of a dollar
NAME_LENGTH = 60

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


def _asked(scope: str, period: str, by: str) -> Asked:
    """What a custom id or a menu names. Raises BadPeriod for what no menu of ours holds."""
    host: Scope = "host" if scope == "host" else "server"
    named = next((name for name in NAMED_PERIODS if name == period), None)
    first, _, last = period.partition("..")
    grouping = next((known for known in GROUPINGS[host] if known == by), GROUPINGS[host][0])
    return Asked(host, named or (first, last), grouping)


_ASKED = r"(?P<scope>server|host):(?P<period>[a-z0-9 .-]+):(?P<by>[a-z]+)"


def _custom_id(what: str, asked: Asked) -> str:
    return f"report:{what}:{asked.scope}:{asked.period_name}:{asked.by}"


class ReportMenu(discord.ui.DynamicItem[Select], template=rf"report:(?P<what>period|by):{_ASKED}"):
    """Switches a report's period or grouping in place. Its custom id holds both."""

    def __init__(self, what: str, asked: Asked) -> None:
        if what == "period":
            names = list(dict.fromkeys((*NAMED_PERIODS, asked.period_name)))
            chosen = asked.period_name
            options = [(_sentence_case(name.replace("..", " to ")), name) for name in names]
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
        names = _names(interaction, report)
        stem = f"usage-by-{report.by}-{report.days.first}-{report.days.last}"
        contents = await as_files(report, names)
        files = [discord.File(io.BytesIO(content), f"{stem}.{kind}") for kind, content in contents.items()]
        await interaction.edit_original_response(
            content=f"{_days(report.days)} by {report.by}: all lines, for a spreadsheet and for programs.",
            attachments=files,
        )


ITEMS = (ReportMenu, ReportFile)


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
    embed, files = draw_report(report, await chart(report), interaction)
    view = discord.ui.View(timeout=None)
    view.add_item(ReportMenu("period", asked))
    view.add_item(ReportMenu("by", asked))
    view.add_item(ReportFile(asked))
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


def draw_report(
    report: Report, picture: bytes | None, reader: discord.Interaction[Any] | None
) -> tuple[discord.Embed, list[discord.File]]:
    """The embed of a report and its chart; `reader` None: whoever sees the channel."""
    scope: Scope = "host" if report.view.guild_id is None else "server"
    embed = discord.Embed(title=TITLES[scope], colour=discord.Colour.blurple())
    embed.description = f"**{_days(report.days)}**, by {report.by}\n{_list(report, reader)}"
    totals = report.totals
    for name, field, what in (
        ("Tokens", "tokens", f"{totals.prompt_tokens:,} prompt\n{totals.completion_tokens:,} completion"),
        ("Requests", "requests", _count(totals.pictures, "picture")),
        ("Cost", "cost_micros", f"{totals.unpriced_share:.0%} of requests unpriced"),
    ):
        number = getattr(totals, field)
        shown = dollars(number) if field == "cost_micros" else f"{number:,}"
        embed.add_field(name=name, value=f"**{shown}**{_change(report, field)}\n{what}")
    notes = [
        f"{totals.estimated_share:.0%} of requests estimated, {totals.fallbacks:,} answered by a fallback, "
        f"{totals.failures:,} more refused by vendors at no cost.",
        f"Change against the {_count(report.days.count, 'day')} before. Days of {report.time_zone}.",
    ]
    embed.set_footer(text=" ".join(notes))
    if picture is None:
        return embed, []
    embed.set_image(url="attachment://usage.png")
    alternative = f"Chart of tokens by {report.by}, {_days(report.days)}."
    return embed, [discord.File(io.BytesIO(picture), "usage.png", description=alternative)]


def _list(report: Report, reader: discord.Interaction[Any] | None) -> str:
    if not (report.totals.requests or report.totals.failures):
        return NOTHING
    if report.by == "day":
        lines = report.lines[-LISTED_DAYS:]
        shown = [f"<t:{line.key}:d>: {figures(line.totals)}" for line in lines]
        if len(lines) < len(report.lines):
            shown.insert(0, f"The last {LISTED_DAYS} days; the chart and the files have all.")
        return "\n".join(shown)
    shown = [
        f"{place}. {_name(report, line, reader)}: {figures(line.totals)}"
        for place, line in enumerate(report.lines, 1)
    ]
    if report.others:
        shown.append(f"And {report.others:,} more: {figures(report.rest)}")
    return "\n".join(shown)


def _name(report: Report, line: Line, reader: discord.Interaction[Any] | None) -> str:
    """A line's name. Discord itself hides the name of a mentioned channel from those who cannot see it."""
    if report.by == "member":
        return f"<@{line.key}>"
    if report.by == "channel":
        return HIDDEN if reader is not None and _is_hidden(reader, int(line.key)) else f"<#{line.key}>"
    if report.by == "server":
        if line.key == 0:
            return "direct messages"
        guild = reader.client.get_guild(int(line.key)) if reader is not None else None
        return f"{_escaped(guild.name)} `{line.key}`" if guild is not None else f"`{line.key}`"
    return _escaped(str(line.key)) or "no key"


def _names(interaction: discord.Interaction[Any], report: Report) -> dict[int | str, str]:
    """The names for a file, as far as the bot knows them: without privileged intents, that is not far."""
    names: dict[int | str, str] = {}
    guild = interaction.guild
    for line in report.lines:
        known: Any = None
        if report.by == "server":
            known = interaction.client.get_guild(int(line.key))
        elif report.by == "member" and guild is not None:
            known = guild.get_member(int(line.key))
        elif report.by == "channel" and guild is not None and not _is_hidden(interaction, int(line.key)):
            known = guild.get_channel_or_thread(int(line.key))
        if known is not None:
            names[line.key] = getattr(known, "display_name", None) or known.name
    return names


def _is_hidden(reader: discord.Interaction[Any], channel_id: int) -> bool:
    """Whether the bot knows that the reader cannot see a channel."""
    channel = reader.guild.get_channel_or_thread(channel_id) if reader.guild is not None else None
    user = reader.user
    if channel is None or not isinstance(user, discord.Member):
        return False
    return not channel.permissions_for(user).view_channel


def _escaped(text: str) -> str:
    return discord.utils.escape_markdown(text[:NAME_LENGTH])


def figures(totals: Totals) -> str:
    """The figures of a line: "1,200 + 340 tokens, 2 pictures, 5 requests, $0.02"."""
    parts = []
    if totals.tokens:
        parts.append(f"{totals.prompt_tokens:,} + {totals.completion_tokens:,} tokens")
    if totals.pictures:
        parts.append(_count(totals.pictures, "picture"))
    parts.append(_count(totals.requests, "request"))
    if totals.cost_micros:
        parts.append(dollars(totals.cost_micros))
    return ", ".join(parts)


def dollars(micros: int) -> str:
    """A cost: in cents, or finer where cents would hide it."""
    return in_unit(round(micros, -4) if micros >= CENT or micros == 0 else micros, "dollars")


def _change(report: Report, field: str) -> str:
    change = report.change(field)
    return "" if change is None else f" ({change:+.0%})"


def _days(days: Days) -> str:
    first, last = (f"{day.day} {day:%B %Y}" for day in (days.first, days.last))
    return first if days.first == days.last else f"{first} to {last}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
