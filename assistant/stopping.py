"""Stopping an answer while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(Exception):
    """Somebody has stopped the answer."""


class StopSignal:
    """Ends an answer early, from another task: what had come is kept and booked.

    The answering task says when it waits, between `begin` and `end`. Then a stop cancels it, and the
    cancellation is turned into Stopped; at any other time it is noted, and met at the next `begin`. So an
    answer pays for being stoppable with two assignments a piece.
    """

    def __init__(self) -> None:
        self.requested = False
        self._task: asyncio.Task[object] | None = None
        self._waits = False
        self._cancelled = False

    def stop(self) -> None:
        """End the answer at once, or before it has begun; a second call, or one too late, does nothing."""
        if self.requested:
            return
        self.requested = True
        if self._waits and self._task is not None:
            self._cancelled = True
            self._task.cancel()

    def begin(self) -> None:
        """From here on the task waits. Raises Stopped."""
        if self.requested:
            raise Stopped
        self._waits = True

    def end(self) -> None:
        """The wait is over."""
        self._waits = False

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """A block of waits: a stop leaves it with Stopped, unless the task is cancelled otherwise as well."""
        self._task = task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        try:
            yield
        except asyncio.CancelledError:
            if self._uncancelled(task) and task.cancelling() <= before:
                raise Stopped from None
            raise
        finally:
            self._waits = False
            self._uncancelled(task)  # if something else came in the cancellation's place
            self._task = None

    def _uncancelled(self, task: asyncio.Task[object]) -> bool:
        """Take back our own cancellation; False when there is none."""
        if not self._cancelled:
            return False
        self._cancelled = False
        task.uncancel()
        return True
