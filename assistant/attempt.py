"""One attempt at an answer or a picture: on what it is made, what has come of it, and how it is booked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from db.ledger import Ending, NewAttempt, NewRequest
from providers.base import Delta, Thought, Usage
from providers.prices import cost_micros
from providers.route import Target


@dataclass
class Attempt:
    """What the bot knows of it. Times are those of the monotonic clock."""

    target: Target
    reserved: Usage  # the most that it may use
    number: int
    open: bool = True  # whether it has no end in the books
    sent: bool = False  # whether its request may have left
    began_at: float = field(default_factory=time.monotonic)
    first_text_at: float | None = None
    parts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    counted: Usage | None = None  # by its vendor, so far

    @property
    def text(self) -> str:
        """The text that has come."""
        return "".join(self.parts)

    def leave(self) -> None:
        """Note that its request leaves now."""
        self.sent, self.began_at = True, time.monotonic()

    def take(self, event: Delta | Thought | Usage) -> None:
        """Note what has come, and when the first text has."""
        if isinstance(event, Usage):
            self.counted = event
        elif isinstance(event, Thought):
            self.thoughts.append(event.text)
        else:
            self.parts.append(event.text)
            if self.first_text_at is None:
                self.first_text_at = time.monotonic()

    def row(self, request: NewRequest, asked_at: float) -> NewAttempt:
        """How it stands in the ledger until it ends."""
        price, most = self.target.price, self.reserved
        return NewAttempt(
            request,
            self.number,
            self.target.provider,
            self.target.model,
            self.target.key.variable,
            most.prompt_tokens,
            most.completion_tokens,
            most.pictures,
            most.pixels,
            cost_micros(price, most),
            price.date.isoformat() if price is not None and price.date is not None else "",
            self.target.fallback,
            _milliseconds(time.monotonic() - asked_at),
        )

    def ending(self, usage: Usage | None, error_class: str, delivered: str = "") -> Ending:
        """How it ends, with what it has used; None: nothing, and it costs nothing."""
        total_ms = _milliseconds(time.monotonic() - self.began_at)
        if usage is None:
            return Ending("unbilled", "", error_class, delivered="none", total_ms=total_ms)
        return Ending(
            "estimated" if usage.estimated else "settled",
            "tokenizer" if usage.estimated else "provider",
            error_class,
            usage.prompt_tokens,
            usage.completion_tokens,
            min(usage.cached_tokens, usage.prompt_tokens),
            min(usage.reasoning_tokens, usage.completion_tokens),
            usage.pictures,
            usage.pixels,
            cost_micros(self.target.price, usage),
            delivered,
            usage.steps,
            None if self.first_text_at is None else _milliseconds(self.first_text_at - self.began_at),
            total_ms,
        )


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
