"""Reports over the roll-up. Periods run from `since` to before `until`, multiples of 900 s since 1970.

Whole days (UTC) are read from the daily sums, and members' in eights of them. What a period has at its ends
beyond them, as it does in every zone but UTC, is read from the quarters of an hour; it is less than two days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Table, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from db.ledger import attempts
from db.rollup import BLOCK, DAY, SUMS, WHOLE_BOT, Totals, slots, summed

# The longest stretch of time that is read at once where all lines are wanted.
PART = 4 * BLOCK

Grouping = Literal["member", "channel", "command", "model", "provider", "day", "server", "key"]


@dataclass(frozen=True, slots=True)
class View:
    """What a report is about: a server, a member in it (`user_id`), or the whole bot (no `guild_id`)."""

    guild_id: int | None
    user_id: int | None = None


class Line(NamedTuple):
    """One line of a report: an id or a name, and its sums. Of a day: when it begins."""

    key: int | str
    totals: Totals


async def read_totals(connection: AsyncConnection, view: View, since: int, until: int) -> Totals:
    """The sums of a whole period."""
    found = _gathered(_sources(view, None, since, until))
    row = (await connection.execute(select(*_summed_up(found)))).one()
    return _totals(row)


async def read_top(
    connection: AsyncConnection, view: View, by: Grouping, since: int, until: int, limit: int
) -> tuple[list[Line], int]:
    """The lines with the most tokens and pictures, most first, and how many lines there are in all."""
    # The database sorts what it groups, with all sums in tow: so first who, by three of them, then what.
    weights = ("prompt_tokens", "completion_tokens", "pictures")
    sources = _sources(view, by, since, until)
    found = _gathered([_only(source, weights) for source in sources])
    tokens = func.sum(found.c.prompt_tokens + found.c.completion_tokens)
    heaviest = (
        select(found.c.line, func.count().over())
        .group_by(found.c.line)
        .order_by(tokens.desc(), func.sum(found.c.pictures).desc(), found.c.line)
        .limit(limit)
    )
    top = (await connection.execute(heaviest)).all()
    keys = [key for key, _ in top]
    chosen = [source.where(source.selected_columns.line.in_(keys)) for source in sources]
    lines = await read_part(connection, chosen)
    return sorted(lines, key=weight), top[0][1] if top else 0


def parts(view: View, by: Grouping, since: int, until: int) -> list[list[Select[Any]]]:
    """What all lines of a period are read from, in parts that do not take long."""
    packed: list[list[Select[Any]]] = []
    room, last = 0, None
    for table, stretch, source in _stretches(view, by, since, until, PART):
        if table is not last or stretch > room:
            packed.append([])
            room, last = PART, table
        packed[-1].append(source)
        room -= stretch
    return packed


async def read_part(connection: AsyncConnection, sources: Sequence[Select[Any]]) -> list[Line]:
    """The lines of one part, in no order. A line may be in several parts."""
    found = _gathered(sources)
    rows = await connection.execute(select(found.c.line, *_summed_up(found)).group_by(found.c.line))
    return [Line(row[0], _totals(row[1:])) for row in rows]


def _totals(sums: Sequence[int]) -> Totals:
    # PostgreSQL's sums of whole numbers are decimals.
    return Totals._make(sums if type(sums[0]) is int else map(int, sums))


def weight(line: Line) -> tuple[int, int, int | str]:
    """The order of lines: those with the most tokens and pictures come first."""
    totals = line.totals
    return -totals.prompt_tokens - totals.completion_tokens, -totals.pictures, line.key


def _only(source: Select[Any], names: Sequence[str]) -> Select[Any]:
    columns = source.selected_columns
    return source.with_only_columns(columns.line, *(columns[name] for name in names))


async def read_days(connection: AsyncConnection, view: View, starts: Sequence[int], until: int) -> list[Line]:
    """The sums of each day, by its beginning; the last one lasts until `until`."""
    totals = dict.fromkeys(starts, Totals())
    table, time, conditions = _by_time(view, starts)
    ends = [*starts[1:], until]
    first = 0
    while first < len(starts):
        # A run of days of 24 hours is read at once; a day on which the clocks change, by itself.
        last = first
        whole = ends[first] - starts[first] == DAY
        while whole and last + 1 < len(starts) and ends[last + 1] - starts[last + 1] == DAY:
            last += 1
        begin = literal(starts[first])
        day = time - (time - begin) % DAY if whole else begin
        sums = (func.sum(table.c[name]) for name in SUMS)
        statement = select(day.label("day"), *sums).where(
            *conditions, time >= starts[first], time < ends[last]
        )
        for row in await connection.execute(statement.group_by("day")):
            totals[row[0]] = _totals(row[1:])
        first = last + 1
    return [Line(start, totals[start]) for start in starts]


async def count_by_key(connection: AsyncConnection, since: int) -> dict[tuple[str, str], tuple[int, int]]:
    """Of each provider and the setting that holds its key: requests that may cost, and refused ones."""
    refused = func.sum(case((attempts.c.state == "unbilled", 1), else_=0))
    rows = await connection.execute(
        select(attempts.c.provider, attempts.c.key_variable, func.count() - refused, refused)
        .where(attempts.c.sent_at >= since, attempts.c.error_class != "not_sent")
        .group_by(attempts.c.provider, attempts.c.key_variable)
    )
    return {(provider, variable): (int(good), int(bad)) for provider, variable, good, bad in rows}


def _summed_up(found: FromClause) -> list[ColumnElement[int]]:
    return [func.coalesce(func.sum(found.c[name]), 0) for name in SUMS]


def _gathered(sources: Sequence[Select[Any]]) -> FromClause:
    return (union_all(*sources) if len(sources) > 1 else sources[0]).subquery()


def _sources(view: View, by: Grouping | None, since: int, until: int) -> list[Select[Any]]:
    return [source for _, _, source in _stretches(view, by, since, until, max(1, until - since))]


def _stretches(
    view: View, by: Grouping | None, since: int, until: int, longest: int
) -> list[tuple[Table, int, Select[Any]]]:
    """A SELECT for each table and stretch of time that a period is read from, with its seconds."""
    found: list[tuple[Table, int, Select[Any]]] = []

    def add(table: Table, place: ColumnElement[bool], begin: int, end: int) -> None:
        time, line = table.c.slot if table is slots else table.c.time, _column(table, by)
        sums = [table.c[name] for name in SUMS]
        for start in range(begin, end, longest):
            stop = min(end, start + longest)
            source = select(line.label("line"), *sums).where(place, time >= start, time < stop)
            found.append((table, stop - start, source))

    if view.user_id is not None:
        place = slots.c.user_id == view.user_id
        if view.guild_id is not None:
            place = place & (slots.c.guild_id == view.guild_id)
        add(slots, place, since, until)
    elif view.guild_id is None:  # its days are UTC's
        kind = "server" if by == "server" else "bot"
        add(summed, _of_kind(WHOLE_BOT, kind), since, until)
    else:
        detailed = by in ("member", "channel")
        first_day, last_day = since + -since % DAY, until - until % DAY
        if first_day >= last_day:
            first_day = last_day = until
        first_block, last_block = first_day + -first_day % BLOCK, last_day - last_day % BLOCK
        if by != "member" or first_block >= last_block:
            first_block = last_block = last_day
        days = _of_kind(view.guild_id, by if by == "member" or by == "channel" else "day")
        add(summed, days, first_day, first_block)
        add(summed, _of_kind(view.guild_id, "member8"), first_block, last_block)
        add(summed, days, last_block, last_day)
        for begin, end in ((since, first_day), (last_day, until)):
            if detailed:
                add(slots, slots.c.guild_id == view.guild_id, begin, end)
            else:
                add(summed, _of_kind(view.guild_id, "slot"), begin, end)
    return found


def _of_kind(guild_id: int, kind: str) -> ColumnElement[bool]:
    return (summed.c.guild_id == guild_id) & (summed.c.kind == kind)


def _column(table: Table, by: Grouping | None) -> ColumnElement[Any]:
    if by is None:
        return literal(0)
    names = {"member": "user_id", "channel": "channel_id", "server": "guild_id", "key": "key_variable"}
    name = names.get(by, by)
    return table.c.subject_id if table is summed and name.endswith("_id") else table.c[name]


def _by_time(
    view: View, starts: Sequence[int]
) -> tuple[Table, ColumnElement[int], list[ColumnElement[bool]]]:
    if view.user_id is not None:
        conditions = [slots.c.user_id == view.user_id]
        if view.guild_id is not None:
            conditions.append(slots.c.guild_id == view.guild_id)
        return slots, slots.c.slot, conditions
    kind = "slot" if any(start % DAY for start in starts) else "day"
    if view.guild_id is None:
        kind = "bot"
    guild_id = WHOLE_BOT if view.guild_id is None else view.guild_id
    return summed, summed.c.time, [summed.c.guild_id == guild_id, summed.c.kind == kind]
