"""Where an answer ends, over a real socket: silence after its end, and what is booked when it breaks off."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from providers.base import Completion, PromptTooLong, Usage
from providers.chat_completions import GRACE_SECONDS, ChatCompletions
from providers.estimates import guess_tokens
from providers.router import ChatRouter
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, Reply, broken, chat_answer, chunk, events, usage
from tests.fakes import RecordedLedger, ScriptedChat, answer, chat_route, key
from tests.providers.helpers import PROMPT_TOKENS, QUESTION, chat_entry, collect

GUESS = Usage(PROMPT_TOKENS, guess_tokens("Yes."), estimated=True)
END = chunk(finish_reason="stop", usage=None)


def router(vendor: FakeVendor, transport: Transport, value: str = "", **settings: Any) -> ChatRouter:
    """A chain of a vendor on the socket, with a key of this value, and one behind it that always answers."""
    entry = chat_entry(vendor.url, **settings)
    behind = ScriptedChat(answer("Behind."), name="behind")
    first = chat_route(
        ChatCompletions(entry, transport), key(value=value or "the-key"), idle_seconds=entry.idle_seconds
    )
    return ChatRouter([first, chat_route(behind)])


async def at_once(
    vendor: FakeVendor, transport: Transport, *replies: Reply, **settings: Any
) -> list[Completion]:
    """The answers that these replies become, all asked for at the same time."""
    routers = []
    for place, reply in enumerate(replies):
        vendor.reply(reply, key=f"key-{place}")
        routers.append(router(vendor, transport, f"key-{place}", **settings))
    answers = (collect(chain.stream(QUESTION, RecordedLedger())) for chain in routers)
    return [completion for _, completion in await asyncio.gather(*answers)]


def then(reply: Reply, ending: Any, *pieces: bytes | float) -> Reply:
    """The reply with more behind it, and this end."""
    return replace(reply, pieces=(*reply.pieces, *pieces), ending=ending)


# ---- Silence after the end -------------------------------------------------------------------------

LAST = chunk(choices=[], usage=usage())


async def test_an_answer_whose_vendor_falls_silent_after_its_end_is_complete(
    vendor: FakeVendor, transport: Transport
) -> None:
    """With no [DONE] and the connection held open, the member waits 2 s and not the idle limit."""
    silent = [
        events(chunk("Yes."), END, done=False),
        events(chunk("Yes."), END, LAST, done=False),
        events(chunk("Ye"), chunk("s.", "stop"), done=False),
        events(chunk("Ye"), chunk("s.", "stop", usage=usage()), done=False),
    ]
    keep_alives = [piece for _ in range(50) for piece in (b": keep-alive\n\n", 0.1)]
    began = time.monotonic()

    completions = await at_once(
        vendor,
        transport,
        *(then(reply, "stall") for reply in silent),
        then(silent[0], "stall", *keep_alives),
        idle_seconds=30,
    )

    assert GRACE_SECONDS == 2.0 <= time.monotonic() - began < 4.0
    assert completions == [
        Completion("Yes.", used, "stop", "fake-model")
        for used in (GUESS, Usage(12, 3), GUESS, Usage(12, 3), GUESS)
    ]


async def test_a_short_idle_limit_shortens_the_wait_for_the_end(
    vendor: FakeVendor, transport: Transport
) -> None:
    """Where a host allows a second between events, the answer is complete before that is over."""
    vendor.reply(then(events(chunk("Yes."), END, done=False), "stall"))

    _, completion = await collect(
        router(vendor, transport, idle_seconds=1).stream(QUESTION, RecordedLedger())
    )

    assert completion == Completion("Yes.", GUESS, "stop", "fake-model")


async def test_usage_that_comes_a_little_late_counts(vendor: FakeVendor, transport: Transport) -> None:
    """What follows the end within the grace is still read: usage, and text too."""
    late = events(chunk(" No."), chunk(choices=[], usage=usage(20, 4))).pieces
    vendor.reply(then(events(chunk("Yes."), END, done=False), "whole", 0.2, *late))

    pieces, completion = await collect(
        router(vendor, transport, idle_seconds=1).stream(QUESTION, RecordedLedger())
    )

    assert pieces == ["Yes.", " No."]
    assert completion == Completion("Yes. No.", Usage(20, 4), "stop", "fake-model")


THOUGHT = chunk(choices=[{"delta": {"reasoning_content": "Hm."}, "finish_reason": "stop"}])


async def test_a_finish_reason_that_ends_nothing_cuts_nothing_off(
    vendor: FakeVendor, transport: Transport
) -> None:
    """Some gateways send one with every chunk, or with thoughts: a pause after it is not the end."""
    streams = [
        events(chunk("", "stop"), chunk("Ye", "stop"), chunk("s.", "stop")),
        events(chunk("", ""), chunk("Ye", ""), chunk("s.", "stop")),
        events(chunk(""), THOUGHT, chunk("Yes."), END),
    ]
    slow = []
    for stream in streams:
        *first, last, done = stream.pieces
        slowly = [piece for event in first for piece in (event, 0.6)]  # 0.5 s are the wait for the end
        slow.append(replace(stream, pieces=(*slowly, last, done)))

    completions = await at_once(vendor, transport, *slow, idle_seconds=1)

    assert [(completion.text, completion.finish_reason) for completion in completions] == [
        ("Yes.", "stop")
    ] * 3


async def test_an_empty_finish_reason_is_none(vendor: FakeVendor, transport: Transport) -> None:
    """A stream that breaks off after chunks with an empty finish reason has broken off."""
    vendor.reply(broken(events(chunk("Ye", ""), done=False)))

    _, completion = await collect(router(vendor, transport).stream(QUESTION, RecordedLedger()))

    assert completion.finish_reason == "interrupted"


# ---- What is booked for an answer that breaks off --------------------------------------------------

COUNTED = (chunk("Ye", usage=usage(12, 1)), chunk("s.", usage=usage(12, 2)))
DIED = {"error": {"code": 500, "message": "died"}}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(broken(events(*COUNTED, done=False), ending="close"), id="closed"),
        pytest.param(broken(events(*COUNTED, done=False), ending="reset"), id="reset"),
        pytest.param(events(*COUNTED, done=False), id="ended without an end"),
        pytest.param(then(events(*COUNTED, done=False), "stall"), id="silent"),
        pytest.param(events(*COUNTED, DIED), id="an error in the stream"),
        pytest.param(events(*COUNTED, {"error": {"code": 429, "message": "slow"}}), id="a limit"),
        pytest.param(events(chunk("Yes."), chunk("", "error", usage=usage(12, 2))), id="with the error"),
        pytest.param(
            events(chunk("Yes.", usage=usage(12, 1)), chunk(choices=[], usage=usage(12, 2)), DIED),
            id="in a chunk of its own",
        ),
    ],
)
async def test_an_answer_that_breaks_off_costs_what_the_vendor_had_counted(
    vendor: FakeVendor, transport: Transport, reply: Reply
) -> None:
    """However it ends, the vendor's figures for what had come are its usage, and no estimate."""
    vendor.reply(reply)

    _, completion = await collect(
        router(vendor, transport, idle_seconds=0.2).stream(QUESTION, RecordedLedger())
    )

    assert completion == Completion("Yes.", Usage(12, 2), "interrupted", "fake-model")


async def test_figures_from_before_the_text_do_not_count_it(vendor: FakeVendor, transport: Transport) -> None:
    """Usage that came early tells the prompt, but nothing of the text that followed: that is estimated."""
    vendor.reply(broken(events(chunk("Ye", usage=usage(12, 1)), chunk("s."), done=False)))

    _, completion = await collect(router(vendor, transport).stream(QUESTION, RecordedLedger()))

    assert completion == Completion("Yes.", Usage(12, 1, estimated=True), "interrupted", "fake-model")


@pytest.mark.parametrize(
    ("frames", "spent"),
    [
        pytest.param(
            (chunk(""), THOUGHT, DIED), replace(GUESS, completion_tokens=1, reasoning_tokens=1), id="at work"
        ),
        pytest.param((DIED,), None, id="before the first frame"),
        pytest.param(
            (chunk(""), {"error": {"type": "exceed_context_size_error"}}),
            None,
            id="too long: nothing done",
        ),
    ],
)
async def test_an_error_in_the_stream_may_cost_once_the_model_is_at_work(
    vendor: FakeVendor, transport: Transport, frames: tuple[Any, ...], spent: Usage | None
) -> None:
    """A vendor that dies after its first frame is booked with the prompt; one that never began is not."""
    vendor.reply(events(*frames))
    ledger = RecordedLedger()

    with suppress(PromptTooLong):
        await collect(router(vendor, transport).stream(QUESTION, ledger))

    assert [usage for _, usage in ledger.failed] == [spent]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    ("frames", "whole"),
    [
        pytest.param(
            (chunk("", usage=usage(12, 9)), DIED), chat_answer("", "error", used=usage(12, 9)), id="error"
        ),
        pytest.param(
            (chunk(choices=[], usage=usage(12, 9)),),
            replace(chat_answer(), pieces=(b'{"usage": {"prompt_tokens": 12, "completion_tokens": 9}}',)),
            id="usage and nothing else",
        ),
    ],
)
async def test_an_attempt_without_text_costs_what_the_vendor_had_counted(
    vendor: FakeVendor, transport: Transport, frames: tuple[Any, ...], whole: Reply, stream: bool
) -> None:
    """Nothing was shown, so the next is asked; what the first one counted, thoughts perhaps, is booked."""
    vendor.reply(events(*frames) if stream else whole)
    ledger = RecordedLedger()

    _, completion = await collect(router(vendor, transport, stream=stream).stream(QUESTION, ledger))

    assert completion.text == "Behind."
    assert [spent for _, spent in ledger.failed] == [Usage(12, 9)]
