"""The ledger at a million attempts and more: reports, the write of one answer, a member's deletion.

The report is of 30 days of a server with 400,000 attempts in them (`benchmarks.ledger_filling`), in the days
of Asia/Kolkata, which begin at half past.

- top10_ms: what `/usage` reads: the server's time zone, the ten members who used most, the rest, the totals,
  those of the 30 days before, and each day's; from the command to rows.
- full_ms: the same with every member's line, as for the files.
- plain_full_ms: the same by GROUP BY over the ledger's rows, with an index on server and time.
- chart_ms: the report's chart, drawn in a thread; the first one, which loads matplotlib, is not counted.
- write_us: the transaction at an answer's end: messages, attempt, roll-up, reservation.
- plain_write_us: the same without the roll-up.
- delete_member_ms: deleting a member's 10,000 messages.
- answer_held_ms: the longest that the write of an answer took while reports, their charts and their files
  were made one after the other without a pause; answer_alone_ms: the longest of as many without them.

Each figure is the median of several runs, of reports and charts in turn at each size. Of the longest writes
it is the median of several rounds, in turn with and without reports, with the worst beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import delete, text, update

from assistant.charts import chart
from assistant.export import as_files
from assistant.periods import bounds, find_zone, named_days, today
from assistant.usage import TOP, Reports, report, time_zone_of
from benchmarks.ledger_filling import LARGE, LEAVER, NOW, fill
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
from db.usage import View

ZONE = "Asia/Kolkata"
DAYS = named_days("30 days", today(find_zone(ZONE), NOW))
VIEW = View(LARGE)
WRITES, ROUNDS = 300, 5
RUNS = 30
PLAIN_RUNS = 3
MOST_BYTES = 10 * 2**20  # what Discord takes
ENDING = Ending("settled", "provider", prompt_tokens=900, completion_tokens=300, cost_micros=240)

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
    chart_ms: float
    write_us: float
    plain_write_us: float
    delete_member_ms: float
    answer_held_ms: float
    answer_held_worst_ms: float
    answer_alone_ms: float
    answer_alone_worst_ms: float


async def usage(database: Database, top: int | None = TOP) -> None:
    """What `/usage` reads for its report, or (`top` None) for the files of it."""
    await time_zone_of(database, VIEW)  # which days are meant
    found = await report(database, VIEW, DAYS, "member", await time_zone_of(database, VIEW), NOW, top)
    assert found.time_zone == ZONE
    assert found.lines
    assert len(found.daily) == DAYS.count


async def plain_report(database: Database) -> None:
    """The same figures from the rows of the ledger."""
    zone = find_zone(ZONE)
    since, until = bounds(DAYS, zone)
    before, _ = bounds(DAYS.before(), zone)
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

    await database.read(read)


async def seconds(work: Awaitable[object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


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


async def longest_write(answers: Answers) -> float:
    """The milliseconds that the slowest of many took."""
    return 1000 * max([await answers.write() for _ in range(WRITES // ROUNDS)])


async def longest_hold(database: Database, answers: Answers) -> float:
    """The same while reports, charts and files are made without a pause."""

    async def reports() -> None:
        while True:
            await chart(await report(database, VIEW, DAYS, "member", ZONE, NOW))
            await as_files(await report(database, VIEW, DAYS, "member", ZONE, NOW, None), MOST_BYTES)

    running = asyncio.create_task(reports())
    slowest = await longest_write(answers)
    running.cancel()
    await asyncio.wait([running])
    return slowest


async def delete_member(connection: Connection) -> None:
    """Delete a member's messages."""
    deleted = await connection.execute(delete(history).where(history.c.user_id == LEAVER))
    assert deleted.rowcount == 10_000


async def measure(sizes: Sequence[int], folder: Path) -> dict[int, Figures]:
    """Build a ledger of each size in a folder, and measure."""
    async with AsyncExitStack() as opened:
        databases = {}
        for size in sizes:
            path = folder / f"ledger-{size}.db"
            address = f"sqlite+aiosqlite:///{path}"
            async with open_database(address):
                pass
            await asyncio.to_thread(fill, path, size)
            database = databases[size] = await opened.enter_async_context(open_database(address))
            await Reports(database).set_time_zone(LARGE, ZONE)
        gc.freeze()  # as a bot does that has started
        read = {size: await time_reads(database) for size, database in databases.items()}
        for _ in range(RUNS):
            for size, database in databases.items():
                for name, taken in (await time_reads(database)).items():
                    read[size][name] += taken
        return {size: await measure_one(database, read[size]) for size, database in databases.items()}


async def time_reads(database: Database) -> dict[str, list[float]]:
    """The milliseconds of each kind of report, and of a chart."""
    found = await report(database, VIEW, DAYS, "member", ZONE, NOW)
    works = {"top10": usage(database), "full": usage(database, None), "chart": chart(found)}
    return {name: [1000 * await seconds(work)] for name, work in works.items()}


async def measure_one(database: Database, read: dict[str, list[float]]) -> Figures:
    """The figures of one size; `read` has those of the reports, of which the first run does not count."""
    answers = Answers(database, 10**9)
    write_us = 1e6 * statistics.median([await answers.write() for _ in range(WRITES)])
    plain_write_us = 1e6 * statistics.median([await answers.write(plain=True) for _ in range(WRITES)])
    alone_ms, held_ms = [], []
    for _ in range(ROUNDS):
        alone_ms.append(await longest_write(answers))
        held_ms.append(await longest_hold(database, answers))
    delete_ms = 1000 * await seconds(database.run(delete_member))
    async with database.transaction() as connection:
        await connection.execute(text("CREATE INDEX plain ON attempts (guild_id, sent_at)"))
    plain_ms = [1000 * await seconds(plain_report(database)) for _ in range(PLAIN_RUNS + 1)]
    return Figures(
        **{f"{name}_ms": statistics.median(times[1:]) for name, times in read.items()},
        plain_full_ms=statistics.median(plain_ms[1:]),
        write_us=write_us,
        plain_write_us=plain_write_us,
        delete_member_ms=delete_ms,
        answer_held_ms=statistics.median(held_ms),
        answer_held_worst_ms=max(held_ms),
        answer_alone_ms=statistics.median(alone_ms),
        answer_alone_worst_ms=max(alone_ms),
    )


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
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(arguments.attempts, Path(folder)))
    if arguments.json:
        print(json.dumps({str(size): asdict(found) for size, found in figures.items()}))
        return
    print(f"{'':22}" + "".join(f"{size:>14,}" for size in figures))
    for name in Figures.__dataclass_fields__:
        print(f"{name:22}" + "".join(f"{getattr(found, name):>14.1f}" for found in figures.values()))


if __name__ == "__main__":
    main()
