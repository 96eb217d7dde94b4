"""A scene for the tests: an assistant on a real database, with scripted providers, and what it left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select, text

from assistant import Assistant, Conversation, Limits, StopSignal
from assistant.ask import Event
from assistant.imagine import Event as PictureEvent
from assistant.usage import Report
from assistant.values import AboutTurn, Again, More, Origin, Picture, PictureOrder, Question, View
from db.engine import Database
from db.history import ConversationKey, Turn, read_turns
from db.ledger import attempts, requests
from db.verify import find_discrepancies
from providers.base import ChatEvent, ChatRequest, ImageRequest, Key, Message
from providers.router import ChatRouter, ImageRouter
from tests.fakes import ScriptedChat, ScriptedImages, Step, chat_route, image_route, key

SYSTEM = Message("system", "Be brief.")
DEFAULT = Conversation(SYSTEM.content, 3000)
NO_HISTORY = Conversation(SYSTEM.content, 0)


class GatedChat(ScriptedChat):
    """A scripted provider that says nothing before its gate is open."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        super().__init__(*scripts)
        self.asked = asyncio.Event()
        self.arrived = 0  # questions, at the gate or through it
        self.gate = asyncio.Event()

    async def until_arrived(self, number: int) -> None:
        """Wait until so many questions have come to the gate since the beginning."""
        async with asyncio.timeout(10):
            while self.arrived < number:  # noqa: ASYNC110 (two lines of test are simpler than a condition)
                await asyncio.sleep(0.001)

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[ChatEvent]:
        events = super().stream(request, key)
        self.arrived += 1
        self.asked.set()
        await self.gate.wait()
        async with aclosing(events):
            async for event in events:
                yield event


class GatedImages(ScriptedImages):
    """A scripted provider that draws nothing before its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        self.asked.set()
        await self.gate.wait()
        return await super().generate(request, key)


@dataclass
class Scene:
    """An assistant, whom it asks, and what stands in its database."""

    database: Database
    chats: Sequence[ScriptedChat] = ()
    painters: Sequence[ScriptedImages] = ()
    limits: Limits = field(default_factory=Limits)
    conversation: Conversation = DEFAULT
    route: Mapping[str, Any] = field(default_factory=dict)
    image_keys: Sequence[Key] = (key(),)

    def __post_init__(self) -> None:
        self.assistant = Assistant(
            self.database,
            ChatRouter([chat_route(chat, key(f"{chat.name}-key"), **self.route) for chat in self.chats]),
            ImageRouter([image_route(painter, *self.image_keys) for painter in self.painters]),
            self.conversation,
            self.limits,
        )

    async def ask(
        self, number: int = 1, prompt: str = "a question", *, private: bool = False, **place: Any
    ) -> list[Event]:
        """Ask as interaction `number`, and give everything that is answered."""
        return await self.put(Question(origin(number, **place), prompt, private))

    async def again(
        self, number: int, turn_id: int, *, may_manage: bool = False, **place: Any
    ) -> list[Event]:
        """Have a turn answered anew, as interaction `number`."""
        return await self.put(Again(origin(number, **place), turn_id, may_manage=may_manage))

    async def more(self, number: int, turn_id: int, *, may_manage: bool = False, **place: Any) -> list[Event]:
        """Have an answer gone on with, as interaction `number`."""
        return await self.put(More(origin(number, **place), turn_id, may_manage=may_manage))

    async def put(self, question: Question | AboutTurn, stop: StopSignal | None = None) -> list[Event]:
        """Ask this, and give everything that is answered."""
        async with aclosing(self.assistant.ask(question, stop)) as events:
            return [event async for event in events]

    async def imagine(self, number: int = 1, seed: int | None = None, count: int = 1, **place: Any) -> Any:
        """Order as interaction `number`, and give the end: Pictures, a Refusal, or None."""
        order = PictureOrder(origin(number, **place), "a picture", seed=seed, count=count)
        events = await self.draw(order)
        return events[-1] if events else None

    async def draw(self, order: PictureOrder, stop: StopSignal | None = None) -> list[PictureEvent]:
        """Order this, and give everything that comes of it."""
        async with aclosing(self.assistant.imagine(order, stop)) as events:
            return [event async for event in events]

    async def server_usage(self, guild_id: int = 10) -> Report:
        """What a server used today, by member."""
        view, reports = View(guild_id), self.assistant.reports
        return await reports.report(view, await reports.days(view, "today"), "member")

    async def attempts(self, number: int | None = None) -> list[Row[Any]]:
        """The ledger's rows, in order; or those of one interaction."""
        statement = select(attempts).order_by(attempts.c.id)
        if number is not None:
            statement = statement.where(attempts.c.interaction_id == number)
        async with self.database.transaction() as connection:
            return list((await connection.execute(statement)).all())

    async def outcomes(self) -> dict[int, str]:
        """How each request ended, by interaction; "open" for one that has not."""
        async with self.database.transaction() as connection:
            rows = await connection.execute(select(requests).order_by(requests.c.id))
            return {row.interaction_id: "open" if row.open else row.outcome for row in rows}

    async def kept(self, channel_id: int = 20, private_to: int = 0) -> list[Turn]:
        """The turns of a conversation."""
        key = ConversationKey(channel_id, private_to)
        return await self.database.run(lambda connection: read_turns(connection, key))

    async def turns(self, channel_id: int = 20, private_to: int = 0) -> list[tuple[str, str]]:
        """The questions of a conversation, each with its answer."""
        return [(turn.question, turn.answer) for turn in await self.kept(channel_id, private_to)]

    async def discrepancies(self) -> list[str]:
        return await self.database.run(find_discrepancies)

    async def execute(self, statement: str) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(text(statement))

    def heard(self, call: int = -1) -> list[Message]:
        """What the first provider was given, less the system prompt."""
        system, *messages = self.chats[0].calls[call][0].messages
        assert system == SYSTEM
        return messages


def origin(
    number: int,
    guild_id: int = 10,
    channel_id: int = 20,
    user_id: int = 30,
    role_ids: tuple[int, ...] = (),
    parent_channel_id: int | None = None,
) -> Origin:
    return Origin(number, guild_id, channel_id, user_id, role_ids, parent_channel_id)
