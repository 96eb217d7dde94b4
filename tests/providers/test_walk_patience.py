"""One question's way: how many requests and seconds it may take, and what happens while others are asked."""

from __future__ import annotations

import asyncio
import time

import pytest

from providers.base import (
    KeyRejected,
    ModelRetired,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
    Usage,
)
from providers.breaker import BreakerTimes
from providers.route import Budget, State, Target
from providers.router import ChatRouter
from providers.walk import NoneAnswered
from tests.fakes import RecordedLedger, ScriptedChat, Step, answer, chat_route, key
from tests.providers.clock import Clock
from tests.providers.helpers import QUESTION, collect, take_error
from tests.providers.walking import answered, failing, refused

ONE = key("KEY1", "value-1")


# ---- Budget and patience ---------------------------------------------------------------------------


async def test_a_question_spends_no_more_requests_than_its_budget() -> None:
    """However many keys there are, the question ends after so many refusals."""
    keys = [key(f"KEY{number}", f"value-{number}") for number in range(9)]
    first = failing(*[RateLimited()] * 9)
    error = await refused(ChatRouter([chat_route(first, *keys)], budget=Budget(requests=4)))
    assert len(first.calls) == 4
    assert isinstance(error, NoneAnswered)
    assert len(error.causes) == 4


async def test_a_resting_key_is_waited_for_within_patience() -> None:
    """When nobody else can be asked, the question waits for the rest to end, and no longer."""
    first = failing(RateLimited(retry_after=0.3))
    began = time.monotonic()
    await answered(ChatRouter([chat_route(first, ONE)], budget=Budget(patience_seconds=2)))
    assert 0.3 <= time.monotonic() - began < 1.5


async def test_a_rest_beyond_patience_is_not_waited_for() -> None:
    """The member is told at once rather than after a wait that is in vain."""
    first = failing(RateLimited(retry_after=3))
    began = time.monotonic()
    await refused(ChatRouter([chat_route(first, ONE)], budget=Budget(patience_seconds=2)))
    assert time.monotonic() - began < 1.5
    assert len(first.calls) == 1


async def test_patience_is_for_all_waits_of_a_question_together() -> None:
    """Each wait uses some of it up."""
    first = failing(*[RateLimited(retry_after=0.2)] * 9)
    began = time.monotonic()
    await refused(ChatRouter([chat_route(first, ONE)], budget=Budget(patience_seconds=0.5)))
    assert len(first.calls) == 3
    assert time.monotonic() - began < 1.5


async def test_nobody_waits_beyond_the_time_for_the_first_text() -> None:
    """A rest that ends after the question's own time is not waited for."""
    first = failing(RateLimited(retry_after=0.5))
    await refused(ChatRouter([chat_route(first, ONE, first_text_seconds=0.3)]))
    assert len(first.calls) == 1


async def test_what_was_waited_before_is_not_counted_twice() -> None:
    """Two rests that end within the question's own time are both waited for."""
    first = failing(*[RateLimited(retry_after=0.35)] * 2)
    await answered(ChatRouter([chat_route(first, ONE, first_text_seconds=1.2)]))
    assert len(first.calls) == 3


async def test_nobody_is_asked_when_time_is_up() -> None:
    """A ledger that takes all the time there is: the attempt ends unsent and free."""

    class Slow(RecordedLedger):
        async def begin(self, target: Target, reserved: Usage) -> None:
            await super().begin(target, reserved)
            await asyncio.sleep(0.35)

    first, ledger = ScriptedChat(), Slow()
    router = ChatRouter([chat_route(first, ONE, first_text_seconds=0.3)])
    assert isinstance(await take_error(collect(router.stream(QUESTION, ledger))), NoneAnswered)
    assert [(error.kind, usage) for error, usage in ledger.failed] == [("not_sent", None)]
    assert first.calls == []


async def test_who_was_cut_short_is_not_to_blame() -> None:
    """A provider with half of its own time has failed; one that came late and had less has not."""
    silent: list[Step] = [30.0]
    chats = [ScriptedChat(silent, name=name) for name in ("first", "second", "third")]
    state = State(breaker_times=BreakerTimes(failures=1))
    await refused(ChatRouter([chat_route(chat, first_text_seconds=0.8) for chat in chats], state))
    assert [state.breaker(chat.name).is_open for chat in chats] == [True, False, False]


async def test_the_last_request_goes_to_somebody_new() -> None:
    """A first provider with more spent keys than a question has requests leaves one for the next."""
    keys = [key(f"KEY{number}", f"value-{number}") for number in range(12)]
    first, second = failing(*[QuotaExhausted()] * 12), ScriptedChat(name="second")
    await answered(ChatRouter([chat_route(first, *keys), chat_route(second)]))
    assert (len(first.calls), len(second.calls)) == (7, 1)
    broken, second = failing(Unavailable(), name="broken"), ScriptedChat(name="second")
    router = ChatRouter([chat_route(broken, ONE), chat_route(second)], budget=Budget(requests=2))
    await answered(router)
    assert (len(broken.calls), len(second.calls)) == (1, 1)


async def test_another_provider_is_better_than_waiting() -> None:
    """While a fallback is ready nobody waits for the provider before it."""
    first, second = failing(RateLimited(retry_after=2)), ScriptedChat(name="second")
    began = time.monotonic()
    await answered(ChatRouter([chat_route(first, ONE), chat_route(second)]))
    assert time.monotonic() - began < 1.5
    assert len(second.calls) == 1


async def test_questions_wait_for_room_and_are_woken_when_there_is() -> None:
    """Ten questions over an account that runs one at a time go one after the other, without pauses."""
    script: list[Step] = [0.02, *answer("Yes.")]
    first = ScriptedChat(*[script] * 10)
    router = ChatRouter([chat_route(first, ONE, max_concurrency=1)])
    began = time.monotonic()
    await asyncio.gather(*(answered(router) for _ in range(10)))
    assert 0.2 <= time.monotonic() - began < 1.0


async def test_the_first_text_may_take_half_of_what_is_left_while_others_are_ready() -> None:
    """A silent provider leaves time for the next; the last one gets all that is left."""
    silent: list[Step] = [30.0]
    chats = [ScriptedChat(silent, name=name) for name in ("first", "second", "third")]
    began, moments = time.monotonic(), []

    class Timed(RecordedLedger):
        async def fail(self, error: ProviderError, usage: object) -> None:
            moments.append(time.monotonic() - began)

    router = ChatRouter([chat_route(chat, first_text_seconds=0.8) for chat in chats])
    error = await take_error(collect(router.stream(QUESTION, Timed())))
    assert isinstance(error, NoneAnswered)
    assert len(moments) == 3
    for moment, expected in zip(moments, (0.4, 0.6, 0.8), strict=True):
        assert expected - 0.01 <= moment < expected + 0.19


async def test_a_lone_provider_has_all_the_time() -> None:
    """With nobody else to ask there is nothing to save time for."""
    slow: list[Step] = [0.5, *answer("At last.")]
    resting = failing(RateLimited(), name="resting")
    routes = [chat_route(chat, first_text_seconds=0.8) for chat in (resting, ScriptedChat(slow))]
    assert (await answered(ChatRouter(routes))).text == "At last."


# ---- Attempts that are overtaken -------------------------------------------------------------------


class SlowLedger(RecordedLedger):
    """Takes its time to write the first attempt down."""

    def __init__(self) -> None:
        super().__init__()
        self.writing, self.gate = asyncio.Event(), asyncio.Event()

    async def begin(self, target: Target, reserved: Usage) -> None:
        await super().begin(target, reserved)
        if len(self.begun) == 1:
            self.writing.set()
            await self.gate.wait()


@pytest.mark.parametrize("error", [RateLimited(), KeyRejected(), ModelRetired(), Unavailable(status=500)])
async def test_a_request_whose_key_comes_to_rest_while_it_is_booked_does_not_leave(
    error: ProviderError,
) -> None:
    """Another question was refused meanwhile: this attempt ends unsent and free, the next is asked."""
    first, second = failing(error), ScriptedChat(name="second")
    state = State(breaker_times=BreakerTimes(failures=1))
    router = ChatRouter([chat_route(first, ONE), chat_route(second)], state, Budget(requests=1))
    ledger = SlowLedger()
    slow = asyncio.create_task(collect(router.stream(QUESTION, ledger)))
    await ledger.writing.wait()
    await refused(router)
    ledger.gate.set()

    _, completion = await slow
    assert completion.text == "an answer"
    assert [target.provider for target, _ in ledger.begun] == ["first", "second"]
    assert [(error.kind, usage) for error, usage in ledger.failed] == [("not_sent", None)]
    assert (len(first.calls), len(second.calls)) == (1, 1)


async def test_a_request_that_never_left_does_not_fill_its_keys_minute() -> None:
    """Overtaken while it was booked, cut off there, or not booked at all: the key may send all it could."""

    class Closed(RecordedLedger):
        async def begin(self, target: Target, reserved: Usage) -> None:
            raise OSError("disk full")

    first, clock = failing(Unavailable(status=500)), Clock(1000.0)
    state = State(clock=clock, breaker_times=BreakerTimes(failures=1))
    router = ChatRouter([chat_route(first, ONE, requests_per_minute=2)], state, Budget(patience_seconds=0))
    cut_off, overtaken = SlowLedger(), SlowLedger()
    task = asyncio.create_task(collect(router.stream(QUESTION, cut_off)))
    await cut_off.writing.wait()
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(OSError, match="disk full"):
        await collect(router.stream(QUESTION, Closed()))
    slow = asyncio.create_task(collect(router.stream(QUESTION, overtaken)))
    await overtaken.writing.wait()
    await refused(router)  # the one that was sent
    overtaken.gate.set()
    await asyncio.wait([slow])
    assert [error.kind for error, _ in overtaken.failed] == ["not_sent"]

    clock.now += 30
    assert (await answered(router)).text == "an answer"
    assert len(first.calls) == 2
    assert isinstance(await refused(router), NoneAnswered)


async def test_others_learn_of_a_refusal_before_it_is_booked() -> None:
    """A ledger that is slow to write lets nobody ask the refused key meanwhile."""
    first, second = failing(RateLimited()), ScriptedChat(name="second")
    router = ChatRouter([chat_route(first, ONE), chat_route(second)])
    writing, gate = asyncio.Event(), asyncio.Event()

    class SlowToFail(RecordedLedger):
        async def fail(self, error: ProviderError, usage: Usage | None) -> None:
            writing.set()
            await gate.wait()

    slow = asyncio.create_task(collect(router.stream(QUESTION, SlowToFail())))
    await writing.wait()
    await answered(router)
    gate.set()
    await slow
    assert (len(first.calls), len(second.calls)) == (1, 2)
