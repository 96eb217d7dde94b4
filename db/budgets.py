"""Budgets: what may be used in a day or a month, what has been, and how far that has been told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, Select, Table, bindparam, delete, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from db.guild_settings import UTC_NAME, guild_settings
from db.ledger import requests
from db.rollup import DAY, WHOLE_BOT, insert_into, role_usage, slots, summed
from db.tables import Budget, BudgetNotice

budgets: Table = Budget.__table__  # type: ignore[assignment]  # declared as FromClause
budget_notices: Table = BudgetNotice.__table__  # type: ignore[assignment]  # declared as FromClause

Scope = Literal["bot", "server", "channel", "role", "member"]
Unit = Literal["tokens", "pictures", "dollars"]
BudgetPeriod = Literal["day", "month"]
UNITS: tuple[Unit, ...] = ("tokens", "pictures", "dollars")
BUDGET_PERIODS: tuple[BudgetPeriod, ...] = ("day", "month")
LEVELS = (100, 80, 50)
# Behind a budget's name: that it has been told that it refuses requests.
REFUSED = " refused"
# Of a period that is longer over than this nobody needs to know what was told.
NOTED_SECONDS = 70 * DAY


@dataclass(frozen=True, slots=True)
class StoredBudget:
    """What a server's admins have set. `amount` of dollars in millionths."""

    guild_id: int
    scope: Scope
    scope_id: int
    unit: Unit
    period: BudgetPeriod
    amount: int
    set_by: int
    warn_channel_id: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget as it stands now: for whom, and from when until when, in seconds since 1970.

    `guild_id` is 0 where all servers count together. `scope_id` is a channel's, a role's or a member's.
    """

    scope: Scope
    scope_id: int
    guild_id: int
    unit: Unit
    period: BudgetPeriod
    amount: int
    since: int
    until: int
    warn_channel_id: int = 0
    by_host: bool = False

    @property
    def name(self) -> str:
        """What tells it from all others."""
        setter = "host" if self.by_host else "server"
        return f"{setter} {self.guild_id} {self.scope} {self.scope_id} {self.unit} {self.period}"


@dataclass(frozen=True, slots=True)
class Used:
    """Of a limit, in its unit: what was used, and what requests that are running have reserved."""

    spent: int
    held: int


async def read_budgets(connection: AsyncConnection, guild_id: int) -> tuple[str, list[StoredBudget]]:
    """The name of a server's time zone, and its budgets."""
    rows = await connection.execute(_OF_SERVER, {"server": guild_id})
    zone, found = UTC_NAME, []
    for name, *stored in rows:
        zone = name or UTC_NAME
        if stored[0] is not None:
            found.append(StoredBudget(*stored))
    return zone, found


_STORED = [budgets.c[name] for name in StoredBudget.__dataclass_fields__]
# One statement, as every question asks for both, and built once. Its own row makes sure that there is one.
_SERVER = select(bindparam("server", type_=BigInteger).label("id")).subquery()
_OF_SERVER = (
    select(guild_settings.c.time_zone, *_STORED)
    .select_from(_SERVER)
    .outerjoin(guild_settings, guild_settings.c.guild_id == _SERVER.c.id)
    .outerjoin(budgets, budgets.c.guild_id == _SERVER.c.id)
    .order_by(budgets.c.id)
)
_SAME = ("guild_id", "scope", "scope_id", "unit", "period")


async def write_budget(
    connection: AsyncConnection, budget: StoredBudget, *, keep_channel: bool = False
) -> StoredBudget:
    """Set a budget, in place of one of the same kind; what was told of that one is told anew.

    `keep_channel`: its notices go where those of the one before went. Returned is what stands there now.
    """
    row = {name: getattr(budget, name) for name in StoredBudget.__dataclass_fields__}
    statement = insert_into(connection, budgets).values(**row, set_at=int(time.time()))
    changed = ["amount", "set_by", "set_at", *([] if keep_channel else ["warn_channel_id"])]
    stored = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(_SAME), set_={name: statement.excluded[name] for name in changed}
        ).returning(*_STORED)
    )
    await _forget_notices(connection, budget)
    return StoredBudget(*stored.one())


async def delete_budget(connection: AsyncConnection, budget: StoredBudget) -> bool:
    """Take a budget away, whatever its amount; False when there is none of this kind."""
    same = [budgets.c[name] == getattr(budget, name) for name in _SAME]
    result = await connection.execute(delete(budgets).where(*same).returning(budgets.c.id))
    await _forget_notices(connection, budget)
    return result.first() is not None


async def _forget_notices(connection: AsyncConnection, budget: StoredBudget) -> None:
    # Of each member there may be a notice.
    subject = "%" if budget.scope == "member" else budget.scope_id
    name = f"server {budget.guild_id} {budget.scope} {subject} {budget.unit} {budget.period}"
    told = budget_notices.c.budget
    await connection.execute(delete(budget_notices).where(told.like(name) | told.like(name + REFUSED)))


async def read_used(connection: AsyncConnection, limits: Sequence[Limit]) -> list[Used]:
    """What has been used of each limit, and what is reserved, in one statement."""
    meters = list(dict.fromkeys(map(_meter, limits)))
    if not meters:
        return []
    parts = []
    for number, meter in enumerate(meters):
        parts += [_labelled(number, False, part) for part in _spent(*meter)]
        parts.append(_labelled(number, True, _held(*meter[:3])))
    spent, held = ([[0, 0, 0] for _ in meters] for _ in range(2))
    for number, is_held, *figures in await connection.execute(union_all(*parts)):
        sums = (held if is_held else spent)[number]
        for unit, figure in enumerate(figures):
            sums[unit] += int(figure)
    places = [(meters.index(_meter(limit)), UNITS.index(limit.unit)) for limit in limits]
    return [Used(spent[meter][unit], held[meter][unit]) for meter, unit in places]


def _meter(limit: Limit) -> tuple[Scope, int, int, int]:
    return limit.scope, limit.scope_id, limit.guild_id, limit.since


def _labelled(number: int, held: bool, sums: Select[Any]) -> Select[Any]:
    return sums.with_only_columns(literal(number), literal(int(held)), *sums.selected_columns)


def _spent(scope: Scope, scope_id: int, guild_id: int, since: int) -> list[Select[Any]]:
    if scope == "role":
        return [_three(role_usage, role_usage.c.role_id == scope_id, role_usage.c.slot >= since)]
    if scope == "member":
        mine = (slots.c.user_id == scope_id) & (slots.c.slot >= since)
        # No bare column: SQLite would look up the whole server's rows, and not the member's.
        return [_three(slots, mine if guild_id == 0 else mine & (slots.c.guild_id + 0 == guild_id))]
    first_day = since + -since % DAY  # a month in another zone than UTC begins in the middle of a UTC day
    place = summed.c.guild_id == (WHOLE_BOT if scope == "bot" else guild_id)
    kind = "channel" if scope == "channel" else "bot" if scope == "bot" else "day"
    days = place & (summed.c.kind == kind) & (summed.c.time >= first_day)
    if scope == "channel":
        days &= summed.c.subject_id == scope_id
    parts = [_three(summed, days)]
    if first_day > since and scope == "channel":
        before = (slots.c.guild_id == guild_id) & (slots.c.slot >= since) & (slots.c.slot < first_day)
        parts.append(_three(slots, before & (slots.c.channel_id == scope_id)))
    elif first_day > since:
        before = (summed.c.kind == "slot") & (summed.c.time >= since) & (summed.c.time < first_day)
        parts.append(_three(summed, place & before))
    return parts


def _three(table: Table, *conditions: Any) -> Select[Any]:
    names = ("tokens",) if table is role_usage else ("prompt_tokens", "completion_tokens")
    tokens = sum((table.c[name] for name in names), start=literal(0))
    figures = (tokens, table.c.pictures, table.c.cost_micros)
    return select(*(func.coalesce(func.sum(figure), 0) for figure in figures)).where(*conditions)


def _held(scope: Scope, scope_id: int, guild_id: int) -> Select[Any]:
    figures = (requests.c.reserved_tokens, requests.c.reserved_pictures, requests.c.reserved_micros)
    held = select(*(func.coalesce(func.sum(figure), 0) for figure in figures)).where(requests.c.open)
    if guild_id:
        held = held.where(requests.c.guild_id == guild_id)
    if scope == "channel":
        held = held.where(requests.c.channel_id == scope_id)
    elif scope == "member":
        held = held.where(requests.c.user_id == scope_id)
    elif scope == "role":
        held = held.where(("," + requests.c.role_ids + ",").like(f"%,{scope_id},%"))
    return held


async def note_crossed(connection: AsyncConnection, limit: Limit, spent: int) -> int | None:
    """Note that a limit is used to 50, 80 or 100 %; None when it is not, or when that was noted before."""
    percent = next((level for level in LEVELS if spent * 100 >= limit.amount * level), None)
    if percent is None or limit.amount == 0:
        return None
    return percent if await _note(connection, limit.name, limit.since, percent) else None


async def note_refused(connection: AsyncConnection, limit: Limit) -> bool:
    """Note that a limit has no room for a request; False when it was noted before, or nothing is allowed."""
    return limit.amount > 0 and await _note(connection, limit.name + REFUSED, limit.since, max(LEVELS))


async def _note(connection: AsyncConnection, name: str, since: int, percent: int) -> bool:
    statement = insert_into(connection, budget_notices).values(budget=name, since=since, percent=percent)
    result = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["budget", "since"],
            set_={"percent": percent},
            where=budget_notices.c.percent < percent,
        ).returning(budget_notices.c.percent)
    )
    if result.first() is None:
        return False
    await connection.execute(delete(budget_notices).where(budget_notices.c.since < since - NOTED_SECONDS))
    return True
