"""The ledger's costs and times, the roll-up by quarters of an hour, budgets and time zones"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SUMS = (
    *("requests", "failures", "prompt_tokens", "completion_tokens", "estimated_tokens", "pictures"),
    *("pixels", "cost_micros", "unpriced", "estimated", "fallbacks"),
)
# What has been booked is rolled up anew: the hours of old do not tell where a day begins that begins at
# half past. Nothing of it has a price; what was refused costs nothing.
SLOT, DAY = "sent_at - sent_at % 900", "sent_at - sent_at % 86400"
EIGHT_DAYS = "sent_at - sent_at % 691200"
FIGURES = """
    sum(CASE WHEN state = 'unbilled' THEN 0 ELSE 1 END),
    sum(CASE WHEN state = 'unbilled' AND error_class <> 'not_sent' THEN 1 ELSE 0 END),
    sum(prompt_tokens),
    sum(completion_tokens),
    sum(CASE WHEN state = 'estimated' THEN prompt_tokens + completion_tokens ELSE 0 END),
    sum(pictures),
    0,
    0,
    sum(CASE WHEN state = 'unbilled' THEN 0 ELSE 1 END),
    sum(CASE WHEN state = 'estimated' THEN 1 ELSE 0 END),
    0
"""
# For each kind of sum: guild_id, kind, time, subject_id, command, provider, model, key_variable.
KINDS = (
    f"guild_id, 'slot', {SLOT}, 0, command, provider, model, ''",
    f"guild_id, 'day', {DAY}, 0, command, provider, model, ''",
    f"guild_id, 'member', {DAY}, user_id, '', '', '', ''",
    f"guild_id, 'member8', {EIGHT_DAYS}, user_id, '', '', '', ''",
    f"guild_id, 'channel', {DAY}, channel_id, '', '', '', ''",
    f"-1, 'server', {DAY}, guild_id, '', '', '', ''",
    f"-1, 'bot', {DAY}, 0, command, provider, model, key_variable",
)


def number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def words(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)


def create(table: str, columns: list[sa.Column[Any]], keys: int, **options: bool) -> None:
    names = [column.name for column in columns[:keys]]
    op.create_table(table, *columns, sa.PrimaryKeyConstraint(*names, name=op.f(f"pk_{table}")), **options)


def upgrade() -> None:
    zero, empty = sa.text("0"), ""
    for column in (
        sa.Column("pixels", sa.BigInteger(), nullable=False, server_default=zero),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("price_date", sa.Text(), nullable=False, server_default=empty),
        sa.Column("fallback", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("delivered", sa.Text(), nullable=False, server_default=empty),
        sa.Column("queue_ms", sa.BigInteger(), nullable=True),
        sa.Column("first_text_ms", sa.BigInteger(), nullable=True),
        sa.Column("total_ms", sa.BigInteger(), nullable=True),
    ):
        op.add_column("attempts", column)
    op.add_column(
        "requests", sa.Column("reserved_micros", sa.BigInteger(), nullable=False, server_default=zero)
    )
    op.add_column("requests", sa.Column("role_ids", sa.Text(), nullable=False, server_default=empty))
    op.execute("UPDATE attempts SET cost_micros = 0 WHERE state = 'unbilled'")
    create_rollup()
    create("usage_roles", [number(n) for n in ("role_id", "slot", "tokens", "pictures", "cost_micros")], 2)
    create("guild_settings", [number("guild_id"), words("time_zone")], 1)
    row_id = sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)
    op.create_table(
        "budgets",
        row_id,
        number("guild_id"),
        words("scope"),
        number("scope_id"),
        words("unit"),
        words("period"),
        number("amount"),
        number("set_by"),
        number("set_at"),
        number("warn_channel_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sa.UniqueConstraint(
            *("guild_id", "scope", "scope_id", "unit", "period"),
            name=op.f("uq_budgets_guild_id_scope_scope_id_unit_period"),
        ),
    )
    create("budget_notices", [words("budget"), number("since"), number("percent")], 2)


def create_rollup() -> None:
    op.drop_table("usage_hourly")
    what = ("command", "provider", "model")
    slot_keys = [*map(number, ("guild_id", "slot", "channel_id", "user_id")), *map(words, what)]
    create("usage_slots", [*slot_keys, *map(number, SUMS)], 7, sqlite_with_rowid=False)
    op.create_index(op.f("ix_usage_slots_user_id_slot"), "usage_slots", ["user_id", "slot"])
    sum_keys = [
        *(number("guild_id"), words("kind"), number("time"), number("subject_id")),
        *map(words, (*what, "key_variable")),
    ]
    create("usage_sums", [*sum_keys, *map(number, SUMS)], 8, sqlite_with_rowid=False)
    ended = "FROM attempts WHERE state <> 'sent' GROUP BY"
    place = f"guild_id, {SLOT}, channel_id, user_id, command, provider, model"
    # Our own names alone, nothing from outside.
    op.execute(f"INSERT INTO usage_slots SELECT {place}, {FIGURES} {ended} 1, 2, 3, 4, 5, 6, 7")
    for kind in KINDS:
        op.execute(f"INSERT INTO usage_sums SELECT {kind}, {FIGURES} {ended} 1, 2, 3, 4, 5, 6, 7, 8")
