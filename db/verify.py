"""Checking the books: what must hold after every fault, as far as the database can show it.

N1, N2: every attempt is whole and has one final state that fits its figures; N3, N4: turns are whole and
belong to an answered request; N5: ledger and roll-up agree; N6: every request has an end. What N7 asks for,
that nothing acknowledged is lost, only a test can show that knows what was acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, FromClause, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.budgets import BUDGET_PERIODS, LEVELS, UNITS, budget_notices, budgets
from db.differences import find_differences
from db.guild_settings import guild_settings
from db.history import find_torn_turns, history
from db.ledger import attempts, requests

FIGURES = (
    *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("pictures", "pixels", "cost_micros"),
)
SOURCES = {"settled": ("provider",), "estimated": ("tokenizer", "cap"), "unbilled": ("",)}
# What an attempt says of its request again. A turn is in the thread where it was asked, and so says less.
WHERE = ("guild_id", "channel_id", "user_id", "command")

# Of all rows of a table, or of several that belong together: what must not hold, and what it means.
Checks = list[tuple[ColumnElement[bool], str]]


async def find_discrepancies(connection: AsyncConnection, *, running: bool = False) -> list[str]:
    """A sentence for each thing in the books that cannot be true; none when all is well.

    `running` is for the books of a bot that is at work: requests that are open, and their attempts, are none.
    """
    problems = [*await _check_attempts(connection, running), *await _check_requests(connection, running)]
    problems += await _check_history(connection)
    problems += await _check_settings(connection)
    return problems + await find_differences(connection)


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
    """Budgets, what was told of them, and time zones."""
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
    return problems


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
