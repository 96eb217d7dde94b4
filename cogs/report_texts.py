"""How a report reads in Discord: an embed for one reader, or a message for all who read a channel."""

from __future__ import annotations

import io
from datetime import date
from typing import Literal

import discord

from assistant.limits import in_unit
from assistant.periods import Days
from assistant.usage import Report
from assistant.values import Line, Totals
from cogs.splitting import shorten

Scope = Literal["server", "host"]
TITLES: dict[Scope, str] = {"server": "Usage of this server", "host": "Usage of the whole bot"}
NOTHING = "Nothing was used in this time."
# So many of the days stand in the list; the chart and the file have all of them.
LISTED_DAYS = 10
CENT = 10_000  # millionths of a dollar
LEAST_SHOWN = 100
NAME_LENGTH = 60
CHART = "usage.png"


def as_embed(report: Report, picture: bytes | None) -> tuple[discord.Embed, list[discord.File]]:
    """A report as an embed with its chart."""
    embed = discord.Embed(title=_title(report), colour=discord.Colour.blurple())
    embed.description = f"**{days_of(report.days)}**, by {report.by}\n{_list(report)}"
    totals = report.totals
    for name, field, what in (
        ("Tokens", "tokens", f"{totals.prompt_tokens:,} prompt\n{totals.completion_tokens:,} completion"),
        ("Requests", "requests", counted(totals.pictures, "picture")),
        ("Cost", "cost_micros", f"{totals.unpriced_share:.0%} of requests unpriced"),
    ):
        number = getattr(totals, field)
        shown = dollars(number) if field == "cost_micros" else f"{number:,}"
        embed.add_field(name=name, value=f"**{shown}**{_change(report, field)}\n{what}")
    embed.set_footer(text=_notes(report))
    if picture is not None:
        embed.set_image(url=f"attachment://{CHART}")
    return embed, _files(report, picture)


def as_message(report: Report, picture: bytes | None) -> tuple[str, list[discord.File]]:
    """The same as the text of a message: posting embeds would take one permission more."""
    totals = report.totals
    sums = (
        f"**{counted(totals.tokens, 'token')}**{_change(report, 'tokens')}, "
        f"**{counted(totals.requests, 'request')}**{_change(report, 'requests')}, "
        f"{counted(totals.pictures, 'picture')}, "
        f"**{dollars(totals.cost_micros)}**{_change(report, 'cost_micros')}, "
        f"{totals.unpriced_share:.0%} of requests unpriced"
    )
    heading = f"**{_title(report)}, {days_of(report.days)}**, by {report.by}"
    text = shorten(f"{heading}\n{sums}\n{_list(report)}", f"-# {_notes(report)}")
    return text, _files(report, picture)


def _title(report: Report) -> str:
    return TITLES["host" if report.view.guild_id is None else "server"]


def _notes(report: Report) -> str:
    totals = report.totals
    return (
        f"{totals.estimated_share:.0%} of requests estimated, {totals.fallbacks:,} went to a fallback, "
        f"{totals.failures:,} more failed at no cost. "
        f"Change against the {counted(report.days.count, 'day')} before. Days of {report.time_zone}."
    )


def _files(report: Report, picture: bytes | None) -> list[discord.File]:
    if picture is None:
        return []
    alternative = f"Chart of tokens by {report.by}, {days_of(report.days)}."
    return [discord.File(io.BytesIO(picture), CHART, description=alternative)]


def _list(report: Report) -> str:
    if not (report.totals.requests or report.totals.failures):
        return NOTHING
    if report.by == "day":
        # Not as Discord's timestamps: those are days of the reader's zone, and these of the server's.
        shown = [f"{date_of(day)}: {figures(totals)}" for day, totals in report.daily[-LISTED_DAYS:]]
        if len(shown) < len(report.daily):
            shown.insert(0, f"The last {LISTED_DAYS} days; the chart and the files have all.")
        return "\n".join(shown)
    shown = [
        f"{place}. {_name(report, line)}: {figures(line.totals)}"
        for place, line in enumerate(report.lines, 1)
    ]
    if report.others:
        shown.append(f"And {report.others:,} more: {figures(report.rest)}")
    return "\n".join(shown)


def _name(report: Report, line: Line) -> str:
    """A line's name. Discord itself shows what is mentioned by name, to those who may see it."""
    if report.by == "member":
        return f"<@{line.key}>"
    if report.by == "channel":
        return f"<#{line.key}>"
    if report.by == "server":
        return f"`{line.key}`" if line.key else "direct messages"
    return _escaped(str(line.key)) or "no key"


def _escaped(text: str) -> str:
    return discord.utils.escape_markdown(text[:NAME_LENGTH])


def figures(totals: Totals) -> str:
    """The figures of a line: "1,200 + 340 tokens, 2 pictures, 5 requests, $0.02"."""
    parts = []
    if totals.tokens:
        parts.append(f"{totals.prompt_tokens:,} + {totals.completion_tokens:,} tokens")
    if totals.pictures:
        parts.append(counted(totals.pictures, "picture"))
    parts.append(counted(totals.requests, "request"))
    if totals.cost_micros:
        parts.append(dollars(totals.cost_micros))
    return ", ".join(parts)


def dollars(micros: int) -> str:
    """A cost: in cents, or finer where cents would hide it."""
    if 0 < micros < LEAST_SHOWN:
        return f"under {in_unit(LEAST_SHOWN, 'dollars')}"
    return in_unit(round(micros, -4) if micros >= CENT or micros == 0 else micros, "dollars")


def _change(report: Report, field: str) -> str:
    change = report.change(field)
    return "" if change is None else f" ({change:+.0%})"


def days_of(days: Days) -> str:
    """Days as people write them."""
    first, last = date_of(days.first), date_of(days.last)
    return first if days.first == days.last else f"{first} to {last}"


def date_of(day: date) -> str:
    """A day as people write it."""
    return f"{day.day} {day:%B %Y}"


def counted(number: int, noun: str) -> str:
    """A number of things: "1 request", "1,200 requests"."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
