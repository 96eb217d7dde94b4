"""Chat Completions over a real socket: what every kind of good answer becomes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from providers.base import (
    Completion,
    Unavailable,
    Usage,
)
from providers.chat_completions import ChatCompletions
from providers.transport import Transport
from tests.fake_vendors import (
    FakeVendor,
    Reply,
    broken,
    chat_answer,
    chunk,
    cut,
    drip,
    events,
    json_reply,
    mistral_stream,
    openai_stream,
    usage,
)
from tests.fakes import key
from tests.providers.helpers import QUESTION, chat_entry, collect

KEY = key(value="the-key")


@pytest.fixture
def chat(vendor: FakeVendor, transport: Transport) -> ChatCompletions:
    return ChatCompletions(chat_entry(vendor.url), transport)


REASONING = {"completion_tokens_details": {"reasoning_tokens": 6}}
CACHED = {"prompt_tokens_details": {"cached_tokens": 8}}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(openai_stream("Hello", ", ", "world."), id="OpenAI: usage after finish_reason"),
        pytest.param(mistral_stream("Hello", ", ", "world."), id="Mistral: usage in the last chunk"),
        pytest.param(openai_stream("Hello", ", ", "world.", done=False), id="no [DONE]"),
        pytest.param(
            events(
                chunk(choices=[], prompt_filter_results=[{"prompt_index": 0}]),
                chunk("Hello"),
                chunk(", "),
                chunk("world.", "stop"),
                chunk(choices=[], usage=usage()),
            ),
            id="Azure: a first chunk without choices",
        ),
        pytest.param(
            events(*(chunk(text, usage=usage(12, n)) for n, text in enumerate(["Hello", ", ", "world."], 1))),
            id="vLLM: usage in every chunk, no finish_reason",
        ),
        pytest.param(
            broken(mistral_stream("Hello", ", ", "world.", done=False), after=-2, ending="whole"),
            id="no blank line at the end",
        ),
        pytest.param(drip(openai_stream("Hello", ", ", "world."), size=3), id="dripping"),
        pytest.param(cut(openai_stream("Hello", ", ", "world."), 1, 2, 100, 333), id="cut anywhere"),
    ],
)
async def test_a_stream_is_its_pieces_and_the_vendors_figures(
    vendor: FakeVendor, chat: ChatCompletions, reply: Reply
) -> None:
    """Each vendor's way to stream gives the same pieces, whole text, tokens and end."""
    vendor.reply(reply)

    pieces, completion = await collect(chat.stream(QUESTION, KEY))

    assert "".join(pieces) == "Hello, world."
    assert completion == Completion("Hello, world.", Usage(12, 3), "stop", "fake-model")


async def test_pieces_come_out_before_the_answer_is_complete(
    vendor: FakeVendor, chat: ChatCompletions
) -> None:
    """The first piece is handed on while the vendor still writes; leaving then ends the vendor's request."""
    vendor.reply(dataclasses.replace(events(chunk("Hel"), done=False), ending="stall"))

    stream = chat.stream(QUESTION, KEY)
    first = await anext(stream)
    await stream.aclose()

    assert getattr(first, "text", None) == "Hel"
    await vendor.client_left()


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param(
            mistral_stream([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}], "Yes", "."),
            "Yes.",
            id="parts: thinking is dropped",
        ),
        pytest.param(
            mistral_stream(
                [{"type": "text", "text": "Ye"}, {"type": "x", "text": "no"}], [{"type": "text"}], "s."
            ),
            "Yes.",
            id="parts: only text counts",
        ),
        pytest.param(
            events(chunk(choices=[{"delta": {"content": None, "refusal": "I will not."}}])),
            "I will not.",
            id="a refusal is the answer",
        ),
        pytest.param(
            events(chunk("Yes."), chunk(choices="none"), chunk(choices=["x"])), "Yes.", id="odd choices"
        ),
        pytest.param(
            events(chunk("Yes."), chunk(choices=[{"delta": None}])), "Yes.", id="a delta that is null"
        ),
        pytest.param(events(chunk("Yes."), chunk(error=None)), "Yes.", id="an error that is null"),
        pytest.param(chat_answer("Yes."), "Yes.", id="JSON in place of a stream"),
        pytest.param(chat_answer("Yes.", None), "Yes.", id="JSON without a finish reason"),
        pytest.param(
            dataclasses.replace(openai_stream("Yes."), headers={"Content-Type": "text/plain"}),
            "Yes.",
            id="a stream that calls itself text",
        ),
    ],
)
async def test_the_text_of_an_answer_is_found(
    vendor: FakeVendor, chat: ChatCompletions, reply: Reply, text: str
) -> None:
    """Lists of parts, refusals and odd chunks give the text that is meant for people, and no other."""
    vendor.reply(reply)

    pieces, completion = await collect(chat.stream(QUESTION, KEY))

    assert "".join(pieces) == completion.text == text


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),
        ("something_new", "stop"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_finish_reasons_are_four(
    vendor: FakeVendor, transport: Transport, stream: bool, reason: str, expected: str
) -> None:
    """Every vendor's finish reason is one of ours."""
    vendor.reply(
        events(chunk("Yes."), chunk(finish_reason=reason)) if stream else chat_answer("Yes.", reason)
    )
    chat = ChatCompletions(chat_entry(vendor.url, stream=stream), transport)

    _, completion = await collect(chat.stream(QUESTION, KEY))

    assert completion.finish_reason == expected


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(openai_stream(), "stop", id="nothing"),
        pytest.param(
            events(chunk(""), chunk(finish_reason="length", usage=usage())), "length", id="all thought"
        ),
        pytest.param(
            events(chunk(finish_reason="content_filter", usage=usage())), "content_filter", id="filtered"
        ),
        pytest.param(
            chat_answer(None, "length", reasoning_content="Hm, let me think."),
            "length",
            id="JSON, all thought",
        ),
    ],
)
async def test_an_empty_answer_is_an_answer_with_its_costs(
    vendor: FakeVendor, chat: ChatCompletions, reply: Reply, reason: str
) -> None:
    """An answer without text comes out as such, since the vendor bills it; thoughts are not shown."""
    vendor.reply(reply)

    pieces, completion = await collect(chat.stream(QUESTION, KEY))

    assert pieces == []
    assert completion == Completion("", Usage(12, 3), reason, "fake-model")  # type: ignore[arg-type]  # a literal


async def test_cached_and_reasoning_tokens_are_read(vendor: FakeVendor, chat: ChatCompletions) -> None:
    """Of the details only the two that are booked apart are taken; broken ones count as none."""
    vendor.reply(
        openai_stream("Yes.", used={**usage(20, 9), **CACHED, **REASONING}),
        openai_stream("Yes.", used={**usage(20, 9), "prompt_tokens_details": None, **REASONING}),
        openai_stream("Yes.", used={**usage(20, 9), "prompt_tokens_details": {"cached_tokens": "8"}}),
    )

    completions = [(await collect(chat.stream(QUESTION, KEY)))[1] for _ in range(3)]

    assert [completion.usage for completion in completions] == [
        Usage(20, 9, cached_tokens=8, reasoning_tokens=6),
        Usage(20, 9, reasoning_tokens=6),
        Usage(20, 9),
    ]


@pytest.mark.parametrize(
    "used",
    [
        pytest.param({}, id="empty"),
        pytest.param([], id="a list"),
        pytest.param("none", id="a string"),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0}, id="zeros"),
        pytest.param({"prompt_tokens": 12}, id="no completion_tokens"),
        pytest.param({"completion_tokens": 3}, id="no prompt_tokens"),
        pytest.param({"prompt_tokens": None, "completion_tokens": None}, id="null"),
        pytest.param({"prompt_tokens": "12", "completion_tokens": "3"}, id="strings"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": 3}, id="negative"),
        pytest.param({"prompt_tokens": True, "completion_tokens": True}, id="true"),
        pytest.param({"prompt_tokens": 1.5, "completion_tokens": 2.5}, id="fractions"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
async def test_figures_that_are_no_counts_are_to_be_estimated(
    vendor: FakeVendor, chat: ChatCompletions, used: Any, whole: bool
) -> None:
    """Missing or impossible usage is none: the answer says that nobody has counted."""
    vendor.reply(
        chat_answer("Hello, world.", used=used) if whole else openai_stream("Hello, world.", used=used)
    )

    _, completion = await collect(chat.stream(QUESTION, KEY))

    assert completion.usage == Usage(estimated=True)


@pytest.mark.parametrize("last", [chunk(finish_reason="stop"), chunk(finish_reason="stop", usage=None)])
async def test_a_stream_without_figures_is_to_be_estimated(
    vendor: FakeVendor, chat: ChatCompletions, last: dict[str, Any]
) -> None:
    """A stream that ends well but never names its usage says that nobody has counted."""
    vendor.reply(events(chunk("Hello, world."), last))

    _, completion = await collect(chat.stream(QUESTION, KEY))

    assert completion.usage == Usage(estimated=True)


async def test_an_unstreamed_answer_is_one_piece(vendor: FakeVendor, transport: Transport) -> None:
    """A vendor that is asked without streaming gives the same triple, and its request says nothing of it."""
    vendor.reply(chat_answer("Hello, world.", used=usage(20, 4)))
    chat = ChatCompletions(chat_entry(vendor.url, stream=False), transport)

    pieces, completion = await collect(chat.stream(QUESTION, KEY))

    assert pieces == ["Hello, world."]
    assert completion == Completion("Hello, world.", Usage(20, 4), "stop", "fake-model")
    assert not {"stream", "stream_options"} & set(vendor.requests[0].body)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"choices": [], "usage": usage()}, id="choices empty"),
        pytest.param({"usage": usage()}, id="choices missing"),
        pytest.param({"choices": None}, id="choices null"),
        pytest.param({"choices": [None]}, id="a choice that is null"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_without_choices_is_no_answer(
    vendor: FakeVendor, transport: Transport, stream: bool, answer: dict[str, Any]
) -> None:
    """A 200 without any choice counts as the vendor's failure, which may cost."""
    vendor.reply(events(answer) if stream else json_reply(answer))
    chat = ChatCompletions(chat_entry(vendor.url, stream=stream), transport)

    with pytest.raises(Unavailable) as error:
        await collect(chat.stream(QUESTION, KEY))

    assert error.value.maybe_billed
