"""The ledger at a million attempts and more: reports, the write of one answer, a member's deletion.

The attempts lie in 2,000 channels of 50 servers and in one year. One server has 400,000 of them in the last
30 days, or as many as there are; an eighth of its members sends half of them. The report is that server's, in
the days of Asia/Kolkata, which begin at half past.

- top10_ms: the ten members who used most, the rest, and the totals; from the command to rows.
- full_ms: the whole report with every member's line, the totals of the 30 days before, and each day's.
- plain_full_ms: the same by GROUP BY over the ledger's rows, with an index on server and time.
- write_us: the transaction at an answer's end: messages, attempt, roll-up, reservation.
- plain_write_us: the same without the roll-up.
- delete_member_ms: deleting a member's 10,000 messages.
- answer_held_ms: the longest that the write of an answer took while such reports ran one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import delete, insert, text, update
from sqlalchemy.dialects.sqlite import dialect

from assistant.periods import Days, bounds, find_zone, named_days, today
from assistant.usage import report
from db.engine import Connection, Database, open_database
from db.history import ConversationKey, NewTurn, add_turn, history
from db.ledger import (
    Ending,
    NewAttempt,
    NewRequest,
    admit,
    attempts,
    begin_attempt,
    close_request,
    end_attempt,
)
from db.rollup import SPANS, slots, summed
from db.usage import View, read_lines, read_totals
from db.verify import booked_slots, booked_sums

ZONE = "Asia/Kolkata"
NOW = 1_800_000_000
LARGE, LARGE_SHARE = 1, 400_000
VIEW = View(LARGE)
LEAVER = 99_999  # the member who is deleted
WRITES = 300
RUNS = 15
ENDING = Ending("settled", "provider", prompt_tokens=900, completion_tokens=300, cost_micros=240)

# Numbers that look drawn by lot, and are the same each time. Of two, the smaller: some members ask a lot.
FILL = """
WITH RECURSIVE number(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM number WHERE i < ?),
drawn AS (
    SELECT i, i <= ? AS large, (i * 2654435761) % 4294967296 AS a, (i * 2246822519 + 7) % 4294967291 AS b,
        (i * 3266489917 + 3) % 4294967279 AS c
    FROM number
)
INSERT INTO attempts (id, interaction_id, attempt, guild_id, channel_id, user_id, command, provider, model,
    key_variable, sent_at, ended_at, state, usage_source, error_class, prompt_tokens, completion_tokens,
    cached_tokens, reasoning_tokens, pictures, pixels, cost_micros, price_date, fallback, delivered,
    queue_ms, first_text_ms, total_ms)
SELECT i, i, 1,
    CASE WHEN large THEN 1 ELSE 1 + c % 50 END,
    CASE WHEN large THEN min(a % 200, b % 200) ELSE 200 + (c % 50) * 36 + b % 36 END,
    -- An eighth of the members asks half of the questions.
    CASE WHEN large THEN CAST(5000 * (b / 4294967291.0) * (b / 4294967291.0) * (b / 4294967291.0) AS INTEGER)
        ELSE 5000 + (c % 50) * 400 + min(a % 400, b % 400) END,
    CASE WHEN a % 20 = 0 THEN 'imagine' ELSE 'ask' END,
    'vendor-' || (c % 3), 'model-' || (c % 3), 'VENDOR_KEY' || (b % 6),
    CASE WHEN large THEN :now - a % 2592000 ELSE :now - a % 31536000 END,
    :now,
    'settled', 'provider', '', 200 + a % 2000, 50 + b % 600, 0, 0, a % 20 = 0, 0, 100 + a % 900, '2026-11-01',
    c % 30 = 0, 'full', 3, 400, 4000
FROM drawn
""".replace(":now", str(NOW))
MESSAGES = """
WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ?)
INSERT INTO history (turn_id, guild_id, channel_id, user_id, role, content, created_at)
SELECT -((i + 1) / 2), 2, (i * 2654435761) % 4294967296 % 2000,
    CASE WHEN i <= 10000 THEN 99999 ELSE (i * 2246822519) % 4294967291 % 20000 END,
    CASE WHEN i % 2 THEN 'user' ELSE 'assistant' END, 'Some words of about the length of a question here.', 0
FROM number
"""
# What a report by GROUP BY alone asks for.
PLAIN = """
SELECT {line}, count(*), sum(prompt_tokens), sum(completion_tokens), sum(pictures), sum(pixels),
    sum(coalesce(cost_micros, 0)), sum(cost_micros IS NULL), sum(state = 'estimated'), sum(fallback),
    sum(CASE WHEN state = 'estimated' THEN prompt_tokens + completion_tokens ELSE 0 END),
    sum(CASE WHEN state = 'unbilled' THEN 1 ELSE 0 END)
FROM attempts WHERE guild_id = :guild AND sent_at >= :since AND sent_at < :until GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured at one size."""

    top10_ms: float
    full_ms: float
    plain_full_ms: float
    write_us: float
    plain_write_us: float
    delete_member_ms: float
    answer_held_ms: float


def fill(path: Path, size: int) -> None:
    """Write attempts, messages and the roll-up, with SQLite alone: this is not what is measured."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute("PRAGMA foreign_keys = OFF")
    with connection:
        connection.execute(FILL, (1, size, min(LARGE_SHARE, size)))
        connection.execute(MESSAGES, (max(size, 20_000),))
        connection.execute(
            "INSERT INTO requests SELECT id, interaction_id, guild_id, channel_id, user_id, command, "
            "sent_at, false, 0, 0, 'answered', 0, '' FROM attempts"
        )
        roll_up(connection)
    connection.close()


def roll_up(connection: sqlite3.Connection) -> None:
    """Make the roll-up of what was filled in."""
    for table, booked in ((slots, booked_slots()), *((summed, booked_sums(kind)) for kind in SPANS)):
        statement = insert(table).from_select(booked.selected_columns.keys(), booked)
        compiled = statement.compile(dialect=dialect(), compile_kwargs={"literal_binds": True})
        connection.execute(str(compiled))


async def top_ten(database: Database, days: Days) -> None:
    """The ten members who used most, and the totals that the rest is reckoned from."""
    since, until = bounds(days, find_zone(ZONE))

    async def read(connection: Connection) -> None:
        await read_lines(connection, VIEW, "member", since, until, 10)
        await read_totals(connection, VIEW, since, until)

    await database.read(read)


async def full_report(database: Database, days: Days) -> None:
    """The whole report, with every line."""
    found = await report(database, VIEW, days, "member", ZONE, NOW, None)
    assert found.lines
    assert len(found.daily) == days.count


async def plain_report(database: Database, days: Days) -> None:
    """The same figures from the rows of the ledger."""
    zone = find_zone(ZONE)
    since, until = bounds(days, zone)
    before, _ = bounds(days.before(), zone)
    offset = since % 86400

    async def read(connection: Connection) -> None:
        for line, begin, end in (
            ("user_id", since, until),
            ("1", since, until),
            ("1", before, since),
            (f"(sent_at - {offset}) / 86400", since, until),
        ):
            values = {"guild": LARGE, "since": begin, "until": end}
            assert (await connection.execute(text(PLAIN.format(line=line)), values)).all()

    await database.run(read)


async def milliseconds(work: Callable[[], Awaitable[None]], runs: int = RUNS) -> float:
    """The median time of `work`, after a first run that is not counted."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        await work()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


class Answers:
    """Answers that come to their end, each as a question of its own."""

    def __init__(self, database: Database, first_number: int) -> None:
        self._database = database
        self._number = first_number

    async def write(self, *, plain: bool = False) -> float:
        """Admit a question, then write its answer; gives the seconds that the latter took."""
        self._number += 1
        request = NewRequest(self._number, LARGE, 5, self._number % 500, "ask", 1000)
        attempt = NewAttempt(
            request, 1, "vendor-1", "model-1", "VENDOR_KEY1", 900, 300, 0, 0, 240, "2026-11-01"
        )

        async def prepare(connection: Connection) -> int:
            turn_id = await admit(connection, request)
            await begin_attempt(connection, attempt)
            assert turn_id is not None
            return turn_id

        async def settle(connection: Connection) -> None:
            if plain:
                await end_plainly(connection, request.interaction_id)
            else:
                await end_attempt(connection, request.interaction_id, 1, ENDING)
            question, said = "A question of some length, as they are.", "An answer." * 30
            turn = NewTurn(turn_id, LARGE, ConversationKey(5), request.user_id, question, said)
            await add_turn(connection, turn)
            await close_request(connection, request.interaction_id, "answered")

        turn_id = await self._database.run(prepare)
        started = time.perf_counter()
        await self._database.run(settle)
        return time.perf_counter() - started


async def end_plainly(connection: Connection, interaction_id: int) -> None:
    """End an attempt as `end_attempt` does, without a roll-up."""
    values = asdict(ENDING) | {"ended_at": int(time.time())}
    await connection.execute(
        update(attempts)
        .where(
            attempts.c.interaction_id == interaction_id, attempts.c.attempt == 1, attempts.c.state == "sent"
        )
        .values(values)
        .returning(attempts.c.sent_at)
    )


async def longest_hold(database: Database, answers: Answers, days: Days) -> float:
    """The milliseconds that the slowest write of an answer took while reports ran without a pause."""

    async def reports() -> None:
        while True:
            await report(database, VIEW, days, "member", ZONE, NOW)
            await full_report(database, days)

    running = asyncio.create_task(reports())
    slowest = max([await answers.write() for _ in range(WRITES)])
    running.cancel()
    await asyncio.wait([running])
    return 1000 * slowest


async def delete_member(connection: Connection) -> None:
    """Delete a member's messages."""
    deleted = await connection.execute(delete(history).where(history.c.user_id == LEAVER))
    assert deleted.rowcount == 10_000


async def measure(size: int, folder: Path) -> Figures:
    """Build a ledger of that size in a folder, and measure."""
    path = folder / f"ledger-{size}.db"
    days = named_days("30 days", today(find_zone(ZONE), NOW))
    address = f"sqlite+aiosqlite:///{path}"
    async with open_database(address):
        pass
    await asyncio.to_thread(fill, path, size)
    async with open_database(address) as database:
        answers = Answers(database, 10**9)
        top10_ms = await milliseconds(partial(top_ten, database, days))
        full_ms = await milliseconds(partial(full_report, database, days))
        write_us = 1e6 * statistics.median([await answers.write() for _ in range(WRITES)])
        plain_write_us = 1e6 * statistics.median([await answers.write(plain=True) for _ in range(WRITES)])
        held_ms = await longest_hold(database, answers, days)
        started = time.perf_counter()
        await database.run(delete_member)
        delete_member_ms = 1000 * (time.perf_counter() - started)
        async with database.transaction() as connection:
            await connection.execute(text("CREATE INDEX plain ON attempts (guild_id, sent_at)"))
        plain_full_ms = await milliseconds(partial(plain_report, database, days), 3)
    return Figures(top10_ms, full_ms, plain_full_ms, write_us, plain_write_us, delete_member_ms, held_ms)


def main() -> None:
    """Measure at each size and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--attempts",
        type=int,
        nargs="+",
        default=[1_000_000],
        metavar="N",
        help="sizes of the ledger (default: 1000000; 5000000 takes some minutes and 4 GB)",
    )
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    figures = {}
    for size in arguments.attempts:
        with tempfile.TemporaryDirectory() as folder:
            figures[size] = asyncio.run(measure(size, Path(folder)))
    if arguments.json:
        print(json.dumps({str(size): asdict(found) for size, found in figures.items()}))
        return
    print(f"{'':18}" + "".join(f"{size:>14,}" for size in figures))
    for name in Figures.__dataclass_fields__:
        print(f"{name:18}" + "".join(f"{getattr(found, name):>14.1f}" for found in figures.values()))


if __name__ == "__main__":
    main()
