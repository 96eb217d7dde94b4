"""Reports over the roll-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.ledger import attempts, hourly

Grouping = Literal["member", "model"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a period. `failures` are requests that vendors refused; they cost nothing."""

    requests: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_tokens: int = 0
    pictures: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One line of a report: a member's id or a model's name, and its sums."""

    member_id: int
    model: str
    totals: Totals


_SUMS = [
    func.coalesce(func.sum(hourly.c[name]), 0)
    for name in (
        "requests",
        "failures",
        "prompt_tokens",
        "completion_tokens",
        "estimated_tokens",
        "pictures",
    )
]


async def read_totals(
    connection: AsyncConnection, since: int, *, guild_id: int | None = None, user_id: int | None = None
) -> Totals:
    """Sums since that hour, of one server, of one member, or of one member in one server."""
    statement = _filtered(select(*_SUMS), since, guild_id, user_id)
    return Totals(*map(int, (await connection.execute(statement)).one()))


async def read_rows(
    connection: AsyncConnection,
    since: int,
    by: Grouping,
    *,
    guild_id: int | None = None,
    user_id: int | None = None,
    limit: int = 10,
) -> list[UsageRow]:
    """The lines with the most tokens and pictures since that hour, most first."""
    column: ColumnElement[int | str] = hourly.c.user_id if by == "member" else hourly.c.model
    weight = func.sum(hourly.c.prompt_tokens + hourly.c.completion_tokens)
    statement = (
        _filtered(select(column, *_SUMS), since, guild_id, user_id)
        .group_by(column)
        .order_by(weight.desc(), func.sum(hourly.c.pictures).desc(), column)
        .limit(limit)
    )
    rows = []
    for name, *sums in await connection.execute(statement):
        totals = Totals(*map(int, sums))
        rows.append(UsageRow(int(name), "", totals) if by == "member" else UsageRow(0, str(name), totals))
    return rows


async def count_by_key(connection: AsyncConnection, since: int) -> dict[tuple[str, str], tuple[int, int]]:
    """Of each provider and the setting that holds its key: requests that may cost, and refused ones."""
    refused = func.sum(case((attempts.c.state == "unbilled", 1), else_=0))
    rows = await connection.execute(
        select(attempts.c.provider, attempts.c.key_variable, func.count() - refused, refused)
        .where(attempts.c.sent_at >= since, attempts.c.error_class != "not_sent")
        .group_by(attempts.c.provider, attempts.c.key_variable)
    )
    return {(provider, variable): (int(good), int(bad)) for provider, variable, good, bad in rows}


def _filtered(statement: Select[Any], since: int, guild_id: int | None, user_id: int | None) -> Select[Any]:
    statement = statement.where(hourly.c.hour >= since)
    if guild_id is not None:
        statement = statement.where(hourly.c.guild_id == guild_id)
    if user_id is not None:
        statement = statement.where(hourly.c.user_id == user_id)
    return statement
