"""What was used: reports for a server's admins, for members themselves and for the host."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, tzinfo
from operator import sub

from assistant.periods import (
    BadPeriod,
    Days,
    NamedPeriod,
    bounds,
    days_between,
    find_zone,
    named_days,
    start_of,
    today,
    zone_names,
)
from assistant.values import PERIODS, MemberUsage, Period
from db.engine import Connection, Database
from db.guild_settings import UTC_NAME, read_time_zone, write_time_zone
from db.rollup import SLOT, Totals
from db.usage import Grouping, Line, View, read_days, read_lines, read_totals

TOP = 10


@dataclass(frozen=True, slots=True)
class Report:
    """What was used in a period, and in as many days right before it.

    `lines` are the heaviest, or every day; `rest` is all that is in none of them, and `others` says how many
    more lines that would be. Of a period that still runs, `before` ends at the same time of the day.
    """

    view: View
    by: Grouping
    days: Days
    time_zone: str
    totals: Totals
    before: Totals
    lines: list[Line]
    rest: Totals
    others: int
    daily: list[tuple[date, Totals]]

    def change(self, name: str) -> float | None:
        """By how much a sum has grown against the period before: 0.5 is by half; None: there was none."""
        before: int = getattr(self.before, name)
        return (getattr(self.totals, name) - before) / before if before else None


async def report(
    database: Database,
    view: View,
    days: Days,
    by: Grouping,
    zone_name: str,
    now: float,
    top: int | None = TOP,
) -> Report:
    """A report over whole days of a zone; `top` None: with every line. All of it is of one moment."""
    zone = find_zone(zone_name)
    since, until = bounds(days, zone)
    before_since, before_until = _bounds_before(days, zone, now)
    starts = [start_of(day, zone) for day in days]

    async def read(connection: Connection) -> Report:
        before = await read_totals(connection, view, before_since, before_until)
        of_days = await read_days(connection, view, starts, until)
        totals = _added(of_days)
        if by == "day":
            lines, count = of_days, len(of_days)
        else:
            lines, count = await read_lines(connection, view, by, since, until, top)
        rest = Totals._make(map(sub, totals, _added(lines))) if count > len(lines) else Totals()
        daily = [(day, line.totals) for day, line in zip(days, of_days, strict=True)]
        return Report(view, by, days, zone_name, totals, before, lines, rest, count - len(lines), daily)

    return await database.read(read)


def _bounds_before(days: Days, zone: tzinfo, now: float) -> tuple[int, int]:
    before = days.before()
    since, until = bounds(before, zone)
    current = today(zone, now)
    if days.first <= current <= days.last:
        same_day = before.first + (current - days.first)
        until = min(until, _next_slot(start_of(same_day, zone) + now - start_of(current, zone)))
    return since, until


def _next_slot(moment: float) -> int:
    return -int(-moment // SLOT) * SLOT


def _added(lines: Iterable[Line]) -> Totals:
    return Totals._make(map(sum, zip(*(line.totals for line in lines), strict=True)))


async def time_zone_of(database: Database, view: View) -> str:
    """The zone of a view's days: the server's; UTC's for direct messages and for the whole bot."""
    if not view.guild_id:
        return UTC_NAME
    guild_id = view.guild_id
    return await database.read(lambda connection: read_time_zone(connection, guild_id))


class Reports:
    """What `/usage`, `/mine usage` and `/host usage` show. Who may see it is for the caller to check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(self, view: View, period: NamedPeriod | tuple[str, str]) -> Days:
        """The days of a named period, or from one date to another, in the view's zone. Raises BadPeriod."""
        day = today(find_zone(await time_zone_of(self._database, view)), time.time())
        return named_days(period, day) if isinstance(period, str) else days_between(*period, day)

    async def report(self, view: View, days: Days, by: Grouping, top: int | None = TOP) -> Report:
        """A report in the view's time zone; `top` None: with every line, as for a file."""
        zone_name = await time_zone_of(self._database, view)
        return await report(self._database, view, days, by, zone_name, time.time(), top)

    async def of_member(self, guild_id: int, user_id: int, period: Period) -> MemberUsage:
        """What a member used in one server, or in direct messages (`guild_id` 0); the models of a period."""
        view = View(guild_id, user_id)
        zone_name = await time_zone_of(self._database, view)
        zone = find_zone(zone_name)
        day = today(zone, time.time())
        spans = {name: bounds(named_days(name, day), zone) for name in PERIODS}

        async def read(connection: Connection) -> MemberUsage:
            totals = {name: await read_totals(connection, view, *span) for name, span in spans.items()}
            by_model, _ = await read_lines(connection, view, "model", *spans[period], TOP)
            return MemberUsage(totals, by_model, zone_name)

        return await self._database.read(read)

    async def time_zone(self, guild_id: int) -> str:
        """The name of a server's time zone."""
        return await time_zone_of(self._database, View(guild_id))

    async def set_time_zone(self, guild_id: int, name: str) -> None:
        """Set whose days a server's reports and budgets have, those of the past too. Raises BadPeriod."""
        if name not in zone_names():
            raise BadPeriod("There is no such time zone. They are named as Europe/Berlin or Asia/Kolkata.")
        await self._database.run(lambda connection: write_time_zone(connection, guild_id, name))
