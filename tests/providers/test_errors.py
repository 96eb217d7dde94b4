"""Every known refusal means the right class, with its wait; no credential gets out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import ProviderError, RateLimited, Unavailable
from providers.errors import (
    DETAIL_CHARACTERS,
    read_error,
    safe_detail,
    without_quotes,
)
from providers.wait_times import LONGEST_BELIEVABLE
from tests.providers.error_bodies import HTML, ROWS, TABLE, Row, error, mistral


@pytest.mark.parametrize("row", TABLE)
def test_a_refusal_means_its_class(row: Row) -> None:
    """Status, headers and body of a known refusal are read as the class that decides what happens next."""
    read = read_error(row.status, row.headers, row.content)

    assert type(read) is row.expected
    assert str(read) == row.expected.sentence
    assert read.maybe_billed == row.maybe_billed


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 410, 422, 429, 500, 502, 503, 504, 529]
)
def test_only_a_gateway_that_waited_may_have_cost(status: int) -> None:
    """502 and 504 later than a second after the request may be billed; any other refusal is not."""
    at_once, later = (read_error(status, {}, HTML, seconds=seconds) for seconds in (1.0, 1.01))

    assert not at_once.maybe_billed
    assert later.maybe_billed == (status in (502, 504))


def test_the_log_names_the_vendors_own_number_of_the_request() -> None:
    """What a vendor's support asks for is in the log; the headers' words count where the body has none."""
    openai = read_error(500, {"x-request-id": "req_1"}, b'{"error": {"message": "oh"}}')
    proxy = read_error(502, {"cf-ray": "8f-FRA", "X-Error-Message": "upstream died"}, b"")

    assert openai.detail == "HTTP 500 (request req_1): oh"
    assert proxy.detail == "HTTP 502 (request 8f-FRA): upstream died"


def test_every_class_of_error_has_a_row() -> None:
    """The table leaves no class out."""
    classes = {row.expected for rows in ROWS.values() for row in rows}

    assert classes == set(ProviderError.__subclasses__()) - {
        cls for cls in ProviderError.__subclasses__() if cls.__module__ != "providers.base"
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(error("the words", "some_code"), "the words", id="OpenAI"),
        pytest.param(error("the words", 400), "the words", id="a code that is a number"),
        pytest.param({"error": "the words"}, "the words", id="a string"),
        pytest.param({"error": ["the", "words"]}, "the; words", id="a list of strings"),
        pytest.param({"errors": [{"message": "the words"}]}, "the words", id="a list of objects"),
        pytest.param(mistral("the words", "1300"), "the words", id="Mistral"),
        pytest.param(mistral({"detail": [{"msg": "the words"}]}), "the words", id="Mistral, nested"),
        pytest.param({"detail": "the words"}, "the words", id="FastAPI, a string"),
        pytest.param({"detail": [{"loc": ["body"], "msg": "the words"}]}, "the words", id="FastAPI, a list"),
        pytest.param({"message": "the words"}, "the words", id="a message alone"),
        pytest.param({"status": 400, "title": "the", "detail": "words"}, "words; the", id="problem+json"),
        pytest.param([{"error": {"message": "the words"}}], "the words", id="Gemini, in a list"),
        pytest.param(b"the words", "the words", id="plain text"),
        pytest.param(b"<html><body><h1>the</h1>\n\t<p>words</p></body></html>", "the words", id="HTML"),
        pytest.param(b"", "no text", id="nothing"),
        pytest.param({}, "no text", id="an empty object"),
        pytest.param(None, "no text", id="null"),
        pytest.param({"error": None}, "no text", id="an error that is null"),
        pytest.param(b"\xff\xfe the words", "\ufffd\ufffd the words", id="no UTF-8"),
        pytest.param(b'{"error": {"message": "the wo', '{"error": {"message": "the wo', id="cut off"),
    ],
)
def test_every_shape_gives_its_words_to_the_log(body: Any, words: str) -> None:
    """Whatever shape a body has, the log gets the vendor's own words on one line."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    assert read_error(400, {}, content).detail == f"HTTP 400: {words}"


def test_an_error_carries_status_and_wait() -> None:
    """What the vendor said of status and time comes along; a refusal is not billed."""
    refused = read_error(429, {"Retry-After": "7"}, b"")
    loading = read_error(503, {}, b'{"error": "Model is currently loading", "estimated_time": 42.3}')
    both = read_error(503, {"Retry-After": "5"}, b'{"error": "loading", "estimated_time": 42.3}')
    inside = read_error(200, {}, b'{"error": {"code": 429, "message": "Rate limited"}}')

    assert (refused.status, refused.retry_after, refused.maybe_billed) == (429, 7.0, False)
    assert (loading.status, loading.retry_after) == (503, 42.3)
    assert both.retry_after == 5.0
    assert (type(inside), inside.status) == (RateLimited, 429)
    assert read_error(200, {}, b'{"error": "no status"}').status == 502


QUOTA = error("You exceeded your current quota", "insufficient_quota")


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        pytest.param(429, {"retry-after-ms": "200"}, QUOTA, None, id="quota, milliseconds"),
        pytest.param(429, {"Retry-After": "1"}, QUOTA, None, id="quota, a second"),
        pytest.param(429, {"Retry-After": "120"}, QUOTA, None, id="quota, two minutes"),
        pytest.param(429, {"Retry-After": "121"}, QUOTA, 121, id="quota, more than two minutes"),
        pytest.param(
            429,
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"},
            QUOTA,
            None,
            id="quota, the minute's limit is spent too",
        ),
        pytest.param(
            429,
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "23h"},
            error("50 per day"),
            82800,
            id="a day's limit, with its header",
        ),
        pytest.param(
            429, {"x-ratelimit-remaining-req-minute": "0"}, error("50 per day"), None, id="a day, a minute's"
        ),
        pytest.param(429, {"Retry-After": "80"}, error("50 per day"), 80, id="a day's limit, named"),
        pytest.param(402, {"Retry-After": "3600"}, QUOTA, 3600, id="quota, as credit"),
        pytest.param(402, {"RateLimit": '"api";r=0;t=3'}, {}, None, id="credit, RateLimit"),
        pytest.param(402, {"RateLimit": '"api";r=0;t=300'}, {}, None, id="credit, a long RateLimit"),
        pytest.param(402, {"x-ratelimit-remaining-req-minute": "0"}, {}, None, id="credit, a minute's"),
        pytest.param(402, {"retry-after-ms": "200"}, {}, None, id="credit, milliseconds"),
        pytest.param(402, {"Retry-After": "30"}, {}, 30, id="credit, named"),
    ],
)
def test_a_spent_quota_is_not_taken_for_a_full_minute(
    status: int, headers: Mapping[str, str], body: Any, seconds: float | None
) -> None:
    """Short times that may be of another limit do not bring a spent account back; its own time does."""
    read = read_error(status, headers, json.dumps(body).encode())

    assert (read.kind, read.retry_after) == ("exhausted", seconds)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "code", "message", "type", "detail", "msg", "estimated_time"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(
    status=st.integers(100, 599),
    body=json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
)
def test_any_body_is_read_as_some_error(status: int, body: bytes) -> None:
    """No body of any shape makes the reading fail, and the log gets one short line."""
    read = read_error(status, {}, body)

    assert isinstance(read, ProviderError)
    assert len(read.detail) <= DETAIL_CHARACTERS
    assert len(read.detail.splitlines()) == 1
    assert read.retry_after is None or 0 <= read.retry_after <= LONGEST_BELIEVABLE


@pytest.mark.parametrize("opening", [b"[", b'{"error":', b'{"a":[', b"<"])
def test_a_body_nested_without_end_is_read(opening: bytes) -> None:
    """A body made to exhaust the parser is only a broken body."""
    assert type(read_error(500, {}, opening * 20_000)) is Unavailable


# ---- Credentials -----------------------------------------------------------------------------------

CANARIES = [
    "sk-proj-CANARY0aB1cD2eF3gH4iJ5kL6mN7oP8",
    "sk-or-v1-CANARY00112233445566778899aabbccddeeff",
    "hf_CANARYaBcDeFgHiJkLmNoPqRsTuVwXyZ",
    "gsk_CANARYaBcDeFgHiJkLmNoPqRsTuVwXyZ01",
    "github_pat_11CANARY0_aBcDeFgHiJkLmNoPqRsTuVwXyZ",
    "ghp_CANARYaBcDeFgHiJkLmNoPqRsTuVwXyZ01",
    "AIzaSyCANARYaBcDeFgHiJkLmNoPqRsTuVwXyZ",
    "CANARYaB1cD2eF3gH4iJ5kL6mN7oP8qR",  # Mistral's keys begin with nothing
]


@pytest.mark.parametrize("secret", CANARIES)
@pytest.mark.parametrize(
    "quote",
    [
        pytest.param("Incorrect API key provided: {}. You can find your key at example.com.", id="OpenAI"),
        pytest.param("Authorization: Bearer {}", id="the header"),
        pytest.param("{}", id="nothing else"),
        pytest.param('{{"headers": {{"authorization": "Bearer {}"}}}}', id="the header as JSON"),
        pytest.param("x" * (DETAIL_CHARACTERS - 15) + " {}", id="where the line is cut"),
    ],
)
def test_a_key_that_the_vendor_quotes_is_struck_out(secret: str, quote: str) -> None:
    """The key that was sent is in neither text of the error, whatever the body's shape."""
    text = quote.format(secret)
    for body in (
        json.dumps({"error": {"message": text}}).encode(),
        text.encode(),
        f"<p>{text}</p>".encode(),
        b"<br>" * (1020 - len(quote) // 4) + text.encode(),  # where the reading of text ends
    ):
        read = read_error(401, {}, body, secret=secret)

        assert "CANARY" not in read.detail + str(read) + repr(read)


@pytest.mark.parametrize("secret", CANARIES)
@pytest.mark.parametrize("stars", ["*" * 12, "***"])
def test_a_key_that_the_vendor_masks_is_struck_out(secret: str, stars: str) -> None:
    """Neither the beginning nor the end that a vendor leaves of a key gets into the log."""
    masked = f"{secret[:8]}{stars}{secret[-4:]}"
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {masked}. Try again."}})

    read = read_error(401, {}, body.encode(), secret=secret)

    assert secret[:8] not in read.detail
    assert secret[-4:] not in read.detail
    assert "Try again" in read.detail


@pytest.mark.parametrize("secret", CANARIES[:-1])
def test_another_key_is_struck_out_by_its_form(secret: str) -> None:
    """A key that was not sent with this request is known by the way it begins."""
    assert "CANARY" not in safe_detail(f"the key {secret} is in use elsewhere")


def test_words_without_a_key_stay_as_they_are() -> None:
    """The log keeps a vendor's sentence, on one line and cut at its length."""
    assert safe_detail("Rate limit\n  exceeded for gpt-4o-mini. ") == "Rate limit exceeded for gpt-4o-mini."
    assert safe_detail("x" * 400) == "x" * (DETAIL_CHARACTERS - 1) + "…"
    assert read_error(502, {}, HTML).detail == "HTTP 502: 502 Bad Gateway"


@pytest.mark.parametrize(
    ("detail", "left"),
    [
        ("HTTP 400: bad input 'tell me of the sea'", "HTTP 400: bad input '[...]'"),
        ("HTTP 400: of the sea and a story, of the sea and", "HTTP 400:[...]story,[...]"),
        ("HTTP 400: of the sea", "HTTP 400: of the sea"),
        ("model gpt-6-luna is not there", "model gpt-6-luna is not there"),
        ("", ""),
    ],
)
def test_what_a_vendor_quotes_of_a_conversation_is_struck_out(detail: str, left: str) -> None:
    """Twelve characters in a row from the conversation, or more, are not for the log; its own words stay."""
    said = ["Be brief.", "please\n tell me  of the sea and a lot more"]

    assert without_quotes(detail, said) == left
