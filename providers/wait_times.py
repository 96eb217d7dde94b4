"""How long to wait, as vendors say it in headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_BELIEVABLE = 31 * 86400.0
# What cannot be read, or cannot be meant, is a new try in ten minutes.
WHEN_UNBELIEVABLE = 600.0

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a refusal; None when the vendor names no time.

    Reads `retry-after-ms`, `Retry-After` (seconds or a date), and what `read_rest` reads.
    """
    seconds = _number(headers.get("retry-after-ms"), scale=0.001)
    if seconds is not None:
        return seconds if seconds <= LONGEST_BELIEVABLE else WHEN_UNBELIEVABLE
    named = read_named_wait(headers)
    return named if named is not None else read_rest(headers)


def read_named_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` alone names; None when it is not there."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    seconds = _number(value)
    if seconds is None:
        seconds = _until(value)
    return seconds if seconds is not None and seconds <= LONGEST_BELIEVABLE else WHEN_UNBELIEVABLE


def read_rest(headers: Mapping[str, str]) -> float | None:
    """Seconds until an account may send again, when the vendor says that nothing is left; else None.

    These headers come with every reply. They mean something only when what is left is nothing:
    `RateLimit: "api";r=0;t=55` (Hugging Face), `x-ratelimit-remaining-requests: 0` with
    `x-ratelimit-reset-requests: 6m0s` (OpenAI, Groq), `x-ratelimit-remaining-req-minute: 0` (Mistral).
    """
    items = headers.get("RateLimit", "").split(",")
    spent = [seconds for item in items if (seconds := _spent(item)) is not None]
    if spent:
        return min(max(spent), LONGEST_BELIEVABLE)
    if headers.get("x-ratelimit-remaining-requests", "").strip() == "0":
        reset = read_duration(headers.get("x-ratelimit-reset-requests", ""))
        if reset is not None:
            return min(reset, LONGEST_BELIEVABLE)
    if headers.get("x-ratelimit-remaining-req-minute", "").strip() == "0":
        return 60.0
    return None


def _spent(item: str) -> float | None:
    """The seconds of one limit, `"api";r=0;t=55` with its fields in any order; None: something is left."""
    fields = dict(field.strip().partition("=")[::2] for field in item.split(";"))
    seconds = fields.get("t", "")
    return float(seconds) if fields.get("r") == "0" and re.fullmatch(r"[0-9]{1,9}", seconds) else None


def read_duration(text: str) -> float | None:
    """Seconds in a duration such as "6m0s", "1.5s" or "250ms"; None when it is none."""
    match = DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _number(value: str | None, scale: float = 1.0) -> float | None:
    try:
        number = float(value or "") * scale
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _until(value: str) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
