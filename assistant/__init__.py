"""The work behind the commands, without Discord: ask, imagine, forget, usage, budgets."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from assistant.ask import Asking, Event
from assistant.budgets import Budgets
from assistant.conversation import Conversation
from assistant.deliveries import Deliveries
from assistant.figures import Figures
from assistant.imagine import Event as PictureEvent
from assistant.imagine import Imagining
from assistant.memory import KeyMemory
from assistant.queue import Queue
from assistant.running import RESTARTING, Running
from assistant.status import StatusReport, list_models, report_status
from assistant.stopping import StopSignal
from assistant.usage import Reports
from assistant.values import (
    AboutTurn,
    BudgetNotice,
    Forgotten,
    LastAnswer,
    Left,
    Limits,
    ModelChoice,
    PictureOrder,
    Question,
    StoredPictures,
)
from assistant.weekly import WeeklyReports
from db.engine import Connection, Database, DatabaseError
from db.history import ConversationKey, forget_channel, forget_member, read_newest_turn
from db.pictures import forget_pictures_of
from db.responses import take_left
from providers.router import ChatRouter, ImageRouter

log = logging.getLogger(__name__)


class Assistant:
    """Answers for the whole bot."""

    def __init__(
        self,
        database: Database,
        chat_router: ChatRouter,
        image_router: ImageRouter,
        conversation: Conversation,
        limits: Limits,
    ) -> None:
        self._database = database
        self._running = Running()
        self.budget_listeners: list[Callable[[BudgetNotice], None]] = []
        self.reports = Reports(database)
        self.weekly = WeeklyReports(database)
        self.deliveries = Deliveries(database)
        self.figures = Figures()
        self._asked_for_left = False
        shared = self._running, self.figures
        self._asking = Asking(database, chat_router, conversation, limits, *shared)
        per_channel = conversation.answers_per_channel
        self._imagining = Imagining(database, image_router, limits, *shared, per_channel)
        self.adopt(chat_router, image_router, conversation, limits)

    def adopt(
        self, chat_router: ChatRouter, image_router: ImageRouter, conversation: Conversation, limits: Limits
    ) -> None:
        """Answer with these from now on; what is being answered keeps those it began with."""
        if self._tell_of_budget not in limits.listeners:
            limits.listeners.append(self._tell_of_budget)
        self._chat_router = chat_router
        self._image_router = image_router
        self.budgets = Budgets(self._database, limits)
        self._asking = self._asking.adopting(chat_router, conversation, limits)
        self._imagining = self._imagining.adopting(image_router, limits, conversation.answers_per_channel)

    @property
    def database(self) -> Database:
        """Where everything is kept."""
        return self._database

    def _tell_of_budget(self, notice: BudgetNotice) -> None:
        for listener in self.budget_listeners:
            listener(notice)

    def ask(self, question: Question | AboutTurn, stop: StopSignal | None = None) -> AsyncGenerator[Event]:
        """Answer a question; `stop` ends the answer early. See `assistant.ask`."""
        return self._asking.ask(question, stop or StopSignal())

    def imagine(self, order: PictureOrder, stop: StopSignal | None = None) -> AsyncGenerator[PictureEvent]:
        """Make pictures; `stop` ends it early, and what was made by then is kept. See `assistant.imagine`."""
        return self._imagining.imagine(order, stop or StopSignal())

    async def find_pictures(self, row_id: int, channel_id: int, user_id: int) -> StoredPictures:
        """What pictures were made with, for a member who sees them here. Raises PictureRefused."""
        return await self._imagining.find(row_id, channel_id, user_id)

    async def delete_pictures(self, row_id: int, user_id: int, *, allowed: bool) -> None:
        """Forget what pictures were made with, as their message goes. Raises PictureRefused.

        `allowed`: whether the member may delete the message whatever is kept of it.
        """
        await self._imagining.delete(row_id, user_id, allowed=allowed)

    def picture_models(self) -> list[ModelChoice]:
        """The picture models that may be asked by name now, the chain's own choice first."""
        return list_models(self._image_router)

    def models(self) -> list[ModelChoice]:
        """The models that may be asked by name now, the chain's own choice first."""
        return list_models(self._chat_router)

    async def last_answer(self, channel_id: int, user_id: int) -> LastAnswer | None:
        """The member's newest turn in a channel, asked in private or not; None: there is none."""
        turn = await self._database.run(lambda connection: read_newest_turn(connection, channel_id, user_id))
        return LastAnswer(turn.question, turn.answer) if turn else None

    async def forget(self, channel_id: int) -> int:
        """Clear the channel's own conversation and return how many turns it had; private ones stay.

        What is being answered there is not remembered either. The ledger is not touched.
        """
        self._asking.forget(lambda key, _: key == ConversationKey(channel_id))
        return await self._database.run(lambda connection: forget_channel(connection, channel_id))

    async def forget_member(self, user_id: int) -> Forgotten:
        """Clear all turns of a member in every channel, private ones too, and what pictures were made with.

        What is being answered for them is not remembered either. The ledger is not touched.
        """
        self._asking.forget(lambda _, member_id: member_id == user_id)
        self._imagining.forget(user_id)

        async def forget(connection: Connection) -> Forgotten:
            pictures = await forget_pictures_of(connection, user_id)
            return replace(await forget_member(connection, user_id), pictures=pictures)

        return await self._database.run(forget)

    async def take_left(self) -> list[Left]:
        """What killed processes left untold: once at the start, and again where others share the database.

        Whoever takes it has to tell.
        """
        if self._asked_for_left and not self.shares_database:
            return []
        self._asked_for_left = True
        return await self._database.run(lambda connection: take_left(connection, self._database.process))

    @property
    def shares_database(self) -> bool:
        """Whether other processes may use the same one."""
        return self._database.process != 0

    async def status(self) -> StatusReport:
        """How the providers and their keys are."""
        return await report_status(self._database, self._chat_router, self._image_router)

    @property
    def stopping(self) -> bool:
        """Whether nothing new is taken."""
        return self._running.stopping

    @property
    def chat(self) -> tuple[ChatRouter, Queue]:
        """Who is asked for answers now, and who waits for one."""
        return self._chat_router, self._asking.queue

    @property
    def pictures(self) -> tuple[ImageRouter, Queue]:
        """Who is asked for pictures now, and who waits for some."""
        return self._image_router, self._imagining.queue

    async def stop(self, seconds: float = 0) -> None:
        """Take nothing new, and give what is running so many seconds; then cut it off.

        Each request is booked with what had come, and its member told.
        """
        self.weekly.stop()
        await self._running.stop(seconds)
        try:
            await self.deliveries.close()
            await self._database.write_owed()
        except DatabaseError as error:
            log.error("not booked, and left to the next start: %s", error.__cause__ or error)


__all__ = ["RESTARTING", "Assistant", "Conversation", "KeyMemory", "Limits", "StopSignal"]
