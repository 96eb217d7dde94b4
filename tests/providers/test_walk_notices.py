"""What a walk tells: the host, once when something begins and once when it is over; members, why and when."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from providers.base import (
    NO_KEY,
    ImageRequest,
    Key,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from providers.breaker import BreakerTimes
from providers.healths import DAY, NEVER
from providers.news import in_words
from providers.route import Budget, State
from providers.router import ChatRouter, ImageRouter
from tests.fakes import (
    RecordedLedger,
    ScriptedChat,
    ScriptedImages,
    Step,
    answer,
    chat_route,
    image_route,
    key,
)
from tests.providers.clock import Clock
from tests.providers.helpers import QUESTION, collect, take_error

ONE, TWO = (key(f"KEY{number}", f"value-{number}") for number in (1, 2))
NOON = 20_000 * DAY + DAY / 2


class Scene:
    """A chain of two providers over a clock that is moved by hand, and what the host is told."""

    def __init__(self, *errors: ProviderError | None, keys: tuple[Key, ...] = (ONE, TWO)) -> None:
        scripts: list[list[Step]] = [[error] if error else answer("Yes.") for error in errors]
        self.first = ScriptedChat(*scripts, name="First")
        self.second = ScriptedChat(name="Second", model="second-model")
        self.clock = Clock(NOON)
        self.state = State(clock=self.clock, breaker_times=BreakerTimes(failures=2))
        self.told: list[str] = []
        self.state.notices.listeners.append(self.told.append)
        self.router = ChatRouter([chat_route(self.first, *keys), chat_route(self.second)], self.state)

    async def ask(self, times: int = 1) -> list[str]:
        """Ask so often; what the host was told meanwhile."""
        self.told.clear()
        for _ in range(times):
            await collect(self.router.stream(QUESTION, RecordedLedger()))
        return list(self.told)


FALLBACK = "Fallback in use: answers now come from Second, not from First."
BACK = "First is asked for answers again."


async def test_a_refused_key_is_told_once() -> None:
    """The host reads which setting to change; the other key answers, so nothing else is told."""
    scene = Scene(KeyRejected())
    told = await scene.ask(5)
    assert told == [
        "KEY1 was refused by First. It is left out until its value changes or the settings are read again."
    ]


async def test_a_key_that_is_accepted_after_all_is_told() -> None:
    """The host has given it a permission and had the settings read again: its first answer is news."""
    scene = Scene(KeyRejected(), None, keys=(ONE,))
    await scene.ask()
    scene.state.pool.try_again()
    assert await scene.ask(2) == ["KEY1 is accepted again.", BACK]


async def test_a_server_that_wants_a_key_where_none_is_set_is_told() -> None:
    """There is no value that could be changed: it is asked again after ten minutes."""
    scene = Scene(KeyRejected(), None, keys=(NO_KEY,))
    assert await scene.ask(2) == ["First wants a key, and none is set. Asked again in 10 minutes.", FALLBACK]
    scene.clock.now += 600
    assert await scene.ask(2) == ["First is accepted again.", BACK]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (QuotaExhausted(retry_after=7200), "exhausted"),
        (NotEntitled(), "not_entitled"),
    ],
)
async def test_an_account_that_is_used_up_is_told_and_so_is_its_return(
    error: ProviderError, words: str
) -> None:
    """Once each, with the time at which it is asked again; and the next time anew."""
    until = in_words(7200 if words == "exhausted" else DAY)
    gone = f"KEY1 is used up at First ({words}); asked again {until}."
    scene = Scene(error, None, error, keys=(ONE,))
    assert await scene.ask(5) == [gone, FALLBACK]
    scene.clock.now += 2 * DAY
    assert await scene.ask() == ["KEY1 works again.", BACK]
    assert await scene.ask(5) == [gone, FALLBACK]
    scene.clock.now += 2 * DAY
    assert await scene.ask(5) == ["KEY1 works again.", BACK]


async def test_a_provider_that_is_down_is_told_and_so_is_its_return() -> None:
    """The breaker's opening is told with the vendor's words, and its first answer; not each failure."""
    down = Unavailable("overloaded", status=503)
    scene = Scene(down, down, down, None, down, down)
    lost = "First fails and is left alone for a while: overloaded."
    assert await scene.ask(5) == [FALLBACK, lost]
    scene.clock.now += 30
    assert await scene.ask(2) == []
    scene.clock.now += 60
    assert await scene.ask() == ["First answers again.", BACK]
    assert await scene.ask(5) == [FALLBACK, lost]


async def test_a_provider_that_comes_back_with_a_refusal_is_told_when_it_answers() -> None:
    """A trial that is refused shows that the vendor is there; the news is told with its first answer."""
    down = Unavailable("overloaded", status=503)
    scene = Scene(down, down, RateLimited(retry_after=10), None, down, down, keys=(ONE,))
    await scene.ask(3)
    scene.clock.now += 30
    assert await scene.ask() == []
    scene.clock.now += 10
    assert await scene.ask() == ["First answers again.", BACK]
    assert "First fails and is left alone for a while: overloaded." in await scene.ask(3)


async def test_a_model_that_is_gone_is_told_and_so_is_its_return() -> None:
    """Tried again after a day, it is told of once more if it answers."""
    scene = Scene(ModelRetired("HTTP 410: gone"))
    assert await scene.ask(3) == ["First is gone: HTTP 410: gone. It is left out for a day.", FALLBACK]
    scene.clock.now += DAY
    assert await scene.ask(3) == ["First is offered again.", BACK]


async def test_an_older_answer_does_not_announce_an_account_that_is_used_up() -> None:
    """A request from before the refusal that is answered after it is no sign of recovery."""
    scene = Scene(keys=(ONE,))
    gate = asyncio.Event()

    class Gated(ScriptedChat):
        async def stream(self, request, key):  # type: ignore[no-untyped-def]  # as its parent's
            if len(self.calls) == 0:
                self.calls.append((request, key))
                await gate.wait()
                for event in [event async for event in ScriptedChat().stream(request, key)]:
                    yield event
            else:
                self.calls.append((request, key))
                raise QuotaExhausted(retry_after=7200)

    scene.router = ChatRouter([chat_route(Gated(name="First"), ONE), chat_route(scene.second)], scene.state)
    older = asyncio.create_task(collect(scene.router.stream(QUESTION, RecordedLedger())))
    await asyncio.sleep(0.01)
    told = await scene.ask()
    gate.set()
    await older
    assert told == ["KEY1 is used up at First (exhausted); asked again in 2 hours.", FALLBACK]
    assert "KEY1 works again." not in scene.told


async def test_a_named_model_says_nothing_of_the_chain() -> None:
    """Who asks for a model by name neither begins nor ends the use of a fallback."""
    scene = Scene(RateLimited(retry_after=100), keys=(ONE,))
    named = replace(QUESTION, model="second-model")
    await collect(scene.router.stream(named, RecordedLedger()))
    assert scene.told == []
    assert await scene.ask() == [FALLBACK]
    await collect(scene.router.stream(named, RecordedLedger()))
    assert scene.told == [FALLBACK]


async def test_nobody_left_to_ask_is_told_once_per_purpose() -> None:
    """For answers and for pictures apart, when it begins, with its time, and when it is over."""
    clock = Clock(NOON)
    state = State(clock=clock)
    told: list[str] = []
    state.notices.listeners.append(told.append)
    busy = RateLimited(retry_after=100)
    chat = ChatRouter([chat_route(ScriptedChat([busy], name="Chat"), ONE)], state)
    images = ImageRouter([image_route(ScriptedImages(busy, name="Images"), TWO)], state)
    order = ImageRequest("a fox")
    for _ in range(4):
        await take_error(collect(chat.stream(QUESTION, RecordedLedger())))
        await take_error(images.generate(order, RecordedLedger()))
    assert told == [
        "Nobody can be asked for answers; again in 2 minutes.",
        "Nobody can be asked for pictures; again in 2 minutes.",
    ]
    told.clear()
    clock.now += 100
    await collect(chat.stream(QUESTION, RecordedLedger()))
    await images.generate(order, RecordedLedger())
    assert told == ["Somebody can be asked for answers again.", "Somebody can be asked for pictures again."]


# ---- Members ---------------------------------------------------------------------------------------

NONE = "None of the bot's models could answer just now."
BUSY = "All of the bot's models are busy or used up."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RateLimited(retry_after=110), f"{BUSY} Please try again in 2 minutes."),
        (QuotaExhausted(retry_after=5 * 3600), f"{BUSY} Please try again in 5 hours."),
        (KeyRejected(), f"{NONE} The bot's host has been told."),
        (ModelRetired(), f"{NONE} The bot's host has been told."),
        (Unavailable(maybe_billed=True), f"{NONE} Please try again in a minute."),
    ],
)
async def test_who_comes_later_reads_the_same_reason(error: ProviderError, sentence: str) -> None:
    """The question that met the refusal, and the next, for which nobody is asked at all."""
    chat = ScriptedChat([error])
    state = State(breaker_times=BreakerTimes(failures=1, first_rest=60))
    router = ChatRouter([chat_route(chat, ONE)], state, Budget(patience_seconds=1))
    for _ in range(2):
        assert str(await take_error(collect(router.stream(QUESTION, RecordedLedger())))) == sentence
    assert len(chat.calls) == 1


async def test_a_dead_key_does_not_hide_an_outage() -> None:
    """One key was refused and the provider is down: it is not the host alone who can help, but time."""
    chat = ScriptedChat([KeyRejected()], [Unavailable(status=503, maybe_billed=True)])
    state = State(breaker_times=BreakerTimes(failures=1))
    router = ChatRouter([chat_route(chat, ONE, TWO)], state, Budget(patience_seconds=1))
    await take_error(collect(router.stream(QUESTION, RecordedLedger())))
    later = await take_error(collect(router.stream(QUESTION, RecordedLedger())))
    assert str(later) == f"{NONE} Please try again in 30 seconds."


@pytest.mark.parametrize("limit", ["max_concurrency", "requests_per_minute"])
async def test_a_dead_key_does_not_hide_that_the_others_are_busy(limit: str) -> None:
    """The key that is left has other requests out, or has sent what its minute holds."""
    chat, clock = ScriptedChat([KeyRejected()]), Clock(NOON)
    limits: dict[str, Any] = {limit: 1}
    route = chat_route(chat, ONE, TWO, first_text_seconds=0.5, **limits)
    router = ChatRouter([route], State(clock=clock))
    await collect(router.stream(QUESTION, RecordedLedger()))
    clock.now += 30
    if limit == "max_concurrency":
        assert router.state.pool.acquire(route.ring)
    error = await take_error(collect(router.stream(QUESTION, RecordedLedger())))
    when = "in a few seconds" if limit == "max_concurrency" else "in 30 seconds"
    assert str(error) == f"{BUSY} Please try again {when}."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "in a few seconds"),
        (9.9, "in a few seconds"),
        (10, "in 10 seconds"),
        (44, "in 40 seconds"),
        (45, "in a minute"),
        (90, "in 2 minutes"),
        (89 * 60, "in 89 minutes"),
        (90 * 60, "in 2 hours"),
        (47 * 3600, "in 47 hours"),
        (48 * 3600, "in 2 days"),
        (NEVER, "later"),
    ],
)
def test_waits_are_told_as_people_tell_them(seconds: float, words: str) -> None:
    """Roughly, and never as one of something in the plural."""
    assert in_words(seconds) == words
