"""Two processes on one PostgreSQL: both are handed every interaction, and one is killed half way."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from cogs.errors import SORRY
from cogs.unfinished import CUT_OFF
from db.budgets import StoredBudget, write_budget
from db.engine import open_database
from db.verify import find_discrepancies
from tests.bot_process import bot_process
from tests.fake_discord import GUILD_ID, FakeDiscord, FakeInteraction, FakeUser
from tests.fake_vendors import FakeVendor, Reply, Request, openai_stream, usage
from tests.living_bot import rows, without_footer

QUESTIONS = 1000
# So many are on their way at a time.
AT_ONCE = 40
# What each answer uses, and what all may use together: enough for seven in ten of them.
EACH = 1000
MOST = 700 * EACH
HEARD = ("answered", "marked", "limit")


async def yes(request: Request) -> Reply:
    """The vendor's answer, which takes a moment."""
    return Reply((0.05, *openai_stream("Yes.", used=usage(EACH // 2, EACH // 2)).pieces))


def end_of(interaction: FakeInteraction) -> str:
    """What its member has read in the end: the answer, that a limit is reached, or nothing.

    Or the answer marked as cut off, where the next start does not know that it was whole.
    """
    content = interaction.original.content if interaction.original is not None else ""
    if without_footer(content).endswith("Yes."):
        return "answered"
    if content.endswith(f"Yes.\n{CUT_OFF}"):
        return "marked"
    return "limit" if "limit for this server" in content else content


@pytest.mark.timeout(120)  # it takes some 30 s where nothing else runs
async def test_two_processes_answer_everything_once_though_one_is_killed(postgresql_url: str) -> None:
    """Each question is asked of the vendor once at most; the budget of both is one, and the books agree.

    What the killed process had in hand it cannot tell any more; that is booked, and everything else is
    answered or told.
    """
    async with open_database(postgresql_url) as database:
        budget = StoredBudget(GUILD_ID, "server", 0, "tokens", "day", MOST, 1)
        await database.run(lambda connection: write_budget(connection, budget))
    interactions: list[FakeInteraction] = []
    free = asyncio.Semaphore(AT_ONCE)
    at_kill = QUESTIONS  # how many had been asked by then

    async with FakeDiscord() as fake, FakeVendor() as vendor, AsyncExitStack() as stack:
        vendor.answer = yes

        async def ask(number: int) -> None:
            member = FakeUser(210_000_000_000_000_000 + number, f"member{number}", f"Member {number}")
            interaction = await fake.slash(
                "ask", {"prompt": f"Question {number}?"}, user=member, channel_id=1000 + number
            )
            interactions.append(interaction)
            # What was on its way at the kill is looked into below.
            await interaction.until(
                lambda it: end_of(it) in HEARD or len(interactions) > at_kill >= number, 30
            )
            free.release()

        first = await stack.enter_async_context(bot_process(fake, vendor, postgresql_url))
        await stack.enter_async_context(bot_process(fake, vendor, postgresql_url))
        await fake.until(lambda: len(fake.gateway.live()) == 2)
        asking = []
        for number in range(QUESTIONS):
            await free.acquire()
            asking.append(asyncio.create_task(ask(number)))
            if number == QUESTIONS // 2:
                first.kill()
                await first.wait()
                at_kill = len(interactions)
                # As its service manager does it.
                await stack.enter_async_context(bot_process(fake, vendor, postgresql_url))
        await asyncio.gather(*asking)
        prompts = Counter(json.dumps(request.body["messages"][-1]["content"]) for request in vendor.requests)

    ends = Counter(map(end_of, interactions))
    async with open_database(postgresql_url) as database:
        requests = {row["interaction_id"]: row for row in await rows(database, "requests")}
        attempts = await rows(database, "attempts")
        assert await database.run(find_discrepancies) == []
    assert len(interactions) == QUESTIONS
    assert len({row["process"] for row in requests.values()}) >= 2

    # Once: one request to the vendor for each question, and one attempt for each of these.
    assert max(prompts.values()) == 1
    assert len(attempts) >= len(prompts)
    assert max(Counter(row["interaction_id"] for row in attempts).values()) == 1

    # Answered, told, or in the hands of the process that was killed.
    unheard = [each for each in interactions if end_of(each) not in HEARD]
    assert len(unheard) <= AT_ONCE
    assert SORRY not in ends
    for interaction in unheard:
        assert interaction in interactions[: at_kill + 1]
        assert requests.get(interaction.id, {"outcome": "lost"})["outcome"] in ("lost", "answered")
    for interaction in interactions:
        end, outcome = end_of(interaction), requests.get(interaction.id, {"outcome": ""})["outcome"]
        if end == "marked" or (end == "answered" and outcome != "answered"):
            # Killed between the text and its booking.
            assert outcome == "lost"
            assert interaction in interactions[: at_kill + 1]

    # The budget: no more than it, and all of it that an answer fits into.
    used = sum(row["prompt_tokens"] + row["completion_tokens"] for row in attempts)
    assert MOST - 3 * EACH <= used <= MOST
    assert ends["limit"] >= QUESTIONS - ends["answered"] - ends["marked"] - AT_ONCE
