"""The benchmark of the ledger: what it measures is right, whatever the time that takes."""

from dataclasses import astuple
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.periods import bounds, find_zone
from assistant.usage import report
from benchmarks.ledger import DAYS, PLAIN, VIEW, ZONE, measure
from benchmarks.ledger_filling import NOW, fill
from db.engine import open_database
from db.verify import find_discrepancies


async def test_every_figure_is_measured(tmp_path: Path) -> None:
    """Small ledgers are built and measured through to the end."""
    for figures in (await measure([3000, 6000], tmp_path)).values():
        assert all(figure > 0 for figure in astuple(figures))


@pytest.mark.sqlite_only  # it is filled by SQL that is SQLite's own
async def test_the_report_says_what_the_rows_say(database_url: str, tmp_path: Path) -> None:
    """The report that is timed and the plain one beside it have the same members with the same sums."""
    async with open_database(database_url):
        pass
    fill(tmp_path / "colloquy.db", 3000)
    since, until = bounds(DAYS, find_zone(ZONE))
    async with open_database(database_url) as database:
        found = await report(database, VIEW, DAYS, "member", ZONE, NOW, None)
        async with database.transaction() as connection:
            values = {"guild": 1, "since": since, "until": until}
            plain = (await connection.execute(text(PLAIN.format(line="user_id")), values)).all()
            problems = await find_discrepancies(connection)

    assert {line.key: line.totals.requests for line in found.lines} == {row[0]: row[1] for row in plain}
    assert {line.key: line.totals.prompt_tokens for line in found.lines} == {row[0]: row[2] for row in plain}
    assert sum(totals.requests for _, totals in found.daily) == found.totals.requests
    assert found.totals.requests == pytest.approx(3000, rel=0.02)
    assert [problem for problem in problems if "roll-up" in problem] == []
