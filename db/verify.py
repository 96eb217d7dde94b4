"""Checking the books: what must hold after every fault, as far as the database can show it.

N1, N2: every attempt is whole and has one final state that fits its figures; N3, N4: turns are whole and
belong to an answered request; N5: ledger and roll-up agree; N6: every request has an end. What N7 asks for,
that nothing acknowledged is lost, only a test can show that knows what was acknowledged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, FromClause, Select, Table, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from db.budgets import BUDGET_PERIODS, LEVELS, UNITS, budget_notices, budgets
from db.guild_settings import guild_settings
from db.history import find_torn_turns, history
from db.ledger import attempts, requests, split_role_ids
from db.rollup import SLOT, SPANS, SUMS, WHOLE_BOT, role_usage, slots, summed

MOST_NAMED = 20  # differences that are told one by one
FIGURES = (
    *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("pictures", "pixels", "cost_micros"),
)
SOURCES = {"settled": ("provider",), "estimated": ("tokenizer", "cap"), "unbilled": ("",)}
WHAT = ("command", "provider", "model")
# What an attempt says of its request again. A turn is in the thread where it was asked, and so says less.
WHERE = ("guild_id", "channel_id", "user_id", "command")

ROLE_IDS = re.compile(r"\d+(,\d+)*")

# Of all rows of a table, or of several that belong together: what must not hold, and what it means.
Checks = list[tuple[ColumnElement[bool], str]]


async def find_discrepancies(connection: AsyncConnection, *, running: bool = False) -> list[str]:
    """A sentence for each thing in the books that cannot be true; none when all is well.

    `running` is for the books of a bot that is at work: requests that are open, and their attempts, are none.
    """
    problems = [*await _check_attempts(connection, running), *await _check_requests(connection, running)]
    problems += await _check_history(connection)
    problems += await _check_settings(connection)
    problems += await _compare(connection, "slots", booked_slots(), _rolled(slots))
    for kind in SPANS:
        rolled = _rolled(summed).where(summed.c.kind == kind)
        problems += await _compare(connection, kind, booked_sums(kind), rolled)
    problems += await _compare_roles(connection)
    return problems


async def count_open(connection: AsyncConnection) -> int:
    """How many requests are being answered."""
    return int(await connection.scalar(select(func.count()).where(requests.c.open)) or 0)


async def _count(connection: AsyncConnection, rows: FromClause, checks: Checks) -> list[str]:
    """A sentence for each check that some of the rows do not pass; all are read once."""
    counts = (func.sum(case((wrong, 1), else_=0)) for wrong, _ in checks)
    found = (await connection.execute(select(*counts).select_from(rows))).one()
    return [sentence.format(count) for count, (_, sentence) in zip(found, checks, strict=True) if count]


async def _check_attempts(connection: AsyncConnection, running: bool) -> list[str]:
    a, r = attempts.c, requests.c
    ended = a.state.in_(("settled", "estimated", "unbilled"))
    answered_for = a.interaction_id.in_(select(r.interaction_id).where(r.open))
    waiting = (a.state == "sent") & answered_for if running else literal(False)
    negative = [a[name] < 0 for name in (*FIGURES, "steps", "queue_ms", "first_text_ms", "total_ms")]
    fits = [(a.state == state) & a.usage_source.in_(sources) for state, sources in SOURCES.items()]
    figures = sum((a[name] for name in FIGURES[1:6]), start=a.prompt_tokens)
    unbilled = a.state == "unbilled"
    checks: Checks = [
        (~ended & ~waiting, "{} attempts have no final state."),
        (
            (a.provider == "") | (a.model == "") | (a.command == "") | (a.sent_at <= 0),
            "{} attempts do not say what was asked, or when.",
        ),
        (ended & a.ended_at.is_(None), "{} attempts have ended without a time."),
        (a.ended_at < a.sent_at, "{} attempts have ended before they were sent."),
        (ended & ~_any(fits), "{} attempts have figures from a source that does not fit their state."),
        (unbilled & (figures > 0), "{} unbilled attempts have figures."),
        (unbilled & func.coalesce(a.cost_micros != 0, True), "{} unbilled attempts cost."),
        (unbilled & (a.error_class == ""), "{} unbilled attempts do not say why."),
        (unbilled & a.delivered.in_(("full", "partial")), "{} unbilled attempts were delivered."),
        (_any(negative), "{} attempts have figures below nothing."),
        (
            (a.cached_tokens > a.prompt_tokens) | (a.reasoning_tokens > a.completion_tokens),
            "{} attempts have parts of their tokens that are more than the whole.",
        ),
        ((a.cost_micros > 0) & (a.price_date == ""), "{} attempts have a cost, and no price it came from."),
        (a.delivered.not_in(("", "full", "partial", "none")), "{} attempts have an unknown delivery."),
    ]
    problems = await _count(connection, attempts, checks)
    gaps = (
        select(a.interaction_id)
        .group_by(a.interaction_id)
        .having((func.min(a.attempt) != 1) | (func.max(a.attempt) != func.count()))
        .subquery()
    )
    problems += await _count(connection, gaps, [(literal(True), "{} requests miss an attempt.")])
    checks = [
        (r.id.is_(None), "{} attempts belong to no request."),
        (_any([a[name] != r[name] for name in WHERE]), "{} attempts are not where their requests are."),
    ]
    both = attempts.outerjoin(requests, r.interaction_id == a.interaction_id)
    return problems + await _count(connection, both, checks)


async def _check_requests(connection: AsyncConnection, running: bool) -> list[str]:
    r, a = requests.c, attempts.c
    reserved = (r.reserved_tokens, r.reserved_pictures, r.reserved_micros)
    reserves = _any([amount != 0 for amount in reserved])
    costs = a.state.in_(("settled", "estimated")) & (a.interaction_id == r.interaction_id)
    checks: Checks = [
        (~r.open & reserves if running else r.open | reserves, "{} requests are open or hold a reservation."),
        (r.open & _any([amount < 0 for amount in reserved]), "{} requests reserve less than nothing."),
        (
            ~r.open & r.outcome.not_in(("answered", "partial", "failed", "lost")),
            "{} requests have ended in no known way.",
        ),
        (
            r.outcome.in_(("answered", "partial")) & ~select(a.id).where(costs).exists(),
            "{} requests were answered by nobody.",
        ),
    ]
    return await _count(connection, requests, checks)


async def _check_history(connection: AsyncConnection) -> list[str]:
    r, h = requests.c, history.c
    checks: Checks = [
        (r.id.is_(None), "{} messages belong to no request."),
        (
            (h.guild_id != r.guild_id) | (h.user_id != r.user_id),
            "{} messages are not of their requests' servers or members.",
        ),
        (r.outcome.not_in(("answered", "partial")), "{} messages belong to a request without an answer."),
    ]
    both = history.outerjoin(requests, r.id == h.turn_id)
    return [*await find_torn_turns(connection), *await _count(connection, both, checks)]


async def _check_settings(connection: AsyncConnection) -> list[str]:
    """Budgets, what was told of them, time zones, and kinds of sums."""
    b = budgets.c
    fits = (
        b.scope.in_(("server", "channel", "role", "member"))
        & (b.scope.in_(("channel", "role")) == (b.scope_id != 0))
        & (b.guild_id != 0)
        & b.unit.in_(UNITS)
        & b.period.in_(BUDGET_PERIODS)
        & (b.amount >= 0)
    )
    untold = budget_notices.c.percent.not_in(LEVELS)
    problems = [
        *await _count(connection, budgets, [(~fits, "{} budgets are none.")]),
        *await _count(
            connection, budget_notices, [(untold, "{} notices are of a share that is never told.")]
        ),
    ]
    zones = await connection.execute(select(guild_settings.c.time_zone).distinct())
    if unknown := [zone for zone in zones.scalars() if zone and not _is_zone(zone)]:
        problems.append(f"{len(unknown)} time zones are not known here.")
    kinds = await connection.execute(
        select(summed.c.kind).where(summed.c.kind.not_in(list(SPANS))).distinct().limit(MOST_NAMED)
    )
    return problems + [f"The roll-up has sums of the kind {kind!r}." for kind in kinds.scalars()]


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _any(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    first, *others = conditions
    for other in others:
        first |= other
    return first


def _sums() -> list[ColumnElement[int]]:
    """SUMS, as the ledger has them."""
    a = attempts.c
    unbilled, estimated = a.state == "unbilled", a.state == "estimated"

    def count(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, 1), else_=0))

    tokens = a.prompt_tokens + a.completion_tokens
    return [
        count(~unbilled),
        count(unbilled & (a.error_class != "not_sent")),
        func.sum(a.prompt_tokens),
        func.sum(a.completion_tokens),
        func.sum(case((estimated, tokens), else_=0)),
        func.sum(a.pictures),
        func.sum(a.pixels),
        func.sum(func.coalesce(a.cost_micros, 0)),
        count(~unbilled & a.cost_micros.is_(None)),
        count(estimated),
        count(~unbilled & a.fallback),
    ]


def _grouped(place: dict[str, ColumnElement[Any]]) -> Select[Any]:
    keys = [column.label(name) for name, column in place.items()]
    sums = [column.label(name) for name, column in zip(SUMS, _sums(), strict=True)]
    return select(*keys, *sums).where(attempts.c.state != "sent").group_by(*place.values())


def booked_slots() -> Select[Any]:
    """What `usage_slots` has to hold, from the ledger."""
    a = attempts.c
    names = _keys(slots)
    return _grouped({name: a.sent_at - a.sent_at % SLOT if name == "slot" else a[name] for name in names})


def booked_sums(kind: str) -> Select[Any]:
    """What `usage_sums` has to hold of a kind, from the ledger."""
    a = attempts.c
    filled: dict[str, ColumnElement[Any]] = {
        "guild_id": a.guild_id,
        "time": a.sent_at - a.sent_at % SPANS[kind],
    }
    if kind in ("day", "bot"):
        filled |= {name: a[name] for name in WHAT}
    elif kind != "slot":
        subject = {"channel": a.channel_id, "server": a.guild_id}
        filled["subject_id"] = subject.get(kind, a.user_id)
    if kind == "bot":
        filled["key_variable"] = a.key_variable
    if kind in ("server", "bot"):
        del filled["guild_id"]
    grouped = _grouped(filled).subquery()
    constants: dict[str, ColumnElement[Any]] = {
        "guild_id": literal(WHOLE_BOT),
        "kind": literal(kind),
        "subject_id": literal(0),
    }
    names = _keys(summed)
    place = [grouped.c[name] if name in filled else constants.get(name, literal("")) for name in names]
    return select(
        *(column.label(name) for column, name in zip(place, names, strict=True)),
        *(grouped.c[name] for name in SUMS),
    )


def _keys(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _rolled(table: Table) -> Select[Any]:
    return select(*(table.c[name] for name in (*_keys(table), *SUMS)))


async def _compare(
    connection: AsyncConnection, kind: str, booked: Select[Any], rolled: Select[Any]
) -> list[str]:
    """What stands on one side only. The sides are compared in the database: they may be millions of rows."""
    names = [column.name for column in rolled.selected_columns]
    both = union_all(
        booked.add_columns(literal(1).label("side")), rolled.add_columns(literal(0).label("side"))
    ).subquery()
    columns = [both.c[name] for name in names]
    differing = select(*columns, func.min(both.c.side)).group_by(*columns).having(func.count() == 1)
    rows = (await connection.execute(differing.order_by(*columns).limit(2 * MOST_NAMED))).all()
    width = len(names) - len(SUMS)
    places: dict[tuple[Any, ...], list[tuple[int, ...] | None]] = {}
    for row in rows:
        sides = places.setdefault(tuple(row[:width]), [None, None])
        sides[row[-1]] = tuple(map(int, row[width:-1]))
    return [
        f"Ledger and roll-up ({kind}) differ at {dict(zip(names, place, strict=False))}: "
        f"{sides[1]} booked, {sides[0]} reported."
        for place, sides in places.items()
    ]


async def _compare_roles(connection: AsyncConnection) -> list[str]:
    a = attempts.c
    slot = a.sent_at - a.sent_at % SLOT
    counted = (
        select(
            requests.c.role_ids,
            slot,
            func.sum(a.prompt_tokens + a.completion_tokens),
            func.sum(a.pictures),
            func.sum(func.coalesce(a.cost_micros, 0)),
        )
        .join(requests, requests.c.interaction_id == a.interaction_id)
        .where(requests.c.role_ids != "", a.state != "sent")
        .group_by(requests.c.role_ids, slot)
    )
    booked: dict[tuple[int, int], list[int]] = {}
    unreadable = set()
    for joined, at, *figures in await connection.execute(counted):
        if not ROLE_IDS.fullmatch(joined):
            unreadable.add(joined)
            continue
        for role_id in split_role_ids(joined):
            sums = booked.setdefault((role_id, at), [0, 0, 0])
            booked[role_id, at] = [a + int(b) for a, b in zip(sums, figures, strict=True)]
    rows = await connection.execute(select(role_usage))
    reported = {(role_id, at): list(map(int, figures)) for role_id, at, *figures in rows}
    wrong = [place for place in booked.keys() | reported.keys() if booked.get(place) != reported.get(place)]
    return [
        *(f"The roles {joined!r} of a request are none." for joined in sorted(unreadable)[:MOST_NAMED]),
        *(
            f"What role {role_id} has used differs at {at}: {booked.get((role_id, at))} booked, "
            f"{reported.get((role_id, at))} reported."
            for role_id, at in sorted(wrong)[:MOST_NAMED]
        ),
    ]
