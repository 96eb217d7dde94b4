"""How many tokens a text has: guessed at first, then learnt for each model from what its vendor counts.

A text is measured by how many characters of each class it has, and a model has so many tokens for one of
each. Which class a character is of, its UTF-8 form says: all measuring is done by a few calls over bytes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence

from providers.base import Message, Usage

log = logging.getLogger(__name__)

# How many there are of each: see CLASSES, then messages and pictures.
Features = tuple[int, ...]

# The classes with their first guess of tokens for one character, and the bytes that stand for one. In UTF-8
# a character outside ASCII is told by its first byte; bytes that continue one (80 to BF) are not counted.
CLASSES: tuple[tuple[float, Iterable[int]], ...] = (
    (0.25, (*range(0x41, 0x5B), *range(0x61, 0x7B))),  # ASCII letters
    (0.25, (0x20,)),  # spaces: most belong to the word behind them, and code is full of others
    (0.25, (*range(0x20), *range(0x21, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x80))),  # digits, signs
    (0.75, range(0xC0, 0xE0)),  # accented Latin, Greek, Cyrillic, Hebrew, Arabic
    (1.0, range(0xE3, 0xEE)),  # Chinese, Japanese, Korean
    (1.0, (*range(0xE0, 0xE3), *range(0xEE, 0x100))),  # other scripts, typographic signs, emoji
)
MESSAGE_TOKENS = 4.0
PICTURE_TOKENS = 800.0
GUESS = (*(tokens for tokens, _ in CLASSES), MESSAGE_TOKENS, PICTURE_TOKENS)

_MARKS = bytes(range(1, len(CLASSES) + 1))
_TABLE = bytearray(256)
for _mark, (_, _bytes) in zip(_MARKS, CLASSES, strict=True):
    for _byte in _bytes:
        _TABLE[_byte] = _mark

# Nothing is learnt from a vendor's count that is further from the estimate than this.
BELIEVABLE = 5.0
# A count is not booked if it is larger than so many times what was to be expected and a little, or than the
# model's context, unless our own estimate is nearly as large: then it is the setting that is wrong.
FARTHEST = 20
LITTLE = 10_000
NEARLY = 2
# By how much a count of a model that is known may differ from the estimate before the log says so.
DISAGREEMENT = 0.2
# After so many counts, one that is so close to the estimate, or off by rounding, is not worth the work.
FAMILIAR = 16
CLOSE = 0.02
# How far from the estimate one count may be taken to be, as a part of the estimate.
LARGEST_STEP = 1.0
# How well the classes can tell a text's tokens at all, as a part of them; how fast old counts are forgotten.
NOISE = 0.1
DRIFT = 0.0001


def measure(messages: Sequence[Message], pictures: int = 0) -> Features:
    """What a prompt of these messages is made of, with so many pictures besides those in them."""
    counts = _count("".join([message.content for message in messages]))
    return (*counts, len(messages), sum([len(message.pictures) for message in messages], start=pictures))


def _count(text: str) -> Features:
    marks = text.encode("utf-8", "surrogatepass").translate(_TABLE)
    return tuple(map(marks.count, _MARKS))


def guess_tokens(text: str) -> int:
    """The tokens of a text, for a model of which nothing is known."""
    return _tokens(GUESS, _count(text))


def _tokens(weights: Sequence[float], features: Features) -> int:
    return math.ceil(math.fsum(map(float.__mul__, weights, map(float, features))))


class Estimates:
    """The estimates for all models, each by its full name; kept in memory only."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}
        self._doubted: set[str] = set()  # models of whose counts the log has been told

    def prompt(self, model: str, features: Features) -> int:
        """The tokens of a prompt, with what its messages add."""
        return _tokens(self._models[model].weights if model in self._models else GUESS, features)

    def text(self, model: str, text: str) -> int:
        """The tokens of a text alone."""
        return self.prompt(model, _count(text))

    def interrupted(
        self, model: str, prompt_tokens: int, text: str, seen: Usage | None, thoughts: str = ""
    ) -> Usage:
        """What an answer has used that ended early: by the vendor's count so far, and by what had come."""
        seen = seen or Usage(prompt_tokens)
        thought = self.text(model, thoughts)
        return Usage(
            seen.prompt_tokens,
            max(seen.completion_tokens, self.text(model, text) + thought),
            seen.cached_tokens,
            max(seen.reasoning_tokens, thought),
            estimated=True,
        )

    def checked(
        self, model: str, usage: Usage, parts: Sequence[str], reserved: Usage, context_tokens: int | None
    ) -> Usage:
        """What a vendor has counted for an answer of these parts; what cannot be true is estimated.

        `reserved` has the estimate of the prompt, and the most that the answer was allowed.
        """

        def limit(likely: int) -> float:
            return min(context_tokens or math.inf, FARTHEST * likely + LITTLE)

        prompt, answer = usage.prompt_tokens, usage.completion_tokens
        if prompt > max(limit(reserved.prompt_tokens), NEARLY * reserved.prompt_tokens):
            prompt = reserved.prompt_tokens
        if answer == 0 or answer > limit(reserved.completion_tokens):
            own = self.text(model, "".join(parts))
            if answer == 0 or answer > NEARLY * own:
                answer = own
        if (prompt, answer) == (usage.prompt_tokens, usage.completion_tokens):
            return usage
        if model not in self._doubted:
            self._doubted.add(model)
            log.warning(
                "%s counted %d + %d tokens, which cannot be true: they are estimated as %d + %d, and so will "
                "be others without another word",
                *(model, usage.prompt_tokens, usage.completion_tokens, prompt, answer),
            )
        cached, reasoning = min(prompt, usage.cached_tokens), min(answer, usage.reasoning_tokens)
        return Usage(prompt, answer, cached, reasoning, estimated=True)

    def learn(self, model: str, features: Features, prompt_tokens: int) -> None:
        """A vendor has counted this prompt. A count that cannot be true changes nothing."""
        expected = self.prompt(model, features)
        counts = self._models[model].counts if model in self._models else 0
        if counts >= FAMILIAR and abs(prompt_tokens - expected) > DISAGREEMENT * expected:
            log.info("%s counts %d tokens in a prompt, %d were expected", model, prompt_tokens, expected)
        if not expected / BELIEVABLE <= prompt_tokens <= expected * BELIEVABLE:
            return
        if model not in self._models:
            self._models[model] = _Model()
        known = self._models[model]
        if known.counts < FAMILIAR or abs(prompt_tokens - expected) > max(1, CLOSE * expected):
            known.learn(features, prompt_tokens)


class _Model:
    """Recursive least squares of relative errors: each prompt counts the same, long or short."""

    def __init__(self) -> None:
        self.counts = 0
        self.weights: Sequence[float] = GUESS
        # The variance of each weight: at first it may as well be twice the guess, or next to nothing.
        self._variance = [
            [guess**2 if row == column else 0.0 for column in range(len(GUESS))]
            for row, guess in enumerate(GUESS)
        ]

    def learn(self, features: Features, tokens: int) -> None:
        self.counts += 1
        expected = sum(map(float.__mul__, self.weights, map(float, features)))
        shares = [count / expected for count in features]
        error = min(LARGEST_STEP, tokens / expected - 1.0)
        doubt = [sum(map(float.__mul__, row, shares)) for row in self._variance]
        total = sum(map(float.__mul__, doubt, shares)) + NOISE**2
        gains = [value / total for value in doubt]
        # Never to nothing, so that no text is free.
        self.weights = [
            max(guess / 20, weight + gain * error)
            for guess, weight, gain in zip(GUESS, self.weights, gains, strict=True)
        ]
        for place, (row, gain) in enumerate(zip(self._variance, gains, strict=True)):
            self._variance[place] = [value - gain * other for value, other in zip(row, doubt, strict=True)]
            first = GUESS[place] ** 2
            # What is long unheard of becomes a little less certain again, up to where it began.
            if (variance := self._variance[place][place]) < first:
                self._variance[place][place] = min(first, variance + DRIFT * first)
