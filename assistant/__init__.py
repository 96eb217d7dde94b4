"""The work behind the commands, without Discord: ask, imagine, forget, usage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from assistant.ask import Conversation, ask
from assistant.imagine import imagine
from assistant.memory import KeyMemory
from assistant.status import StatusReport, report_status
from assistant.usage import report_usage
from assistant.values import (
    Answer,
    Delta,
    Limits,
    Period,
    Picture,
    PictureOrder,
    Question,
    Refusal,
    UsageReport,
)
from db.engine import Database, DatabaseError
from db.history import forget_channel, read_question
from providers.router import ChatRouter, ImageRouter

log = logging.getLogger(__name__)

RESTARTING = "The bot is restarting. Please ask again in a minute."


class Assistant:
    """Answers for the whole bot. It owns the running requests, and nothing else."""

    def __init__(
        self,
        database: Database,
        chat_router: ChatRouter,
        image_router: ImageRouter,
        conversation: Conversation,
        limits: Limits,
    ) -> None:
        self._database = database
        self._running: set[asyncio.Task[object]] = set()
        self._stopping = False
        self.adopt(chat_router, image_router, conversation, limits)

    def adopt(
        self, chat_router: ChatRouter, image_router: ImageRouter, conversation: Conversation, limits: Limits
    ) -> None:
        """Answer with these from now on; what is being answered keeps those it began with."""
        self._chat_router = chat_router
        self._image_router = image_router
        self._conversation = conversation
        self._limits = limits

    async def ask(self, question: Question) -> AsyncGenerator[Delta | Answer | Refusal]:
        """Answer a question; see `assistant.ask`."""
        if self._stopping:
            yield Refusal(RESTARTING)
            return
        with self._counted():
            answer = ask(self._database, self._chat_router, self._conversation, self._limits, question)
            async with aclosing(answer) as events:
                async for event in events:
                    yield event

    async def imagine(self, order: PictureOrder) -> Picture | Refusal | None:
        """Make a picture; see `assistant.imagine`."""
        if self._stopping:
            return Refusal(RESTARTING)
        with self._counted():
            return await imagine(self._database, self._image_router, self._limits, order)

    async def question_of(self, turn_id: int, channel_id: int) -> str | None:
        """The question of a turn of this channel; None when it is not, or no longer, in its history."""
        return await self._database.run(lambda connection: read_question(connection, turn_id, channel_id))

    async def forget(self, channel_id: int) -> int:
        """Clear the channel's history and return how many turns it had. The ledger is not touched."""
        return await self._database.run(lambda connection: forget_channel(connection, channel_id))

    async def server_usage(self, guild_id: int, period: Period) -> UsageReport:
        """What one server used."""
        return await report_usage(self._database, period, guild_id=guild_id)

    async def member_usage(self, guild_id: int, user_id: int, period: Period) -> UsageReport:
        """What one member used in one server, or in direct messages (`guild_id` 0)."""
        return await report_usage(self._database, period, guild_id=guild_id, user_id=user_id)

    async def status(self) -> StatusReport:
        """How the providers and their keys are."""
        return await report_status(self._database, self._chat_router, self._image_router)

    async def stop(self, seconds: float = 0) -> None:
        """Take nothing new, and give what is running so many seconds; then cut it off.

        Each request is booked with what had come, and its member told.
        """
        self._stopping = True
        running = {task for task in self._running if task is not asyncio.current_task()}
        if running:
            _, running = await asyncio.wait(running, timeout=seconds)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=15)
        try:
            await self._database.write_owed()
        except DatabaseError as error:
            log.error("not booked, and left to the next start: %s", error.__cause__ or error)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("the assistant works inside a task")
        self._running.add(task)
        try:
            yield
        finally:
            self._running.discard(task)


__all__ = ["RESTARTING", "Assistant", "Conversation", "KeyMemory", "Limits"]
