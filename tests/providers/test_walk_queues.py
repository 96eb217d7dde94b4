"""Questions that wait for one another: behind what a provider does at a time, or in a minute."""

from __future__ import annotations

import asyncio
import time

import pytest

from providers.base import ImageRequest, RateLimited
from providers.route import Budget, State
from providers.router import LONGEST_ORDER, ChatRouter, ImageRouter
from providers.walk import Walk
from tests.fakes import RecordedLedger, ScriptedChat, ScriptedImages, chat_route, image_route, key
from tests.providers.clock import Clock
from tests.providers.helpers import take_error
from tests.providers.walking import answered, failing

ONE = key("KEY1", "value-1")
ORDER = ImageRequest("a fox", 64, 64)
IMPATIENT = Budget(patience_seconds=0.05)


async def test_who_waits_for_its_turn_is_not_bound_by_the_patience_for_rests() -> None:
    """Four pictures over an account that makes one at a time are all made, however long that takes."""
    images = ScriptedImages(*[0.1] * 4)
    router = ImageRouter([image_route(images, ONE, max_concurrency=1)], budget=IMPATIENT)
    ledgers = [RecordedLedger() for _ in range(4)]
    began = time.monotonic()
    await asyncio.gather(*(router.generate(ORDER, ledger) for ledger in ledgers))
    assert 0.4 <= time.monotonic() - began < 2
    assert [ledger.failed for ledger in ledgers] == [[]] * 4


async def test_a_turn_has_its_whole_time_however_long_it_was_waited_for() -> None:
    """The time for a picture begins when its target is found; no attempt is booked before."""
    images = ScriptedImages(*[0.2] * 4)
    router = ImageRouter([image_route(images, ONE, max_concurrency=1, total_seconds=0.4)])
    ledgers = [RecordedLedger() for _ in range(4)]
    tasks = [asyncio.create_task(router.generate(ORDER, ledger)) for ledger in ledgers]
    await asyncio.sleep(0.1)
    assert [len(ledger.begun) for ledger in ledgers] == [1, 0, 0, 0]
    await asyncio.gather(*tasks)
    assert [ledger.failed for ledger in ledgers] == [[]] * 4
    assert not router.state.breaker(images.name).is_open


async def test_who_leaves_the_queue_has_cost_nothing() -> None:
    """Cancelled while it waits, a picture is neither booked nor asked for, and the others go on."""
    images, ledger = ScriptedImages(0.1, 0.1), RecordedLedger()
    router = ImageRouter([image_route(images, ONE, max_concurrency=1)])
    first = asyncio.create_task(router.generate(ORDER, RecordedLedger()))
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(router.generate(ORDER, ledger))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting])
    await router.generate(ORDER, RecordedLedger())
    await first
    assert (ledger.begun, ledger.failed, len(images.calls)) == ([], [], 2)


async def test_a_minute_that_is_full_is_waited_for_as_long_as_an_answer_may_take() -> None:
    """Paced by the host's own number the question waits for room; where that takes longer it is refused."""
    for seconds, waits in ((60, True), (20, False)):
        clock = Clock(1000.0)
        state = State(clock=clock)
        route = chat_route(ScriptedChat(), ONE, first_text_seconds=seconds, requests_per_minute=1)
        router = ChatRouter([route], state)
        await answered(router)
        clock.now += 20
        task = asyncio.create_task(answered(router))
        await asyncio.sleep(0.02)
        assert task.done() is not waits
        if waits:
            clock.now += 41
            state.pool.try_again()  # wakes who waits
            assert (await task).text == "an answer"
        else:
            sentence = "All of the bot's models are busy or used up. Please try again in 40 seconds."
            assert str(await take_error(task)) == sentence


async def test_a_server_of_ones_own_is_queued_for_though_another_is_ready() -> None:
    """Pictures of one order come from the same machine, and not from whom the host would have to pay."""
    for queue, calls in ((True, (3, 0)), (False, (1, 2))):
        own, paid = ScriptedImages(*[0.05] * 3, name="own"), ScriptedImages(name="paid")
        told: list[str] = []
        routes = [image_route(own, max_concurrency=1, queue=queue), image_route(paid, ONE)]
        router = ImageRouter(routes)
        router.state.notices.listeners.append(told.append)
        await asyncio.gather(*(router.generate(ORDER, RecordedLedger()) for _ in range(3)))
        assert (len(own.calls), len(paid.calls)) == calls
        assert told == []  # who is busy has not failed


async def test_who_has_queued_for_long_enough_goes_elsewhere() -> None:
    """A turn that does not come in as long as an answer may take is given up for a provider that is ready."""
    own, second = ScriptedChat(name="own"), ScriptedChat(name="second")
    route = chat_route(own, max_concurrency=1, queue=True, first_text_seconds=1.2)
    router = ChatRouter([route, chat_route(second, first_text_seconds=1.2)])
    assert router.state.pool.acquire(route.ring)
    began = time.monotonic()
    await answered(router)
    assert time.monotonic() - began < 2.2
    assert (len(own.calls), len(second.calls)) == (0, 1)


async def test_who_queues_for_the_longest_time_still_has_half_of_its_own() -> None:
    """A picture is given up before its member could no longer be told, and not begun without time for it."""
    images = ScriptedImages()
    router = ImageRouter([image_route(images, ONE, max_concurrency=1, total_seconds=700)])
    walk = Walk(router.routes, router.state, Budget(), "pictures", 700, LONGEST_ORDER)
    assert walk._queue_left == 370
    assert walk._never_after - walk._ends_at == pytest.approx(20)


async def test_a_server_that_rests_is_not_queued_for() -> None:
    """Only other requests of ours are worth waiting for while somebody else is ready."""
    own, second = failing(RateLimited(retry_after=30), name="own"), ScriptedChat(name="second")
    router = ChatRouter([chat_route(own, max_concurrency=1, queue=True), chat_route(second)])
    assert (await answered(router)).text == "an answer"
    assert len(second.calls) == 1
