"""The buttons below pictures. Each names the row with what they were made with, so a restart is no matter."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import discord

from assistant.imagine import near_seed
from assistant.values import PictureRefused, StoredPictures
from cogs.picture_form import PictureForm, is_private, order_of
from cogs.splitting import cut
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy

Button = discord.ui.Button[discord.ui.View]

# A form has to be the first response, within three seconds.
READING_SECONDS = 2.0
LABELS = {"again": "Re-roll", "vary": "Vary", "edit": "Edit", "info": "Info", "delete": "Delete"}
FIELD_LENGTH, TEXT_LENGTH = 1000, 3500  # with the rest below the 6000 that Discord allows in all
TOO_SLOW = "The bot's database is busy. Please press the button again."


class PictureButton(
    discord.ui.DynamicItem[Button],
    template=r"picture:(?P<action>again|vary|edit|info|delete):(?P<row>[0-9]{1,19})",
):
    """One of them; the last part of its custom id is the row with what the pictures were made with."""

    def __init__(self, action: str, row_id: int) -> None:
        style = discord.ButtonStyle.danger if action == "delete" else discord.ButtonStyle.secondary
        custom_id = f"picture:{action}:{row_id}"
        super().__init__(discord.ui.Button(label=LABELS[action], custom_id=custom_id, style=style))
        self._action = action
        self._row_id = row_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Called by discord.py for a press."""
        return cls(match["action"], int(match["row"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> Any:
        """Do what the button says, with the care that commands get."""
        bot: Colloquy = interaction.client
        work = {"edit": self._edit, "info": self._show_info, "delete": self._delete}
        await bot.tree.answer_press(interaction, work.get(self._action, self._draw)(interaction, bot))

    async def _find(self, interaction: discord.Interaction[Any], bot: Colloquy) -> StoredPictures:
        return await bot.assistant.find_pictures(
            self._row_id, interaction.channel_id or 0, interaction.user.id
        )

    async def _draw(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        private = is_private(interaction)
        surface = ResponseSurface(interaction, private=private)
        await interaction.response.defer(thinking=True, ephemeral=private)
        try:
            row = await self._find(interaction, bot)
        except PictureRefused as refusal:
            await interaction.edit_original_response(content=str(refusal))
            return
        order = order_of(row, interaction, private=private)
        seed = near_seed(row) if self._action == "vary" else None
        await bot.drawings.draw(replace(order, seed=seed), surface)

    async def _edit(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        try:
            async with asyncio.timeout(READING_SECONDS):
                row = await self._find(interaction, bot)
        except (PictureRefused, TimeoutError) as refusal:
            sentence = str(refusal) if isinstance(refusal, PictureRefused) else TOO_SLOW
            await interaction.response.send_message(sentence, ephemeral=True)
            return
        await interaction.response.send_modal(PictureForm(row))

    async def _show_info(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        await interaction.response.defer(thinking=True, ephemeral=True)
        try:
            row = await self._find(interaction, bot)
        except PictureRefused as refusal:
            await interaction.edit_original_response(content=str(refusal))
            return
        await interaction.edit_original_response(embed=_report(row))

    async def _delete(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        await interaction.response.defer()
        message = interaction.message
        # The row tells who asked for them, if it was not forgotten; the message tells it too.
        metadata = message.interaction_metadata if message is not None else None
        asked = metadata is not None and metadata.user.id == interaction.user.id
        allowed = asked or interaction.permissions.manage_messages or is_private(interaction)
        try:
            await bot.assistant.delete_pictures(self._row_id, interaction.user.id, allowed=allowed)
        except PictureRefused as refusal:
            await interaction.followup.send(str(refusal), ephemeral=True)
            return
        await interaction.delete_original_response()


def picture_view(row_id: int | None) -> discord.ui.View | None:
    """What stands below pictures; nothing if what they were made with is not kept."""
    if row_id is None:
        return None
    view = discord.ui.View(timeout=None)
    for action in LABELS:
        view.add_item(PictureButton(action, row_id))
    return view


def _as_written(text: str) -> str:
    """A member's words without formatting, and without links that hide where they lead to."""
    # discord.py does not escape those whose label goes over lines.
    return discord.utils.escape_markdown(text.replace("](", "]\u200b("))


def _report(row: StoredPictures) -> discord.Embed:
    """Everything that the pictures were made with."""

    def each(values: list[Any]) -> str:
        known = list(dict.fromkeys(str(value) for value in values if value not in (None, "")))
        return _as_written(", ".join(known))

    report = discord.Embed(title="What this was made with")
    report.description = cut(_as_written(row.prompt), TEXT_LENGTH)
    facts = {
        "Negative prompt": cut(each([one.negative for one in row.made]), FIELD_LENGTH),
        "Size": each([f"{one.width} x {one.height}" for one in row.made]),
        "Seed": each([one.seed for one in row.made]) or "this model takes none",
        "Steps": each([one.steps for one in row.made]),
        "Guidance": each([None if one.guidance is None else f"{one.guidance:g}" for one in row.made]),
        "Model": cut(each([one.model for one in row.made]), FIELD_LENGTH),
        "Asked by": f"<@{row.user_id}> <t:{row.created_at}:R>",
    }
    for name, value in facts.items():
        if value:
            report.add_field(name=name, value=value, inline=name not in ("Negative prompt", "Model"))
    return report
