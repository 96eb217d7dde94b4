"""A bot that is killed again and again in the middle of its answers: is anything lost, or counted twice?

The real bot runs in a process of its own, on a fake Discord and a fake vendor, and its members ask for text
and pictures without a pause, under budgets (`benchmarks.kills_load`). At a random moment it gets SIGKILL, and
is started again; some starts are killed as well. After each start all books are checked (`db.verify`), and
what members were shown and the vendor received is compared with them:

- lost: answers shown that the books do not have, and requests to the vendor without an attempt
- counted_twice: attempts beyond those that the vendor or a question can account for
- wrong: figures or texts in the books that are not what the vendor sent
- discrepancies: whatever else cannot be true, such as attempts without an end, or sums that differ
- overspent: budgets that were passed

Some questions are delivered a second time after the restart, as Discord may do. The same seed asks the same
questions and kills after the same times; what a bot had in hand by then is never the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from math import ceil
from pathlib import Path

from sqlalchemy import Table, func, select

from benchmarks.kills_books import Counts, Entries, compare
from benchmarks.kills_load import MEMBERS, Members, Question, Vendor
from db.budgets import StoredBudget, write_budget
from db.engine import Connection, open_database
from db.ledger import attempts, requests
from db.reading import open_reader
from db.rollup import DAY
from db.verify import find_discrepancies
from tests.bot_process import bot_process, starting_process
from tests.fake_discord import CHANNEL_ID, GUILD_ID, FakeDiscord
from tests.fake_vendors import FakeVendor

LIVES_FROM, LIVES_TO = 0.05, 1.5  # seconds between the first question and the kill
START_KILL_SHARE = 0.1
LONGEST_START = 1.0  # seconds after which a start is killed at the latest
DELIVERED_AGAIN = 2
# What each budget allows for each kill, and at least: it shall be used up by and by.
TOKENS, FEWEST_TOKENS, PICTURES = 1000, 5000, 0.2


class Run:
    """One run, with all that lives through its kills."""

    def __init__(self, fake: FakeDiscord, vendor: FakeVendor, database_url: str, seed: int) -> None:
        self.counts = Counts(seed)
        self._fake, self._vendor, self._database_url = fake, vendor, database_url
        self._chance = random.Random(seed)
        self._members = Members(fake, seed + 1)
        self._model = vendor.answer = Vendor(seed + 2)
        # Those of the life before: asked then, and delivered again then.
        self._last: list[Question] = []
        self._again: list[Question] = []
        self._shown: set[int] = set()
        self._refused: set[int] = set()
        self._in_hand: list[int] = []

    @property
    def vendor_requests(self) -> int:
        """How many the vendor has received."""
        return self._model.received.total()

    async def set_budgets(self, kills: int) -> None:
        """Allow one channel so many tokens a day, and each member so many pictures."""
        tokens = max(FEWEST_TOKENS, TOKENS * kills)
        self._budgets = (
            StoredBudget(GUILD_ID, "channel", CHANNEL_ID, "tokens", "day", tokens, 1),
            StoredBudget(GUILD_ID, "member", 0, "pictures", "day", ceil(PICTURES * kills), 1),
            StoredBudget(GUILD_ID, "server", 0, "dollars", "month", 10**12, 1),
        )
        async with open_database(self._database_url) as database:
            for budget in self._budgets:
                await database.run(partial(write_budget, budget=budget))

    async def live_and_die(self) -> None:
        """Start the bot, check what the life before has left, ask, and kill it."""
        if self._chance.random() < START_KILL_SHARE:
            async with starting_process(self._fake, self._vendor, self._database_url):
                await asyncio.sleep(self._chance.uniform(0, LONGEST_START))
            self.counts.kills_while_starting += 1
        async with bot_process(self._fake, self._vendor, self._database_url) as process:
            await self._check()
            again = self._chance.sample(self._last, min(DELIVERED_AGAIN, len(self._last)))
            for question in again:
                await self._fake.send_again(question.interaction)
            questions: list[Question] = []
            asking = asyncio.create_task(self._members.ask(questions))
            await asyncio.sleep(self._chance.uniform(LIVES_FROM, LIVES_TO))
            process.kill()
            await process.wait()
        self.counts.kills += 1
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        self._again, self._last = again, questions
        self.counts.delivered_again += len(again)

    async def end(self) -> None:
        """Start the bot once more, let it end as it should, and check all there is."""
        async with bot_process(self._fake, self._vendor, self._database_url) as process:
            await self._check()
            process.terminate()
            await process.wait()
        counts = self.counts
        async with open_reader(self._database_url) as connection:
            for sentence in await find_discrepancies(connection):
                counts.note("discrepancies", sentence)
            await self._check_budgets(connection)
            counts.requests = await _count(connection, requests, "outcome")
            counts.attempts = await _count(connection, attempts, "state")
        counts.questions = self._members.asked
        counts.answers_shown, counts.refused_by_budgets = len(self._shown), len(self._refused)
        counts.vendor_requests = self.vendor_requests
        counts.in_hand_at_kill_mean = round(sum(self._in_hand) / max(1, len(self._in_hand)), 2)
        counts.in_hand_at_kill_most = max(self._in_hand, default=0)

    async def _check(self) -> None:
        """What the life before has left, once the bot has started again and before anybody asks."""
        async with open_reader(self._database_url) as connection:
            for sentence in await find_discrepancies(connection):
                self.counts.note("discrepancies", sentence)
            entries = await Entries.read(connection, [*self._last, *self._again])
        for question in (*self._last, *self._again):
            compare(question, self._model.received[question.number], entries, self.counts)
            if question.answered:
                self._shown.add(question.number)
            if question.refused_by_a_budget:
                self._refused.add(question.number)
        if self._last:
            begun = [row for one in self._last for row in entries.attempts.get(one.interaction.id, ())]
            self._in_hand.append(sum(row.usage_source == "cap" for row in begun))

    async def _check_budgets(self, connection: Connection) -> None:
        a = attempts.c
        day = a.sent_at - a.sent_at % DAY
        channel, member, _ = self._budgets
        tokens = select(func.sum(a.prompt_tokens + a.completion_tokens)).where(a.channel_id == CHANNEL_ID)
        drawn = select(func.sum(a.pictures)).where(a.user_id.in_([one.id for one in MEMBERS]))
        for used, amount in (
            (tokens.group_by(day), channel.amount),
            (drawn.group_by(day, a.user_id), member.amount),
        ):
            for spent in (await connection.execute(used)).scalars():
                if spent > amount:
                    self.counts.note("overspent", f"{spent} were used of {amount}")


async def _count(connection: Connection, table: Table, column: str) -> dict[str, int]:
    rows = await connection.execute(select(table.c[column], func.count()).group_by(table.c[column]))
    return {name: int(count) for name, count in rows.all()}


async def run(kills: int, seed: int, folder: Path) -> Counts:
    """Kill a bot on a database in this folder so many times, and count."""
    began = time.monotonic()
    async with FakeDiscord() as fake, FakeVendor() as vendor:
        one = Run(fake, vendor, f"sqlite+aiosqlite:///{folder / 'colloquy.db'}", seed)
        await one.set_budgets(kills)
        for number in range(1, kills + 1):
            await one.live_and_die()
            if number % 25 == 0:
                print(f"{number} of {kills} kills", file=sys.stderr)
        await one.end()
    one.counts.seconds = round(time.monotonic() - began, 1)
    return one.counts


def main() -> int:
    """Kill, count, and print it; 1 when anything was amiss."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--kills", type=int, default=20, metavar="N", help="(default: 20; 300 take 10 minutes)"
    )
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        counts = asyncio.run(run(arguments.kills, arguments.seed, Path(folder)))
    if arguments.json:
        print(json.dumps(asdict(counts)))
    else:
        for name, value in asdict(counts).items():
            print(f"{name:22} {value}")
    return 0 if counts.ok else 1


if __name__ == "__main__":
    sys.exit(main())
