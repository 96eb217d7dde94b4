"""What is counted from the start on, for whoever watches the bot: plain numbers that only grow."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

from assistant.values import Answer, Pictures, Refusal
from db.ledger import Ending
from providers.route import Target

log = logging.getLogger(__name__)

# The bounds of histograms, in seconds.
WAITS = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300)

# What an attempt that has no class of error counts as.
ANSWERED = "answered"

# How requests end. Refused ones cost nothing; of abandoned ones nobody read the end.
OUTCOMES = (ANSWERED, "partial", "refused", "stopped", "failed", "abandoned")


class Histogram:
    """How many values lie at or below each bound but above the one before, and the sum of all."""

    def __init__(self, bounds: Sequence[float] = WAITS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: above all bounds
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Figures:
    """Of all requests and their attempts. Times are in seconds, money in millionths of a dollar."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()  # by command and outcome
        self.first_text = Histogram()  # from the question to the first text, the queue included
        self.total: defaultdict[str, Histogram] = defaultdict(Histogram)  # to the end, by command
        self.attempts: Counter[tuple[str, str, str]] = Counter()  # by provider, model, class of error
        self.attempt_first_text: defaultdict[str, Histogram] = defaultdict(Histogram)  # by provider
        self.attempt_total: defaultdict[str, Histogram] = defaultdict(Histogram)
        # By provider and model.
        self.prompt_tokens: Counter[tuple[str, str]] = Counter()
        self.completion_tokens: Counter[tuple[str, str]] = Counter()
        self.pictures: Counter[tuple[str, str]] = Counter()
        self.micros: Counter[tuple[str, str]] = Counter()  # of models with a price

    def count_attempt(self, target: Target, ending: Ending) -> None:
        """An attempt has ended."""
        place = target.provider, target.model
        self.attempts[(*place, ending.error_class or ANSWERED)] += 1
        if ending.first_text_ms is not None:
            self.attempt_first_text[target.provider].observe(ending.first_text_ms / 1000)
        if ending.total_ms is not None:
            self.attempt_total[target.provider].observe(ending.total_ms / 1000)
        self.prompt_tokens[place] += ending.prompt_tokens
        self.completion_tokens[place] += ending.completion_tokens
        self.pictures[place] += ending.pictures
        if ending.cost_micros is not None:
            self.micros[place] += ending.cost_micros

    def count_end(
        self,
        command: str,
        end: Answer | Pictures | Refusal | None,
        seconds: float,
        first_text_seconds: float | None = None,
    ) -> None:
        """A request has ended, and is logged. None: nobody reads its end."""
        outcome = outcome_of(end)
        self.answers[command, outcome] += 1
        self.total[command].observe(seconds)
        if first_text_seconds is not None:
            self.first_text.observe(first_text_seconds)
        by = f" by {end.provider}" if isinstance(end, Answer) else ""
        log.info("%s: %s%s after %.1f s", command, outcome, by, seconds)


def outcome_of(end: Answer | Pictures | Refusal | None) -> str:
    """One of OUTCOMES."""
    if end is None:
        return "abandoned"
    if isinstance(end, Refusal):
        return end.reason
    if isinstance(end, Pictures):
        return ANSWERED if len(end.pictures) == end.count else "partial"
    return "partial" if end.finish_reason in ("interrupted", "stopped") else ANSWERED
