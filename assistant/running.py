"""What is running, so that a stop can end it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from assistant.values import Refused

RESTARTING = "The bot is restarting. Please ask again in a minute."
STOP_SECONDS = 15


class Running:
    """The tasks that answer somebody."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether nothing new is taken."""
        return self._stopping

    @contextmanager
    def counted(self) -> Iterator[None]:
        """This task answers somebody for as long as the block lasts. Raises Refused once the bot stops."""
        if self._stopping:
            raise Refused(RESTARTING)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("the assistant works inside a task")
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    async def stop(self, seconds: float) -> None:
        """Take nothing more, give what is there so many seconds, and cancel the rest."""
        self._stopping = True
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
