"""The buttons on an answer. Each names what it is about, so it works after a restart too."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import discord

if TYPE_CHECKING:
    from bot import Colloquy

Button = discord.ui.Button[discord.ui.View]


class AnswerButton(discord.ui.DynamicItem[Button], template=r"ask:never"):
    """What the buttons have in common; their custom id has a number, and who asked where that matters."""

    action: ClassVar[str]

    def __init__(self, number: int, label: str = "", user_id: int = 0) -> None:
        custom_id = f"ask:{self.action}:{number}" + (f":{user_id}" if user_id else "")
        super().__init__(discord.ui.Button(label=label or "…", custom_id=custom_id))
        self._number = number
        self._user_id = user_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Called by discord.py for a press."""
        return cls(int(match["number"]), user_id=int(match.groupdict().get("user") or 0))

    async def callback(self, interaction: discord.Interaction[Any]) -> Any:
        """Do what the button says, with the care that commands get."""
        bot: Colloquy = interaction.client
        await bot.tree.answer_press(interaction, self.pressed(interaction, bot))

    def pressed(self, interaction: discord.Interaction[Any], bot: Colloquy) -> Awaitable[None]:
        """The work."""
        raise NotImplementedError


class Stop(AnswerButton, template=r"ask:stop:(?P<number>[0-9]+)"):
    """Ends the answer to an interaction while it is being written."""

    action = "stop"

    def pressed(self, interaction: discord.Interaction[Any], bot: Colloquy) -> Awaitable[None]:
        """Stop it."""
        return bot.answers.stops.stop(interaction, self._number)


class Regenerate(AnswerButton, template=r"ask:again:(?P<number>[0-9]+)(?::(?P<user>[0-9]+))?"):
    """Asks the question of a turn once more."""

    action = "again"

    def pressed(self, interaction: discord.Interaction[Any], bot: Colloquy) -> Awaitable[None]:
        """Ask it."""
        return bot.answers.ask_again(interaction, self._number, self._user_id)


class Continue(AnswerButton, template=r"ask:more:(?P<number>[0-9]+)(?::(?P<user>[0-9]+))?"):
    """Goes on with a turn whose answer reached its length limit."""

    action = "more"

    def pressed(self, interaction: discord.Interaction[Any], bot: Colloquy) -> Awaitable[None]:
        """Go on."""
        return bot.answers.go_on(interaction, self._number, self._user_id)


BUTTONS = (Stop, Regenerate, Continue)


def stop_view(interaction_id: int) -> discord.ui.View:
    """What stands below an answer while it is being written."""
    return _view(Stop(interaction_id, "Stop"))


def has_stop(message: discord.Message) -> bool:
    """Whether a message has the button that stands below an answer while it is being written."""
    rows = [row for row in message.components if isinstance(row, discord.ActionRow)]
    return any((item.custom_id or "").startswith("ask:stop:") for row in rows for item in row.children)


def answer_view(turn_id: int | None, finish_reason: str, user_id: int) -> discord.ui.View | None:
    """What stands below a finished answer to a member's question; nothing if it is not kept."""
    if turn_id is None:
        return None
    label = "Try again" if finish_reason == "interrupted" else "Regenerate"
    again, more = Regenerate(turn_id, label, user_id), Continue(turn_id, "Continue", user_id)
    return _view(again, more) if finish_reason == "length" else _view(again)


def _view(*buttons: AnswerButton) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(button)
    return view
