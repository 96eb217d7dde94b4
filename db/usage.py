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


async def read_lines(
    connection: AsyncConnection, view: View, by: Grouping, since: int, until: int, limit: int | None = None
) -> tuple[list[Line], int]:
    """The lines of a report, those with the most tokens and pictures first, and how many there are."""
    sources = _sources(view, by, since, until)
    if limit is None:
        lines = await _sum_up(connection, sources)
        return lines, len(lines)
    # The database sorts what it groups, with all sums in tow: so first who, by three of them, then what.
    weights = ("prompt_tokens", "completion_tokens", "pictures")
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
    lines = await _sum_up(
        connection, [source.where(source.selected_columns.line.in_(keys)) for source in sources]
    )
    return lines, top[0][1] if top else 0


async def _sum_up(connection: AsyncConnection, sources: list[Select[Any]]) -> list[Line]:
    found = _gathered(sources)
    rows = await connection.execute(select(found.c.line, *_summed_up(found)).group_by(found.c.line))
    lines = [Line(row[0], _totals(row[1:])) for row in rows]
    lines.sort(key=_weight)
    return lines


def _totals(sums: Sequence[int]) -> Totals:
    # PostgreSQL's sums of whole numbers are decimals.
    return Totals._make(sums if type(sums[0]) is int else map(int, sums))


def _weight(line: Line) -> tuple[int, int, int | str]:
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


def _gathered(sources: list[Select[Any]]) -> FromClause:
    return (union_all(*sources) if len(sources) > 1 else sources[0]).subquery()


def _sources(view: View, by: Grouping | None, since: int, until: int) -> list[Select[Any]]:
    """One SELECT for each table and stretch of time that a period is read from."""
    if view.user_id is not None:
        place = slots.c.user_id == view.user_id
        if view.guild_id is not None:
            place = place & (slots.c.guild_id == view.guild_id)
        return [_source(slots, slots.c.slot, place, _column(slots, by), since, until)]
    if view.guild_id is None:  # its days are UTC's
        place = (summed.c.guild_id == WHOLE_BOT) & (summed.c.kind == ("server" if by == "server" else "bot"))
        return [_source(summed, summed.c.time, place, _column(summed, by), since, until)]
    place = summed.c.guild_id == view.guild_id
    detailed = by in ("member", "channel")
    first_day, last_day = since + -since % DAY, until - until % DAY
    found = []
    if first_day < last_day:
        kind: str = by if by == "member" or by == "channel" else "day"
        parts = [(kind, first_day, last_day)]
        first_block, last_block = first_day + -first_day % BLOCK, last_day - last_day % BLOCK
        if by == "member" and first_block < last_block:
            blocks = ("member8", first_block, last_block)
            parts = [(kind, first_day, first_block), blocks, (kind, last_block, last_day)]
        for name, begin, end in parts:
            if begin < end:
                days = place & (summed.c.kind == name)
                found.append(_source(summed, summed.c.time, days, _column(summed, by), begin, end))
        ends = [(since, first_day), (last_day, until)]
    else:
        ends = [(since, until)]
    for begin, end in ends:
        if begin < end and detailed:
            here = slots.c.guild_id == view.guild_id
            found.append(_source(slots, slots.c.slot, here, _column(slots, by), begin, end))
        elif begin < end:
            quarters = place & (summed.c.kind == "slot")
            found.append(_source(summed, summed.c.time, quarters, _column(summed, by), begin, end))
    return found or [_source(summed, summed.c.time, place, _column(summed, by), since, until)]


def _source(
    table: Table,
    time: ColumnElement[int],
    place: ColumnElement[bool],
    line: ColumnElement[Any],
    since: int,
    until: int,
) -> Select[Any]:
    sums = (table.c[name] for name in SUMS)
    return select(line.label("line"), *sums).where(place, time >= since, time < until)


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
