"""The export: every row of every table, in a form that any program reads."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from db.engine import Database
from db.export import export_lines
from db.history import StoredPicture, add_turn
from db.migrate import newest_revision
from db.reading import open_reader
from db.tables import Base
from tests.db.entries import book, request, turn

SNOWFLAKE = 1_300_000_000_000_000_001  # as a number, many programs would read another one


async def lines_of(address: str) -> list[dict[str, Any]]:
    async with open_reader(address) as connection:
        lines = [line async for line in export_lines(connection, lambda done, total: None)]
    return [json.loads(json.dumps(line)) for line in lines]


async def test_everything_is_exported(database: Database, database_url: str) -> None:
    """What was booked and said is there, ids as text to the digit, bytes as base64, other figures as such."""
    async with database.transaction() as connection:
        turn_id = await book(connection, request(SNOWFLAKE, guild_id=SNOWFLAKE + 1))
        shown = StoredPicture("image/png", b"\x00\xff")
        said = turn(turn_id, "Wie geht’s?", "Gut.\n\x01", pictures=(shown,))
        await add_turn(connection, replace(said, guild_id=SNOWFLAKE + 1))
    first, *rows, last = await lines_of(database_url)

    assert (first["export"], first["form"], first["schema"]) == ("colloquy", 1, newest_revision())
    assert first["rows"].keys() == Base.metadata.tables.keys() - {"responses"}  # which are sealed
    assert last == {"end": True, "rows": len(rows)}
    by_table: dict[str, list[dict[str, Any]]] = {name: [] for name in first["rows"]}
    for line in rows:
        by_table[line["table"]].append(line["row"])
    assert {name: len(found) for name, found in by_table.items()} == first["rows"]
    for name, table in Base.metadata.tables.items() - {("responses", Base.metadata.tables["responses"])}:
        assert all(list(row) == table.columns.keys() for row in by_table[name])
    [attempt] = by_table["attempts"]
    assert (attempt["interaction_id"], attempt["guild_id"]) == (str(SNOWFLAKE), str(SNOWFLAKE + 1))
    assert (attempt["prompt_tokens"], attempt["cost_micros"], attempt["fallback"]) == (10, None, False)
    assert [row["content"] for row in by_table["history"]] == ["Wie geht’s?", "Gut.\n\x01"]
    assert base64.b64decode(by_table["history_pictures"][0]["data"]) == b"\x00\xff"


async def test_export_is_one_moment(database: Database, database_url: str) -> None:
    """What is booked while it is being written is not in it, so that its tables agree."""
    async with database.transaction() as connection:
        for number in range(1, 51):
            await book(connection, request(number))
    tables: dict[str, int] = {}
    async with open_reader(database_url) as connection:
        number = 100
        async for line in export_lines(connection, lambda done, total: None):
            if "table" in line:
                tables[line["table"]] = tables.get(line["table"], 0) + 1
            if number < 150:
                number += 1
                await database.run(lambda connection, number=number: book(connection, request(number)))  # type: ignore[misc]

    assert (tables["requests"], tables["attempts"]) == (50, 50)
