"""`/imagine`: pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant
from assistant.imagine import MOST_STEPS
from assistant.values import PictureOrder
from cogs.choices import model_choices
from cogs.drawing import Drawings
from cogs.origin import origin_of
from cogs.picture_buttons import PictureButton
from cogs.picture_form import LONGEST_PROMPT, SIZES, draw_changed, row_of_form, sides
from cogs.surfaces import ResponseSurface

if TYPE_CHECKING:
    from bot import Colloquy


class Imagine(commands.Cog):
    """Pictures."""

    def __init__(self, assistant: Assistant, drawings: Drawings) -> None:
        self._assistant = assistant
        self._drawings = drawings

    @app_commands.command()
    @app_commands.describe(
        prompt="What the picture shows",
        size="Its shape; square if you do not say",
        seed="The same seed gives the same picture; drawn by chance if you do not say",
        steps="How long the model works on it, where it has steps",
        guidance="How closely it follows the prompt, where the model can be told",
        negative="What the picture shall not show, where the model can be told",
        count="How many pictures; one if you do not say",
        model="Who draws; if you do not say, the first that is ready",
        spoiler="Whether it is hidden until somebody clicks on it",
        private="Only you see it",
    )
    @app_commands.choices(size=[app_commands.Choice(name=name, value=value) for name, value in SIZES.items()])
    async def imagine(
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, LONGEST_PROMPT],
        size: str = "1024x1024",
        seed: app_commands.Range[int, 0, 2147483647] | None = None,
        steps: app_commands.Range[int, 1, MOST_STEPS] | None = None,
        guidance: app_commands.Range[float, 0, 30] | None = None,
        negative: app_commands.Range[str, 1, 1000] | None = None,
        count: app_commands.Range[int, 1, 4] = 1,
        model: str | None = None,
        spoiler: bool = False,
        private: bool = False,
    ) -> None:
        """Make pictures from words."""
        surface = ResponseSurface(interaction, private=private)
        await interaction.response.defer(thinking=True, ephemeral=private)
        order = PictureOrder(
            origin_of(interaction),
            prompt,
            *sides(size),
            seed=seed,
            steps=steps,
            guidance=guidance,
            negative=negative or "",
            count=count,
            model=model,
            spoiler=spoiler,
            private=private,
        )
        await self._drawings.draw(order, surface)

    @commands.Cog.listener()
    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Called by discord.py for all that members do; of it, the form behind *Edit* is ours."""
        row_id = row_of_form(interaction)
        if row_id is not None:
            await interaction.client.tree.answer_press(interaction, draw_changed(interaction, row_id))

    @imagine.autocomplete("model")
    async def _models(
        self, interaction: discord.Interaction[Any], current: str
    ) -> list[app_commands.Choice[str]]:
        """The models that are ready now and fit what was typed."""
        return model_choices(self._assistant.picture_models(), current)


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    bot.add_dynamic_items(PictureButton)
    await bot.add_cog(Imagine(bot.assistant, bot.drawings))
