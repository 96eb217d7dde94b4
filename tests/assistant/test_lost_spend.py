"""How others lost spend: each way that a widely used proxy did, as something that cannot happen here.

The numbers are those of its issues.
"""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from assistant.values import Answer, Delta, Limits, Question, Refusal
from building import Builder, limit_problems
from db.budgets import StoredBudget
from db.engine import Database
from db.ledger import end_attempt, reconcile
from db.rollup import Totals
from providers.base import Completion, Unavailable, Usage
from providers.prices import Price
from providers.route import State
from providers.router import ChatRouter, ImageRouter
from settings import Limits as LimitSettings
from settings import Settings
from tests.assistant.faults import allow, refuse, sqlite_only
from tests.assistant.scene import GatedChat, Scene, origin
from tests.db.entries import ESTIMATED, SETTLED
from tests.fakes import ScriptedChat, ScriptedImages, answer, chat_route, image_route

PRICE = Price(date=date(2026, 11, 1), prompt=Decimal(2), completion=Decimal(10), cached_prompt=Decimal("0.2"))


def priced(database: Database, *chats: ScriptedChat, **more: Any) -> Scene:
    return Scene(database, chats, route={"price": PRICE, **more})


async def totals(scene: Scene) -> Totals:
    return (await scene.server_usage()).totals


@sqlite_only
async def test_nothing_leaves_a_queue_before_it_is_committed(database: Database) -> None:
    """33872: an ending whose commit fails stays owed, and is booked whole once it can be."""
    scene = priced(database, ScriptedChat(answer("Here.")))
    await refuse(database, "INSERT ON usage_sums")
    assert isinstance((await scene.ask(1))[-1], Answer)
    assert [row.state for row in await scene.attempts()] == ["sent"]
    for _ in range(3):
        assert isinstance((await scene.ask(2))[-1], Refusal)
    await allow(database)
    await scene.assistant.stop()

    assert await totals(scene) == Totals(1, 0, 10, 5, cost_micros=70)
    assert await scene.discrepancies() == []


def test_accounting_that_could_not_work_refuses_to_start() -> None:
    """19163, 23019: a limit in dollars without any price is a mistake in the settings, and no silent hole."""
    settings = Settings(discord_token="x" * 30, limits=LimitSettings(member_dollars_per_month=5))
    route = chat_route(ScriptedChat(), price=None)
    [problem] = limit_problems(settings, [route])
    assert "member_dollars_per_month" in problem
    assert "[providers.NAME.prices]" in problem
    assert limit_problems(settings, [route, replace(route, price=PRICE)]) == []
    assert limit_problems(Settings(discord_token="x" * 30), [route]) == []


def test_accounting_that_could_not_work_for_one_command_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where dollars are limited, and only pictures have a price, the log says who is not asked."""
    settings = Settings(discord_token="x" * 30, limits=LimitSettings(member_dollars_per_month=5))
    chats = ChatRouter([chat_route(ScriptedChat(name="unpriced"), price=None)])
    images = ImageRouter([image_route(ScriptedImages(), price=PRICE)])
    Builder(None, State(), chats, images).build(settings, lambda _: [])  # type: ignore[arg-type]  # nothing is sent

    [warning] = [record.message for record in caplog.records if "has a price" in record.message]
    assert warning.startswith("/ask: [limits] member_dollars_per_month: none of the models has a price")
    assert warning.endswith("for: unpriced.")


async def test_a_listener_that_leaves_does_not_take_the_bill_along(database: Database) -> None:
    """13245, 35958, 37558: when nobody reads on in the middle of an answer, what had come is booked."""
    scene = priced(database, ScriptedChat(["one two three four ", 30.0]))
    async with aclosing(scene.assistant.ask(Question(origin(1), "Count."))) as events:
        async for event in events:
            assert isinstance(event, Delta)
            break

    [row] = await scene.attempts()
    assert (row.state, row.completion_tokens) == ("estimated", 5)
    assert row.cost_micros == 2 * row.prompt_tokens + 10 * 5
    assert await scene.discrepancies() == []


@pytest.mark.parametrize("usage", [Usage(), Usage(estimated=True)])
async def test_a_poor_row_is_better_than_none(database: Database, usage: Usage) -> None:
    """36426: an answer without usable figures has its row, as every other, and an estimate in it."""
    scene = priced(database, ScriptedChat([Completion("Yes.", usage, "stop", "some-model")]))
    await scene.ask(1)

    [row] = await scene.attempts()
    assert (row.state, row.completion_tokens) == ("estimated", 1)
    assert (await totals(scene)).requests == 1


async def test_the_key_of_a_row_is_ours(database: Database) -> None:
    """6633: answers that the vendor gives no id, or all the same one, each have their row."""
    scene = priced(database, ScriptedChat(*(answer("Same.") for _ in range(10))))
    for number in range(10):
        await scene.ask(number, private=True)

    assert await totals(scene) == Totals(10, 0, 100, 50, cost_micros=700)


async def test_what_comes_twice_counts_once(database: Database) -> None:
    """15740, 17814, 34675: a replayed interaction, and an ending that is written again, add nothing."""
    scene = priced(database, ScriptedChat(*(answer("Once.") for _ in range(20))))
    await asyncio.gather(*(scene.ask(1) for _ in range(20)))
    for ending in (SETTLED, ESTIMATED):
        assert not await database.run(partial(end_attempt, interaction_id=1, attempt=1, ending=ending))
    await scene.database.run(reconcile)
    await scene.database.run(reconcile)

    assert await totals(scene) == Totals(1, 0, 10, 5, cost_micros=70)


async def test_streamed_answers_cost_what_they_cost(database: Database) -> None:
    """40100: the cost of a streamed answer is in the ledger and in the roll-up, and they agree."""
    scene = priced(database, ScriptedChat(answer("In ", "many ", "pieces.", completion_tokens=50)))
    await scene.ask(1)

    [row] = await scene.attempts()
    assert (row.cost_micros, row.price_date) == (2 * 10 + 10 * 50, "2026-11-01")
    assert (await totals(scene)).cost_micros == row.cost_micros
    assert await scene.discrepancies() == []


async def test_failures_that_may_cost_are_estimated(database: Database) -> None:
    """37365: a request that reached its vendor and failed counts with its prompt, marked as an estimate."""
    late = ScriptedChat([Unavailable("too late", maybe_billed=True)], name="late")
    scene = priced(database, late, ScriptedChat(answer("Yes."), name="second"))
    await scene.ask(1)

    first, _ = await scene.attempts()
    assert (first.state, first.delivered) == ("estimated", "none")
    assert first.prompt_tokens > 0
    assert first.cost_micros == 2 * first.prompt_tokens
    assert (await totals(scene)).cost_micros == first.cost_micros + 70


async def test_of_many_at_once_none_passes_the_budget(database: Database) -> None:
    """34732, 40002, 40095: of five at once under a budget of $0.45, at $0.15 each, three are asked."""
    chat = GatedChat(*(answer("Yes.") for _ in range(5)))
    # 7 tokens for the system prompt and 4 for the question, at $2 a million, are 22 millionths.
    scene = priced(database, chat, max_tokens=(150_000 - 22) // 10)
    await scene.assistant.budgets.set(StoredBudget(10, "server", 0, "dollars", "day", 450_000, 99))
    asking = [
        asyncio.create_task(scene.ask(number, "Hi", user_id=number, channel_id=number)) for number in range(5)
    ]
    done: set[asyncio.Task[list[Any]]] = set()
    while len(done) < 2:
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=0.01)
    chat.gate.set()
    await asyncio.wait(asking)

    assert len(chat.calls) == 3
    assert sum(isinstance(task.result()[-1], Refusal) for task in asking) == 2


async def test_cached_tokens_are_stored_and_priced_apart(database: Database) -> None:
    """16341: prompt, cached, completion and reasoning tokens have a column each, cached a price."""
    usage = Usage(1000, 100, cached_tokens=800, reasoning_tokens=60)
    scene = priced(database, ScriptedChat([Completion("Yes.", usage, "stop", "some-model")]))
    await scene.ask(1)

    [row] = await scene.attempts()
    assert (row.prompt_tokens, row.cached_tokens) == (1000, 800)
    assert (row.completion_tokens, row.reasoning_tokens) == (100, 60)
    assert row.cost_micros == 200 * 2 + 160 + 1000


async def test_prices_that_change_leave_the_past_alone(database: Database) -> None:
    """What an answer cost is what it cost then, with the date of that price."""
    scene = priced(database, ScriptedChat(answer("Yes."), answer("Yes.")))
    await scene.ask(1)
    routes = scene.assistant._chat_router.routes
    dearer = PRICE.model_copy(update={"prompt": Decimal(4), "date": date(2026, 12, 1)})
    scene.assistant._chat_router.routes = (replace(routes[0], price=dearer),)
    await scene.ask(2)

    rows = await scene.attempts()
    assert [(row.cost_micros, row.price_date) for row in rows] == [(70, "2026-11-01"), (90, "2026-12-01")]


async def test_forgetting_leaves_the_books_alone(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Clearing a conversation, as one peer's reset did, wipes no bill and frees no budget."""
    chat = ScriptedChat(answer("Yes."))
    route = {"price": PRICE, "max_tokens": 2}
    scene = Scene(database, [chat], limits=Limits(tokens_per_day=20), route=route)
    await scene.ask(1, "Hi")
    before = (await totals(scene), await scene.attempts())
    assert await scene.assistant.forget(20) == 1

    assert (await totals(scene), await scene.attempts()) == before
    assert isinstance((await scene.ask(2, "Hi"))[-1], Refusal)
    assert await scene.turns() == []
