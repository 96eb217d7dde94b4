"""What a member reads when a command fails."""

from __future__ import annotations

from discord import app_commands

SORRY = "Something went wrong in the bot, and its host can read what in the log. Please try again later."


class NotTheHost(app_commands.CheckFailure):
    """Only the bot's host may do this."""


def sentence_for(error: Exception) -> str:
    """One sentence: what to do about a known mistake, else SORRY."""
    if isinstance(error, app_commands.MissingPermissions):
        names = ", ".join(
            name.replace("_", " ").replace("guild", "server") for name in error.missing_permissions
        )
        return f"You need the permission to {names} for this."
    if isinstance(error, NotTheHost):
        return "Only the bot's host can see this."
    if isinstance(error, app_commands.NoPrivateMessage):
        return "This works only in a server."
    if isinstance(error, (app_commands.CommandNotFound, app_commands.CommandSignatureMismatch)):
        return "This command has changed with an update. Restart Discord to see its new form."
    return SORRY
