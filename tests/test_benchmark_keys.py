"""The simulated day of `make bench`, shortened: its directions, not its figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from benchmarks.keys import measure

HOURS = 6.0
SEED = 2


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Vendors fail here on purpose, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_the_pool_answers_more_and_wastes_less_than_a_loop_or_a_cool_down() -> None:
    """On the same day ours answers at least as many questions with far fewer refused requests."""
    legacy, cooldown, ours = (measure(name, SEED, HOURS) for name in ("legacy", "cooldown", "colloquy"))

    assert ours.answered_share >= max(legacy.answered_share, cooldown.answered_share)
    assert ours.wasted_per_answer < cooldown.wasted_per_answer / 5
    assert cooldown.wasted_per_answer < legacy.wasted_per_answer
    assert ours.wait_p95_s <= min(legacy.wait_p95_s, cooldown.wait_p95_s)


def test_a_seed_is_one_day() -> None:
    """The same seed gives the same figures to the last digit, another seed gives others."""
    assert measure("colloquy", SEED, HOURS) == measure("colloquy", SEED, HOURS)
    assert measure("colloquy", SEED, HOURS) != measure("colloquy", SEED + 1, HOURS)
