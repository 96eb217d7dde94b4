"""What was used, for a server's admins and for members themselves."""

from __future__ import annotations

from assistant.booking import start_of_today
from assistant.values import PERIODS, Period, Totals, UsageReport
from db.engine import Connection, Database
from db.usage import read_rows, read_totals

DAYS: dict[Period, int] = {"today": 1, "7 days": 7, "30 days": 30}


async def report_usage(
    database: Database, period: Period, *, guild_id: int, user_id: int | None = None
) -> UsageReport:
    """The usage of one server, or of one member in it (in direct messages: `guild_id` 0). Days are UTC's."""

    async def read(connection: Connection) -> UsageReport:
        totals: dict[Period, Totals] = {}
        for name in PERIODS:
            totals[name] = await read_totals(connection, _start(name), guild_id=guild_id, user_id=user_id)
        since = _start(period)
        by_model = await read_rows(connection, since, "model", guild_id=guild_id, user_id=user_id)
        by_member = [] if user_id else await read_rows(connection, since, "member", guild_id=guild_id)
        return UsageReport(totals, period, by_member, by_model)

    return await database.run(read)


def _start(period: Period) -> int:
    return start_of_today() - (DAYS[period] - 1) * 86400
