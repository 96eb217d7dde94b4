"""The ledger under any order of events: its books agree, and say what was really used."""

import asyncio
from dataclasses import dataclass, field

import hypothesis
from hypothesis import strategies as st

from db.engine import Connection, Database, open_database
from db.ledger import (
    Ending,
    admit,
    begin_attempt,
    close_request,
    end_attempt,
    reconcile,
)
from db.rollup import SUMS, Totals
from db.usage import View, read_totals
from db.verify import find_discrepancies
from tests.db.entries import attempt, request, used_by
from tests.postgresql import MakeDatabase

MOST = 1000  # tokens that each attempt may use, and half as many for its prompt
TOKENS = st.integers(0, MOST)
# What happens, to which request, and the prompt and completion tokens it comes with.
Event = tuple[str, int, int, int]
KINDS = ("admit", "begin", "fail", "settle", "abandon", "reconcile")
EVENTS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3), TOKENS, TOKENS), max_size=30)


@dataclass
class Expected:
    """What the books must say, kept with plain sums."""

    open: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    begun: dict[int, int] = field(default_factory=dict)  # how many attempts each request has had
    sent: set[tuple[int, int]] = field(default_factory=set)
    totals: list[int] = field(default_factory=lambda: [0] * len(SUMS))

    def end(self, key: tuple[int, int], state: str, prompt: int, completion: int) -> bool:
        if key not in self.sent:
            return False
        self.sent.remove(key)
        free = state == "unbilled"
        estimated = prompt + completion if state == "estimated" else 0
        billed = int(not free)
        figures = (prompt, completion, estimated, 0, 0, 0)
        more = (billed, int(free), *figures, billed, int(state == "estimated"), 0)
        self.totals = [old + new for old, new in zip(self.totals, more, strict=True)]
        return True


async def happen(connection: Connection, expected: Expected, event: Event) -> None:
    """One event, in the database and in what is expected; what cannot be must be refused."""
    kind, number, prompt, completion = event
    of = request(number, guild_id=number % 2, user_id=number % 3, tokens=2 * MOST)
    last = (number, expected.begun.get(number, 0))
    if kind == "admit":
        is_new = number not in expected.seen
        assert (await admit(connection, of) is not None) == is_new
        if is_new:
            expected.seen.add(number)
            expected.open.add(number)
    elif kind == "begin" and number in expected.open:
        expected.begun[number] = last[1] + 1
        expected.sent.add((number, last[1] + 1))
        most = attempt(of, last[1] + 1, prompt_tokens=MOST // 2, completion_tokens=MOST // 2)
        await begin_attempt(connection, most)
    elif kind == "fail":
        ending = Ending("unbilled", error_class="rate")
        assert await end_attempt(connection, *last, ending) == expected.end(last, "unbilled", 0, 0)
    elif kind in ("settle", "abandon"):
        state = "settled" if kind == "settle" else "estimated"
        source = "provider" if kind == "settle" else "tokenizer"
        ending = Ending(state, source, prompt_tokens=prompt, completion_tokens=completion)
        assert await end_attempt(connection, *last, ending) == expected.end(last, state, prompt, completion)
        await close_request(connection, number, "failed")
        expected.open.discard(number)
    elif kind == "reconcile":
        await expect_reconciliation(connection, expected)


async def expect_reconciliation(connection: Connection, expected: Expected) -> None:
    found = await reconcile(connection)
    assert (found.attempts, found.requests) == (len(expected.sent), len(expected.open))
    for key in sorted(expected.sent):
        expected.end(key, "estimated", MOST // 2, MOST // 2)
    expected.open.clear()


async def play(database: Database, events: list[Event]) -> None:
    expected = Expected()
    for event in events:
        async with database.transaction() as connection:
            await happen(connection, expected, event)
            tokens, _ = await used_by(connection)
            assert tokens == sum(expected.totals[2:4]) + 2 * MOST * len(expected.open)
    async with database.transaction() as connection:
        await expect_reconciliation(connection, expected)
        assert await find_discrepancies(connection) == []
        assert await read_totals(connection, View(None), 0, 2**40) == Totals(*expected.totals)
        assert (await used_by(connection))[0] == sum(expected.totals[2:4])


@hypothesis.settings(deadline=None, max_examples=30, database=None)
@hypothesis.given(events=EVENTS)
def test_any_order_of_events_leaves_books_that_agree(
    new_databases: MakeDatabase, events: list[Event]
) -> None:
    """Whatever happens to several requests, in whatever order: ledger, roll-up and reservations agree."""

    async def run() -> None:
        async with open_database(address) as database:
            await play(database, events)

    with new_databases() as address:
        asyncio.run(run())
