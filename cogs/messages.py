"""Ordinary messages: what the bot needs to hear of them, and what they say, as plain text for a model."""

from __future__ import annotations

import re
from collections.abc import Iterable

import discord

# Neither is privileged: Discord delivers the text of what mentions the bot, replies to it or is sent to it.
INTENTS = discord.Intents(guild_messages=True, dm_messages=True)
PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    read_message_history=True,
    attach_files=True,
)

MENTION = re.compile(r"<@!?([0-9]{15,20})>")


def text_of(message: discord.Message) -> str:
    """The message's text with names in place of mentions, that of its embeds, and what it forwards."""
    parts = [with_names(message), *map(_text_of_embed, message.embeds)]
    for forwarded in message.message_snapshots:
        parts += [forwarded.content, *map(_text_of_embed, forwarded.embeds)]
    return _lines(parts)


def with_names(message: discord.Message, leave_out: discord.abc.User | None = None) -> str:
    """The message's own text, in which mentioned people have their names, but for one who is left out."""
    names = {str(user.id): f"@{user.display_name}" for user in message.mentions}
    if leave_out is not None:
        names[str(leave_out.id)] = ""
    return MENTION.sub(lambda match: names.get(match[1], match[0]), message.content)


def attachments_of(message: discord.Message) -> list[discord.Attachment]:
    """The message's files and those of what it forwards."""
    forwarded = [file for snapshot in message.message_snapshots for file in snapshot.attachments]
    return [*message.attachments, *forwarded]


def _text_of_embed(embed: discord.Embed) -> str:
    fields = (f"{field.name}: {field.value}" for field in embed.fields)
    return _lines((embed.author.name, embed.title, embed.description, *fields, embed.footer.text))


def _lines(parts: Iterable[str | None]) -> str:
    return "\n".join(part for part in parts if part)
