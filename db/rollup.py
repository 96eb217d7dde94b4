"""The roll-up that reports and budgets read: sums over ended attempts, written along with each ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables import RoleUsage, SlotUsage, SummedUsage

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

slots: Table = SlotUsage.__table__  # type: ignore[assignment]  # declared as FromClause
summed: Table = SummedUsage.__table__  # type: ignore[assignment]  # declared as FromClause
role_usage: Table = RoleUsage.__table__  # type: ignore[assignment]  # declared as FromClause

SLOT = 900
DAY = 86400
# The kinds of `usage_sums`, each with the seconds that its rows are sums of, counted from 1970.
SPANS = {
    "slot": SLOT,
    "day": DAY,
    "member": DAY,
    "member4": 4 * DAY,
    "member16": 16 * DAY,
    "channel": DAY,
    "server": DAY,
    "bot": DAY,
}
# The guild_id of rows that are about the whole bot.
WHOLE_BOT = -1


class Totals(NamedTuple):
    """Sums over ended attempts. `failures` are requests that vendors refused; they cost nothing."""

    requests: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_tokens: int = 0
    pictures: int = 0
    pixels: int = 0
    cost_micros: int = 0
    unpriced: int = 0
    estimated: int = 0
    fallbacks: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def estimated_share(self) -> float:
        """The share of requests whose figures are ours and no vendor's, from 0 to 1."""
        return self.estimated / self.requests if self.requests else 0.0

    @property
    def unpriced_share(self) -> float:
        """The share of requests that the cost leaves out, since their models have no price; 0 to 1."""
        return self.unpriced / self.requests if self.requests else 0.0


SUMS = Totals._fields


async def add_to_rollup(connection: AsyncConnection, place: Mapping[str, Any], ended: Totals) -> None:
    """Add one ended attempt. `place` has its sent_at, guild_id, channel_id and so on, key included."""
    figures = ended._asdict()
    sent_at, guild_id = place["sent_at"], place["guild_id"]
    what = {name: place[name] for name in ("command", "provider", "model")}
    row = {
        "guild_id": guild_id,
        "slot": sent_at - sent_at % SLOT,
        "channel_id": place["channel_id"],
        "user_id": place["user_id"],
        **what,
        **figures,
    }
    await _add(connection, slots, SUMS, [row])
    blank = dict.fromkeys(("command", "provider", "model", "key_variable"), "")
    member = {"subject_id": place["user_id"]}
    everywhere = {"guild_id": WHOLE_BOT}
    filled: dict[str, dict[str, Any]] = {
        "slot": {},
        "day": what,
        "member": member,
        "member4": member,
        "member16": member,
        "channel": {"subject_id": place["channel_id"]},
        "server": {**everywhere, "subject_id": guild_id},
        "bot": {**everywhere, **what, "key_variable": place["key_variable"]},
    }
    rows = [
        {
            "guild_id": guild_id,
            "kind": kind,
            "time": sent_at - sent_at % span,
            "subject_id": 0,
            **blank,
            **figures,
            **filled[kind],
        }
        for kind, span in SPANS.items()
    ]
    await _add(connection, summed, SUMS, rows)


async def add_to_roles(
    connection: AsyncConnection, role_ids: Sequence[int], sent_at: int, ended: Totals
) -> None:
    """Add one ended attempt to what the holders of roles have used."""
    row = {
        "slot": sent_at - sent_at % SLOT,
        "tokens": ended.tokens,
        "pictures": ended.pictures,
        "cost_micros": ended.cost_micros,
    }
    rows = [{**row, "role_id": role_id} for role_id in role_ids]
    await _add(connection, role_usage, ("tokens", "pictures", "cost_micros"), rows)


async def _add(
    connection: AsyncConnection, table: Table, sums: tuple[str, ...], rows: list[dict[str, Any]]
) -> None:
    await connection.execute(_upsert(connection.dialect.name, table, sums), rows)


@lru_cache(maxsize=8)  # built once: that takes longer than to carry it out
def _upsert(dialect: str, table: Table, sums: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    statement = insert_for(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: table.c[name] + statement.excluded[name] for name in sums},
    )


def insert_into(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT with ON CONFLICT, which both databases have under the same names."""
    return insert_for(connection.dialect.name, table)


def insert_for(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The same for a dialect, where the statement is built once."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # 2 MiB, only where they are of use

        return postgresql.insert(table)
    return sqlite.insert(table)
