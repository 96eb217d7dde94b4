"""Notices of budgets: posted where a server's admins want them, and told to the host of the host's limits."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

from assistant.limits import in_unit
from assistant.values import BudgetNotice, Limit
from cogs.discord_calls import Outcome
from cogs.posting import post

if TYPE_CHECKING:
    from bot import Colloquy

log = logging.getLogger(__name__)

UNTOLD = (
    "Notices about the budgets of server {guild} cannot be posted: Discord refuses them in channel "
    "{channel}. The channel may be gone, or the bot may no longer post there."
)
# How often a notice is tried, with pauses that double from a minute: for half an hour.
MOST_TRIES = 6


class BudgetNotices:
    """Posts them. Each is told once, and so tried more than once."""

    def __init__(self, bot: Colloquy) -> None:
        self._bot = bot
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused: set[int] = set()  # channels that the host was told of

    def tell(self, notice: BudgetNotice) -> None:
        """Post a notice where its budget says; those of the host's own limits go to the host."""
        text = notice_text(notice)
        if notice.limit.by_host:
            log.warning("%s", text)
            self._bot.tell_owner(text)
        elif notice.limit.warn_channel_id:
            # What seemed to fail may be there all the same: of two with one nonce, Discord makes one message.
            first = self._start(notice.limit.warn_channel_id, text, nonce := secrets.token_hex(12))
            task = asyncio.create_task(self._see_to(first, notice.limit, text, nonce))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Try no more."""
        for task in self._tasks:
            task.cancel()

    def _start(self, channel_id: int, text: str, nonce: str) -> asyncio.Task[Outcome]:
        """Post in a task that the bot waits for when it stops, as it does not for the pauses."""
        return self._bot.tree.start(post(self._bot, channel_id, text, nonce=nonce))

    async def _see_to(self, posting: asyncio.Task[Outcome], limit: Limit, text: str, nonce: str) -> None:
        channel_id, pause = limit.warn_channel_id, self._bot.calls.late_seconds
        outcome = await posting
        for _ in range(MOST_TRIES - 1):
            if outcome is not Outcome.FAILED:
                break
            await asyncio.sleep(pause)
            pause *= 2
            outcome = await self._start(channel_id, text, nonce)
        if outcome is Outcome.ARRIVED:
            self._refused.discard(channel_id)
            return
        log.warning("a notice could not be posted in channel %d (%s): %s", channel_id, outcome.value, text)
        if outcome is not Outcome.FAILED and channel_id not in self._refused:
            self._refused.add(channel_id)
            self._bot.tell_owner(UNTOLD.format(guild=limit.guild_id, channel=channel_id))


def notice_text(notice: BudgetNotice) -> str:
    """How much of which budget is used, and when it begins anew."""
    limit = notice.limit
    when = "Today's" if limit.period == "day" else "This month's"
    used = f"{in_unit(notice.spent, limit.unit)} of {in_unit(limit.amount, limit.unit)}"
    if notice.percent is None:
        what = f"had no room for a request: {used} are used, and what is left was too little"
    else:
        what = f"is used to {notice.percent} %: {used}"
    return f"{when} budget {_for_whom(limit)} {what}. It begins anew <t:{limit.until}:R>."


def _for_whom(limit: Limit) -> str:
    names = {
        "bot": "of this bot",
        "channel": f"of <#{limit.scope_id}>",
        "role": f"of the role <@&{limit.scope_id}>",
        "member": f"of <@{limit.scope_id}>",
    }
    of_server = f"of server {limit.guild_id}" if limit.by_host else "of this server"
    return names.get(limit.scope, of_server)
