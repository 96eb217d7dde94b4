"""Many questions at once, over real sockets and a real database, while keys rest and the vendor falls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import aiohttp
import pytest
from pydantic import SecretStr

from assistant import Assistant, Conversation, KeyMemory, Limits
from assistant.values import Answer, Origin, Question, Refusal
from db.engine import Database, open_database
from db.verify import find_discrepancies
from providers.breaker import BreakerTimes
from providers.catalog import load_catalog
from providers.chains import build_chat_router
from providers.route import Budget, State
from providers.router import ImageRouter
from providers.walk import NoneAnswered
from tests.limited_vendor import Account, LimitedVendor, Watch
from tests.living_bot import rows

KEYS = {f"OPENAI_API_KEY{number}": f"canary-of-key-{number}" for number in range(1, 7)}


class Scene:
    """An assistant over six keys of one vendor."""

    def __init__(self, assistant: Assistant, database: Database) -> None:
        self.assistant = assistant
        self.database = database

    async def ask(self, number: int) -> Answer | Refusal:
        """How this question ends."""
        question = Question(Origin(number, 10, 20 + number % 7, 30 + number % 50), "a question")
        async with aclosing(self.assistant.ask(question)) as events:
            *_, end = [event async for event in events]
        assert isinstance(end, Answer | Refusal)
        return end

    async def ask_all(self, numbers: range) -> list[Answer | Refusal]:
        return await asyncio.gather(*map(self.ask, numbers))


@asynccontextmanager
async def open_scene(
    database_url: str, vendor: LimitedVendor, watch: Watch, *, patience: float = 20, **limits: int
) -> AsyncIterator[Scene]:
    """Start as the bot does: what was known of the keys is read from the database."""
    entries = load_catalog({"openai": {"base_url": f"{vendor.url}/v1", **limits}})
    async with (
        open_database(database_url) as database,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), trace_configs=[watch.trace()]
        ) as session,
    ):
        state = State(KeyMemory(database), breaker_times=BreakerTimes(first_rest=0.4))
        await state.pool.load()
        router = build_chat_router(
            entries,
            ["openai"],
            lambda _: [(name, SecretStr(value)) for name, value in KEYS.items()],
            session,
            state,
            Budget(patience_seconds=patience),
        )
        yield Scene(
            Assistant(database, router, ImageRouter([]), Conversation("Be brief.", 0), Limits()), database
        )
        assert await database.run(find_discrepancies) == []


def limit_three_keys(vendor: LimitedVendor, *seconds: float) -> None:
    """Three of the six keys are told to rest, each after some requests and for a time of its own."""
    for number, rest_seconds in enumerate(seconds, 1):
        vendor.accounts[KEYS[f"OPENAI_API_KEY{number}"]] = Account(2 * number, rest_seconds)


def check_ends(ends: list[Answer | Refusal]) -> None:
    for end in ends:
        if isinstance(end, Answer):
            assert end.text == "An answer."
        else:
            assert end.sentence.startswith((NoneAnswered.sentence, "All of the bot's models are busy"))
            assert "try again" in end.sentence


@pytest.mark.parametrize(
    ("questions", "limits"),
    [(200, {}), (60, {"max_concurrency": 2})],
    ids=["unlimited", "two at a time"],
)
async def test_many_questions_at_once(database_url: str, questions: int, limits: dict[str, int]) -> None:
    """Each is answered or refused with its reason, no key is asked while it rests, and the books agree."""
    watch = Watch()
    async with LimitedVendor() as vendor:
        limit_three_keys(vendor, 0.3, 0.7, 1.2)

        async def outage() -> None:
            await vendor.served(questions // 3)
            vendor.down = True
            await asyncio.sleep(0.5)
            vendor.down = False

        async with open_scene(database_url, vendor, watch, **limits) as scene:
            falling = asyncio.create_task(outage())
            ends = await scene.ask_all(range(1, questions + 1))
            await falling
            attempts = await rows(scene.database, "attempts")
            requests = await rows(scene.database, "requests")

    check_ends(ends)
    assert watch.early == []
    assert watch.rests.keys() == {KEYS[f"OPENAI_API_KEY{number}"] for number in (1, 2, 3)}
    assert vendor.statuses[503] > 0
    answers = [end for end in ends if isinstance(end, Answer)]
    assert len(answers) >= questions * 0.75
    assert len(requests) == questions
    assert Counter(row["outcome"] for row in requests)["answered"] == len(answers) == vendor.statuses[200]
    # Every request that reached the vendor is in the books, and those that did not leave are marked.
    sent = Counter(row["error_class"] for row in attempts)
    assert sum(sent.values()) - sent["not_sent"] == watch.requests == vendor.statuses.total()
    assert (sent[""], sent["rate"], sent["transient"]) == tuple(
        vendor.statuses[status] for status in (200, 429, 503)
    )
    assert {row["state"] for row in attempts if row["error_class"]} == {"unbilled"}


async def test_resting_keys_still_rest_after_a_restart(database_url: str) -> None:
    """Stopped in the middle and started again, the bot asks no key before its time, but the others."""
    watch = Watch()
    async with LimitedVendor() as vendor:
        limit_three_keys(vendor, 60, 90, 120)
        async with open_scene(database_url, vendor, watch) as scene:
            running = [asyncio.create_task(scene.ask(number)) for number in range(1, 61)]
            for _ in range(1000):
                if len(await KeyMemory(scene.database).load()) == 3:
                    break
                await asyncio.sleep(0.005)
            await scene.assistant.stop()
            ends = await asyncio.gather(*running, return_exceptions=True)
            assert any(isinstance(end, asyncio.CancelledError) for end in ends)
            assert len(watch.rests) == 3
        before = vendor.statuses[429]
        async with open_scene(database_url, vendor, watch) as scene:
            after = await scene.ask_all(range(61, 121))
            assert vendor.statuses[429] == before

    check_ends(after)
    assert watch.early == []
    assert all(isinstance(end, Answer) for end in after)


async def test_when_every_key_rests_members_are_told_for_how_long(database_url: str) -> None:
    """With all six keys at rest beyond patience, each further question is refused without a request."""
    watch = Watch()
    async with LimitedVendor() as vendor:
        for value in KEYS.values():
            vendor.accounts[value] = Account(1, 600)
        async with open_scene(database_url, vendor, watch, patience=0.2) as scene:
            first = await scene.ask_all(range(1, 31))
            asked = watch.requests
            second = await scene.ask_all(range(31, 61))

    assert sum(isinstance(end, Answer) for end in first) == 6
    assert watch.early == []
    assert watch.requests == asked
    sentence = "All of the bot's models are busy or used up. Please try again in 10 minutes."
    assert {end.sentence if isinstance(end, Refusal) else "" for end in second} == {sentence}
