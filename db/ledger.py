"""The booking: requests with their reservations, attempts, and the roll-up that goes with each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables import Attempt, HourlyUsage, Request

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

requests: Table = Request.__table__  # type: ignore[assignment]  # declared as FromClause
attempts: Table = Attempt.__table__  # type: ignore[assignment]  # declared as FromClause
hourly: Table = HourlyUsage.__table__  # type: ignore[assignment]  # declared as FromClause

# The number of the lock that admissions hold on PostgreSQL; any will do.
ADMISSIONS = 7_230_001


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be admitted, with the most it may use."""

    interaction_id: int
    guild_id: int
    channel_id: int
    user_id: int
    command: str
    tokens: int = 0
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """An attempt about to be sent; tokens and pictures are the most it may use."""

    request: NewRequest
    attempt: int
    provider: str
    model: str
    key_variable: str
    prompt_tokens: int
    completion_tokens: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, and what it used."""

    state: str  # settled, estimated or unbilled
    usage_source: str = ""  # provider, tokenizer or cap
    error_class: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """What was used, or is reserved by requests that are still running."""

    tokens: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the start-up found open: attempts that may have cost something, and requests that nothing left."""

    attempts: int
    requests: int


async def admit(connection: AsyncConnection, request: NewRequest) -> int | None:
    """Open the request with its reservation and return its id; None when this interaction was seen before.

    One admission at a time: the next sees this one's reservation, or else many could pass one limit.
    """
    if connection.dialect.name == "postgresql":  # an SQLite transaction is alone anyway
        await connection.execute(select(func.pg_advisory_xact_lock(ADMISSIONS)))
    result = await connection.execute(
        _insert(connection, requests)
        .values(
            interaction_id=request.interaction_id,
            guild_id=request.guild_id,
            channel_id=request.channel_id,
            user_id=request.user_id,
            command=request.command,
            created_at=int(time.time()),
            open=True,
            reserved_tokens=request.tokens,
            reserved_pictures=request.pictures,
            outcome="",
        )
        .on_conflict_do_nothing(index_elements=["interaction_id"])
        .returning(requests.c.id)
    )
    request_id: int | None = result.scalar_one_or_none()
    return request_id


async def used_since(connection: AsyncConnection, since: int, user_id: int | None = None) -> Used:
    """What the whole bot, or one member, has used since that hour, open reservations included."""
    spent = select(
        func.coalesce(func.sum(hourly.c.prompt_tokens + hourly.c.completion_tokens), 0),
        func.coalesce(func.sum(hourly.c.pictures), 0),
    ).where(hourly.c.hour >= since)
    held = select(
        func.coalesce(func.sum(requests.c.reserved_tokens), 0),
        func.coalesce(func.sum(requests.c.reserved_pictures), 0),
    ).where(requests.c.open)
    if user_id is not None:
        spent = spent.where(hourly.c.user_id == user_id)
        held = held.where(requests.c.user_id == user_id)
    spent_tokens, spent_pictures = (await connection.execute(spent)).one()
    held_tokens, held_pictures = (await connection.execute(held)).one()
    return Used(int(spent_tokens + held_tokens), int(spent_pictures + held_pictures))


async def begin_attempt(connection: AsyncConnection, attempt: NewAttempt) -> None:
    """Book an attempt as sent. To be committed before its request leaves."""
    await connection.execute(
        insert(attempts).values(
            interaction_id=attempt.request.interaction_id,
            attempt=attempt.attempt,
            guild_id=attempt.request.guild_id,
            channel_id=attempt.request.channel_id,
            user_id=attempt.request.user_id,
            command=attempt.request.command,
            provider=attempt.provider,
            model=attempt.model,
            key_variable=attempt.key_variable,
            sent_at=int(time.time()),
            ended_at=None,
            state="sent",
            usage_source="",
            error_class="",
            prompt_tokens=attempt.prompt_tokens,
            completion_tokens=attempt.completion_tokens,
            cached_tokens=0,
            reasoning_tokens=0,
            pictures=attempt.pictures,
        )
    )


async def end_attempt(connection: AsyncConnection, interaction_id: int, attempt: int, ending: Ending) -> bool:
    """End an attempt that is still sent and add it to the roll-up; False when it had ended before."""
    row = (
        await connection.execute(
            update(attempts)
            .where(
                attempts.c.interaction_id == interaction_id,
                attempts.c.attempt == attempt,
                attempts.c.state == "sent",
            )
            .values(
                ended_at=int(time.time()),
                state=ending.state,
                usage_source=ending.usage_source,
                error_class=ending.error_class,
                prompt_tokens=ending.prompt_tokens,
                completion_tokens=ending.completion_tokens,
                cached_tokens=ending.cached_tokens,
                reasoning_tokens=ending.reasoning_tokens,
                pictures=ending.pictures,
            )
            .returning(
                attempts.c.sent_at,
                attempts.c.guild_id,
                attempts.c.channel_id,
                attempts.c.user_id,
                attempts.c.command,
                attempts.c.provider,
                attempts.c.model,
            )
        )
    ).one_or_none()
    if row is None:
        return False
    tokens = ending.prompt_tokens + ending.completion_tokens
    statement = _insert(connection, hourly).values(
        hour=row.sent_at - row.sent_at % 3600,
        guild_id=row.guild_id,
        channel_id=row.channel_id,
        user_id=row.user_id,
        command=row.command,
        provider=row.provider,
        model=row.model,
        requests=int(ending.state != "unbilled"),
        failures=int(ending.state == "unbilled" and ending.error_class != "not_sent"),
        prompt_tokens=ending.prompt_tokens,
        completion_tokens=ending.completion_tokens,
        estimated_tokens=tokens if ending.state == "estimated" else 0,
        pictures=ending.pictures,
    )
    sums = ("requests", "failures", "prompt_tokens", "completion_tokens", "estimated_tokens", "pictures")
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(hourly.primary_key),
            set_={name: hourly.c[name] + statement.excluded[name] for name in sums},
        )
    )
    return True


async def close_request(connection: AsyncConnection, interaction_id: int, outcome: str) -> None:
    """Close a request and give its reservation back; what it used stands in its attempts."""
    await connection.execute(
        update(requests)
        .where(requests.c.interaction_id == interaction_id, requests.c.open)
        .values(open=False, reserved_tokens=0, reserved_pictures=0, outcome=outcome)
    )


async def reconcile(connection: AsyncConnection) -> Reconciled:
    """End what a crash left open. Nobody can know what such an attempt used: it is booked at its most."""
    sent = (await connection.execute(select(attempts).where(attempts.c.state == "sent"))).all()
    for row in sent:
        most = Ending(
            "estimated",
            "cap",
            "interrupted",
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            pictures=row.pictures,
        )
        await end_attempt(connection, row.interaction_id, row.attempt, most)
    still_open = select(requests.c.interaction_id).where(requests.c.open)
    left_open = (await connection.execute(still_open)).scalars().all()
    for interaction_id in left_open:
        await close_request(connection, interaction_id, "lost")
    return Reconciled(len(sent), len(left_open))


def _insert(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT with ON CONFLICT, which both databases have under the same names."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # 2 MiB, only where they are of use

        return postgresql.insert(table)
    return sqlite.insert(table)
