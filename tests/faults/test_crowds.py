"""Fault 47: many members at once, in one channel and in many, and a kill in the middle of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import Any

import pytest

from cogs.unfinished import CUT_OFF
from db.engine import open_database
from tests.bot_process import bot_process
from tests.fake_discord import CHANNEL_ID, FakeDiscord, FakeInteraction, FakeUser
from tests.fake_vendors import FakeVendor, Reply, Request, openai_stream
from tests.faults.books import read_books
from tests.living_bot import answered, living_bot, rows

FIRST_MEMBER = 200_000_000_000_001_000


def member(number: int) -> FakeUser:
    return FakeUser(FIRST_MEMBER + number, f"member{number}", f"Member {number}")


class Echo:
    """What a model says that repeats the question's number, once it may."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.seconds = 0.0

    async def __call__(self, request: Request) -> Reply:
        await self.open.wait()
        await asyncio.sleep(self.seconds)
        number = re.findall(r"Question (\d+)", request.body["messages"][-1]["content"])[-1]
        return openai_stream("The ", "answer ", "is ", number)


def check_prompts(vendor: FakeVendor, channel_of: dict[int, int]) -> None:
    """Each question came with whole turns of its own channel, in the order of `channel_of` for all."""
    arrived = {number: place for place, number in enumerate(channel_of)}
    for request in vendor.requests:
        said = [message["content"] for message in request.body["messages"] if message["role"] != "system"]
        *before, question = [int(number) for number in re.findall(r"Question (\d+)", "\n".join(said))]
        turns = [text for n in before for text in (asked(n), f"The answer is {n}")]
        assert said == [*turns, asked(question)]
        assert before == sorted(before, key=arrived.__getitem__)
        assert question not in before
        assert {channel_of[number] for number in before} <= {channel_of[question]}


def asked(number: int) -> str:
    """A question as the model reads it."""
    return f"Member {number}: Question {number}"


async def put_question(fake: FakeDiscord, number: int, channel_id: int) -> FakeInteraction:
    """Ask as this member, and wait until the bot has acknowledged it."""
    interaction = await fake.slash(
        "ask", {"prompt": f"Question {number}"}, user=member(number), channel_id=channel_id
    )
    await interaction.until(lambda it: it.acknowledged_at is not None, 30)
    return interaction


@asynccontextmanager
async def crowd(fake: FakeDiscord, vendor: FakeVendor, database_url: str, **chat: Any) -> AsyncIterator[Echo]:
    """The bot, with a vendor that repeats numbers."""
    vendor.answer = echo = Echo()
    async with living_bot(fake, database_url, vendor.url, chat=chat):
        yield echo


@pytest.mark.timeout(240)  # it takes some 15 s where nothing else runs
async def test_a_hundred_members_at_once_in_one_channel_are_all_answered_in_order(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Three at a time, the rest see their place; turns are whole, in order of arrival, and nobody is lost."""
    async with crowd(fake, vendor, database_url) as echo:
        interactions = [await put_question(fake, number, CHANNEL_ID) for number in range(100)]
        last = interactions[-1]
        await last.until(lambda it: answered(it, "In the queue: you are number 97."), 30)
        assert len(vendor.requests) == 3
        echo.open.set()
        for number, interaction in enumerate(interactions):
            await until_answered(interaction, number)

    places = [re.findall(r"number (\d+)\.", version.content) for version in last.original.versions]  # type: ignore[union-attr]
    seen = [int(place) for found in places for place in found]
    assert seen == sorted(seen, reverse=True)
    check_prompts(vendor, dict.fromkeys(range(100), CHANNEL_ID))
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"] * 100, ["settled"] * 100)
    # Three are written at a time, so an answer may overtake two; the turns keep their questions' order.
    assert books.history[::2] == [f"Question {number}" for number in range(100)]
    assert books.history[1::2] == [f"The answer is {number}" for number in range(100)]


@pytest.mark.sqlite_only  # on PostgreSQL it is two processes that answer a thousand: tests/test_processes.py
@pytest.mark.timeout(300)  # it takes some 30 s where nothing else runs
async def test_a_thousand_members_in_fifty_channels_are_all_answered(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Each channel has its own queue and its own conversation; the books hold a thousand answers."""
    channel_of = {number: CHANNEL_ID + number % 50 for number in range(1000)}
    interactions: list[FakeInteraction] = []
    async with crowd(fake, vendor, database_url) as echo:
        for wave in range(0, 1000, 50):  # one in each channel
            interactions += await asyncio.gather(
                *(put_question(fake, number, channel_of[number]) for number in range(wave, wave + 50))
            )
        assert len(vendor.requests) <= 150
        echo.open.set()
        for number, interaction in enumerate(interactions):
            await until_answered(interaction, number)

    check_prompts(vendor, channel_of)
    async with open_database(database_url) as database:
        history = sorted(await rows(database, "history"), key=itemgetter("turn_id", "id"))
    for channel_id in range(CHANNEL_ID, CHANNEL_ID + 50):
        contents = [row["content"] for row in history if row["channel_id"] == channel_id]
        numbers = [number for number in range(1000) if channel_of[number] == channel_id]
        assert contents == [text for n in numbers for text in (f"Question {n}", f"The answer is {n}")]
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"] * 1000, ["settled"] * 1000)


@pytest.mark.timeout(240)  # it takes some 15 s where nothing else runs
async def test_a_kill_in_the_middle_of_a_crowd_loses_no_turn(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Turns that were booked are whole and are shown; whose was not reads so, and is answered anew."""
    vendor.answer = echo = Echo()
    echo.seconds = 0.1
    async with bot_process(fake, vendor, database_url) as process:
        first = [await put_question(fake, number, CHANNEL_ID) for number in range(60)]
        echo.open.set()
        await first[20].until(finished, 60)
        process.kill()
        await process.wait()
    received = len(vendor.requests)
    cut_off = [number for number, interaction in enumerate(first) if not finished(interaction)]
    assert 20 <= len(cut_off) < 60

    kept = (await read_books(database_url)).history[::2]
    async with bot_process(fake, vendor, database_url):
        for number in cut_off:
            await look(first[number], number, kept=f"Question {number}" in kept)
        again = [number for number in cut_off if f"Question {number}" not in kept]
        second = [await put_question(fake, number, CHANNEL_ID) for number in again]
        for number, interaction in zip(again, second, strict=True):
            await until_answered(interaction, number)

    # Whoever was cut off came anew, after those whose answers were booked.
    check_prompts(vendor, dict.fromkeys([*(n for n in range(60) if n not in again), *again], CHANNEL_ID))
    books = await read_books(database_url)
    assert len(books.states) >= len(vendor.requests)
    assert received + len(again) == len(vendor.requests)
    assert books.states.count("settled") == 60
    assert set(books.states) <= {"settled", "estimated"}
    assert sorted(books.history[1::2]) == sorted(f"The answer is {number}" for number in range(60))
    assert [re.sub("Question", "The answer is", text) for text in books.history[::2]] == books.history[1::2]


async def until_answered(interaction: FakeInteraction, number: int) -> None:
    """Wait until all of this answer is shown."""
    await interaction.until(finished, 200)
    assert answered(interaction, f"> Question {number}\nThe answer is {number}")


def finished(interaction: FakeInteraction) -> bool:
    """Whether all of the answer is there, with its last line. Before that it is not in the books yet."""
    return interaction.original is not None and "completion tokens" in interaction.original.content


async def look(cut_off: FakeInteraction, number: int, *, kept: bool) -> None:
    """What a member finds after the restart: the answer, or a line that says to ask again; no Stop button."""
    ending = f"The answer is {number}" if kept else CUT_OFF
    await cut_off.until(lambda it: answered(it, ending), 60)
    assert cut_off.original is not None
    assert "ask:stop" not in str(cut_off.original.latest.components)
