"""Reading a channel's history among 5 million messages and among ten thousand.

The messages are made up and lie in SQLite files with the real schema; what is timed is the read that `/ask`
makes, for channels that talk much and for those that hardly do. The aim: as fast in the one as in the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from db.engine import Database, open_database
from db.history import ConversationKey, read_turns

SMALL, LARGE = 10_000, 5_000_000
READS = 300
# Every other turn is in one of ten channels; the others are spread over as many as have ten turns each.
BUSY_CHANNELS = 10
QUIET_TURNS = 10
FIRST_QUIET_CHANNEL = 1000
# Member and answer differ from row to row, as they do in life. Question and answer have the same turn.
FILL = """
WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :rows)
INSERT INTO history (turn_id, guild_id, channel_id, user_id, role, content, created_at)
SELECT n / 2 + 1, 1,
    CASE WHEN n / 2 % 2 THEN 1 + n / 4 % :busy ELSE 1000 + n / 4 * 7919 % :quiet END,
    1 + n / 2 * 104729 % 50000,
    CASE WHEN n % 2 THEN 'assistant' ELSE 'user' END,
    printf('message %d of a talk about nothing in particular', n),
    1790000000 + n
FROM number
"""


def busy_channels(_: int) -> range:
    """The channels that half of the messages are in."""
    return range(1, 1 + BUSY_CHANNELS)


def quiet_channels(rows: int) -> range:
    """The channels that the other half of so many messages is in."""
    return range(FIRST_QUIET_CHANNEL, FIRST_QUIET_CHANNEL + rows // 2 // (2 * QUIET_TURNS))


async def fill(path: Path, rows: int) -> None:
    """Make a database with so many messages, the fast way: its indexes are built at the end."""
    async with open_database(f"sqlite+aiosqlite:///{path}"):
        pass  # creates the tables
    connection = sqlite3.connect(path)
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master "
        "WHERE type = 'index' AND tbl_name = 'history' AND sql IS NOT NULL"
    ).fetchall()
    connection.execute("PRAGMA synchronous = OFF")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute(FILL, {"rows": rows, "busy": BUSY_CHANNELS, "quiet": len(quiet_channels(rows))})
    for _, statement in indexes:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def read_milliseconds(database: Database, channel_id: int) -> float:
    """How long one read takes, transaction and all."""
    began = time.perf_counter()
    turns = await database.run(partial(read_turns, key=ConversationKey(channel_id)))
    took = time.perf_counter() - began
    assert turns
    return 1000 * took


async def compare(small: int, large: int) -> dict[str, float]:
    """Median milliseconds of a read in the small and the large history, and how many times slower that is.

    Both are read in turn, so that what else the machine does meets both.
    """
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {rows: Path(folder, f"{rows}.db") for rows in (small, large)}
        for rows, path in paths.items():
            await fill(path, rows)
        async with (
            open_database(f"sqlite+aiosqlite:///{paths[small]}") as few,
            open_database(f"sqlite+aiosqlite:///{paths[large]}") as many,
        ):
            for kind, channels in (("busy", busy_channels), ("quiet", quiet_channels)):
                took: tuple[list[float], list[float]] = ([], [])
                for _ in range(READS):
                    took[0].append(await read_milliseconds(few, random.choice(channels(small))))
                    took[1].append(await read_milliseconds(many, random.choice(channels(large))))
                medians = [statistics.median(each) for each in took]
                result[f"{kind}_small_ms"] = round(medians[0], 3)
                result[f"{kind}_large_ms"] = round(medians[1], 3)
                result[f"{kind}_ratio"] = round(medians[1] / medians[0], 2)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--messages", type=int, default=LARGE, help=f"{LARGE} unless told")
    arguments = parser.parse_args()
    result = asyncio.run(compare(SMALL, arguments.messages))
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"One read of a channel's history, median of {READS}")
    print(f"{'messages':18}{SMALL:>12,}{arguments.messages:>12,}{'ratio':>8}   (aim: about 1)")
    for kind in ("busy", "quiet"):
        figures = [result[f"{kind}_{name}"] for name in ("small_ms", "large_ms", "ratio")]
        print(f"{kind + ' channels, ms':18}{figures[0]:>12.3f}{figures[1]:>12.3f}{figures[2]:>8.2f}")


if __name__ == "__main__":
    main()
