"""A deadline for many waits, one after the other."""

from __future__ import annotations

import asyncio
from typing import Self

# What `Deadline.wait` holds. Nobody waits; a wait has begun; the timer has seen it, and knows when it is due.
NONE, BEGUN, SEEN = range(3)
# How often the timer looks within the time that a wait may take.
LOOKS = 10


class Deadline:
    """Ends waits that take too long, with TimeoutError as asyncio.timeout does, and all of them after a time.

    An answer is waited for hundreds of times, once for each piece. So its waits are only marked, by setting
    `wait` to BEGUN and to NONE, and a timer looks now and then whether one is still the same. So each ends up
    to a tenth of `wait_seconds` late; only what `begin` begins is timed by itself. All waits are those of the
    task that has entered it.
    """

    def __init__(self, total_seconds: float, wait_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + total_seconds
        self._wait_seconds = wait_seconds
        self._due = 0.0  # of the wait that was seen
        self._timer: asyncio.TimerHandle | None = None
        self._missed = False
        self.wait = NONE

    def begin(self, seconds: float) -> None:
        """From here on the task waits, for so long at most."""
        self.wait = SEEN
        now = self._loop.time()
        self._due = now + seconds
        self._look_again(now)

    def _look_again(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = now + self._wait_seconds / LOOKS
        if self.wait == SEEN:
            at = min(at, self._due, self._ends_at)
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self.wait == BEGUN:
            self.wait = SEEN
            self._due = now + self._wait_seconds
        if self.wait == SEEN and now >= min(self._due, self._ends_at):
            self._missed = True
            self._task.cancel()
        else:
            self._look_again(now)

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # If somebody else has cancelled the task as well, it is to be cancelled and not late.
        alone = self._missed and self._task.uncancel() <= self._cancelled_before
        if alone and kind is asyncio.CancelledError:
            raise TimeoutError
