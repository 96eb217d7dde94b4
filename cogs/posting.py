"""Posting in a server's channel what no command has asked for, and what that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord

from cogs.discord_calls import Outcome

if TYPE_CHECKING:
    from bot import Colloquy

# And nothing more. So what is posted has no embeds: they would take one permission more.
POSTING = discord.Permissions(view_channel=True, send_messages=True, attach_files=True)
NOT_NOW = "Discord did not take a message into <#{channel}> just now, so nothing was set. Please try again."
CANNOT_POST = (
    "I cannot post in <#{channel}>, so nothing was set. Invite me with this link, and let me view the "
    "channel, send messages and attach files there: <{link}>"
)


async def post(bot: Colloquy, channel_id: int, text: str, **more: Any) -> Outcome:
    """Send a message into a channel, and say whether it got there."""
    channel = bot.get_partial_messageable(channel_id)
    return (await bot.calls.attempt(channel.send(text, **more))).outcome


async def try_posting(bot: Colloquy, guild_id: int, channel_id: int, announcement: str) -> str | None:
    """What an admin reads who wants things posted in a channel where that does not work; None: it does.

    The bot is not told what it may do there: so it posts.
    """
    outcome = await post(bot, channel_id, announcement)
    if outcome is Outcome.FAILED:
        return NOT_NOW.format(channel=channel_id)
    return None if outcome is Outcome.ARRIVED else cannot_post(bot, guild_id, channel_id)


def cannot_post(bot: Colloquy, guild_id: int, channel_id: int) -> str:
    """What an admin reads where posting failed, with the link that invites the bot as a member who may."""
    link = discord.utils.oauth_url(
        bot.application_id or 0,
        permissions=POSTING,
        guild=discord.Object(guild_id),
        scopes=("bot", "applications.commands"),
    )
    return CANNOT_POST.format(channel=channel_id, link=link)
