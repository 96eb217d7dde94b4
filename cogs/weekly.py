"""The weekly reports of servers, posted when they are due."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import discord
from discord.ext import commands

from assistant.charts import chart
from assistant.values import View
from assistant.weekly import DueReport, Unreadable
from cogs.discord_calls import Outcome
from cogs.posting import post
from cogs.report_texts import as_message
from cogs.reports import WeeklyButton

if TYPE_CHECKING:
    from bot import Colloquy

log = logging.getLogger(__name__)

# The timer looks again after an hour at the latest: clocks are put right, and another process may have been
# asked for a report. It reads one small table.
LONGEST_SLEEP_SECONDS = 3600.0
MISSED = (
    "The weekly report of server {guild} could not be posted: Discord refuses it in channel {channel}. "
    "The channel may be gone, or the bot may no longer post there."
)
GIVEN_UP = " That was so for the fourth week in a row: there will be no more."


class Weekly(commands.Cog):
    """One timer, which sleeps until the next report is due."""

    def __init__(self, bot: Colloquy) -> None:
        self._bot = bot

    async def cog_load(self) -> None:
        """Start the timer."""
        self._timer = asyncio.create_task(self._keep_time())

    async def cog_unload(self) -> None:
        """Stop it."""
        self._timer.cancel()

    async def _keep_time(self) -> None:
        await self._bot.wait_until_ready()
        pause = self._bot.calls.late_seconds
        while True:
            all_done, seconds = await self._post_due()
            if all_done:
                pause = self._bot.calls.late_seconds
            else:
                seconds, pause = min(seconds, pause), min(2 * pause, LONGEST_SLEEP_SECONDS)
            await asyncio.sleep(min(seconds, LONGEST_SLEEP_SECONDS))

    async def _post_due(self) -> tuple[bool, float]:
        """Post what is due: whether nothing needs another try, and the seconds until more will be due."""
        try:
            due, seconds = await self._bot.assistant.weekly.due()
        except Unreadable as error:
            log.warning("who gets a weekly report cannot be read: %s", error)
            return False, LONGEST_SLEEP_SECONDS
        done = [await self._post(report) for report in due]
        if due and all(done):  # posting took its time
            return True, 0
        return all(done), seconds

    async def _post(self, report: DueReport) -> bool:
        """Post a report; False: another try may help."""
        try:  # in a task that the bot waits for when it stops
            return await self._bot.tree.start(self._post_claimed(report))
        except Exception:  # one that cannot be made must not hold up the others
            log.exception("the weekly report of server %d cannot be made", report.subscription.guild_id)
            return False

    async def _post_claimed(self, report: DueReport) -> bool:
        bot, weekly, subscription = self._bot, self._bot.assistant.weekly, report.subscription
        found = await bot.assistant.reports.report(View(subscription.guild_id), report.days, subscription.by)
        picture = await chart(found)
        text, files = as_message(found, picture)
        view = discord.ui.View(timeout=None)
        view.add_item(WeeklyButton(None))
        if not await weekly.claim(report):  # another process posts it, or nobody wants it any more
            return True
        # What seemed to fail may be there all the same: of two with one nonce, Discord makes one message.
        nonce = f"{subscription.guild_id}-{report.monday:%m%d}"
        outcome = await post(bot, subscription.channel_id, text, files=files, view=view, nonce=nonce)
        if outcome is Outcome.ARRIVED:
            await weekly.arrived(report)
        elif outcome is Outcome.FAILED:
            await weekly.give_back(report)
            return False
        else:
            given_up = GIVEN_UP if await weekly.missed(report) else ""
            sentence = MISSED.format(guild=subscription.guild_id, channel=subscription.channel_id) + given_up
            log.warning("%s", sentence)
            bot.tell_owner(sentence)
        return True


async def setup(bot: Colloquy) -> None:
    """Called by discord.py."""
    await bot.add_cog(Weekly(bot))
