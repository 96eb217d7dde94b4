"""The errors that every provider speaks, and what shows of its values."""

from __future__ import annotations

import pytest

from providers.base import (
    BadRequest,
    ContentRefused,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    Picture,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
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
