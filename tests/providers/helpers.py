"""Small things that several tests of the providers room need."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from pydantic import SecretStr

from providers.base import (
    ChatEvent,
    ChatRequest,
    Completion,
    Delta,
    Message,
    ProviderError,
    Rest,
    Thought,
    Usage,
)
from providers.catalog import Entry
from providers.estimates import Estimates, measure
from providers.keys import FindSecrets

QUESTION = ChatRequest((Message("system", "Answer briefly."), Message("user", "What is a colloquy?")))
# What the router takes its prompt to have, as long as it knows nothing of the model.
PROMPT_TOKENS = Estimates().prompt("", measure(QUESTION.messages))
QUESTION_AS_JSON = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What is a colloquy?"},
]


def secrets(**variables: str) -> FindSecrets:
    """A `find` over these variables, as the settings have it: NAME stands for NAME, NAME1, NAME2, ..."""

    def find(name: str) -> Iterator[tuple[str, SecretStr]]:
        for variable, value in variables.items():
            if re.fullmatch(rf"{name}\d*", variable):
                yield variable, SecretStr(value)

    return find


async def collect(stream: AsyncIterator[ChatEvent]) -> tuple[list[str], Completion]:
    """The pieces of an answer and its end; there must be one end, at the end."""
    *deltas, completion = [event async for event in stream if not isinstance(event, (Rest, Thought, Usage))]
    assert isinstance(completion, Completion)
    pieces = [delta.text for delta in deltas if isinstance(delta, Delta)]
    assert len(pieces) == len(deltas)
    assert all(pieces)
    return pieces, completion


def chat_entry(url: str, **fields: Any) -> Entry:
    """A Chat Completions vendor at `url`."""
    return Entry(
        **{
            "name": "fake",
            "wire": "chat-completions",
            "base_url": f"{url}/v1",
            "model": "fake-model",
            **fields,
        }
    )


async def take_up_to_error(stream: AsyncIterator[ChatEvent]) -> tuple[list[str], ProviderError]:
    """The pieces that came before an answer failed, and how it failed."""
    pieces: list[str] = []
    try:
        async for event in stream:
            assert not isinstance(event, Completion), "the answer ended well"
            if isinstance(event, Delta):
                pieces.append(event.text)
    except ProviderError as error:
        return pieces, error
    raise AssertionError("the stream ended without an end")


async def take_error(work: Awaitable[object]) -> ProviderError:
    """How this failed; it must."""
    try:
        await work
    except ProviderError as error:
        return error
    raise AssertionError("it did not fail")
