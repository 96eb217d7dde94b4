"""A deadline for many waits, one after the other."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Self

NEVER = float("inf")


class Deadline:
    """Ends waits that take too long, with TimeoutError as asyncio.timeout does, and all of them after a time.

    An answer is waited for hundreds of times, once for each piece. One timer serves all its waits, and is set
    anew only when it goes off; a timeout for each would cost several times as much. All waits are those of
    the task that has entered it. The clock is that of the event loop, which takes twice as long to tell it.
    """

    def __init__(self, total_seconds: float) -> None:
        self._ends_at = monotonic() + total_seconds
        self._due = NEVER  # nobody waits
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off_at = NEVER
        self._missed = False

    def begin(self, seconds: float) -> None:
        """From here on the task waits, for so long at most."""
        self._due = due = monotonic() + seconds
        if due < self._goes_off_at:
            self._set_timer()

    def end(self) -> None:
        """The wait is over."""
        self._due = NEVER

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._goes_off_at = min(self._due, self._ends_at)
        self._timer = asyncio.get_running_loop().call_at(self._goes_off_at, self._go_off)

    def _go_off(self) -> None:
        self._goes_off_at = NEVER
        if self._due == NEVER:
            return
        if monotonic() < min(self._due, self._ends_at):
            self._set_timer()
        else:
            self._missed = True
            self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        self.end()
        if self._timer is not None:
            self._timer.cancel()
        # If somebody else has cancelled the task as well, it is to be cancelled and not late.
        alone = self._missed and self._task.uncancel() <= self._cancelled_before
        if alone and kind is asyncio.CancelledError:
            raise TimeoutError
