"""Several keys and their limits: what three ways to choose a key make of the same simulated days.

For each way (`benchmarks.key_policies`) and day (`benchmarks.simulated_day`):

- answered: the share of questions answered, of those that could have been. What could have been is counted by
  somebody with the members' patience who knows every limit, outage and revoked key beforehand and never sends
  a request in vain (`SimulatedDay.possible_answers`). Questions that nobody could have answered count for none.
- wasted: requests that a vendor refused, or that failed, for each question answered.
- waiting: seconds from a question's arrival to the request that answered it; over the answered questions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.key_policies import POLICIES, Policy
from benchmarks.simulated_day import HOUR, Question, SimulatedDay, VirtualLoop, draw_day
from providers.base import ProviderError

SEEDS = range(1, 7)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy made of a day, or of several in the mean."""

    answered_share: float
    wasted_per_answer: float
    wait_p50_s: float
    wait_p95_s: float


def measure(name: str, seed: int, hours: float = 24.0) -> Outcome:
    """One policy's day."""
    possible = draw_day(seed, hours).possible_answers()
    day = draw_day(seed, hours)
    random.seed(seed)  # the router's own jitter
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(day.starts_at)) as runner:
        runner.run(live(day, name, seed))
    waits = sorted(question.sent_at - question.arrived_at for question in day.questions if question.answered)
    wasted = sum(vendor.requests for vendor in day.vendors) - len(waits)
    p50, p95 = (waits[int(len(waits) * share)] for share in (0.5, 0.95))
    return Outcome(len(waits) / possible, wasted / len(waits), p50, p95)


async def live(day: SimulatedDay, name: str, seed: int) -> None:
    """Ask every question at its time, and wait for what becomes of the last."""
    policy = POLICIES[name](day, random.Random(seed))
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        for question in day.questions:
            await asyncio.sleep(question.arrived_at - loop.time())
            tasks.create_task(ask(policy, question))


async def ask(policy: Policy, question: Question) -> None:
    """One question; that it stays without an answer is counted elsewhere."""
    try:
        await policy(question)
    except ProviderError:
        assert not question.answered


def mean(outcomes: Sequence[Outcome]) -> Outcome:
    """The mean of each figure."""
    return Outcome(
        *(statistics.mean(figures) for figures in zip(*(asdict(o).values() for o in outcomes), strict=True))
    )


def main() -> None:
    """Live the days and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for seed in SEEDS:
        for name in POLICIES:
            print(seed, name, measure(name, seed))


if __name__ == "__main__":
    main()
