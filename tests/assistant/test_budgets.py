"""Budgets of servers: for whom they hold, what is left of them, and what is told."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from sqlalchemy import insert, select

from assistant.booking import UNPRICED, Booking
from assistant.figures import Figures
from assistant.limits import LimitReached
from assistant.periods import budget_bounds, find_zone
from assistant.values import Answer, BudgetNotice, Limits, Pictures, Refusal
from db.budgets import Scope, StoredBudget, Unit, budget_notices
from db.engine import Database, open_database
from db.ledger import reconcile
from providers.base import Completion, ContentRefused, Message, RateLimited, Unavailable, Usage
from providers.estimates import measure
from providers.prices import Price
from providers.route import Target
from tests.assistant.scene import NO_HISTORY, SYSTEM, GatedChat, Scene, origin
from tests.fakes import ScriptedChat, ScriptedImages, answer, key

# As in test_limits: what the question "Hi" reserves.
EACH = 100
MAX_TOKENS = EACH - 11
# So that a hundred may be answered at once in one channel.
BUSY = replace(NO_HISTORY, answers_per_channel=100)
# A dollar for a million tokens: a millionth of a dollar for each.
PRICED = Price(date=date(2026, 11, 1), prompt=Decimal(1), completion=Decimal(1))


def budget(scope: Scope, amount: int, scope_id: int = 0, unit: Unit = "tokens", **more: Any) -> StoredBudget:
    return StoredBudget(10, scope, scope_id, unit, "day", amount, 99, **more)


def scene_of(database: Database, *chats: ScriptedChat, **more: Any) -> Scene:
    route = {"max_tokens": MAX_TOKENS, **more.pop("route", {})}
    return Scene(database, chats or [ScriptedChat()], route=route, **{"conversation": BUSY, **more})


async def asked(scene: Scene, number: int, **place: Any) -> Answer | Refusal:
    end = (await scene.ask(number, "Hi", private=True, **place))[-1]
    assert isinstance(end, Answer | Refusal)
    return end


HERE: dict[str, Any] = {"channel_id": 20, "user_id": 30, "role_ids": (7, 8)}


@pytest.mark.parametrize(
    ("scope", "scope_id", "elsewhere"),
    [
        ("server", 0, {"guild_id": 11}),
        ("server", 0, {"guild_id": 0}),
        ("channel", 20, {"channel_id": 21}),
        ("role", 7, {"role_ids": (8, 9)}),
        ("member", 0, {"user_id": 31}),
    ],
)
async def test_a_budget_holds_for_whom_it_is_set(
    database: Database, scope: Scope, scope_id: int, elsewhere: dict[str, Any]
) -> None:
    """What one may no longer ask for, others may: in another server, channel, role, or as another member."""
    scene = scene_of(database)
    await scene.assistant.budgets.set(budget(scope, EACH + 10, scope_id))

    assert isinstance(await asked(scene, 1, **HERE), Answer)
    refusal = await asked(scene, 2, **HERE)
    assert isinstance(refusal, Refusal)
    assert "Anyone who may manage this server can raise it." in refusal.sentence
    assert isinstance(await asked(scene, 3, **{**HERE, **elsewhere}), Answer)


@pytest.mark.parametrize(("scope", "scope_id"), [("server", 0), ("channel", 20), ("role", 7)])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
async def test_hundred_at_once_cannot_pass_a_budget_for_ten(
    database: Database, scope: Scope, scope_id: int, zone: str
) -> None:
    """Of a hundred questions at the same time, as many are asked as the budget has room for at their most."""
    chat = GatedChat(*(answer("Yes.") for _ in range(100)))
    scene = scene_of(database, chat)
    await scene.assistant.reports.set_time_zone(10, zone)
    await scene.assistant.budgets.set(budget(scope, 10 * EACH, scope_id))
    asking = [
        asyncio.create_task(asked(scene, number, **{**HERE, "user_id": number})) for number in range(100)
    ]
    for done in islice(asyncio.as_completed(asking), 90):
        assert isinstance(await done, Refusal)
    chat.gate.set()
    await asyncio.wait(asking)

    assert len(chat.calls) == 10


async def test_hundred_at_once_cannot_pass_dollars_for_ten(database: Database) -> None:
    """Dollars are reserved at the price of the dearest model that may be asked, before anything is sent."""
    chat = GatedChat(*(answer("Yes.") for _ in range(100)))
    scene = scene_of(database, chat, route={"price": PRICED})
    await scene.assistant.budgets.set(budget("server", 10 * EACH, unit="dollars"))
    asking = [asyncio.create_task(asked(scene, number, user_id=number)) for number in range(100)]
    for done in islice(asyncio.as_completed(asking), 90):
        refusal = await done
        assert isinstance(refusal, Refusal)
        assert "$0.0010" in refusal.sentence
    chat.gate.set()
    await asyncio.wait(asking)

    assert len(chat.calls) == 10
    [status] = await scene.assistant.budgets.holding(origin(1))
    assert (status.used.spent, status.used.held, status.left) == (150, 0, 10 * EACH - 150)


async def test_the_tightest_counts_and_the_one_that_opens_last_is_named(database: Database) -> None:
    """A request has to fit into every limit; of several that it passes, the last to open is told."""
    scene = scene_of(database, limits=Limits(tokens_per_month=EACH - 1))
    await scene.assistant.budgets.set(budget("channel", EACH - 1, 20))
    await scene.assistant.budgets.set(budget("server", 10**6))

    refusal = await asked(scene, 1)
    _, until = budget_bounds("month", UTC, time.time())
    assert refusal == Refusal(
        "This month's limit for this bot is 99 tokens, and what is left (99 tokens) is too little for this. "
        f"It opens again <t:{until}:R>. The bot's host can raise it."
    )


async def test_a_refusal_names_limit_opening_and_who_can_raise_it(database: Database) -> None:
    """The member reads which limit it is, a time that Discord shows as "in 3 hours", and whom to ask."""
    scene = scene_of(database)
    await scene.assistant.reports.set_time_zone(10, "Pacific/Auckland")
    await scene.assistant.budgets.set(budget("role", 0, 7))
    _, until = budget_bounds("day", find_zone("Pacific/Auckland"), time.time())

    assert await asked(scene, 1, role_ids=(7,)) == Refusal(
        "Today's limit for the role <@&7> is 0 tokens, and nothing is left. "
        f"It opens again <t:{until}:R>. Anyone who may manage this server can raise it."
    )


async def test_a_thread_counts_to_its_channel(database: Database) -> None:
    """A channel's budget does not end where a thread begins; their conversations stay apart."""
    scene = scene_of(database)
    await scene.assistant.budgets.set(budget("channel", 2 * EACH - 1, 20))

    await scene.ask(1, "Hi", channel_id=500, parent_channel_id=20)
    assert [question for question, _ in await scene.turns(500)] == ["Hi"]
    assert await scene.turns(20) == []
    [row] = await scene.attempts()
    assert row.channel_id == 20
    await scene.execute("UPDATE attempts SET completion_tokens = completion_tokens")
    [status] = await scene.assistant.budgets.holding(origin(2, channel_id=501, parent_channel_id=20))
    assert status.used.spent == 15


async def test_what_was_used_before_counts(database: Database) -> None:
    """A budget that is set in the middle of the day counts the whole day; of a role, from then on."""
    scene = scene_of(database)
    await asked(scene, 1, **HERE)
    for scope, scope_id in (("server", 0), ("channel", 20), ("member", 0), ("role", 7)):
        await scene.assistant.budgets.set(budget(scope, 1000, scope_id))  # type: ignore[arg-type]  # scopes
    used = [status.used.spent for status in await scene.assistant.budgets.holding(origin(2, **HERE))]
    assert used == [15, 15, 15, 0]
    await asked(scene, 3, **HERE)
    used = [status.used.spent for status in await scene.assistant.budgets.holding(origin(4, **HERE))]
    assert used == [30, 30, 30, 15]


async def test_failures_give_back_what_they_reserved(database: Database) -> None:
    """A question that nobody answers, and that costs nothing, leaves the budget as it was."""
    chat = ScriptedChat(*([ContentRefused("no")] for _ in range(5)), answer("Yes."))
    scene = scene_of(database, chat, route={"price": PRICED})
    await scene.assistant.budgets.set(budget("server", EACH, unit="dollars"))
    await scene.assistant.budgets.set(budget("role", EACH, 7))
    for number in range(5):
        assert isinstance(await asked(scene, number, role_ids=(7,)), Refusal)

    assert isinstance(await asked(scene, 9, role_ids=(7,)), Answer)


async def test_a_fallback_has_to_fit_beside_what_was_spent_before_it(database: Database) -> None:
    """An attempt that may have cost counts at once: another vendor is asked only if it fits beside that."""
    late = Unavailable("too late", maybe_billed=True)
    first, second = ScriptedChat([late], [late], name="first"), ScriptedChat(answer("Yes."), name="second")
    scene = scene_of(database, first, second)
    await scene.assistant.budgets.set(budget("server", EACH + 5))

    refusal = await asked(scene, 1)
    assert isinstance(refusal, Refusal)
    assert "limit for this server" in refusal.sentence
    assert second.calls == []
    assert [row.state for row in await scene.attempts()] == ["estimated"]
    await scene.assistant.budgets.set(budget("server", 3 * EACH))
    assert isinstance(await asked(scene, 2), Answer)


async def test_a_fallback_that_counts_more_tokens_has_them_reserved(database: Database) -> None:
    """Of questions that go on to a model which counts more tokens, as many are asked as have room there."""
    first, second = GatedChat(*[[RateLimited("no", retry_after=500)]] * 3), GatedChat(answer("Yes."))
    first.name, second.name = "first", "second"
    scene = scene_of(database, first, second, route={"max_tokens": 20})
    prompt = "x" * 1000
    features = measure((SYSTEM, Message("user", prompt)))
    estimates = scene.assistant._chat_router.state.estimates
    for _ in range(30):
        estimates.learn("second/scripted-model", features, 1000)
    few, many = (estimates.prompt(f"{name}/scripted-model", features) + 20 for name in ("first", "second"))
    assert many > 3 * few
    await scene.assistant.budgets.set(budget("server", 2 * few + many))

    async def ask(number: int) -> Any:
        return (await scene.ask(number, prompt, private=True, user_id=number))[-1]

    asking = [asyncio.create_task(ask(number)) for number in range(3)]
    await first.until_arrived(3)
    first.gate.set()
    while len(ended := [task for task in asking if task.done()]) < 2:
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=0.01)
    assert all("is too little for this" in task.result().sentence for task in ended)
    [status] = await scene.assistant.budgets.holding(origin(9))
    assert status.used.held == many
    second.gate.set()

    assert sum(isinstance(end, Answer) for end in await asyncio.gather(*asking)) == 1
    [status] = await scene.assistant.budgets.holding(origin(9))
    assert (status.used.spent, status.used.held) == (15, 0)


async def test_a_part_that_costs_more_than_its_share_has_that_reserved(database: Database) -> None:
    """A picture that may cost more than was reserved for it needs room for the rest, and gives all back."""
    await Scene(database).assistant.budgets.set(budget("server", 30, unit="dollars"))
    booking = Booking(database, origin(1), "imagine", Figures(), pictures=2, micros=20)
    await booking.admit(Limits())
    first, second = booking.parts(2)
    target = Target("vendor", "model", key(), PRICED.model_copy(update={"per_picture": Decimal("0.000015")}))
    one = Usage(pictures=1, estimated=True)
    await first.begin(target, one)
    await second.begin(target, one)
    with pytest.raises(LimitReached):
        await booking.parts(1)[0].begin(replace(target, price=PRICED), Usage(prompt_tokens=21))

    held = [30, 15, 0]
    for part in (None, first, second):
        if part is not None:
            await part.settle(replace(one, estimated=False), "answered")
        [status] = await Scene(database).assistant.budgets.holding(origin(9))
        assert status.used.held == held.pop(0)
    await booking.close("answered")


async def test_unpriced_models_are_not_asked_under_a_limit_in_dollars(database: Database) -> None:
    """A model without a price is passed over where dollars are limited; alone, the refusal says why."""
    unpriced, priced = ScriptedChat(name="first"), ScriptedChat(name="second")
    scene = scene_of(database, unpriced, priced, route={"price": PRICED})
    routes = scene.assistant._chat_router.routes
    scene.assistant._chat_router.routes = (replace(routes[0], price=None), routes[1])
    assert isinstance(await asked(scene, 1), Answer)
    await scene.assistant.budgets.set(budget("server", 10**6, unit="dollars"))
    assert isinstance(await asked(scene, 2), Answer)
    assert (len(unpriced.calls), len(priced.calls)) == (1, 1)
    rows = await scene.attempts()
    assert [(row.cost_micros, row.price_date, row.fallback) for row in rows] == [
        (None, "", False),
        (15, "2026-11-01", True),
    ]
    scene.assistant._chat_router.routes = (replace(routes[0], price=None),)

    assert await asked(scene, 3) == Refusal(UNPRICED)
    assert (await scene.outcomes())[3] == "failed"


async def test_models_that_cost_nothing_are_asked_when_no_dollar_is_left(database: Database) -> None:
    """A limit in dollars does not stop what is free."""
    scene = scene_of(database)
    await scene.assistant.budgets.set(budget("server", 0, unit="dollars"))
    assert isinstance(await asked(scene, 1), Answer)


async def test_pictures_have_budgets_of_their_own(database: Database) -> None:
    """A budget for pictures leaves questions alone, and the other way round."""
    scene = scene_of(database, painters=[ScriptedImages()])
    await scene.assistant.budgets.set(budget("member", 1, unit="pictures"))
    assert isinstance(await scene.imagine(1), Pictures)
    refusal = await scene.imagine(2)
    assert "is 1 picture, and none is left" in refusal.sentence
    assert isinstance(await asked(scene, 3), Answer)


def completion(tokens: int) -> list[Any]:
    return [Completion("Yes.", Usage(0, tokens), "stop", "scripted-model")]


async def test_notices_come_once_each_also_after_a_restart(database_url: str) -> None:
    """50, 80 and 100 % are told once each in a day: the highest that was crossed, and never again."""
    told: list[BudgetNotice] = []
    limits = Limits(listeners=[told.append])
    percents = []
    for number, tokens in enumerate((300, 100, 150, 50, 250, 100, 50)):
        async with open_database(database_url) as database:
            scene = scene_of(database, ScriptedChat(completion(tokens)), limits=limits)
            if number == 0:
                await scene.assistant.budgets.set(budget("server", 1000, warn_channel_id=77))
            told.clear()
            await asked(scene, number)
            percents.append([(notice.percent, notice.spent) for notice in told])
            assert all(notice.limit.warn_channel_id == 77 for notice in told)
    assert percents == [[], [], [(50, 550)], [], [(80, 850)], [], [(None, 950)]]

    async with open_database(database_url) as database:
        scene = scene_of(database, ScriptedChat(completion(5)), limits=limits)
        told.clear()
        assert isinstance(await asked(scene, 90), Refusal)
        await scene.assistant.budgets.set(budget("server", 1105))
        await asked(scene, 91)
        assert [notice.percent for notice in told] == [80]


async def test_that_a_budget_refuses_is_told_once_also_below_its_levels(database: Database) -> None:
    """What is left may be too little for any question; what others hold for a moment does not count."""
    told: list[BudgetNotice] = []
    limits = Limits(listeners=[told.append])
    gated = GatedChat(completion(30), completion(60))
    scene = scene_of(database, gated, limits=limits)
    await scene.assistant.budgets.set(budget("server", EACH + 50, warn_channel_id=77))
    first = asyncio.create_task(asked(scene, 1))
    await gated.asked.wait()
    assert isinstance(await asked(scene, 2, user_id=31), Refusal)
    assert told == []
    gated.gate.set()
    await first
    await asked(scene, 3)
    assert [notice.percent for notice in told] == [50]
    for number in (4, 5):
        assert isinstance(await asked(scene, number), Refusal)

    assert [(notice.percent, notice.spent) for notice in told[1:]] == [(None, 90)]
    await scene.assistant.budgets.set(budget("server", EACH + 51))
    assert isinstance(await asked(scene, 6), Refusal)
    assert len(told) == 3


async def test_what_was_told_of_periods_long_over_is_forgotten(database: Database) -> None:
    """With the first notice of a new period."""
    scene = scene_of(database, ScriptedChat(completion(60)))
    await scene.assistant.budgets.set(budget("server", EACH))
    day, old = int(time.time()) // 86400 * 86400, 100 * 86400
    async with database.transaction() as connection:
        for since in (day - old, day - 86400):
            row = {"budget": "server 10 server 0 tokens day", "since": since, "percent": 80}
            await connection.execute(insert(budget_notices).values(row))
    await asked(scene, 1)

    async with database.transaction() as connection:
        kept = (await connection.execute(select(budget_notices.c.since))).scalars().all()
    assert sorted(kept) == [day - 86400, day]


async def test_notices_are_of_each_limit(database: Database) -> None:
    """The host's limits and a server's budgets are told apart, and so are members."""
    told: list[BudgetNotice] = []
    limits = Limits(tokens_per_day=2000, listeners=[told.append])
    scene = scene_of(database, ScriptedChat(*(completion(600) for _ in range(4))), limits=limits)
    await scene.assistant.budgets.set(budget("member", 1000))
    for number, user_id in enumerate((30, 31, 30)):
        await asked(scene, number, user_id=user_id)
    found = [(notice.limit.scope, notice.limit.scope_id, notice.percent) for notice in told]
    assert found == [
        ("member", 30, 50),
        ("bot", 0, 50),
        ("member", 31, 50),
        ("bot", 0, 80),
        ("member", 30, 100),
    ]


async def test_budgets_are_listed_changed_and_removed(database: Database) -> None:
    """A server has one budget for each scope, unit and period; another server sees none of it."""
    budgets = scene_of(database).assistant.budgets
    for amount in (5, 6):
        await budgets.set(budget("server", amount))
    await budgets.set(budget("channel", 7, 20))
    assert [found.amount for found in await budgets.of_server(10)] == [6, 7]
    assert await budgets.of_server(11) == []
    assert await budgets.remove(budget("server", 0))
    assert not await budgets.remove(budget("server", 0))
    assert [found.amount for found in await budgets.of_server(10)] == [7]
    with pytest.raises(ValueError, match="not below nothing"):
        await budgets.set(budget("server", -1))


async def test_a_crash_counts_towards_a_role_too(database_url: str) -> None:
    """What a crash left open is booked at its most, for the role's budget as well."""
    async with open_database(database_url) as database:
        chat = GatedChat()
        scene = scene_of(database, chat, route={"price": PRICED})
        await scene.assistant.budgets.set(budget("role", 1000, 7))
        asking = asyncio.create_task(asked(scene, 1, role_ids=(7,)))
        await chat.asked.wait()
        await database.close()  # so that nothing can be booked any more
        asking.cancel()
        await asyncio.wait([asking])
    async with open_database(database_url) as database:
        await database.run(reconcile)
        scene = scene_of(database)
        [status] = await scene.assistant.budgets.holding(origin(2, role_ids=(7,)))
        assert (status.used.spent, status.used.held) == (EACH, 0)
        assert await scene.discrepancies() == []
