"""Everything that a database holds, row by row, for other programs to read."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.files import Advance
from db.migrate import newest_revision
from db.tables import Base

# Of the form of these lines, for whoever reads them.
FORM = 1
# What is fetched from the database at once.
ROWS_AT_ONCE = 1000
# Ids that are not called so.
IDS = {"id", "private_to", "set_by"}
# What is exported: all but what is sealed, and of use for minutes to the bot alone.
TABLES = [table for table in Base.metadata.sorted_tables if table.name != "responses"]


async def export_lines(connection: AsyncConnection, advance: Advance) -> AsyncGenerator[dict[str, Any], None]:
    """Yield a line that says what follows, each row of each table, and a line that says that this was all.

    Ids are text: many programs read numbers of that size inexactly. Bytes are base64. No secret is among it.
    """
    counts = {
        table.name: int(await connection.scalar(select(func.count()).select_from(table)) or 0)
        for table in TABLES
    }
    done, total = 0, sum(counts.values())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    yield {"export": "colloquy", "form": FORM, "schema": newest_revision(), "at": now, "rows": counts}
    for table in TABLES:
        statement = select(table).order_by(*table.primary_key.columns)
        rows = await connection.stream(statement.execution_options(yield_per=ROWS_AT_ONCE))
        async for row in rows:
            yield {"table": table.name, "row": _plain(table, row)}
            done += 1
            advance(done, total)
    yield {"end": True, "rows": done}


def _plain(table: Table, row: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column, value in zip(table.columns, row, strict=True):
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode("ascii")
        elif isinstance(value, int) and (column.name in IDS or column.name.endswith("_id")):
            value = str(value)
        values[column.name] = value
    return values
