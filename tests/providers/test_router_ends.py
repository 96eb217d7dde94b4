"""The chain's ends: an answer that breaks off, a fault of ours, a listener who leaves, and nobody at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from providers.base import (
    ChatProvider,
    ChatRequest,
    Completion,
    ContentRefused,
    Delta,
    ImageRequest,
    Key,
    KeyRejected,
    Picture,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
    Usage,
)
from providers.estimates import guess_tokens
from providers.router import ChatRouter, ImageRouter
from providers.walk import NoneAnswered, NothingConfigured
from tests.fakes import (
    RecordedLedger,
    ScriptedChat,
    ScriptedImages,
    answer,
    chat_route,
    image_route,
    key,
)
from tests.providers.helpers import PROMPT_TOKENS, QUESTION, collect, take_error, take_up_to_error

ONE, TWO = key("KEY1", "value-1"), key("KEY2", "value-2")
ORDER = ImageRequest("a fox", seed=5, steps=2)


@pytest.mark.parametrize(
    "fault", [RateLimited(), Unavailable(), ContentRefused(), RuntimeError("a fault of ours")]
)
async def test_an_answer_that_breaks_off_is_kept(fault: Exception) -> None:
    """Once text has come nobody else is asked: the text is the answer, interrupted, with an estimate."""
    first = ScriptedChat(["Once upon", " a time", fault], name="first", model="first-model")
    second = ScriptedChat(name="second")
    ledger = RecordedLedger()

    pieces, completion = await collect(
        ChatRouter([chat_route(first, ONE, TWO), chat_route(second)]).stream(QUESTION, ledger)
    )

    spent = Usage(PROMPT_TOKENS, guess_tokens("Once upon a time"), estimated=True)
    assert pieces == ["Once upon", " a time"]
    assert completion == Completion("Once upon a time", spent, "interrupted", "first-model")
    assert first.calls == [(QUESTION, ONE)]
    assert second.calls == []
    assert (len(ledger.begun), ledger.failed) == (1, [])


class Faulty:
    """A provider with a fault of its own."""

    name, model = "faulty", "faulty-model"

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[Delta | Completion]:
        raise KeyError("choices")
        yield

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        raise KeyError("data")


async def test_a_fault_of_ours_is_a_failed_attempt_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception goes to the log with its traceback, ends its attempt, and the next is asked."""
    chats, pictures = RecordedLedger(), RecordedLedger()
    good: ChatProvider = ScriptedChat(answer("Yes."))

    _, completion = await collect(
        ChatRouter([chat_route(Faulty(), ONE, TWO), chat_route(good)]).stream(QUESTION, chats)
    )
    picture = await ImageRouter([image_route(Faulty()), image_route(ScriptedImages())]).generate(
        ORDER, pictures
    )

    assert (completion.text, picture.width) == ("Yes.", 8)
    for ledger in (chats, pictures):
        assert len(ledger.begun) == 2
        ((error, spent),) = ledger.failed
        assert (type(error), error.detail) == (Unavailable, "unexpected KeyError")
        assert spent is not None
        assert spent.estimated
    assert caplog.text.count("Traceback") == 2


async def test_leaving_early_closes_the_vendors_stream() -> None:
    """Whoever stops listening stops the vendor at once; the attempt is left to the caller to end."""
    chat = ScriptedChat(["Hello", 60.0, "world"])
    ledger = RecordedLedger()

    stream = ChatRouter([chat_route(chat)]).stream(QUESTION, ledger)
    assert await anext(stream) == Delta("Hello")
    assert chat.closed == 0
    await stream.aclose()

    assert chat.closed == 1
    assert (len(ledger.begun), ledger.failed) == (1, [])


NONE = NoneAnswered.sentence
BUSY = "All of the bot's models are busy or used up. Please try again"

# ---- Nobody ----------------------------------------------------------------------------------------


async def test_an_empty_chain_says_what_is_missing() -> None:
    """Without a provider the caller hears that the host has to set a key."""
    for error in (
        await take_error(collect(ChatRouter([]).stream(QUESTION, RecordedLedger()))),
        await take_error(ImageRouter([]).generate(ORDER, RecordedLedger())),
    ):
        assert type(error) is NothingConfigured
        assert str(error) == "No model is set up for this yet. The bot's host has to set a key."


@pytest.mark.parametrize(
    ("causes", "sentence"),
    [
        ([KeyRejected(), Unavailable(maybe_billed=True)], f"{NONE} Please try again in a minute."),
        ([RateLimited(retry_after=110), QuotaExhausted(retry_after=7200)], f"{BUSY} in 2 minutes."),
        ([KeyRejected(), KeyRejected()], f"{NONE} The bot's host has been told."),
        ([KeyRejected(), RateLimited(retry_after=1800)], f"{BUSY} in 30 minutes."),
        ([QuotaExhausted(retry_after=7200), QuotaExhausted(retry_after=99999)], f"{BUSY} in 2 hours."),
    ],
)
async def test_when_nobody_answers_the_sentence_says_why_and_until_when(
    causes: list[ProviderError], sentence: str
) -> None:
    """The member reads what may be told and when to come back; the log gets every cause in order."""
    chats = [ScriptedChat([cause], name=f"vendor {place}") for place, cause in enumerate(causes)]
    router = ChatRouter([chat_route(chat, ONE) for chat in chats])

    pieces, error = await take_up_to_error(router.stream(QUESTION, RecordedLedger()))

    assert isinstance(error, NoneAnswered)
    assert (pieces, str(error)) == ([], sentence)
    assert list(error.causes) == causes
    assert error.detail == "; ".join(f"{cause.kind}: " for cause in causes)
