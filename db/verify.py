"""Checking the books: what must hold after every fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.history import find_torn_turns
from db.ledger import attempts, hourly, requests

SUMS = ("requests", "failures", "prompt_tokens", "completion_tokens", "estimated_tokens", "pictures")
PLACE = ("guild_id", "hour", "channel_id", "user_id", "command", "provider", "model")


async def find_discrepancies(connection: AsyncConnection) -> list[str]:
    """A sentence for each thing in the books that cannot be true; none when all is well.

    To be called while nothing is running: an open attempt counts as a discrepancy.
    """
    problems: list[str] = []
    ended = await connection.scalar(
        select(func.count()).where(attempts.c.state.not_in(("settled", "estimated", "unbilled")))
    )
    if ended:
        problems.append(f"{ended} attempts have no final state.")
    free = await connection.scalar(
        select(func.count()).where(
            attempts.c.state == "unbilled",
            attempts.c.prompt_tokens + attempts.c.completion_tokens + attempts.c.pictures > 0,
        )
    )
    if free:
        problems.append(f"{free} unbilled attempts have figures.")
    held = await connection.scalar(
        select(func.count()).where(
            requests.c.open | (requests.c.reserved_tokens > 0) | (requests.c.reserved_pictures > 0)
        )
    )
    if held:
        problems.append(f"{held} requests are open or hold a reservation.")
    problems += await find_torn_turns(connection)
    problems += await _compare_ledger_with_rollup(connection)
    return problems


async def _compare_ledger_with_rollup(connection: AsyncConnection) -> list[str]:
    tokens = attempts.c.prompt_tokens + attempts.c.completion_tokens
    unbilled = attempts.c.state == "unbilled"
    hour = (attempts.c.sent_at - attempts.c.sent_at % 3600).label("hour")
    place = [hour if name == "hour" else attempts.c[name] for name in PLACE]
    ledger = (
        select(
            *place,
            func.sum(case((unbilled, 0), else_=1)),
            func.sum(case((unbilled & (attempts.c.error_class != "not_sent"), 1), else_=0)),
            func.sum(attempts.c.prompt_tokens),
            func.sum(attempts.c.completion_tokens),
            func.sum(case((attempts.c.state == "estimated", tokens), else_=0)),
            func.sum(attempts.c.pictures),
        )
        .where(attempts.c.state != "sent")
        .group_by(*place)
    )
    rollup = select(*(hourly.c[name] for name in (*PLACE, *SUMS)))
    width = len(PLACE)

    def table(rows: Iterable[Row[Any]]) -> dict[tuple[object, ...], tuple[int, ...]]:
        return {tuple(row[:width]): tuple(int(value) for value in row[width:]) for row in rows}

    booked = table(await connection.execute(ledger))
    reported = table(await connection.execute(rollup))
    return [
        f"Ledger and roll-up differ at {dict(zip(PLACE, place, strict=True))}: "
        f"{booked.get(place)} booked, {reported.get(place)} reported."
        for place in sorted(booked.keys() | reported.keys(), key=str)
        if booked.get(place) != reported.get(place)
    ]
