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
from assistant.stopping import StopSignal
from assistant.usage import report_usage
from assistant.values import (
    Again,
    Answer,
    Begun,
    Delta,
    Forgotten,
    LastAnswer,
    Limits,
    ModelChoice,
    More,
    Period,
    Picture,
    PictureOrder,
    Question,
    Refusal,
    UsageReport,
    Waiting,
)
from db.engine import Database, DatabaseError
from db.history import forget_channel, forget_member, read_question, read_turns
from providers.base import Usage
from providers.router import ChatRouter, ImageRouter

log = logging.getLogger(__name__)

FORGOTTEN = "This question is no longer in the channel's history. Please ask it again with /ask."
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
        self._chat_router = chat_router
        self._image_router = image_router
        self._conversation = conversation
        self._limits = limits
        self._running: set[asyncio.Task[object]] = set()
        self._stopping = False

    async def ask(
        self, question: Question | Again | More, stop: StopSignal | None = None
    ) -> AsyncGenerator[Begun | Waiting | Delta | Answer | Refusal]:
        """Answer a question; see `assistant.ask`."""
        if self._stopping:
            yield Refusal(RESTARTING)
            return
        with self._counted():
            if not isinstance(question, Question):
                prompt = await self.question_of(question.turn_id, question.origin.channel_id)
                if prompt is None:
                    yield Refusal(FORGOTTEN)
                    return
                yield Begun(prompt, False)
                question = Question(question.origin, prompt)
            answer = ask(self._database, self._chat_router, self._conversation, self._limits, question)
            text = ""
            async with aclosing(answer) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        text += event.text
                    yield event
                    if stop is not None and stop.requested:
                        break
            if stop is not None and stop.requested:
                yield Answer(text, "stopped", Usage(estimated=True), "")

    def models(self) -> list[ModelChoice]:
        """The models that may be asked by name now."""
        labels = [(route.provider.name, route.label) for route in self._chat_router.routes]
        return [ModelChoice(name, label, not at, False) for at, (name, label) in enumerate(labels)]

    async def last_answer(self, channel_id: int, user_id: int) -> LastAnswer | None:
        """The member's newest turn in the channel."""
        turns = await self._database.run(lambda connection: read_turns(connection, channel_id))
        return LastAnswer(0, turns[-1].question, turns[-1].answer) if turns else None

    async def forget_member(self, user_id: int) -> Forgotten:
        """Delete every turn of the member."""
        turns, channels = await self._database.run(lambda connection: forget_member(connection, user_id))
        return Forgotten(turns, channels)

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

    async def stop(self) -> None:
        """Cut off what is still running; each request is booked with what had come, and its member told."""
        self._stopping = True
        running = {task for task in self._running if task is not asyncio.current_task()}
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


__all__ = ["Assistant", "Conversation", "KeyMemory", "Limits"]
