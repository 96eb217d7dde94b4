"""What counts towards a budget: everything since its day or month began in the server's zone, and no more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from assistant.periods import budget_bounds, find_zone
from db.budgets import BudgetPeriod, Limit, Scope, Used, read_used
from db.engine import Database
from tests.db.entries import book_at

# For whom, with the server that counts: for the host's limits 0, which is all of them.
SCOPES: list[tuple[Scope, int, int]] = [
    ("server", 0, 10),
    ("channel", 20, 10),
    ("member", 30, 10),
    ("member", 30, 0),
    ("bot", 0, 0),  # last: the host's, whose days are UTC's
]


@pytest.mark.parametrize(
    ("zone", "now", "day", "month"),
    [
        ("Europe/Berlin", (2026, 3, 29, 20), (2026, 3, 28, 23), (2026, 2, 28, 23)),  # a day of 23 hours
        ("Europe/Berlin", (2026, 10, 25, 22), (2026, 10, 24, 22), (2026, 9, 30, 22)),  # of 25 hours
        ("America/New_York", (2028, 3, 1, 4), (2028, 2, 29, 5), (2028, 2, 1, 5)),  # still the leap day
        ("America/New_York", (2028, 3, 1, 5), (2028, 3, 1, 5), (2028, 3, 1, 5)),  # no longer
        ("America/Los_Angeles", (2027, 1, 1, 7), (2026, 12, 31, 8), (2026, 12, 1, 8)),  # still last year
        ("Asia/Kathmandu", (2026, 12, 31, 18, 15), (2026, 12, 31, 18, 15), (2026, 12, 31, 18, 15)),
        ("Asia/Kolkata", (2026, 2, 28, 18), (2026, 2, 27, 18, 30), (2026, 1, 31, 18, 30)),
        ("Pacific/Auckland", (2026, 9, 30, 12), (2026, 9, 30, 11), (2026, 9, 30, 11)),  # October already
        ("Australia/Lord_Howe", (2026, 10, 4, 12), (2026, 10, 3, 13, 30), (2026, 9, 30, 13, 30)),
        ("UTC", (2027, 1, 31, 23), (2027, 1, 31), (2027, 1, 1)),
    ],
)
async def test_a_budget_counts_from_its_zones_midnight(
    database: Database, zone: str, now: tuple[int, ...], day: tuple[int, ...], month: tuple[int, ...]
) -> None:
    """To the second, over month ends, the leap day and changes of clocks, east and west of UTC.

    `now` and where day and month begin are in UTC.
    """
    moment, scopes = at(now), SCOPES if zone == "UTC" else SCOPES[:-1]
    limits: list[Limit] = []
    periods: tuple[tuple[BudgetPeriod, tuple[int, ...]], ...] = (("day", day), ("month", month))
    for period, begins in periods:
        since, until = budget_bounds(period, find_zone(zone), moment)
        assert since == at(begins)
        assert since <= moment < until
        limits += [
            Limit(scope, scope_id, guild_id, "tokens", period, 10**9, since, until)
            for scope, scope_id, guild_id in scopes
        ]
    # Each weighs another power of ten, so that a sum says which are in it.
    for tokens, begins in ((1, day), (100, month)):
        await book_at(database, [datetime.fromtimestamp(at(begins) - 1, UTC)], tokens=tokens)
        await book_at(database, [datetime.fromtimestamp(at(begins), UTC)], tokens=10 * tokens)
    await book_at(database, [datetime.fromtimestamp(moment, UTC)], tokens=10_000)

    if day == month:
        of_day = of_month = 11_010
    else:
        of_day, of_month = 10_010, 11_011
    used = await database.run(lambda connection: read_used(connection, limits))
    assert used == [Used(of_day, 0)] * len(scopes) + [Used(of_month, 0)] * len(scopes)


def at(moment: tuple[int, ...]) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]  # a date's parts
