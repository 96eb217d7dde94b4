"""One question's way: what each error leads to, and how many requests and seconds it may take."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from providers.base import (
    BadRequest,
    ChatRequest,
    ConnectionBroken,
    ContentRefused,
    Key,
    KeyRejected,
    Message,
    ModelRetired,
    NotEntitled,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from providers.breaker import BreakerTimes
from providers.route import State
from providers.router import ChatRouter, ImageRouter, NoSuchModel, shorten
from providers.walk import NoneAnswered
from tests.fakes import RecordedLedger, ScriptedChat, chat_route, key
from tests.providers.clock import Clock
from tests.providers.helpers import QUESTION, collect
from tests.providers.walking import answered, failing, refused

ONE, TWO, THREE = (key(f"KEY{number}", f"value-{number}") for number in (1, 2, 3))
SYSTEM, QUESTION_ITSELF = QUESTION.messages


def asked(provider: ScriptedChat) -> list[str]:
    return [key.variable for _, key in provider.calls]


def heard(provider: ScriptedChat) -> list[tuple[Message, ...]]:
    return [request.messages for request, _ in provider.calls]


# ---- The table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyRejected, NotEntitled, QuotaExhausted, RateLimited])
async def test_the_next_question_does_not_ask_a_key_that_was_refused(kind: type[ProviderError]) -> None:
    """Refused once, the key is left out for the questions that follow, of every router of the bot."""
    first, state = failing(kind()), State()
    routes = [chat_route(first, ONE, TWO)]
    await answered(ChatRouter(routes, state))
    await answered(ChatRouter(routes, state))
    assert asked(first) == ["KEY1", "KEY2", "KEY2"]


async def test_a_model_that_is_gone_is_gone_for_every_key() -> None:
    """Neither this question nor the next asks it with another key."""
    first, second = failing(ModelRetired()), ScriptedChat(name="second")
    router = ChatRouter([chat_route(first, ONE, TWO), chat_route(second)])
    await answered(router)
    await answered(router)
    assert (asked(first), len(second.calls)) == (["KEY1"], 2)


@pytest.mark.parametrize(
    ("keys", "expected"), [((ONE, TWO), ["KEY1", "KEY1", "KEY2"]), ((ONE,), ["KEY1", "KEY1"])]
)
@pytest.mark.parametrize("error", [Unavailable(), ConnectionBroken(maybe_billed=True)])
async def test_a_broken_connection_is_tried_with_the_same_key_then_the_next_then_the_next_provider(
    keys: tuple[Key, ...], expected: list[str], error: ProviderError
) -> None:
    """A connection that broke before the first byte of a reply is tried again at once."""
    first, second = failing(*[error] * 9), ScriptedChat(name="second")
    patient = State(breaker_times=BreakerTimes(failures=100))
    await answered(ChatRouter([chat_route(first, *keys), chat_route(second)], patient))
    assert (asked(first), len(second.calls)) == (expected, 1)


@pytest.mark.parametrize("error", [Unavailable(status=503), Unavailable(maybe_billed=True)])
async def test_an_outage_leads_to_the_next_provider_at_once(error: ProviderError) -> None:
    """A vendor that is down, silent or talks nonsense is not asked twice while somebody stands behind it."""
    first, second = failing(error), ScriptedChat(name="second")
    began = time.monotonic()
    await answered(ChatRouter([chat_route(first, ONE, TWO), chat_route(second)]))
    assert (asked(first), len(second.calls)) == (["KEY1"], 1)
    assert time.monotonic() - began < 0.3


async def test_an_outage_with_nobody_behind_is_tried_once_more() -> None:
    """After half a second, and only once."""
    first = failing(Unavailable(status=503), Unavailable(status=503))
    began = time.monotonic()
    await refused(ChatRouter([chat_route(first, ONE)]))
    assert len(first.calls) == 2
    assert 0.35 < time.monotonic() - began < 1.5


async def test_one_question_is_one_failure() -> None:
    """However often it tries, a question by itself does not shut a provider for everyone: three do."""
    first, state = failing(*[Unavailable()] * 9), State()
    router = ChatRouter([chat_route(first, ONE, TWO)], state)
    open_after = []
    for _ in range(3):
        await refused(router)
        open_after.append(state.breaker("first").is_open)
    assert open_after == [False, False, True]
    assert len(first.calls) == 3 + 3 + 1


async def test_a_time_that_comes_with_an_outage_is_kept() -> None:
    """The provider is left alone until then, with all its keys; at most for as long as after any failure."""
    for seconds, kept in ((42, 42), (10_000, 300)):
        clock = Clock(1000.0)
        first, second = failing(Unavailable(status=503, retry_after=seconds)), ScriptedChat(name="second")
        router = ChatRouter([chat_route(first, ONE, TWO), chat_route(second)], State(clock=clock))
        await answered(router)
        clock.now += kept - 0.1
        await answered(router)
        assert (len(first.calls), len(second.calls)) == (1, 2)
        clock.now += 0.1
        await answered(router)
        assert (len(first.calls), len(second.calls)) == (2, 2)


async def test_a_model_that_is_loading_is_waited_for() -> None:
    """With nobody behind and patience enough the question is asked again when the time is over, and once."""
    loading = Unavailable(status=503, retry_after=0.6)
    first = failing(loading, name="first")
    began = time.monotonic()
    await answered(ChatRouter([chat_route(first, ONE)]))
    assert 0.6 <= time.monotonic() - began < 2
    always = failing(*[loading] * 9)
    await refused(ChatRouter([chat_route(always, ONE)]))
    assert len(always.calls) == 2


async def test_what_may_have_cost_is_not_paid_twice_for_want_of_others() -> None:
    """A request that had left, and got no answer in time or of use, is not sent again to the same one."""
    first = failing(Unavailable(maybe_billed=True))
    assert isinstance(await refused(ChatRouter([chat_route(first, ONE, TWO)])), NoneAnswered)
    assert len(first.calls) == 1


async def test_a_request_that_two_providers_do_not_understand_is_ours_to_mend() -> None:
    """The next provider is asked once; then the fault is taken to be ours."""
    chats = [failing(BadRequest(name), name=name) for name in ("first", "second", "third")]
    error = await refused(ChatRouter([chat_route(chat, ONE, TWO) for chat in chats]))
    assert (type(error), error.detail) == (BadRequest, "second")
    assert [len(chat.calls) for chat in chats] == [1, 1, 0]


async def test_a_refused_prompt_is_nobody_elses_business() -> None:
    """What a vendor's filter has refused is not taken elsewhere."""
    first, second = failing(ContentRefused()), ScriptedChat(name="second")
    assert isinstance(
        await refused(ChatRouter([chat_route(first, ONE, TWO), chat_route(second)])), ContentRefused
    )
    assert (len(first.calls), second.calls) == (1, [])


# ---- Too long --------------------------------------------------------------------------------------


def conversation(turns: int, system: bool = True) -> ChatRequest:
    history = [Message(role, f"{role} {n}") for n in range(turns) for role in ("user", "assistant")]
    return ChatRequest((*([SYSTEM] if system else []), *history, QUESTION_ITSELF))


async def test_what_is_too_long_is_shortened_once() -> None:
    """The same target is asked again without the older half of the history, whole turns, and then no more."""
    first, second = failing(PromptTooLong(), PromptTooLong("again")), ScriptedChat(name="second")
    error = await refused(ChatRouter([chat_route(first, ONE, TWO), chat_route(second)]), conversation(5))

    whole, shorter = heard(first)
    assert whole == conversation(5).messages
    assert shorter == (SYSTEM, *whole[7:11], QUESTION_ITSELF)
    assert asked(first) == ["KEY1", "KEY1"]
    assert (error.detail, second.calls) == ("again", [])


async def test_a_shortened_question_is_answered_like_any_other() -> None:
    """Its first try is booked as a refusal, and the key is as well as before."""
    first, ledger = failing(PromptTooLong()), RecordedLedger()
    router = ChatRouter([chat_route(first, ONE)])
    await collect(router.stream(conversation(4), ledger))
    assert [error.kind for error, _ in ledger.failed] == ["too_long"]
    assert len(ledger.begun) == 2
    assert router.next_route() is router.routes[0]


async def test_what_has_no_history_cannot_be_shortened() -> None:
    """A question that is too long by itself is refused at once."""
    first = failing(PromptTooLong())
    assert isinstance(await refused(ChatRouter([chat_route(first)])), PromptTooLong)
    assert len(first.calls) == 1


async def test_what_is_too_long_for_one_goes_to_a_larger_context() -> None:
    """Whole again, and past all that are known to have no more room, or not known to have more."""
    sizes = {"small": 8_000, "equal": 8_000, "unknown": None, "large": 1_000_000}
    chats = {name: ScriptedChat(name=name) for name in sizes}
    chats["small"].scripts.extend([[PromptTooLong()], [PromptTooLong()]])
    routes = [chat_route(chats[name], ONE, context_tokens=tokens) for name, tokens in sizes.items()]
    await answered(ChatRouter(routes), conversation(4))
    assert [len(chat.calls) for chat in chats.values()] == [2, 0, 0, 1]
    assert heard(chats["large"]) == [conversation(4).messages]


async def test_what_is_too_long_for_the_largest_is_too_long() -> None:
    """Nobody with more room is left: the member reads that the question has to be shorter."""
    chats = [failing(*[PromptTooLong()] * 2, name=name) for name in ("small", "large")]
    routes = [
        chat_route(chat, ONE, context_tokens=tokens)
        for chat, tokens in zip(chats, (8_000, 9_000), strict=True)
    ]
    assert isinstance(await refused(ChatRouter(routes)), PromptTooLong)
    assert [len(chat.calls) for chat in chats] == [1, 1]


@pytest.mark.parametrize("system", [True, False])
@pytest.mark.parametrize(("turns", "left"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)])
def test_the_older_half_of_the_turns_goes(turns: int, left: int, system: bool) -> None:
    """System prompt and question stay, and what stays of the history begins with a question."""
    messages = conversation(turns, system).messages
    first, last = messages[: 1 if system else 0], messages[-1]
    history = messages[len(first) : -1]
    assert shorten(messages) == (*first, *history[len(history) - 2 * left :], last)


# ---- Breaker ---------------------------------------------------------------------------------------


async def test_a_provider_that_keeps_failing_is_left_alone_and_tried_again() -> None:
    """After three failures nobody asks it, then one question tries it, and it is back."""
    first = failing(*[Unavailable(status=500)] * 3)
    state = State(breaker_times=BreakerTimes(first_rest=0.2))
    router = ChatRouter([chat_route(first, ONE), chat_route(ScriptedChat(name="second"))], state)
    for _ in range(6):
        await answered(router)
    assert len(first.calls) == 3
    await asyncio.sleep(0.2)
    await answered(router)
    await answered(router)
    assert len(first.calls) == 5


async def test_a_trial_that_fails_is_not_repeated() -> None:
    """While a provider is left alone a broken connection is no reason to ask the same key once more."""
    first = failing(*[Unavailable()] * 9)
    state = State(breaker_times=BreakerTimes(failures=1, first_rest=0.6))
    router = ChatRouter([chat_route(first, ONE, TWO), chat_route(ScriptedChat(name="second"))], state)
    await answered(router)
    assert len(first.calls) == 1
    await asyncio.sleep(0.6)
    await answered(router)
    assert len(first.calls) == 2


# ---- Models by name --------------------------------------------------------------------------------


async def test_a_named_model_is_the_only_one_asked() -> None:
    """By its own name or with its provider's, in the chain or beside it; the chain's order means nothing."""
    chats = [ScriptedChat(name=name, model=model) for name, model in (("a", "x"), ("b", "y"), ("c", "z"))]
    routes = [chat_route(chat) for chat in chats]
    router = ChatRouter(routes[:2], others=routes[2:])
    for model in ("y", "b/y", "z", "c/z"):
        await answered(router, replace(QUESTION, model=model))
    assert [len(chat.calls) for chat in chats] == [0, 2, 2]
    await answered(router)
    assert [len(chat.calls) for chat in chats] == [1, 2, 2]


async def test_a_named_model_falls_back_to_its_other_providers_alone() -> None:
    """Who asked for this model gets it from whoever offers it, or a refusal."""
    chats = [failing(Unavailable(status=500), name=name) for name in ("a", "b")]
    other = ScriptedChat(name="c", model="other")
    router = ChatRouter([chat_route(other), *map(chat_route, chats)])
    await answered(router, replace(QUESTION, model="scripted-model"))
    assert [len(chat.calls) for chat in (*chats, other)] in ([1, 2, 0], [1, 1, 0])


async def test_a_model_that_nobody_offers_is_refused_in_a_sentence() -> None:
    """Nobody is asked in its place, and an empty chain has no models."""
    chat = ScriptedChat()
    for router in (ChatRouter([chat_route(chat)]), ChatRouter([])):
        error = await refused(router, replace(QUESTION, model="no such model"))
        assert type(error) is NoSuchModel
    assert chat.calls == []


def test_who_would_be_asked_next_is_nobody_in_an_empty_chain() -> None:
    """Without providers there is nothing to tell of."""
    assert ChatRouter([]).next_route() is None
    assert list(ImageRouter([]).healths()) == []
