"""`/status`: for the host, how every provider and key is; for everyone else, whether the bot works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.status import StatusReport, TargetStatus

if TYPE_CHECKING:
    from bot import Colloquy

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
    for name, now, targets in (
        ("Answers", report.chat, report.chat_targets),
        ("Pictures", report.pictures, report.picture_targets),
    ):
        first = f"Next: {discord.utils.escape_markdown(now)}" if now else "Nobody can be asked now."
        lines = [first, *(_line(target) for target in targets)]
        text = "\n".join(lines)
        embed.add_field(name=name, value=text if len(text) <= 1024 else text[:1000] + "\n…", inline=False)
    embed.set_footer(text="Requests and refusals of today (UTC).")
    return embed


def _line(target: TargetStatus) -> str:
    state = target.status
    if target.reason:
        state += f", {REASONS.get(target.reason, target.reason)}"
    if target.until is not None:
        state += f", again <t:{target.until}:R>"
    elif target.status == "dead":
        state += ", until it is changed"
    key = f" `{target.key}`" if target.key else ""
    counts = f"requests: {target.requests:,}, refused: {target.failures:,}"
    return f"{discord.utils.escape_markdown(target.label)}{key}: {state} ({counts})"


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Status(bot, bot.assistant))
