"""Answers with status 200 that are not what they should be, over a real socket: what each becomes."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from providers.base import ChatRequest, Completion, Delta, Message, Thought, Unavailable, Usage
from providers.chat_completions import ChatCompletions
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, Reply, chat_answer, chunk, events, json_reply, usage
from tests.fakes import key
from tests.providers.helpers import QUESTION, chat_entry, collect, take_up_to_error

KEY = key(value="the-key")
BOTH_WAYS = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])

THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
PARTS = [
    THOUGHT,
    {"type": "text", "text": "Ye"},
    {"type": "image_url", "image_url": "https://example.com/1.png"},
    {"type": "document_url", "document_url": "https://example.com/1.pdf"},
    {"type": "reference", "reference_ids": [1]},
    {"type": "file", "file_id": "1"},
    {"type": "input_audio", "input_audio": "//uQ"},
    {"type": "text", "text": "s."},
]
CALL = {"name": "search", "arguments": "{}"}


class Row(NamedTuple):
    """A message with its finish reason, and the text and the finish reason that it means."""

    source: str
    message: dict[str, Any]
    reason: str | None
    text: str
    means: str = "stop"


ROWS = [
    Row("a refusal", {"content": None, "refusal": "I will not."}, "stop", "I will not."),
    Row("a call of tools", {"content": None, "tool_calls": [{"function": CALL}]}, "tool_calls", ""),
    Row("a call of a function", {"content": None, "function_call": CALL}, "function_call", ""),
    Row("thoughts alone", {"content": None, "reasoning_content": "Hm."}, "length", "", "length"),
    Row("thoughts alone, Ollama", {"content": "", "reasoning": "Hm."}, "length", "", "length"),
    Row("thoughts beside it", {"content": "Yes.", "reasoning_content": "Hm."}, "stop", "Yes."),
    Row("thoughts beside it, Ollama", {"content": "Yes.", "reasoning": "Hm."}, "stop", "Yes."),
    Row("thoughts in the text", {"content": "<think>Hm.</think>\nYes."}, "stop", "Yes."),
    Row("thoughts without end", {"content": "<think>Hm."}, "length", "", "length"),
    Row("parts of every kind", {"content": PARTS}, "stop", "Yes."),
    Row("parts: thoughts alone", {"content": [THOUGHT]}, "length", "", "length"),
    Row("empty", {"content": ""}, "stop", ""),
    Row("spaces", {"content": " \n"}, "stop", " \n"),
    Row("a number", {"content": 7}, "stop", ""),
    Row("nothing at all", {}, "stop", ""),
    Row("Azure: filtered, no text", {}, "content_filter", "", "content_filter"),
    Row("Azure: filtered, some text", {"content": "Ye"}, "content_filter", "Ye", "content_filter"),
    Row("cut at max_tokens", {"content": "Ye"}, "length", "Ye", "length"),
    Row("Mistral: cut at the context", {"content": "Ye"}, "model_length", "Ye", "length"),
    Row("a reason nobody knows", {"content": "Yes."}, "eos", "Yes."),
    Row("an empty reason", {"content": "Yes."}, "", "Yes."),
    Row("no reason", {"content": "Yes."}, None, "Yes."),
]


def ask(vendor: FakeVendor, transport: Transport, stream: bool) -> ChatCompletions:
    return ChatCompletions(chat_entry(vendor.url, stream=stream), transport)


@BOTH_WAYS
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.source)
async def test_an_odd_answer_is_the_text_it_holds_for_people(
    vendor: FakeVendor, transport: Transport, stream: bool, row: Row
) -> None:
    """Streamed or whole, the member gets what is meant for people, and the vendor's figures are kept."""
    if stream:
        choice = {"delta": {"role": "assistant", **row.message}, "finish_reason": None}
        vendor.reply(events(chunk(choices=[choice]), chunk(finish_reason=row.reason, usage=usage())))
    else:
        vendor.reply(chat_answer(finish_reason=row.reason, **{"content": None, **row.message}))

    pieces, completion = await collect(ask(vendor, transport, stream).stream(QUESTION, KEY))

    assert pieces == [row.text] * (row.text != "")
    assert completion == Completion(row.text, Usage(12, 3), row.means, "fake-model")  # type: ignore[arg-type]  # a literal


@BOTH_WAYS
@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({"content": "Yes.", "reasoning_content": "Hm."}, "Yes.", "Hm."),
        ({"content": None, "reasoning": "Hm."}, "", "Hm."),
        ({"content": PARTS}, "Yes.", "Hm."),
        ({"content": "<think>Let me think of it.</think>Yes."}, "Yes.", "<think>Let me think of it."),
        ({"content": "Yes.", "reasoning_content": None, "reasoning": ["?"]}, "Yes.", ""),
    ],
)
async def test_thoughts_are_handed_on_to_be_counted(
    vendor: FakeVendor, transport: Transport, stream: bool, message: dict[str, Any], text: str, thought: str
) -> None:
    """What a model thinks is no text, and may have to be counted: it comes before the text of its event."""
    choice = {"delta" if stream else "message": message, "finish_reason": "stop"}
    answer = {"choices": [choice], "usage": usage()}
    vendor.reply(events(answer) if stream else json_reply(answer))

    seen = [event async for event in ask(vendor, transport, stream).stream(QUESTION, KEY)]

    expected = [Thought(thought)] * (thought != "") + [Delta(text)] * (text != "")
    assert [event for event in seen if isinstance(event, Thought | Delta)] == expected


@BOTH_WAYS
@pytest.mark.parametrize(
    "choice",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"finish_reason": "stop"}, id="a finish reason alone"),
        pytest.param({"message": None, "finish_reason": "stop"}, id="a message that is null"),
        pytest.param({"message": "Yes.", "finish_reason": "stop"}, id="a message that is text"),
        pytest.param({"delta": None, "finish_reason": "stop"}, id="a delta that is null"),
        pytest.param({"text": "Yes.", "finish_reason": "stop"}, id="the older completions"),
    ],
)
async def test_a_choice_without_a_message_is_no_answer(
    vendor: FakeVendor, transport: Transport, stream: bool, choice: dict[str, Any]
) -> None:
    """A 200 whose choice holds no message counts as the vendor's failure, which may cost."""
    answer = {"choices": [choice], "usage": usage()}
    vendor.reply(events(answer) if stream else json_reply(answer))

    pieces, error = await take_up_to_error(ask(vendor, transport, stream).stream(QUESTION, KEY))

    assert (pieces, type(error), error.maybe_billed) == ([], Unavailable, True)


@BOTH_WAYS
async def test_an_answer_that_calls_itself_an_error_is_none(
    vendor: FakeVendor, transport: Transport, stream: bool
) -> None:
    """Mistral's finish reason "error" is the vendor's failure, whatever text stands beside it."""
    vendor.reply(events(chunk("Ye", "error")) if stream else chat_answer("Ye", "error"))

    pieces, error = await take_up_to_error(ask(vendor, transport, stream).stream(QUESTION, KEY))

    assert (pieces, type(error), error.maybe_billed) == ([], Unavailable, True)


@BOTH_WAYS
@pytest.mark.parametrize("fields", [{}, {"usage": None}], ids=["missing", "null"])
async def test_an_answer_without_figures_is_to_be_estimated(
    vendor: FakeVendor, transport: Transport, stream: bool, fields: dict[str, Any]
) -> None:
    """No usage is not a usage of nothing: the answer says that nobody has counted."""
    request = ChatRequest((Message("user", "世界" * 10),))
    choice = {"delta" if stream else "message": {"content": "一二三"}, "finish_reason": "stop"}
    answer = {"choices": [choice], **fields}
    vendor.reply(events(answer) if stream else json_reply(answer))

    _, completion = await collect(ask(vendor, transport, stream).stream(request, KEY))

    assert completion.usage == Usage(estimated=True)


# ---- Streams, by server ----------------------------------------------------------------------------

END = chunk(finish_reason="stop", usage=None)
LAST = chunk(choices=[], usage=usage())
PROCESSING = b": OPENROUTER PROCESSING\n\n"


def openrouter() -> Reply:
    """Comments that keep the connection alive, and usage in the last chunk."""
    stream = events(chunk(""), chunk("Ye"), chunk("s."), chunk("", "stop", usage=usage()))
    pieces = [piece for event in stream.pieces for piece in (PROCESSING, event)]
    return Reply(tuple(pieces), headers=stream.headers)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(
            events(*(chunk(text, obfuscation="x3") for text in ("Ye", "s.")), END, LAST), id="OpenAI"
        ),
        pytest.param(
            events(chunk("Ye"), chunk([{"type": "text", "text": "s."}], "stop", usage=usage())), id="Mistral"
        ),
        pytest.param(
            events(chunk(choices=[], prompt_filter_results=[{}]), chunk("Ye"), chunk("s."), END, LAST),
            id="Azure",
        ),
        pytest.param(
            events(chunk("Ye", system_fingerprint="fp_ollama"), chunk("s."), END, LAST), id="Ollama"
        ),
        pytest.param(events(chunk("Ye", ""), chunk("s.", ""), END, LAST), id="Ollama, older: empty reasons"),
        pytest.param(events(chunk("Ye", stats={}), chunk("s."), END, LAST), id="LM Studio"),
        pytest.param(
            events(chunk("Ye"), chunk("s."), chunk(finish_reason="stop", timings={}), LAST), id="llama.cpp"
        ),
        pytest.param(
            events(chunk("Ye", usage=usage(12, 1)), chunk("s.", "stop", usage=usage(12, 3)), LAST), id="vLLM"
        ),
        pytest.param(events(chunk("Ye"), chunk("s."), END, LAST), id="LocalAI"),
        pytest.param(openrouter(), id="OpenRouter"),
        pytest.param(
            events(chunk("Ye", "stop"), chunk("s.", "stop"), LAST), id="gateways: a reason in every chunk"
        ),
    ],
)
async def test_every_servers_stream_is_the_same_answer(
    vendor: FakeVendor, transport: Transport, reply: Reply
) -> None:
    """Each server's way to stream, extra fields and all, gives the same text and the server's figures."""
    vendor.reply(reply)

    pieces, completion = await collect(ask(vendor, transport, True).stream(QUESTION, KEY))

    assert "".join(pieces) == "Yes."
    assert completion == Completion("Yes.", Usage(12, 3), "stop", "fake-model")
