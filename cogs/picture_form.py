"""The form behind *Edit*: an order for pictures, filled in, to be changed and sent once more.

It names the row with what the pictures were made with, as the buttons do, and nothing waits in memory for it
to be sent: it may be open through a restart.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord

from assistant.imagine import LARGEST_SEED, MOST_STEPS
from assistant.values import PictureOrder, PictureRefused, StoredPictures
from cogs.origin import origin_of
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy

SIZES = {
    "Square, 1024 x 1024": "1024x1024",
    "Landscape, 1344 x 768": "1344x768",
    "Portrait, 768 x 1344": "768x1344",
    "4:3, 1152 x 896": "1152x896",
    "3:4, 896 x 1152": "896x1152",
}
LONGEST_PROMPT = 2000
CUSTOM_ID = re.compile(r"picture:form:([0-9]{1,19})")

NO_SEED = f"The seed has to be a whole number from 0 to {LARGEST_SEED}, or empty for a new one."
NO_STEPS = f"The steps have to be a whole number from 1 to {MOST_STEPS}, or empty for the model's default."


class PictureForm(discord.ui.Modal, title="Edit and draw again"):
    """Prompt, seed, steps and size; the rest of the order stays as it was."""

    def __init__(self, row: StoredPictures) -> None:
        super().__init__(custom_id=f"picture:form:{row.id}")
        text = discord.ui.TextInput[PictureForm]
        prompt = text(
            style=discord.TextStyle.paragraph,
            default=row.prompt[:LONGEST_PROMPT],
            max_length=LONGEST_PROMPT,
            custom_id="prompt",
        )
        seed = text(default=str(row.seed), required=False, max_length=10, custom_id="seed")
        steps = text(default=_steps_of(row), required=False, max_length=3, custom_id="steps")
        options = [
            discord.SelectOption(label=label, value=value, default=value == f"{row.width}x{row.height}")
            for label, value in SIZES.items()
        ]
        size = discord.ui.Select[PictureForm](options=options, custom_id="size")
        for label, explained, component in (
            ("Prompt", None, prompt),
            ("Seed", "The same seed gives the same picture; empty for a new one", seed),
            ("Steps", "Empty for the model's default", steps),
            ("Size", None, size),
        ):
            item: discord.ui.Label[PictureForm] = discord.ui.Label(
                text=label, description=explained, component=component
            )
            self.add_item(item)
        self.stop()  # discord.py then keeps no form, and only announces that one was sent


def row_of_form(interaction: discord.Interaction[Any]) -> int | None:
    """The row of the form that was sent with this interaction; None: it is something else."""
    if interaction.type is not discord.InteractionType.modal_submit:
        return None
    data: Any = interaction.data
    match = CUSTOM_ID.fullmatch(data["custom_id"])
    return int(match[1]) if match else None


async def draw_changed(interaction: discord.Interaction[Any], row_id: int) -> None:
    """Draw what was sent with a form; what it does not show stays as it was ordered."""
    bot: Colloquy = interaction.client
    given = _values(interaction)
    try:
        seed = _number(given["seed"], 0, LARGEST_SEED, NO_SEED)
        steps = _number(given["steps"], 1, MOST_STEPS, NO_STEPS)
    except ValueError as problem:
        await interaction.response.send_message(str(problem), ephemeral=True)
        return
    private = is_private(interaction)
    surface = ResponseSurface(interaction, private=private)
    await interaction.response.defer(thinking=True, ephemeral=private)
    try:
        row = await bot.assistant.find_pictures(row_id, interaction.channel_id or 0, interaction.user.id)
    except PictureRefused as refusal:
        await interaction.edit_original_response(content=str(refusal))
        return
    order = order_of(row, interaction, private=private)
    if given["steps"].strip() == _steps_of(row):
        steps = row.steps  # else the default of one model would be asked of another
    width, height = sides(given["size"])
    order = replace(order, prompt=given["prompt"], seed=seed, steps=steps, width=width, height=height)
    await bot.drawings.draw(order, surface)


def order_of(row: StoredPictures, interaction: discord.Interaction[Any], *, private: bool) -> PictureOrder:
    """The same order once more, by the member who pressed."""
    return PictureOrder(
        origin=origin_of(interaction),
        prompt=row.prompt,
        width=row.width,
        height=row.height,
        seed=row.seed,
        steps=row.steps,
        guidance=row.guidance,
        negative=row.negative,
        count=row.count,
        model=row.model or None,
        spoiler=row.spoiler,
        private=private,
    )


def is_private(interaction: discord.Interaction[Any]) -> bool:
    """Whether only one member sees the message that a button or form belongs to."""
    return interaction.message is not None and interaction.message.flags.ephemeral


def sides(size: str) -> tuple[int, int]:
    """Width and height of one of SIZES."""
    width, height = size.split("x")
    return int(width), int(height)


def _steps_of(row: StoredPictures) -> str:
    """The steps that were really taken, as they stand in the form; empty where the model has none."""
    taken = row.made[0].steps if row.made else row.steps
    return "" if taken is None else str(taken)


def _values(interaction: discord.Interaction[Any]) -> dict[str, str]:
    """What was filled in, by field: a text, or the option that was chosen."""
    data: Any = interaction.data
    fields = [label["component"] for label in data["components"]]
    return {field["custom_id"]: field.get("value") or "".join(field.get("values", ())) for field in fields}


def _number(text: str, least: int, most: int, problem: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise ValueError(problem)
    return int(text)
