"""Several keys and their limits: what three ways to choose a key make of the same simulated days.

For each way (`benchmarks.key_policies`) and day (`benchmarks.simulated_day`):

- answered: the share of questions answered, of those that could have been. What could have been is counted by
  somebody with the members' patience who knows every limit, outage and revoked key beforehand and never sends
  a request in vain (`SimulatedDay.possible_answers`). Questions that nobody could have answered are left out.
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.key_policies import POLICIES, Policy
from benchmarks.simulated_day import Question, SimulatedDay, VirtualLoop, draw_day
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
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # what fails here fails on purpose
    days = {name: [measure(name, seed) for seed in SEEDS] for name in POLICIES}
    if arguments.json:
        print(json.dumps({name: asdict(mean(outcomes)) for name, outcomes in days.items()}))
        return
    print(f"Mean of {len(SEEDS)} simulated days (seeds {SEEDS[0]} to {SEEDS[-1]})")
    print(f"{'':22}{'answered':>10}{'wasted/answer':>15}{'wait p50':>10}{'wait p95':>10}")
    for name, outcomes in days.items():
        print_row(name, mean(outcomes))
    print_row("colloquy, worst day", worst(days["colloquy"]))
    print("Half of all questions wait for nobody under the last two policies: their p50 is the same, 0.")


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """The worst of each figure."""
    shares = min(outcome.answered_share for outcome in outcomes)
    others = zip(*(list(asdict(outcome).values())[1:] for outcome in outcomes), strict=True)
    return Outcome(shares, *map(max, others))


def print_row(name: str, outcome: Outcome) -> None:
    """One line of the table."""
    answered, wasted = f"{outcome.answered_share:.2%}", f"{outcome.wasted_per_answer:.4f}"
    print(f"{name:22}{answered:>10}{wasted:>15}{outcome.wait_p50_s:>8.2f} s{outcome.wait_p95_s:>8.2f} s")


if __name__ == "__main__":
    main()
