"""Tokens that no vendor has counted yet are guessed, never as none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Message, estimate_prompt, estimate_tokens


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
