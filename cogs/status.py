"""`/status`: for the host, how every provider and key is; for everyone else, whether the bot works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.status import StatusReport, TargetStatus
from cogs.splitting import add_line, units

if TYPE_CHECKING:
    from bot import Colloquy

# Discord takes 25 fields of 1,024 characters, and 6,000 in all: room for the titles is left.
FIELD_UNITS = 1024
ROOM = 5600

REASONS = {
    "auth": "refused",
    "not_entitled": "not allowed this model",
    "exhausted": "used up",
    "rate": "too many requests",
    "retired": "model gone",
    "transient": "not reachable",
}


class Status(commands.Cog):
    """How the bot is."""

    def __init__(self, bot: Colloquy, assistant: Assistant) -> None:
        self._bot = bot
        self._assistant = assistant

    @app_commands.command()
    async def status(self, interaction: discord.Interaction[Any]) -> None:
        """Whether answers and pictures work right now."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        report = await self._assistant.status()
        lines = [f"Answers: {_works(report.chat)}", f"Pictures: {_works(report.pictures)}"]
        if not await self._bot.is_owner(interaction.user):
            await interaction.edit_original_response(content="\n".join(lines))
            return
        await interaction.edit_original_response(embed=_embed(report))


def _works(label: str | None) -> str:
    return "they work." if label else "not at the moment."


def _embed(report: StatusReport) -> discord.Embed:
    embed = discord.Embed(title="Providers and keys", colour=discord.Colour.blurple())
    chat = _list(report.chat, report.chat_targets)
    pictures = _list(report.pictures, report.picture_targets)
    # Each list may take half of the room, and what the other one leaves.
    chat = _cut(chat, ROOM - min(_size(pictures), ROOM // 2))
    pictures = _cut(pictures, ROOM - _size(chat))
    for name, lines in (("Answers", chat), ("Pictures", pictures)):
        parts: list[str] = []
        for line in lines:
            parts = add_line(parts, line, FIELD_UNITS)
        for place, part in enumerate(parts):
            embed.add_field(name=name if place == 0 else f"{name}, continued", value=part, inline=False)
    embed.set_footer(text="Requests of today (UTC), and how many of them failed.")
    return embed


def _list(now: str | None, targets: Sequence[TargetStatus]) -> list[str]:
    first = f"Next: {_name(now)}" if now else "Nobody can be asked now."
    return [first, *(_line(target) for target in targets)]


def _cut(lines: list[str], room: int) -> list[str]:
    """As many of the lines as the room holds, and how many more there are."""
    if _size(lines) <= room:
        return lines
    kept: list[str] = []
    while _size(kept) + units(lines[len(kept)]) < room - 20:  # of which the last line takes its part
        kept.append(lines[len(kept)])
    return [*kept, f"And {len(lines) - len(kept):,} more."]


def _size(lines: list[str]) -> int:
    return sum(units(line) + 1 for line in lines)


def _name(text: str) -> str:
    """A host's own words, as long as a line may have them."""
    return discord.utils.escape_markdown(text if len(text) <= 100 else text[:99] + "…")


def _line(target: TargetStatus) -> str:
    state = target.status
    if target.reason:
        state += f", {REASONS.get(target.reason, target.reason)}"
    if target.until is not None:
        state += f", again <t:{target.until}:R>"
    elif target.status == "dead":
        state += ", until it is changed"
    key = f" `{target.key[:100]}`" if target.key else ""
    counts = f"requests: {target.requests:,}, failed: {target.failures:,}"
    return f"{_name(target.label)}{key}: {state} ({counts})"


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Status(bot, bot.assistant))
