"""The models to choose from, as Discord shows them while a member types."""

from __future__ import annotations

from collections.abc import Sequence

from discord import app_commands

from assistant.values import ModelChoice

# Discord's limits.
MOST_CHOICES = 25
CHOICE_LENGTH = 100


def model_choices(models: Sequence[ModelChoice], typed: str) -> list[app_commands.Choice[str]]:
    """Those of the models that fit what was typed, as many as Discord takes."""
    typed = typed.strip().lower()
    choices: list[app_commands.Choice[str]] = []
    for model in models:
        if len(model.value) <= CHOICE_LENGTH and typed in f"{model.label} {model.value}".lower():
            name = f"{model.label} (default)" if model.default else model.label
            choices.append(app_commands.Choice(name=_cut(name), value=model.value))
    return choices[:MOST_CHOICES]


def _cut(name: str) -> str:
    return name if len(name) <= CHOICE_LENGTH else name[: CHOICE_LENGTH - 1] + "…"
