"""How long to wait, as vendors say it in headers: read in all their forms, and never for ever."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.wait_times import (
    LONGEST_BELIEVABLE,
    WHEN_UNBELIEVABLE,
    read_duration,
    read_rest,
    read_retry_after,
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"Retry-After": "7"}, 7, id="seconds"),
        pytest.param({"Retry-After": "0"}, 0, id="at once"),
        pytest.param({"Retry-After": "0.5"}, 0.5, id="half a second"),
        pytest.param({"Retry-After": " 7 "}, 7, id="spaces"),
        pytest.param({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0, id="a date that has passed"),
        pytest.param({"retry-after-ms": "1500", "Retry-After": "60"}, 1.5, id="milliseconds come first"),
        pytest.param({"retry-after-ms": "x", "Retry-After": "60"}, 60, id="broken milliseconds"),
        pytest.param({"RateLimit": '"api";r=0;t=55'}, 55, id="Hugging Face, spent"),
        pytest.param({"RateLimit": '"api"; r=0; t=55'}, 55, id="Hugging Face, with spaces"),
        pytest.param({"RateLimit": '"api";t=55;r=0'}, 55, id="Hugging Face, the other order"),
        pytest.param({"RateLimit": '"api";r=12;t=55'}, None, id="Hugging Face, not spent"),
        pytest.param({"RateLimit": '"api";r=0;t=0'}, 0, id="Hugging Face, open again"),
        pytest.param({"RateLimit": '"a";r=9;t=300, "b";r=0;t=5'}, 5, id="two limits, one spent"),
        pytest.param({"RateLimit": '"api";r=0;t=9', "Retry-After": "3"}, 3, id="Retry-After comes first"),
        pytest.param(
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"},
            360,
            id="OpenAI, spent",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s"},
            None,
            id="OpenAI, not",
        ),
        pytest.param({"x-ratelimit-remaining-req-minute": "0"}, 60, id="Mistral, spent"),
        pytest.param({"Retry-After": "99999999"}, WHEN_UNBELIEVABLE, id="three years"),
        pytest.param({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, WHEN_UNBELIEVABLE, id="9999"),
        pytest.param({"Retry-After": "2678400"}, LONGEST_BELIEVABLE, id="31 days"),
        pytest.param({"Retry-After": "2678401"}, WHEN_UNBELIEVABLE, id="a second more"),
        pytest.param({"Retry-After": "-5"}, WHEN_UNBELIEVABLE, id="negative"),
        pytest.param({"Retry-After": "soon"}, WHEN_UNBELIEVABLE, id="a word"),
        pytest.param({"Retry-After": ""}, None, id="empty"),
        pytest.param({"Retry-After": "nan"}, WHEN_UNBELIEVABLE, id="not a number"),
        pytest.param({"Retry-After": "inf"}, WHEN_UNBELIEVABLE, id="for ever"),
        pytest.param({"Retry-After": "1e999"}, WHEN_UNBELIEVABLE, id="beyond all numbers"),
        pytest.param({"Retry-After": "Mon, 99 Foo 2026 99:99:99 GMT"}, WHEN_UNBELIEVABLE, id="no date"),
    ],
)
def test_a_wait_is_read_in_every_form(headers: Mapping[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds, dates and rate-limit fields are read; what cannot be read is ten minutes."""
    assert read_retry_after(headers) == seconds


def test_a_date_to_come_is_the_time_until_then() -> None:
    """A Retry-After that is a date counts from now."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    assert read_retry_after({"Retry-After": date}) == pytest.approx(89.5, abs=1.5)


dates = st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT"))
loose_dates = st.from_regex(
    r"\d{1,2} (Jan|Feb|Xyz) \d{1,5} \d\d?:\d\d?(:\d\d)? ([+-]\d{1,6}|EST)", fullmatch=True
)
rate_limits = st.from_regex(r'"api";(r=0;t=\d{1,30}|t=\d{1,30};r=0)', fullmatch=True)
numbers = (st.floats() | st.integers()).map(str)


@settings(deadline=None, max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(["Retry-After", "retry-after-ms", "RateLimit"]),
        st.text(max_size=30) | numbers | dates | loose_dates | rate_limits,
    )
)
def test_no_header_makes_the_bot_wait_for_ever(headers: dict[str, str]) -> None:
    """Any header at all is read without an error, as nothing or as 0 seconds to 31 days."""
    seconds = read_retry_after(headers)

    assert seconds is None or 0 <= seconds <= LONGEST_BELIEVABLE


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
