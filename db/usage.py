"""Reports over the roll-up. Periods run from `since` to before `until`, multiples of 900 s since 1970.

Whole days (UTC) are read from the daily sums, and members' in fours and sixteens of them. What a period has
at its ends beyond them, as it does in every zone but UTC, is read from the quarters of an hour; it is less
than two days. A period after which nothing was used, as one that still runs, is read to the end of its last
sixteen days, and has no such end there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    case,
    column,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from db.ledger import attempts
from db.rollup import DAY, SPANS, SUMS, WHOLE_BOT, Totals, slots, summed

# The kinds of sums that a server's lines are read from, the longest first; "day" has the other groupings.
LEVELS = {"member": ("member16", "member4", "member"), "channel": ("channel",)}
# So many times are named one by one: then the database finds subjects among them without reading the rest.
FEW = 400

# What is selected from what was gathered. Built once: that takes longer than to read a small server's.
LINE: ColumnElement[Any] = column("line")
TOKENS: ColumnElement[int] = func.sum(column("tokens"))
BOTH_TOKENS: ColumnElement[int] = func.sum(column("prompt_tokens") + column("completion_tokens"))
PICTURES: ColumnElement[int] = func.sum(column("pictures"))
SUMMED_UP: list[ColumnElement[int]] = [func.coalesce(func.sum(column(name)), 0) for name in SUMS]

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
    row = (await connection.execute(select(*SUMMED_UP).select_from(found))).one()
    return _totals(row)


async def read_lines(
    connection: AsyncConnection, view: View, by: Grouping, since: int, until: int, limit: int | None
) -> tuple[list[Line], int]:
    """The lines with the most tokens and pictures, most first, and how many lines there are in all.

    All of them where `limit` is None.
    """
    if not await _used_since(connection, view, until):
        until += -until % max(SPANS.values())
    if limit is None:
        lines = await _lines(connection, _sources(view, by, since, until))
        return lines, len(lines)
    # The database sorts what it groups, with all sums in tow: so first who, by what counts, and then what.
    found = _gathered(_sources(view, by, since, until, _weights))
    weights = (TOKENS.label("tokens"), PICTURES.label("pictures"))
    weighed = select(LINE, *weights).select_from(found).group_by(LINE).cte()
    count = select(func.count()).select_from(weighed).scalar_subquery()
    order = _order(weighed.c.line, weighed.c.tokens, weighed.c.pictures)
    top = (await connection.execute(select(weighed.c.line, count).order_by(*order).limit(limit))).all()
    keys = [key for key, _ in top]
    chosen = [
        source.where(source.selected_columns.line.in_(keys)) for source in _sources(view, by, since, until)
    ]
    return await _lines(connection, chosen), top[0][1] if top else 0


async def _lines(connection: AsyncConnection, sources: Sequence[Select[Any]]) -> list[Line]:
    statement = select(LINE, *SUMMED_UP).select_from(_gathered(sources)).group_by(LINE)
    rows = (await connection.execute(statement.order_by(*_order(LINE, BOTH_TOKENS, PICTURES)))).all()
    return [Line(row[0], _totals(row[1:])) for row in rows]


async def _used_since(connection: AsyncConnection, view: View, moment: int) -> bool:
    """Whether anything was, for all that is known where that is not looked up."""
    if view.guild_id is None or view.user_id is not None:
        return True
    later = _of_kind(view.guild_id, "slot") & (summed.c.time >= moment)
    return await connection.scalar(select(summed.c.time).where(later).limit(1)) is not None


def _order(
    line: ColumnElement[Any], tokens: ColumnElement[int], pictures: ColumnElement[int]
) -> list[ColumnElement[Any]]:
    return [tokens.desc(), pictures.desc(), line]


def _totals(sums: Sequence[int]) -> Totals:
    # PostgreSQL's sums of whole numbers are decimals.
    return Totals._make(sums if type(sums[0]) is int else map(int, sums))


async def read_days(connection: AsyncConnection, view: View, starts: Sequence[int], until: int) -> list[Line]:
    """The sums of each day, by its beginning; the last one lasts until `until`."""
    totals = dict.fromkeys(starts, Totals())
    table, time, conditions = _by_time(view, (*starts, until))
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
        of_days = select(day.label("line"), *SUMMED_UP).select_from(table).group_by(LINE)
        period = (time >= starts[first], time < ends[last])
        for row in await connection.execute(of_days.where(*conditions, *period)):
            totals[row[0]] = _totals(row[1:])
        first = last + 1
    return [Line(start, totals[start]) for start in starts]


async def count_by_key(connection: AsyncConnection, since: int) -> dict[tuple[str, str], tuple[int, int]]:
    """Of each provider and the setting that holds its key: requests sent, and how many of them failed.

    An answer that ended early is no failure: a member may have stopped it.
    """
    failed = func.sum(case((attempts.c.error_class.in_(("", "interrupted")), 0), else_=1))
    rows = await connection.execute(
        select(attempts.c.provider, attempts.c.key_variable, func.count(), failed)
        .where(attempts.c.sent_at >= since, attempts.c.error_class != "not_sent")
        .group_by(attempts.c.provider, attempts.c.key_variable)
    )
    return {(provider, variable): (int(sent), int(bad)) for provider, variable, sent, bad in rows}


def _gathered(sources: Sequence[Select[Any]]) -> FromClause:
    return (union_all(*sources) if len(sources) > 1 else sources[0]).subquery()


def _sums(table: Table) -> list[ColumnElement[int]]:
    return [table.c[name] for name in SUMS]


def _weights(table: Table) -> list[ColumnElement[int]]:
    return [(table.c.prompt_tokens + table.c.completion_tokens).label("tokens"), table.c.pictures]


def _sources(
    view: View,
    by: Grouping | None,
    since: int,
    until: int,
    figures: Callable[[Table], list[ColumnElement[int]]] = _sums,
) -> list[Select[Any]]:
    """A SELECT for each table and stretch of time that a period is read from."""

    def source(table: Table, place: ColumnElement[bool], begin: int, end: int, span: int = 0) -> Select[Any]:
        time = table.c.slot if table is slots else table.c.time
        few = span and end - begin <= FEW * span
        period = time.in_(range(begin, end, span)) if few else and_(time >= begin, time < end)
        return _rows(table, by, figures).where(place, period)

    if view.user_id is not None:
        return [source(slots, _of_member(view), since, until)]
    if view.guild_id is None:  # its days are UTC's
        return [source(summed, _of_kind(WHOLE_BOT, "server" if by == "server" else "bot"), since, until)]
    found = []
    for kind, begin, end in _cover(since, until, LEVELS.get(by or "", ("day",))):
        if kind is not None:
            found.append(source(summed, _of_kind(view.guild_id, kind), begin, end, SPANS[kind]))
        elif by is None:
            found.append(source(summed, _of_kind(view.guild_id, "slot"), begin, end))
        else:
            found.append(source(slots, slots.c.guild_id == view.guild_id, begin, end))
    return found or [source(slots, slots.c.guild_id == view.guild_id, since, until)]


@cache  # built once: that takes longer than to read a small server's
def _rows(
    table: Table, by: Grouping | None, figures: Callable[[Table], list[ColumnElement[int]]]
) -> Select[Any]:
    return select(_column(table, by).label("line"), *figures(table))


def _cover(since: int, until: int, kinds: Sequence[str]) -> Iterator[tuple[str | None, int, int]]:
    """The stretches of a period, each with the kind whose spans it is made of; None: with none of them."""
    if since >= until:
        return
    if not kinds:
        yield None, since, until
        return
    kind, *shorter = kinds
    first, last = since + -since % SPANS[kind], until - until % SPANS[kind]
    if first >= last:
        yield from _cover(since, until, shorter)
        return
    yield from _cover(since, first, shorter)
    yield kind, first, last
    yield from _cover(last, until, shorter)


def _of_member(view: View) -> ColumnElement[bool]:
    mine = slots.c.user_id == view.user_id
    # No bare column: SQLite would look up the whole server's rows, and not the member's.
    return mine if view.guild_id is None else mine & (slots.c.guild_id + 0 == view.guild_id)


def _of_kind(guild_id: int, kind: str) -> ColumnElement[bool]:
    return (summed.c.guild_id == guild_id) & (summed.c.kind == kind)


def _column(table: Table, by: Grouping | None) -> ColumnElement[Any]:
    if by is None:
        return literal(0)
    names = {"member": "user_id", "channel": "channel_id", "server": "guild_id", "key": "key_variable"}
    name = names.get(by, by)
    return table.c.subject_id if table is summed and name.endswith("_id") else table.c[name]


def _by_time(
    view: View, moments: Sequence[int]
) -> tuple[Table, ColumnElement[int], list[ColumnElement[bool]]]:
    """Where the days between these moments are read from: those that are UTC's from the daily sums."""
    if view.user_id is not None:
        return slots, slots.c.slot, [_of_member(view)]
    kind = "slot" if any(moment % DAY for moment in moments) else "day"
    if view.guild_id is None:
        kind = "bot"
    guild_id = WHOLE_BOT if view.guild_id is None else view.guild_id
    return summed, summed.c.time, [_of_kind(guild_id, kind)]
