"""The booking: requests with their reservations, attempts, and the roll-up that goes with each."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Table, bindparam, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from db.responses import note_response
from db.rollup import Totals, add_to_roles, add_to_rollup, insert_for
from db.server import wait_for_turn
from db.tables import Attempt, Request

requests: Table = Request.__table__  # type: ignore[assignment]  # declared as FromClause
attempts: Table = Attempt.__table__  # type: ignore[assignment]  # declared as FromClause

# The number of the lock that admissions hold on PostgreSQL; any will do.
ADMISSIONS = 7_230_001

# Where an attempt belongs, and when.
PLACE = ("sent_at", "guild_id", "channel_id", "user_id", "command", "provider", "model", "key_variable")


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
    micros: int = 0  # millionths of a dollar
    role_ids: tuple[int, ...] = ()  # of the member's roles those that have a budget
    process: int = 0  # which answers it, where several share the database
    response: str = ""  # how to reach whoever asked, sealed


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """An attempt about to be sent; tokens, pictures, pixels and cost are the most it may use."""

    request: NewRequest
    attempt: int
    provider: str
    model: str
    key_variable: str
    prompt_tokens: int
    completion_tokens: int
    pictures: int
    pixels: int = 0
    cost_micros: int | None = None  # None: its model has no price
    price_date: str = ""
    fallback: bool = False  # whether it goes to another than the chain's first choice
    queue_ms: int | None = None


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
    pixels: int = 0
    cost_micros: int | None = None  # None: its model has no price; what is unbilled costs nothing
    delivered: str = ""  # "": not known yet
    steps: int = 0
    first_text_ms: int | None = None
    total_ms: int | None = None

    def totals(self, fallback: bool) -> Totals:
        """What it adds to the roll-up."""
        billed, estimated = self.state != "unbilled", self.state == "estimated"
        return Totals(
            int(billed),
            int(not billed and self.error_class != "not_sent"),
            self.prompt_tokens,
            self.completion_tokens,
            self.prompt_tokens + self.completion_tokens if estimated else 0,
            self.pictures,
            self.pixels,
            self.cost_micros or 0 if billed else 0,
            int(billed and self.cost_micros is None),
            int(estimated),
            int(billed and fallback),
        )


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was found open: attempts that may have cost something, and requests that nothing left."""

    attempts: int
    requests: int


# What an ending writes, besides when it was written.
ENDING = tuple(each.name for each in fields(Ending))

# Statements of every answer are built once: that takes longer than to carry them out.
_NOW = bindparam("now", type_=BigInteger)
_BEGIN = insert(attempts)
_END = (
    update(attempts)
    .where(
        attempts.c.interaction_id == bindparam("of_interaction"),
        attempts.c.attempt == bindparam("number"),
        attempts.c.state == "sent",
    )
    # Not before it was sent, though a clock may be put back meanwhile.
    .values(ended_at=case((attempts.c.sent_at > _NOW, attempts.c.sent_at), else_=_NOW))
    .values({name: bindparam(f"new_{name}") for name in ENDING})
    .returning(*(attempts.c[name] for name in (*PLACE, "fallback")))
)
_CLOSE = (
    update(requests)
    .where(requests.c.interaction_id == bindparam("of_interaction"), requests.c.open)
    .values(
        open=False,
        reserved_tokens=0,
        reserved_pictures=0,
        reserved_micros=0,
        outcome=bindparam("new_outcome"),
    )
)


@cache
def _admission(dialect: str) -> ReturningInsert[Any]:
    return (
        insert_for(dialect, requests)
        .on_conflict_do_nothing(index_elements=["interaction_id"])
        .returning(requests.c.id)
    )


async def admit(connection: AsyncConnection, request: NewRequest) -> int | None:
    """Open the request with its reservation and return its id; None when this interaction was seen before.

    One admission at a time: the next sees this one's reservation, or else many could pass one limit.
    """
    await wait_for_turn(connection, ADMISSIONS)
    result = await connection.execute(
        _admission(connection.dialect.name),
        {
            "interaction_id": request.interaction_id,
            "guild_id": request.guild_id,
            "channel_id": request.channel_id,
            "user_id": request.user_id,
            "command": request.command,
            "created_at": int(time.time()),
            "open": True,
            "reserved_tokens": request.tokens,
            "reserved_pictures": request.pictures,
            "reserved_micros": request.micros,
            "role_ids": ",".join(map(str, request.role_ids)),
            "process": request.process,
            "outcome": "",
        },
    )
    request_id: int | None = result.scalar_one_or_none()
    if request_id is not None and request.response:
        await note_response(connection, request.interaction_id, request.process, request.response)
    return request_id


async def begin_attempt(connection: AsyncConnection, attempt: NewAttempt) -> None:
    """Book an attempt as sent. To be committed before its request leaves."""
    await connection.execute(
        _BEGIN,
        {
            "interaction_id": attempt.request.interaction_id,
            "attempt": attempt.attempt,
            "guild_id": attempt.request.guild_id,
            "channel_id": attempt.request.channel_id,
            "user_id": attempt.request.user_id,
            "command": attempt.request.command,
            "provider": attempt.provider,
            "model": attempt.model,
            "key_variable": attempt.key_variable,
            "sent_at": int(time.time()),
            "ended_at": None,
            "state": "sent",
            "usage_source": "",
            "error_class": "",
            "prompt_tokens": attempt.prompt_tokens,
            "completion_tokens": attempt.completion_tokens,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "pictures": attempt.pictures,
            "pixels": attempt.pixels,
            "cost_micros": attempt.cost_micros,
            "price_date": attempt.price_date,
            "fallback": attempt.fallback,
            "delivered": "",
            "queue_ms": attempt.queue_ms,
        },
    )


async def end_attempt(
    connection: AsyncConnection,
    interaction_id: int,
    attempt: int,
    ending: Ending,
    role_ids: Sequence[int] = (),
) -> bool:
    """End an attempt that is still sent and add it to the roll-up; False when it had ended before.

    `role_ids` are the roles whose budgets it counts towards.
    """
    billed = ending.state != "unbilled"
    new = {f"new_{name}": getattr(ending, name) for name in ENDING}
    new |= {"now": int(time.time()), "new_cost_micros": ending.cost_micros if billed else 0}
    row = (
        await connection.execute(_END, {"of_interaction": interaction_id, "number": attempt, **new})
    ).one_or_none()
    if row is None:
        return False
    ended = ending.totals(row.fallback)
    await add_to_rollup(connection, row._asdict(), ended)
    if role_ids:
        await add_to_roles(connection, role_ids, row.sent_at, ended)
    return True


async def mark_delivered(connection: AsyncConnection, delivered: Mapping[int, str]) -> None:
    """Note of interactions whether their answers reached their members: full, partial or none."""
    # Attempts that gave nothing have been marked so already: those before a fallback, and of pictures any.
    await connection.execute(
        update(attempts)
        .where(
            attempts.c.interaction_id == bindparam("interaction"),
            attempts.c.delivered == "",
            attempts.c.state != "unbilled",
            attempts.c.state != "sent",
        )
        .values(delivered=bindparam("how")),
        [{"interaction": interaction_id, "how": how} for interaction_id, how in delivered.items()],
    )


async def find_unended(connection: AsyncConnection, interaction_ids: Collection[int]) -> set[int]:
    """Those of the interactions that have an attempt without an end."""
    sent = attempts.c.interaction_id.in_(interaction_ids) & (attempts.c.state == "sent")
    return set((await connection.execute(select(attempts.c.interaction_id).where(sent))).scalars())


async def reserve_more(connection: AsyncConnection, interaction_id: int, tokens: int, micros: int) -> None:
    """Add to an open request's reservation, in turn with admissions: each sees what the others reserve."""
    await wait_for_turn(connection, ADMISSIONS)
    r = requests.c
    more = {"reserved_tokens": r.reserved_tokens + tokens, "reserved_micros": r.reserved_micros + micros}
    await connection.execute(update(requests).where(r.interaction_id == interaction_id, r.open).values(more))


async def reserve_less(connection: AsyncConnection, part: NewRequest) -> None:
    """Give a part of an open request's reservation back: what it was for stands in the attempts now."""
    r = requests.c
    less = {}
    for column, amount in (
        (r.reserved_tokens, part.tokens),
        (r.reserved_pictures, part.pictures),
        (r.reserved_micros, part.micros),
    ):
        less[column.name] = case((column > amount, column - amount), else_=0)
    await connection.execute(
        update(requests).where(r.interaction_id == part.interaction_id, r.open).values(less)
    )


async def close_request(connection: AsyncConnection, interaction_id: int, outcome: str) -> None:
    """Close a request and give its reservation back; what it used stands in its attempts."""
    await connection.execute(_CLOSE, {"of_interaction": interaction_id, "new_outcome": outcome})


async def reconcile(connection: AsyncConnection, interaction_ids: Sequence[int] | None = None) -> Reconciled:
    """End what a crash left open: everything, or of these interactions.

    Nobody can know what such an attempt used: it is booked at its most.
    """
    found = select(attempts, requests.c.role_ids).join(
        requests, requests.c.interaction_id == attempts.c.interaction_id
    )
    still_open = select(requests.c.interaction_id).where(requests.c.open)
    if interaction_ids is not None:
        found = found.where(attempts.c.interaction_id.in_(interaction_ids))
        still_open = still_open.where(requests.c.interaction_id.in_(interaction_ids))
    sent = (await connection.execute(found.where(attempts.c.state == "sent"))).all()
    for row in sent:
        most = Ending(
            "estimated",
            "cap",
            "interrupted",
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            pictures=row.pictures,
            pixels=row.pixels,
            cost_micros=row.cost_micros,
        )
        await end_attempt(connection, row.interaction_id, row.attempt, most, split_role_ids(row.role_ids))
    left_open = (await connection.execute(still_open)).scalars().all()
    for interaction_id in left_open:
        await close_request(connection, interaction_id, "lost")
    return Reconciled(len(sent), len(left_open))


def split_role_ids(joined: str) -> list[int]:
    """The roles of `requests.role_ids`."""
    return [int(role_id) for role_id in joined.split(",") if role_id]
