"""Which limits hold for a request, the sentence for one that has reached a limit, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC

from assistant.periods import budget_bounds, find_zone
from assistant.values import BudgetNotice, Limits, Refused
from db.budgets import (
    BUDGET_PERIODS,
    UNITS,
    Limit,
    Scope,
    StoredBudget,
    Unit,
    Used,
    note_crossed,
    note_refused,
    read_used,
)
from db.engine import Connection
from db.ledger import NewRequest

MICROS = 1_000_000
PREFIXES: tuple[tuple[str, Scope], ...] = (("", "bot"), ("server_", "server"), ("member_", "member"))
WHOSE = {
    "bot": "for this bot",
    "server": "for this server",
    "channel": "for this channel",
    "role": "for the role <@&{}>",
    "member": "for you",
}


class LimitReached(Refused):
    """The request does not fit into a limit; the text is for the member.

    `closed` are the limits, each with what is used of it, that would have no room for it either if nothing
    else were running.
    """

    def __init__(self, sentence: str, closed: Sequence[tuple[Limit, int]] = ()) -> None:
        super().__init__(sentence)
        self.closed = closed


def limits_of(
    host: Limits,
    zone_name: str,
    budgets: Sequence[StoredBudget],
    request: NewRequest,
    role_ids: Sequence[int],
    now: float,
) -> list[Limit]:
    """Every limit that holds for a request now. The host's days are UTC's, a server's are its own."""
    return [*_by_host(host, request, now), *_by_server(zone_name, budgets, request, role_ids, now)]


def _by_host(host: Limits, request: NewRequest, now: float) -> Iterator[Limit]:
    for prefix, scope in PREFIXES:
        if scope == "server" and request.guild_id == 0:
            continue
        for unit in UNITS:
            for period in BUDGET_PERIODS:
                allowed = getattr(host, f"{prefix}{unit}_per_{period}")
                if allowed is None:
                    continue
                amount = round(allowed * MICROS) if unit == "dollars" else allowed
                yield Limit(
                    scope,
                    request.user_id if scope == "member" else 0,
                    request.guild_id if scope == "server" else 0,
                    unit,
                    period,
                    amount,
                    *budget_bounds(period, UTC, now),
                    by_host=True,
                )


def _by_server(
    zone_name: str, budgets: Sequence[StoredBudget], request: NewRequest, role_ids: Sequence[int], now: float
) -> Iterator[Limit]:
    zone = find_zone(zone_name)
    subjects = {"server": (0,), "channel": (request.channel_id,), "role": role_ids, "member": (0,)}
    for budget in budgets:
        if budget.scope_id in subjects[budget.scope]:
            yield Limit(
                budget.scope,
                request.user_id if budget.scope == "member" else budget.scope_id,
                budget.guild_id,
                budget.unit,
                budget.period,
                budget.amount,
                *budget_bounds(budget.period, zone, now),
                warn_channel_id=budget.warn_channel_id,
            )


def check(limits: Sequence[Limit], used: Sequence[Used], request: NewRequest) -> None:
    """Raise LimitReached if a limit is passed, with the request's own reservation counted in already.

    Of several it names the one that opens last: before that there is no use in asking again.
    """
    needs = {"tokens": request.tokens, "pictures": request.pictures, "dollars": request.micros}
    passed = [
        (limit, figures)
        for limit, figures in zip(limits, used, strict=True)
        if needs[limit.unit] and figures.spent + figures.held > limit.amount
    ]
    if passed:
        limit, figures = max(passed, key=lambda pair: pair[0].until)
        left = max(0, limit.amount - (figures.spent + figures.held - needs[limit.unit]))
        closed = [(each, used.spent) for each, used in passed if used.spent + needs[each.unit] > each.amount]
        raise LimitReached(refusal(limit, left), closed)


async def crossed(connection: Connection, limits: Sequence[Limit]) -> list[BudgetNotice]:
    """What is to be told of these limits now, and noted as told: each is used to 50, 80 or 100 %."""
    notices = []
    for limit, used in zip(limits, await read_used(connection, limits), strict=True):
        percent = await note_crossed(connection, limit, used.spent)
        if percent is not None:
            notices.append(BudgetNotice(limit, used.spent, percent))
    return notices


async def refused(connection: Connection, reached: LimitReached) -> list[BudgetNotice]:
    """What is to be told of limits that have refused a request, and noted as told."""
    return [
        BudgetNotice(limit, spent, None)
        for limit, spent in reached.closed
        if await note_refused(connection, limit)
    ]


def refusal(limit: Limit, left: int) -> str:
    """Which limit it is, when it opens again, and who can raise it."""
    when = "Today's" if limit.period == "day" else "This month's"
    whose = WHOSE[limit.scope].format(limit.scope_id)
    if left == 0:
        rest = "none is left" if limit.unit == "pictures" else "nothing is left"
    else:
        rest = f"what is left ({in_unit(left, limit.unit)}) is too little for this"
    who = "The bot's host" if limit.by_host else "Anyone who may manage this server"
    return (
        f"{when} limit {whose} is {in_unit(limit.amount, limit.unit)}, and {rest}. "
        f"It opens again <t:{limit.until}:R>. {who} can raise it."
    )


def in_unit(amount: int, unit: Unit) -> str:
    """An amount for people: "1,000 tokens", "1 picture", "$0.05"."""
    if unit == "dollars":
        # Cents, and more where they would hide it all.
        return f"${amount / MICROS:,.2f}" if amount % 10_000 == 0 else f"${amount / MICROS:,.4f}"
    return f"{amount:,} {unit[:-1] if amount == 1 else unit}"
