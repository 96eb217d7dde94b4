"""What Discord can do to an answer on its way, over real sockets: in the middle of it, and at its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cogs.delivery import BLOCKED, Delivery
from tests.cogs.courier import EDIT, FOLLOW_UP, contents, courier
from tests.fake_discord import RateLimit

LIMITED = {"message": "You are being rate limited.", "retry_after": 0.6, "global": False}
VIA = {"Via": "1.1 google", "Retry-After": "1"}
BANNED = {"Retry-After": "1"}

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "503 in HTML": {"status": 503, "body": "<html>upstream</html>"},
    "429": {"status": 429, "body": LIMITED, "headers": VIA},
    "429 that is no JSON": {"status": 429, "body": "slow down", "headers": VIA},
    "429 from what stands before Discord": {"status": 429, "body": "error code: 1015", "headers": BANNED},
    "reset": {"reset": True},
    "closed": {"hang": 0.01},
    "no answer": {"hang": 30},
    "the answer got lost": {"reset": True, "after_handling": True},
}
faults = pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))


@faults
async def test_an_edit_that_fails_in_mid_answer_is_dropped(fault: dict[str, Any]) -> None:
    """It is sent once and not again; the edits after it bring the rest, and in the end all is there."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, **fault)
        interaction, delivery = await bot.deliver("one ", 0.1, "two ", 1.6, "three")

    assert delivery is Delivery.FULL
    assert contents(interaction) == ["one two three"]
    failed, *others = [request.json["content"] for request in bot.edits()]
    assert failed == "one"
    assert "one" not in others


@faults
async def test_the_last_edit_is_tried_until_it_arrives(fault: dict[str, Any]) -> None:
    """Two faults in a row at the very end cost the member nothing but a moment."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, times=2, **fault)
        interaction, delivery = await bot.deliver("All of it.")

    assert delivery is Delivery.FULL
    assert contents(interaction) == ["All of it."]


@faults
async def test_a_further_message_is_tried_until_it_arrives(fault: dict[str, Any]) -> None:
    """A fault under a follow-up at the end is no end; the parts stay in their order."""
    first, second = "one " * 400, "two " * 400
    async with courier() as bot:
        bot.fake.fail("POST", FOLLOW_UP, times=1, **fault)
        interaction, delivery = await bot.deliver(f"{first}\n\n{second}")

    assert delivery is Delivery.FULL
    assert contents(interaction)[0] == first.strip()
    assert set(contents(interaction)[1:]) == {second.strip()}


async def test_when_edits_fail_for_good_the_answer_comes_as_a_follow_up() -> None:
    """An answer whose message cannot be edited is sent anew, whole."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, times=99, status=500)
        interaction, delivery = await bot.deliver("one ", 0.1, "two")

    assert delivery is Delivery.FULL
    assert contents(interaction)[-1] == "one two"


async def test_when_nothing_gets_through_it_is_known() -> None:
    """An answer of which nothing arrived, and one of which the beginning did, are told apart."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, times=99, status=500)
        bot.fake.fail("POST", FOLLOW_UP, times=99, status=500)
        _, nothing = await bot.deliver("one ")
        bot.fake.rest.faults.clear()
        bot.fake.fail("POST", FOLLOW_UP, times=99, status=500)
        _, part = await bot.deliver("x" * 3000)

    assert (nothing, part) == (Delivery.NONE, Delivery.PARTIAL)


async def test_a_message_that_was_deleted_gets_no_more() -> None:
    """After 10008 nothing is sent any more: no edit, no follow-up."""
    async with courier() as bot:
        gone = {"message": "Unknown Message", "code": 10008}
        bot.fake.fail("PATCH", EDIT, times=99, status=404, body=gone)
        _, delivery = await bot.deliver("one ", 0.5, "two ", 0.5, "three")

    assert bot.gone
    assert delivery is Delivery.NONE
    assert len(bot.calls_about_messages()) == 2  # one while it grows, one at the end


async def test_a_token_that_has_expired_is_not_used_again_and_again() -> None:
    """After 50027 there are no more edits; the end is tried once, and known not to have arrived."""
    async with courier() as bot:
        bot.fake.token_life = 0.4
        interaction, delivery = await bot.deliver("one ", 0.6, "two ", 0.5, "three ", 0.5, "four")

    assert delivery is Delivery.PARTIAL
    assert not bot.gone
    assert contents(interaction) == ["one"]
    assert [request.status for request in bot.calls_about_messages()] == [200, 401, 401]


async def test_nothing_is_sent_after_the_time_for_answers() -> None:
    """Within the life of the token the end is tried; beyond it no request is made."""
    async with courier() as bot:
        bot.expires_in = 0.4
        bot.fake.fail("PATCH", EDIT, times=99, status=500)
        _, delivery = await bot.deliver("one ", 0.1, "two")

    assert delivery is Delivery.NONE
    assert len(bot.calls_about_messages()) <= 3


@pytest.mark.parametrize("code", [50001, 50013, 50007])
async def test_missing_permissions_are_not_tried_again(code: int) -> None:
    """A 403 counts as an invalid request: one while the answer grows, one at its end, no more."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, times=99, status=403, body={"message": "Missing", "code": code})
        _, delivery = await bot.deliver("one ", 0.4, "two ", 0.4, "three")

    assert delivery is Delivery.NONE
    assert len(bot.calls_about_messages()) == 2
    assert bot.calls.invalid_requests == 2


@pytest.mark.parametrize("code", [200000, 240000])
async def test_a_text_that_a_filter_stops_is_replaced_by_a_sentence(code: int) -> None:
    """AutoMod and the filter of harmful links are told of, and the text is not sent again."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, status=400, body={"message": "blocked", "code": code})
        interaction, delivery = await bot.deliver("something bad")
        in_mid_answer = len(bot.edits())
        bot.fake.fail("PATCH", EDIT, times=2, status=400, body={"message": "blocked", "code": code})
        second, again = await bot.deliver("something bad ", 0.5, "and more")

    assert in_mid_answer == 2
    assert (delivery, again) == (Delivery.NONE, Delivery.NONE)
    assert contents(interaction) == contents(second) == [BLOCKED]
    assert len(bot.edits()) == in_mid_answer + 3


async def test_edits_go_slower_when_few_are_left() -> None:
    """What remains of the bucket is spread over the time until it is full again; no 429 is ever met."""
    async with courier() as bot:
        bot.fake.rest.webhook_rate_limit = RateLimit(limit=3, per=1.5)
        await bot.deliver(*["word ", 0.1] * 35)

    statuses = [request.status for request in bot.edits()]
    assert set(statuses) == {200}
    assert 4 <= len(statuses) <= 9


async def test_a_bucket_that_is_spent_for_long_does_not_hold_up_what_arrived() -> None:
    """discord.py returns a success only after the bucket's reset: after a call's own deadline it counts."""
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "30"}
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, status=200, body={"id": "1"}, headers=spent)
        _, delivery = await bot.deliver("All of it.", seconds=3)
        sent = len(bot.edits())
        bot.fake.fail("PATCH", EDIT, status=200, body={"id": "1"}, headers=spent)
        interaction, again = await bot.deliver("one ", 1.0, "two ", 0.5, "three", seconds=3)

    assert (delivery, again) == (Delivery.FULL, Delivery.FULL)
    assert sent == 1
    assert len(bot.edits()) == 3
    assert contents(interaction) == ["one two three"]


async def test_a_ban_stops_every_request() -> None:
    """After a 429 that is not Discord's own, nothing at all is sent until its time is over."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, status=429, body="error code: 1015", headers={"Retry-After": "2"})
        started = asyncio.get_running_loop().time()
        delivering = asyncio.create_task(bot.deliver("one ", 0.3, "two ", 0.3, "three"))
        await bot.fake.until(lambda: any(request.status == 429 for request in bot.edits()))
        await asyncio.sleep(0.05)
        assert bot.calls.resting_seconds > 1
        assert bot.calls.only_needed
        during = len(bot.fake.requests)
        await asyncio.sleep(1)
        assert len(bot.fake.requests) == during
        interaction, delivery = await delivering
        waited = asyncio.get_running_loop().time() - started

    assert delivery is Delivery.FULL
    assert contents(interaction) == ["one two three"]
    assert waited > 2
    assert bot.calls.resting_seconds == 0


async def test_no_answer_waits_for_the_end_of_a_long_ban() -> None:
    """A ban that does not say for how long lasts an hour; what cannot arrive in time is given up at once."""
    async with courier() as bot:
        bot.fake.fail("PATCH", EDIT, times=99, status=429, body="error code: 1015")
        _, delivery = await bot.deliver("one", seconds=3)
        assert 3500 < bot.calls.resting_seconds <= 3600

    assert delivery is Delivery.NONE
    assert len(bot.edits()) == 1


async def test_a_follow_up_whose_answer_got_lost_is_not_sent_twice_in_mid_answer() -> None:
    """It may be there, so the rest waits for the end, when being there twice is better than not at all."""
    async with courier() as bot:
        bot.fake.fail("POST", FOLLOW_UP, reset=True, after_handling=True)
        script = ["x " * 1200, 1.0, "y ", 0.5, "z"]
        delivering = asyncio.create_task(bot.deliver(*script))
        await asyncio.sleep(1.2)
        [interaction] = bot.fake.interactions
        before_the_end = len(interaction.followups)
        interaction, delivery = await delivering

    assert before_the_end == 1
    assert delivery is Delivery.FULL
    assert contents(interaction)[-1].endswith("y z")
