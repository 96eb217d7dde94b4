"""The form behind *Edit*: an order for pictures, filled in, to be changed and sent once more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord

from assistant.imagine import LARGEST_SEED
from assistant.values import PictureOrder
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
MOST_STEPS = 50
# How long a form may stay open; its order waits in memory for it.
FORM_SECONDS = 3600.0

NO_SEED = f"The seed has to be a whole number from 0 to {LARGEST_SEED}, or empty for a new one."
NO_STEPS = f"The steps have to be a whole number from 1 to {MOST_STEPS}, or empty for the model's default."


class PictureForm(discord.ui.Modal, title="Edit and draw again"):
    """Prompt, seed, steps and size; the rest of the order stays as it was."""

    def __init__(self, order: PictureOrder) -> None:
        super().__init__(timeout=FORM_SECONDS)
        self._order = order
        text = discord.ui.TextInput[PictureForm]
        self._prompt = text(
            style=discord.TextStyle.paragraph,
            default=order.prompt[:LONGEST_PROMPT],
            max_length=LONGEST_PROMPT,
            custom_id="prompt",
        )
        seed = "" if order.seed is None else str(order.seed)
        self._seed = text(default=seed, required=False, max_length=10, custom_id="seed")
        steps = "" if order.steps is None else str(order.steps)
        self._steps = text(default=steps, required=False, max_length=2, custom_id="steps")
        size = f"{order.width}x{order.height}"
        self._size = discord.ui.Select[PictureForm](
            options=[
                discord.SelectOption(label=label, value=value, default=value == size)
                for label, value in SIZES.items()
            ],
            custom_id="size",
        )
        for label, explained, component in (
            ("Prompt", None, self._prompt),
            ("Seed", "The same seed gives the same picture; empty for a new one", self._seed),
            ("Steps", "Empty for the model's default", self._steps),
            ("Size", None, self._size),
        ):
            item: discord.ui.Label[PictureForm] = discord.ui.Label(
                text=label, description=explained, component=component
            )
            self.add_item(item)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Called by discord.py."""
        bot: Colloquy = interaction.client
        await bot.tree.answer_press(interaction, self._draw(interaction, bot))

    async def _draw(self, interaction: discord.Interaction[Any], bot: Colloquy) -> None:
        try:
            seed = _number(self._seed.value, 0, LARGEST_SEED, NO_SEED)
            steps = _number(self._steps.value, 1, MOST_STEPS, NO_STEPS)
        except ValueError as problem:
            await interaction.response.send_message(str(problem), ephemeral=True)
            return
        private = self._order.private
        surface = ResponseSurface(interaction, private=private)
        await interaction.response.defer(thinking=True, ephemeral=private)
        width, height = sides(self._size.values[0])
        order = replace(
            self._order,
            origin=origin_of(interaction),
            prompt=self._prompt.value,
            seed=seed,
            steps=steps,
            width=width,
            height=height,
        )
        await bot.drawings.draw(order, surface)


def sides(size: str) -> tuple[int, int]:
    """Width and height of one of SIZES."""
    width, height = size.split("x")
    return int(width), int(height)


def _number(text: str, least: int, most: int, problem: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise ValueError(problem)
    return int(text)
