"""The weekly report of a server: who has asked for one, when it is due, and that it is posted once.

It is due when Monday begins in the server's time zone. A report is noted as posted before it is, and given
back when Discord could not be reached: a bot that is killed in between leaves out one report, whose figures
`/usage` still has. Noted afterwards, it would be posted twice then; for Discord forgets after a few minutes
by which nonce it would know a message again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from assistant.periods import Days, find_zone, monday_of, start_of, today
from db.engine import Connection, Database, DatabaseError
from db.guild_settings import read_time_zone
from db.usage import Grouping
from db.weekly import (
    Subscription,
    change_subscription,
    delete_subscription,
    read_subscription,
    read_subscriptions,
    write_subscription,
)

# After midnight: by then the last answers of Sunday are booked, since none takes longer than ten minutes.
SETTLING_SECONDS = 15 * 60
# How late a report may be, of a bot that was down.
LATEST_SECONDS = 2 * 86400
# After so many weeks in a row in which it could not be posted, a weekly report ends.
MOST_MISSED = 4
ONE_WEEK = timedelta(days=7)


class Unreadable(Exception):
    """Who gets a report cannot be read for now; the text says why."""


@dataclass(frozen=True, slots=True)
class DueReport:
    """A report to be posted now: on the week before `monday`."""

    subscription: Subscription
    monday: date

    @property
    def days(self) -> Days:
        """The week that it is about."""
        return Days(self.monday - ONE_WEEK, self.monday - timedelta(days=1))

    @property
    def posted(self) -> Subscription:
        """The subscription once this is posted."""
        return replace(self.subscription, posted=self.monday.isoformat())


class WeeklyReports:
    """Who gets a report when. Who may ask for one is for the caller to check."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._stopped = False

    def stop(self) -> None:
        """Let nothing more be posted: the bot ends, and what is claimed now would be lost."""
        self._stopped = True

    async def of_server(self, guild_id: int) -> Subscription | None:
        """A server's weekly report, if it has asked for one."""
        return await self._database.run(lambda connection: read_subscription(connection, guild_id))

    async def start(self, guild_id: int, channel_id: int, by: Grouping) -> date:
        """Have a report posted in a channel every week, and nowhere else; give the day of the first."""
        zone_name = await self._database.run(lambda connection: read_time_zone(connection, guild_id))
        monday = monday_of(today(find_zone(zone_name), self._clock()))
        await self._database.run(
            lambda connection: write_subscription(connection, guild_id, channel_id, by, monday.isoformat())
        )
        return monday + ONE_WEEK

    async def end(self, guild_id: int) -> bool:
        """Post no more reports for a server; False when none were."""
        return await self._database.run(lambda connection: delete_subscription(connection, guild_id))

    async def due(self) -> tuple[list[DueReport], float]:
        """What is to be posted now, and in how many seconds there will be more. Raises Unreadable."""
        if self._stopped:
            return [], math.inf
        now = self._clock()
        due, waits = [], []
        try:
            subscriptions = await self._database.run(read_subscriptions)
        except DatabaseError as error:
            raise Unreadable(str(error.__cause__ or error)) from None
        for subscription in subscriptions:
            zone = find_zone(subscription.time_zone)
            monday = monday_of(today(zone, now))
            begins, next_one = (start_of(day, zone) + SETTLING_SECONDS for day in (monday, monday + ONE_WEEK))
            waits.append((begins if now < begins else next_one) - now)
            if 0 <= now - begins < LATEST_SECONDS and subscription.posted < monday.isoformat():
                due.append(DueReport(subscription, monday))
        return due, min(waits, default=math.inf)

    async def claim(self, report: DueReport) -> bool:
        """Note that a report is posted, before it is; False when it is no longer for us to post."""
        return not self._stopped and await self._change(report.subscription, report.posted)

    async def give_back(self, report: DueReport) -> None:
        """Note that it is not posted yet, now or as soon as the database can be written."""

        async def note(connection: Connection) -> None:
            await change_subscription(connection, report.posted, report.subscription)

        try:
            await self._database.run(note)
        except DatabaseError:
            self._database.owe(note)

    async def arrived(self, report: DueReport) -> None:
        """Note that it could be posted."""
        if report.subscription.missed:
            await self._change(report.posted, replace(report.posted, missed=0))

    async def missed(self, report: DueReport) -> bool:
        """Note that it could not be posted; True when that was once too often, and there will be no more."""
        missed = report.posted.missed + 1
        if not await self._change(report.posted, replace(report.posted, missed=missed)):
            return False  # it goes elsewhere by now
        return missed >= MOST_MISSED and await self.end(report.posted.guild_id)

    async def _change(self, known: Subscription, changed: Subscription) -> bool:
        return await self._database.run(lambda connection: change_subscription(connection, known, changed))
