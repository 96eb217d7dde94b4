"""Reading a vendor's refusal: from status, headers and body to one of our few errors.

The shapes and codes are those that vendors document or were seen to send. Every vendor has its own, and
gateways copy each other's, so they are all read in one place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from providers.base import (
    BadRequest,
    ContentRefused,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from providers.wait_times import LONGEST_BELIEVABLE, read_retry_after

DETAIL_CHARACTERS = 300
# So many characters in a row that also stand in the request are no coincidence.
SHORTEST_QUOTE = 12
# A gateway answers at once with these when the model behind it is down. One that does so later than this many
# seconds after the request has waited for work, which may be billed.
GATEWAY_GAVE_UP = (502, 504)
SECONDS_WITHOUT_WORK = 1.0
# A longer wait than this is no rate limit but a spent quota.
LONGEST_REST = 120.0

BY_CODE: dict[str, type[ProviderError]] = {
    "insufficient_quota": QuotaExhausted,
    "invalid_api_key": KeyRejected,
    "tier_not_allowed": NotEntitled,
    "1910": NotEntitled,
    "invalid_model": ModelRetired,
    "1500": ModelRetired,
    "model_not_found": ModelRetired,
    "model_not_supported": ModelRetired,
    "content_filter": ContentRefused,
    "content_policy_violation": ContentRefused,
    "moderation_blocked": ContentRefused,
    "context_length_exceeded": PromptTooLong,
    "exceed_context_size_error": PromptTooLong,
    "tokens_limit_reached": PromptTooLong,
}

# Many compatible servers send no code for these, only words.
TOO_LONG_WORDS = (
    "maximum context length",
    "exceeds the available context size",
    "exceed the configured limit",
    "too large for model",
    "request body too large",
    "context window",
)
RETIRED_WORDS = ("not supported by provider", "no longer supported", "has been deprecated", "decommissioned")
DAILY_WORDS = ("per 86400s", "per day", "daily limit", "monthly")
# Credentials that a vendor may quote back at us, in whole or masked.
CREDENTIAL = re.compile(
    r"\b(?:sk|hf|gsk|ghp|gho|github_pat|AIza|key|Bearer)[-_ ][\w*.…-]{6,}|\bAIza[\w-]{10,}"
    r"|\b[\w.-]{1,40}\*{3,}[\w*.-]*"
)


@dataclass(frozen=True, slots=True)
class VendorWords:
    """What a body says, whatever its shape."""

    text: str
    codes: frozenset[str]
    status: int | None
    estimated_time: float | None


def read_error(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "", seconds: float = 0.0
) -> ProviderError:
    """Turn a refusal (or an `error` inside a 200) into the ProviderError it means.

    `secret` is the credential that was sent; it is struck out of the detail, should the vendor quote it.
    `seconds` is how long after the request the refusal came.
    """
    if secret:  # now, before a cut could leave half of it
        body = body.replace(secret.encode(errors="replace"), b"[key]")
    words = _words_of(body)
    worked = seconds > SECONDS_WITHOUT_WORK
    if status < 400:  # an error inside a 200 may name its own status; the model had been started then
        status, worked = words.status or 502, words.status is not None
    text = words.text or headers.get("X-Error-Message", "")
    codes = words.codes | {headers.get("X-Error-Code", "")}
    retry_after = read_retry_after(headers)
    kind = _kind(status, text.lower(), codes, headers, retry_after)
    if kind is Unavailable and words.estimated_time is not None:
        retry_after = retry_after or words.estimated_time
    request = headers.get("x-request-id") or headers.get("cf-ray")  # what the vendor's support asks for
    where = f"HTTP {status} (request {request})" if request else f"HTTP {status}"
    return kind(
        safe_detail(f"{where}: {text or 'no text'}", secret),
        status=status,
        retry_after=retry_after,
        maybe_billed=worked and status in GATEWAY_GAVE_UP,
    )


def _kind(
    status: int, text: str, codes: Set[str], headers: Mapping[str, str], retry_after: float | None
) -> type[ProviderError]:
    def says(phrases: Iterable[str]) -> bool:
        return any(phrase in text for phrase in phrases)

    if status == 410:
        return ModelRetired
    if status == 429 and headers.get("x-ratelimit-limit-req-minute") == "0":
        return NotEntitled  # Mistral's way to say: no allowance for this model
    for code in codes:
        if code in BY_CODE:
            return BY_CODE[code]
    if status == 401 or "api key not valid" in text:  # Gemini says it with 400
        return KeyRejected
    if status == 402:
        return QuotaExhausted
    if status == 403:
        if "exhausted balance" in text:  # fal
            return QuotaExhausted
        if says(("moderation", "flagged")):
            return ContentRefused
        return KeyRejected if "permission" in text else NotEntitled
    if status == 404:
        return ModelRetired
    if status == 413:
        return PromptTooLong
    if status == 429:
        if (retry_after or 0) > LONGEST_REST or says(DAILY_WORDS):
            return QuotaExhausted
        return RateLimited
    if status in (408, 409, 425) or status >= 500 or status < 400:
        return Unavailable
    if says(TOO_LONG_WORDS):
        return PromptTooLong
    if says(RETIRED_WORDS):
        return ModelRetired
    return BadRequest


def _words_of(body: bytes) -> VendorWords:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        # HTML or plain text from some proxy: only the words matter.
        text = re.sub(r"<[^>]*>", " ", body[:4096].decode("utf-8", "replace"))
        return VendorWords(" ".join(text.split()), frozenset(), None, None)
    if isinstance(data, list) and data:  # Gemini wraps its error in a list
        data = data[0]
    sources = [data] if isinstance(data, dict) else []
    if sources and isinstance(data.get("error"), dict):
        sources.insert(0, data["error"])
    if sources and isinstance(data.get("detail"), list):  # FastAPI and fal
        sources += [item for item in data["detail"][:5] if isinstance(item, dict)]
    codes: set[str] = set()
    status = None
    estimated_time = None
    for source in sources:
        for name in ("code", "type"):
            value = source.get(name)
            if isinstance(value, str):
                codes.add(value)
            elif name == "code" and isinstance(value, int) and 400 <= value < 600:
                status = status or value
        waiting = source.get("estimated_time")
        if isinstance(waiting, (int, float)) and 0 <= waiting < LONGEST_BELIEVABLE:
            estimated_time = float(waiting)
    return VendorWords("; ".join(_texts(data)), frozenset(codes), status, estimated_time)


def _texts(data: Any, depth: int = 0) -> list[str]:
    """The sentences in an error body, outermost first."""
    if depth > 4:
        return []
    if isinstance(data, str):
        return [data]
    if isinstance(data, list):
        return [text for item in data[:5] for text in _texts(item, depth + 1)]
    if isinstance(data, dict):
        names = ("error", "errors", "message", "msg", "detail", "title")
        return [text for name in names if name in data for text in _texts(data[name], depth + 1)]
    return []


def safe_detail(text: str, secret: str = "") -> str:
    """One line for the log: without the credential that was used or anything that looks like one."""
    if secret:
        text = text.replace(secret, "[key]")
    text = CREDENTIAL.sub("[key]", " ".join(text.split()))
    return text if len(text) <= DETAIL_CHARACTERS else text[: DETAIL_CHARACTERS - 1] + "…"


def without_quotes(detail: str, said: Iterable[str]) -> str:
    """The detail without what it quotes of what members and models have said: that is not for the log."""
    sources = [" ".join(text.split()) for text in said]
    kept, place = "", 0
    while place < len(detail):
        end = place + SHORTEST_QUOTE
        quoted = [text for text in sources if detail[place:end] in text] if end <= len(detail) else []
        if not quoted:
            kept += detail[place]
            place += 1
            continue
        while end < len(detail) and any(detail[place : end + 1] in text for text in quoted):
            end += 1
        kept += "[...]"
        place = end
    return kept
