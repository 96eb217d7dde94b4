"""What was used: reports for a server's admins, for members themselves and for the host."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import partial
from itertools import pairwise
from operator import add

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
from db.usage import Grouping, Line, View, parts, read_days, read_part, read_top, read_totals, weight

# What is read at once: more would hold up answers, which wait for the same connection.
DAYS_AT_ONCE = 31
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


async def time_zone_of(database: Database, view: View) -> str:
    """The zone of a view's days: the server's; UTC's for direct messages and for the whole bot."""
    if not view.guild_id:
        return UTC_NAME
    guild_id = view.guild_id
    return await database.run(lambda connection: read_time_zone(connection, guild_id))


async def report(
    database: Database,
    view: View,
    days: Days,
    by: Grouping,
    zone_name: str,
    now: float,
    top: int | None = TOP,
) -> Report:
    """A report over whole days of a zone; `top` None: with every line.

    Each part is read in a transaction of its own, so that answers come in between.
    """
    zone = find_zone(zone_name)
    before_days = days.before()
    before_since, before_until = bounds(before_days, zone)
    current = today(zone, now)
    if days.first <= current <= days.last:
        same_day = before_days.first + (current - days.first)
        elapsed = now - start_of(current, zone)
        before_until = min(before_until, _next_slot(start_of(same_day, zone) + elapsed))
    before = await _totals(database, view, before_since, before_until)
    daily = await _daily(database, view, days, zone)
    if by == "day":
        lines = [Line(start_of(day, zone), totals) for day, totals in daily]
        count = len(lines)
    else:
        lines, count = await _lines(database, view, days, by, zone, top)
    totals = await _totals(database, view, *bounds(days, zone))
    rest = _less(totals, [line.totals for line in lines])
    return Report(view, by, days, zone_name, totals, before, lines, rest, count - len(lines), daily)


async def _totals(database: Database, view: View, since: int, until: int) -> Totals:
    return await database.run(partial(read_totals, view=view, since=since, until=until))


async def _daily(database: Database, view: View, days: Days, zone: tzinfo) -> list[tuple[date, Totals]]:
    found: list[Totals] = []
    for part in _parts(days):
        starts, until = [start_of(day, zone) for day in part], bounds(part, zone)[1]
        lines = await database.run(partial(read_days, view=view, starts=starts, until=until))
        found += [line.totals for line in lines]
    return list(zip(days, found, strict=True))


async def _lines(
    database: Database, view: View, days: Days, by: Grouping, zone: tzinfo, top: int | None
) -> tuple[list[Line], int]:
    since, until = bounds(days, zone)
    if top is not None and days.count <= DAYS_AT_ONCE:
        read = partial(read_top, view=view, by=by, since=since, until=until, limit=top)
        return await database.run(read)
    sums: dict[int | str, Totals] = {}
    for part in parts(view, by, since, until):
        for key, totals in await database.run(partial(read_part, sources=part)):
            known = sums.get(key)
            sums[key] = Totals._make(map(add, known, totals)) if known else totals
    lines = sorted(map(Line._make, sums.items()), key=weight)
    return lines[:top], len(lines)


def _parts(days: Days) -> Iterable[Days]:
    """The days in parts that are small enough to be read at once."""
    cuts = [*list(days)[::DAYS_AT_ONCE], None]
    for first, after in pairwise(cuts):
        assert first is not None
        yield Days(first, days.last if after is None else date.fromordinal(after.toordinal() - 1))


def _next_slot(moment: float) -> int:
    return -int(-moment // SLOT) * SLOT


def _less(totals: Totals, lines: Iterable[Totals]) -> Totals:
    """What is left of the totals. Never below nothing: something may be booked between two reads."""
    used = [0] * len(totals)
    for line in lines:
        used = list(map(add, used, line))
    return Totals(*(max(0, total - part) for total, part in zip(totals, used, strict=True)))


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
            by_model, _ = await read_top(connection, view, "model", *spans[period], TOP)
            return MemberUsage(totals, by_model, zone_name)

        return await self._database.run(read)

    async def time_zone(self, guild_id: int) -> str:
        """The name of a server's time zone."""
        return await time_zone_of(self._database, View(guild_id))

    async def set_time_zone(self, guild_id: int, name: str) -> None:
        """Set whose days a server's reports and budgets have, those of the past too. Raises BadPeriod."""
        if name not in zone_names():
            raise BadPeriod("There is no such time zone. They are named as Europe/Berlin or Asia/Kolkata.")
        await self._database.run(lambda connection: write_time_zone(connection, guild_id, name))
