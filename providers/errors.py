"""Reading a vendor's refusal: from status, headers and body to one of our few errors.

The shapes and codes are those that vendors document or were seen to send. Every vendor has its own, and
gateways copy each other's, so they are all read in one place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
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
from providers.wait_times import LONGEST_BELIEVABLE, read_named_wait, read_retry_after

DETAIL_CHARACTERS = 300
# What is read of a body's text.
LONGEST_TEXT = 4096
# So many characters in a row that also stand in the request are no coincidence.
SHORTEST_QUOTE = 12
# A gateway answers at once with these when the model behind it is down. One that does so later than this many
# seconds after the request has waited for work, which may be billed.
GATEWAY_GAVE_UP = (502, 504)
SECONDS_WITHOUT_WORK = 1.0
# A longer wait than this is no rate limit but a spent quota.
LONGEST_RATE_WAIT = 120.0
# What these say of a key, an account or a model counts in the vendor's own words, which are JSON, or without
# any. A page or plain text comes from something in front of it, which knows nothing of them.
IN_OWN_WORDS = (401, 402, 403, 404)

BY_CODE: dict[str, type[ProviderError]] = {
    "insufficient_quota": QuotaExhausted,
    "invalid_api_key": KeyRejected,
    "API_KEY_INVALID": KeyRejected,  # Gemini, with 400
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
# These say something of the request alone; the others are not believed when the vendor itself has failed.
OF_THE_REQUEST = (ContentRefused, PromptTooLong)

# Many compatible servers send no code for these, only words.
TOO_LONG_WORDS = (
    "maximum context length",
    "exceeds the available context size",
    "exceed the configured limit",
    "exceeds the maximum number of tokens",
    "too large for model",
    "request too large",
    "request body too large",
    "context window",
)
DAILY_WORDS = ("per 86400s", "per day", "per-day", "daily limit", "monthly")
BALANCE_WORDS = ("exhausted balance", "key limit exceeded")  # fal, OpenRouter
FILTER_WORDS = ("moderation", "input was flagged", "prompt was flagged")
# Gemini's words for a key; at the beginning, where nothing is quoted.
KEY_WORDS = ("api key not valid", "api key expired")
# A sentence that says of a model or an address that it is gone; others say so of a parameter.
RETIRED = re.compile(
    r"(?:^|[;.] )(?:the )?(?:requested )?(?:model|provider|endpoint|https?://\S{1,99})"
    r"(?: ['\"`]\S{1,99}| \S{0,50}[\d/:-]\S{0,50})?(?: is| was| has been)?"
    r" (?:not supported by|no longer (?:supported|available)|deprecated|decommissioned)"
    r"|^\S{1,99} is not a valid model"
)
# Credentials that a vendor may quote back at us, in whole or masked.
CREDENTIAL = re.compile(
    r"\b(?:sk|hf|gsk|ghp|gho|github_pat|AIza|key|Bearer)[-_ ][\w*.…-]{6,}|\bAIza[\w-]{10,}"
    r"|\b[\w.-]{1,40}\*{3,}[\w*.-]*"
)


@dataclass(frozen=True, slots=True)
class VendorWords:
    """What a refusal says in its body, whatever its shape, or in its headers."""

    text: str
    codes: tuple[str, ...]
    status: int | None = None
    estimated_time: float | None = None
    is_page: bool = False  # HTML or plain text alone, and not the JSON that vendors send


def read_error(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "", seconds: float = 0.0
) -> ProviderError:
    """Turn a refusal (or an `error` inside a 200) into the ProviderError it means.

    `secret` is the credential that was sent; it is struck out of the detail, should the vendor quote it.
    `seconds` is how long after the request the refusal came.
    """
    if secret:  # now, before a cut could leave half of it
        body = body.replace(secret.encode(errors="replace"), b"[key]")
    words = _words_of(body, headers)
    failed, worked = status >= 500, seconds > SECONDS_WITHOUT_WORK
    if status < 400:  # an error inside a 200 may name its own status; the model had been started then
        status, worked = words.status or 502, words.status is not None
    retry_after = read_retry_after(headers)
    kind = _kind(status, words, headers, retry_after, failed=failed)
    if kind is QuotaExhausted:
        retry_after = _wait_for_quota(status, words, headers, retry_after)
    elif kind is Unavailable and words.estimated_time is not None:
        retry_after = retry_after or words.estimated_time
    request = headers.get("x-request-id") or headers.get("cf-ray")  # what the vendor's support asks for
    where = f"HTTP {status} (request {request})" if request else f"HTTP {status}"
    return kind(
        safe_detail(f"{where}: {words.text or 'no text'}", secret),
        status=status,
        retry_after=retry_after,
        maybe_billed=worked and status in GATEWAY_GAVE_UP,
    )


def _kind(
    status: int,
    words: VendorWords,
    headers: Mapping[str, str],
    retry_after: float | None,
    *,
    failed: bool,
) -> type[ProviderError]:
    """The class of a refusal. `failed`: its status says that the vendor itself has failed."""
    text = words.text.lower()

    def says(phrases: Iterable[str]) -> bool:
        return any(phrase in text for phrase in phrases)

    if status == 410:
        return ModelRetired
    if status == 429 and headers.get("x-ratelimit-limit-req-minute") == "0":
        return NotEntitled  # Mistral's way to say: no allowance for this model
    if words.is_page and status in IN_OWN_WORDS:
        return Unavailable
    for code in words.codes:
        if code in BY_CODE and (not failed or BY_CODE[code] in OF_THE_REQUEST):
            return BY_CODE[code]
    if status == 401 or (status == 400 and text.startswith(KEY_WORDS)):
        return KeyRejected
    if status == 402:
        return QuotaExhausted
    if status == 403:
        if says(BALANCE_WORDS):
            return QuotaExhausted
        if says(FILTER_WORDS):
            return ContentRefused
        return KeyRejected if "permission" in text else NotEntitled
    if status == 404:
        if "no endpoints found that support" in text:  # OpenRouter: what the request wants, such as pictures
            return BadRequest
        return NotEntitled if "your data policy" in text else ModelRetired  # OpenRouter: the account's choice
    if status == 413:
        return PromptTooLong
    if status == 429:
        if says(TOO_LONG_WORDS):  # OpenAI: one request of more than the minute's tokens
            return PromptTooLong
        if (retry_after or 0) > LONGEST_RATE_WAIT or says(DAILY_WORDS):
            return QuotaExhausted
        return RateLimited
    if status in (408, 409, 425) or status >= 500 or status < 400:
        return Unavailable
    if says(TOO_LONG_WORDS):
        return PromptTooLong
    return ModelRetired if RETIRED.search(text) else BadRequest


def _wait_for_quota(
    status: int, words: VendorWords, headers: Mapping[str, str], retry_after: float | None
) -> float | None:
    """When a spent quota opens again, if the vendor has said so.

    A short time may be of the minute's limit, whose headers come with every reply: it counts where it can
    only be meant of the refusal.
    """
    if status != 402 and (retry_after or 0) > LONGEST_RATE_WAIT:
        return retry_after
    named = read_named_wait(headers)
    is_short = (named or 0) <= LONGEST_RATE_WAIT
    return None if is_short and "insufficient_quota" in words.codes else named


def _words_of(body: bytes, headers: Mapping[str, str]) -> VendorWords:
    said, code = headers.get("X-Error-Message", ""), headers.get("X-Error-Code", "")  # Hugging Face
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        # HTML or plain text from some proxy: only the words matter.
        text = re.sub(r"<[^>]*>", " ", body[:LONGEST_TEXT].decode("utf-8", "replace"))
        is_page = bool(body.strip()) and not (said or code)
        return VendorWords(" ".join(text.split()) or said, (code,), is_page=is_page)
    if isinstance(data, list) and data:  # Gemini wraps its error in a list
        data = data[0]
    sources = [data] if isinstance(data, dict) else []
    if sources and isinstance(data.get("error"), dict):
        sources.insert(0, data["error"])
    for source in tuple(sources):
        for name in ("detail", "details"):  # FastAPI and fal; Google
            if isinstance(items := source.get(name), list):
                sources += [item for item in items[:5] if isinstance(item, dict)]
    codes: list[str] = []
    status = None
    estimated_time = None
    for source in sources:
        for name in ("code", "type", "reason"):
            value = source.get(name)
            if isinstance(value, str):
                codes.append(value)
            elif name == "code" and isinstance(value, int) and 400 <= value < 600:
                status = status or value
        waiting = source.get("estimated_time")
        if isinstance(waiting, (int, float)) and 0 <= waiting < LONGEST_BELIEVABLE:
            estimated_time = float(waiting)
    text = "; ".join(_texts(data))[:LONGEST_TEXT] or said
    return VendorWords(text, (*codes, code), status, estimated_time)


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
