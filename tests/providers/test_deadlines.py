"""The router's deadlines: to the first text, between events, and in all."""

from __future__ import annotations

import asyncio

from providers.base import ImageRequest, Rest, Usage
from providers.chat_completions import ChatCompletions
from providers.estimates import guess_tokens
from providers.router import ChatRouter, ImageRouter
from providers.transport import Transport
from providers.walk import NoAnswerInTime, NoneAnswered
from tests.fake_vendors import SILENCE, FakeVendor, broken, chunk, drip, events
from tests.fakes import RecordedLedger, ScriptedChat, ScriptedImages, Step, answer, chat_route, image_route
from tests.providers.helpers import PROMPT_TOKENS, QUESTION, chat_entry, collect, take_error

LONG = 60.0
ORDER = ImageRequest("a fox")


async def test_a_provider_that_says_nothing_gives_way_to_the_next() -> None:
    """Without text in time the attempt ends, its stream is closed, and the next provider answers."""
    slow, quick = ScriptedChat([LONG], name="slow"), ScriptedChat(answer("Yes."), name="quick")
    ledger = RecordedLedger()

    async with asyncio.timeout(5):
        _, completion = await collect(
            ChatRouter([chat_route(slow, first_text_seconds=0.02), chat_route(quick)]).stream(
                QUESTION, ledger
            )
        )

    assert completion.text == "Yes."
    assert slow.closed == 1
    ((error, spent),) = ledger.failed
    assert (type(error), error.detail) == (NoAnswerInTime, "no answer in time")
    assert spent == Usage(PROMPT_TOKENS, 0, estimated=True)


async def test_a_stream_that_falls_silent_is_cut_off() -> None:
    """When nothing follows in time what has come is the answer, interrupted; nobody else is asked."""
    silent, other = ScriptedChat(["Once upon", LONG], name="silent"), ScriptedChat(name="other")

    async with asyncio.timeout(5):
        pieces, completion = await collect(
            ChatRouter([chat_route(silent, idle_seconds=0.02), chat_route(other)]).stream(
                QUESTION, RecordedLedger()
            )
        )

    assert pieces == ["Once upon"]
    assert completion.finish_reason == "interrupted"
    assert completion.usage == Usage(PROMPT_TOKENS, guess_tokens("Once upon"), estimated=True)
    assert (silent.closed, other.calls) == (1, [])


async def test_the_first_text_may_take_longer_than_the_next() -> None:
    """Loading a model is not silence: the two times are apart."""
    loading = ScriptedChat([0.15, *answer("Yes", ".")])

    _, completion = await collect(
        ChatRouter([chat_route(loading, first_text_seconds=5, idle_seconds=0.05)]).stream(
            QUESTION, RecordedLedger()
        )
    )

    assert (completion.text, completion.finish_reason) == ("Yes.", "stop")


async def test_what_is_no_text_does_not_end_the_wait_for_it() -> None:
    """Figures and limits that a vendor tells before its first text leave it the time for that."""
    thinking = ScriptedChat([Rest(1), Usage(10, 1), 0.15, *answer("Yes", ".")])

    _, completion = await collect(
        ChatRouter([chat_route(thinking, first_text_seconds=5, idle_seconds=0.05)]).stream(
            QUESTION, RecordedLedger()
        )
    )

    assert (completion.text, completion.finish_reason) == ("Yes.", "stop")


async def test_what_is_no_text_does_not_lengthen_the_wait_for_it() -> None:
    """A vendor that counts on and on without a word is left at the limit; what it counted is booked."""
    count: list[Step] = [Usage(10, 2), 0.02]
    counting = ScriptedChat(["Once upon", *count * 500], count * 500)
    router = ChatRouter([chat_route(counting, first_text_seconds=0.2, idle_seconds=0.2)])
    ledger = RecordedLedger()

    async with asyncio.timeout(5):
        _, completion = await collect(router.stream(QUESTION, RecordedLedger()))
        await take_error(collect(router.stream(QUESTION, ledger)))

    assert (completion.usage, completion.finish_reason) == (Usage(10, 2), "interrupted")
    assert [spent for _, spent in ledger.failed] == [Usage(10, 2)]


async def test_an_answer_without_end_is_cut_off_at_the_total() -> None:
    """Pieces that keep coming in time still end at the deadline for the whole."""
    talkative = ScriptedChat(["more ", 0.02] * 500)

    async with asyncio.timeout(5):
        pieces, completion = await collect(
            ChatRouter([chat_route(talkative, total_seconds=0.2)]).stream(QUESTION, RecordedLedger())
        )

    assert 1 <= len(pieces) <= 12
    assert completion.finish_reason == "interrupted"
    assert completion.text == "".join(pieces)
    assert talkative.closed == 1


async def test_the_total_holds_before_the_first_text_too() -> None:
    """A total shorter than the time for the first text is the one that counts."""
    slow = ScriptedChat([LONG])

    async with asyncio.timeout(5):
        error = await take_error(
            collect(ChatRouter([chat_route(slow, total_seconds=0.02)]).stream(QUESTION, RecordedLedger()))
        )

    assert isinstance(error, NoneAnswered)


async def test_a_picture_that_takes_too_long_gives_way_to_the_next() -> None:
    """A picture has one deadline; the vendor may have drawn it all the same, so it is booked as one."""
    slow, quick = ScriptedImages(LONG, name="slow"), ScriptedImages(name="quick")
    ledger = RecordedLedger()

    async with asyncio.timeout(5):
        picture = await ImageRouter([image_route(slow, total_seconds=0.02), image_route(quick)]).generate(
            ORDER, ledger
        )

    assert picture.width == 8
    ((error, spent),) = ledger.failed
    assert (type(error), spent) == (NoAnswerInTime, Usage(pictures=1, estimated=True, pixels=1024**2))


async def test_deadlines_end_real_connections(vendor: FakeVendor, transport: Transport) -> None:
    """Over a socket a silent, a stalled and a dripping vendor are each left in time, and may have cost."""
    chat = ChatCompletions(chat_entry(vendor.url), transport)
    stalled = broken(events(chunk("Once upon"), done=False), ending="stall")
    dripping = drip(events(chunk("Once upon"), *[": keep-alive"] * 1000), size=40, pause=0.01)
    router = ChatRouter([chat_route(chat, first_text_seconds=0.3, idle_seconds=0.1)])
    ledger = RecordedLedger()
    vendor.reply(SILENCE, stalled, dripping)

    async with asyncio.timeout(5):
        nothing = await take_error(collect(router.stream(QUESTION, ledger)))
        _, first = await collect(router.stream(QUESTION, RecordedLedger()))
        _, second = await collect(router.stream(QUESTION, RecordedLedger()))

    assert isinstance(nothing, NoneAnswered)
    # Nobody knows what it has done meanwhile: it is booked as if it had read the question.
    assert [spent for _, spent in ledger.failed] == [Usage(PROMPT_TOKENS, 0, estimated=True)]
    assert (first.text, first.finish_reason) == ("Once upon", "interrupted")
    assert (second.text, second.finish_reason) == ("Once upon", "interrupted")
    await vendor.client_left()
