"""How long to wait, as vendors say it in headers; `Retry-After` itself is tested with the refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wait_times import LONGEST_BELIEVABLE, read_duration, read_rest


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        (" 2s ", 2),
        ("1d", 86400),
        ("1h2m3s4ms", 3723.004),
        ("7m12.345s", 432.345),
        ("0s", 0),
        ("1m30ms", 60.03),
        ("", None),
        ("s", None),
        ("12", None),
        ("-1s", None),
        ("1s2m", None),
        ("1.5m", None),
        ("2 s", None),
        ("soon", None),
    ],
)
def test_durations_are_read_or_none(text: str, seconds: float | None) -> None:
    """Days, hours, minutes, seconds and milliseconds in their order; anything else is no duration."""
    assert read_duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=0; t=999999999'}, LONGEST_BELIEVABLE),
        ({"RateLimit": '"api";r=10;t=55'}, None),
        ({"RateLimit": '"api";r=1;t=55'}, None),
        ({"RateLimit": '"per=0;t=9";r=7;t=55'}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "99d"}, LONGEST_BELIEVABLE),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-req-minute": "0"}, 60),
        ({"x-ratelimit-remaining-req-minute": "12"}, None),
        ({}, None),
    ],
)
def test_only_an_account_with_nothing_left_rests(headers: dict[str, str], seconds: float | None) -> None:
    """These headers come with every reply: while anything is left they mean nothing."""
    assert read_rest(headers) == seconds


@given(
    days=st.integers(0, 400),
    hours=st.integers(0, 99),
    minutes=st.integers(0, 99),
    milliseconds=st.integers(0, 99_999),
)
def test_a_duration_means_what_it_was_written_from(
    days: int, hours: int, minutes: int, milliseconds: int
) -> None:
    """With and without its empty parts, and with a fraction or milliseconds of their own."""
    seconds = days * 86400 + hours * 3600 + minutes * 60 + milliseconds / 1000
    whole, rest = divmod(milliseconds, 1000)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (whole, "s"), (rest, "ms")]
    short = "".join(f"{number}{unit}" for number, unit in parts if number)
    for text in (f"{days}d{hours}h{minutes}m{milliseconds / 1000}s", short or "0s"):
        assert read_duration(text) == pytest.approx(seconds)


@given(st.dictionaries(st.sampled_from(["RateLimit", "x-ratelimit-reset-requests"]), st.text(max_size=60)))
def test_whatever_a_vendor_sends_a_rest_can_be_believed(headers: dict[str, str]) -> None:
    """Never an exception, never a time below zero or beyond a month."""
    seconds = read_rest({"x-ratelimit-remaining-requests": "0", **headers})
    assert seconds is None or 0 <= seconds <= LONGEST_BELIEVABLE
