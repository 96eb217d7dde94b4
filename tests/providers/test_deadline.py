"""The deadline of many waits, in virtual time: when each of them ends, and what does not count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from benchmarks.simulated_day import VirtualLoop
from providers.deadline import BEGUN, NONE, Deadline

FIRST_SECONDS, WAIT_SECONDS, TOTAL_SECONDS = 60.0, 30.0, 600.0


def live(act: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """Let this happen, and return the seconds it took, none of which anybody had to wait."""
    began = 100_000.0
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(began)) as runner:
        runner.run(act())
        return runner.get_loop().time() - began


async def take_pieces(deadline: Deadline, waits: list[float], hold_seconds: float = 0.0) -> None:
    """Wait for a first piece and the others, each of which its taker holds for a while."""
    deadline.begin(FIRST_SECONDS)
    for seconds in waits:
        await asyncio.sleep(seconds)
        deadline.wait = NONE
        await asyncio.sleep(hold_seconds)
        deadline.wait = BEGUN


@pytest.mark.parametrize(
    ("waits", "least", "most"),
    [
        ([100.0], 60.0, 60.0),
        ([59.0, 100.0], 59.0 + 30.0, 59.0 + 33.0),
        ([1.0, 29.0, 29.0, 100.0], 59.0 + 30.0, 59.0 + 33.0),
        ([20.0] * 100, 600.0, 600.0),
    ],
    ids=["the first", "the second", "a later one", "all of them"],
)
def test_a_wait_that_takes_too_long_ends(waits: list[float], least: float, most: float) -> None:
    """The first to the second, each further one within a tenth more than its time, and all at its end."""

    async def act() -> None:
        with pytest.raises(TimeoutError):
            with Deadline(TOTAL_SECONDS, WAIT_SECONDS) as deadline:
                await take_pieces(deadline, waits)

    took = live(act)

    assert least - 0.001 <= took <= most + 0.001


def test_waits_that_are_short_enough_are_let_be() -> None:
    """Hundreds of them, each of its whole time; and nothing is left behind that could end what follows."""

    async def act() -> None:
        with Deadline(1e6, WAIT_SECONDS) as deadline:
            await take_pieces(deadline, [59.9] + [29.9] * 300)
        await asyncio.sleep(1e6)

    assert live(act) > 1e6


def test_the_time_for_which_a_piece_is_held_does_not_count() -> None:
    """Whoever shows the pieces may take longer than one may be waited for, and than all of the time."""

    async def act() -> None:
        with Deadline(TOTAL_SECONDS, WAIT_SECONDS) as deadline:
            await take_pieces(deadline, [1.0, 29.0, 29.0], hold_seconds=2 * FIRST_SECONDS)
            deadline.wait = NONE
            await asyncio.sleep(2 * TOTAL_SECONDS)

    assert live(act) == pytest.approx(59 + 3 * 2 * FIRST_SECONDS + 2 * TOTAL_SECONDS)


def test_who_is_cancelled_is_not_late() -> None:
    """A cancellation in the moment in which the time is over stays one."""

    async def wait() -> None:
        with Deadline(TOTAL_SECONDS, WAIT_SECONDS) as deadline:
            deadline.begin(FIRST_SECONDS)
            await asyncio.sleep(1000)

    async def act() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + FIRST_SECONDS, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    live(act)
