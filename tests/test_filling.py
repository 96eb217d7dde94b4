"""The made-up use of the demo: books like any other, and made once."""

from __future__ import annotations

from datetime import UTC, date

from assistant.periods import Days, today
from assistant.usage import report
from db.engine import Database
from db.usage import View
from filling import fill
from tests.db.entries import discrepancies

NOW = 1_795_000_000  # 18 November 2026


async def test_made_up_use_is_booked_like_any_other_and_once(database: Database) -> None:
    """The books agree, both months have figures, and a second filling changes nothing."""
    assert await fill(database, 10, (20, 21), (30, 31, 32), NOW)
    assert await discrepancies(database) == []
    assert not await fill(database, 10, (20, 21), (30, 31, 32), NOW)

    last = today(UTC, NOW)
    days = Days(date.fromordinal(last.toordinal() - 29), last)
    found = await report(database, View(10), days, "member", "UTC", NOW)
    assert found.totals.requests > 300
    assert found.before.requests > 150
    assert min(found.totals.pictures, found.totals.failures, found.totals.unpriced) > 0
    assert min(found.totals.estimated, found.totals.fallbacks, found.totals.cost_micros) > 0
    assert {line.key for line in found.lines} == {30, 31, 32}
    assert all(totals.requests for _, totals in found.daily[:-1])
