"""Comparing the ledger with the sums that reports and budgets read: they must agree to the last token."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from db.ledger import attempts, requests, split_role_ids
from db.rollup import SLOT, SPANS, SUMS, WHOLE_BOT, role_usage, slots, summed

MOST_NAMED = 20  # differences that are told one by one
WHAT = ("command", "provider", "model")
ROLE_IDS = re.compile(r"\d+(,\d+)*")


async def find_differences(connection: AsyncConnection) -> list[str]:
    """A sentence for each place where the ledger and a roll-up differ."""
    problems = await _compare(connection, "slots", booked_slots(), _rolled(slots))
    for kind in SPANS:
        rolled = _rolled(summed).where(summed.c.kind == kind)
        problems += await _compare(connection, kind, booked_sums(kind), rolled)
    kinds = await connection.execute(
        select(summed.c.kind).where(summed.c.kind.not_in(list(SPANS))).distinct().limit(MOST_NAMED)
    )
    problems += [f"The roll-up has sums of the kind {kind!r}." for kind in kinds.scalars()]
    return problems + await _compare_roles(connection)


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
