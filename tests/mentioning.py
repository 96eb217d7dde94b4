"""What the tests of questions in ordinary messages share."""

from __future__ import annotations

import asyncio
from typing import Any

from bot import Colloquy
from tests.fake_discord import CHANNEL_ID, GUILD_ID, MEMBER, FakeDiscord, FakeMessage, FakeUser
from tests.fake_discord_messages import say

ON = {"chat": {"answer_mentions": True}}
BOT_MENTION = "<@100000000000000001>"
ANOTHER = FakeUser(200_000_000_000_000_002, "grace", "Grace")


async def write(fake: FakeDiscord, content: str, **fields: Any) -> FakeMessage:
    """A member's message in the usual channel, which mentions the bot where its text does."""
    if BOT_MENTION in content:
        fields["mentions"] = [*fields.get("mentions", ()), fake.bot_user]
    place: dict[str, Any] = {"user": MEMBER, "channel_id": CHANNEL_ID, "guild_id": GUILD_ID}
    return await say(fake, content, **(place | fields))


def replies(fake: FakeDiscord) -> list[FakeMessage]:
    return [message for message in fake.messages if message.author == fake.bot_user]


async def until_replied(fake: FakeDiscord, ending: str, timeout: float = 5) -> FakeMessage:
    await fake.until(lambda: any(reply.content.endswith(ending) for reply in replies(fake)), timeout)
    return replies(fake)[-1]


async def until_done(bot: Colloquy) -> None:
    """Wait until everything is answered and delivered."""
    if bot.tree.running:
        await asyncio.wait(set(bot.tree.running), timeout=10)
