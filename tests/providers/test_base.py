"""The values and errors that every provider speaks; tokens that no vendor has counted are guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import (
    BadRequest,
    ContentRefused,
    KeyRejected,
    Message,
    ModelRetired,
    NotEntitled,
    Picture,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
    estimate_prompt,
    estimate_tokens,
)

KINDS = {
    KeyRejected: "auth",
    NotEntitled: "not_entitled",
    QuotaExhausted: "exhausted",
    RateLimited: "rate",
    ModelRetired: "retired",
    PromptTooLong: "too_long",
    ContentRefused: "content",
    BadRequest: "bad_request",
    Unavailable: "transient",
}


@pytest.mark.parametrize(("error", "kind"), KINDS.items(), ids=KINDS.values())
def test_each_error_has_its_class_and_its_own_sentence(error: type[ProviderError], kind: str) -> None:
    """The books get one word for each error, and members a sentence that no other error has."""
    sentences = {other.sentence for other in (ProviderError, *KINDS) if other is not error}

    assert error.kind == kind
    assert str(error("the vendor's own words")) == error.sentence
    assert error.sentence.endswith(".")
    assert error.sentence not in sentences


def test_a_picture_does_not_show_its_bytes() -> None:
    """A picture in a log or a failed test is one line."""
    picture = Picture(b"CANARY", 8, 8, "a-model", 7)

    assert "CANARY" not in repr(picture)
    assert "a-model" in repr(picture)
    assert picture.usage.pictures == 1


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("Grüße an alle", 4),
        ("\u024f", 1),
        ("世界", 2),
        ("世界 abcd", 4),
        ("\u0250\u0250\u0250\u0250", 4),
    ],
)
def test_four_latin_characters_are_a_token_and_any_other_is_one(text: str, tokens: int) -> None:
    """Latin text counts by four, rounded up; every character of another script counts."""
    assert estimate_tokens(text) == tokens


def test_each_message_of_a_prompt_counts_a_little_more() -> None:
    """A conversation costs its texts and four tokens for each message's role."""
    assert estimate_prompt(()) == 0
    assert estimate_prompt((Message("system", ""), Message("user", "abcde"))) == 4 + 4 + 2


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(one: str, other: str) -> None:
    """An estimate is at least a quarter of the characters, and grows with the text."""
    assert estimate_tokens(one) >= len(one) / 4
    assert estimate_tokens(one + other) >= max(estimate_tokens(one), estimate_tokens(other))
