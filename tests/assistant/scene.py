"""A scene for the tests: an assistant on a real database, with scripted providers, and what it left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select, text

from assistant import Assistant, Conversation, Limits
from assistant.values import Answer, Delta, Origin, Picture, PictureOrder, Question, Refusal, UsageReport
from db.engine import Database
from db.history import Turn, read_turns
from db.ledger import attempts, requests
from db.verify import find_discrepancies
from providers.base import ChatEvent, ChatRequest, ImageRequest, Key, Message
from providers.router import ChatRouter, ImageRouter
from tests.fakes import ScriptedChat, ScriptedImages, Step, chat_route, image_route, key

SYSTEM = Message("system", "Be brief.")


class GatedChat(ScriptedChat):
    """A scripted provider that says nothing before its gate is open."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        super().__init__(*scripts)
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[ChatEvent]:
        events = super().stream(request, key)
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
    history_tokens: int = 3000
    route: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.assistant = Assistant(
            self.database,
            ChatRouter([chat_route(chat, key(f"{chat.name}-key"), **self.route) for chat in self.chats]),
            ImageRouter([image_route(painter, key()) for painter in self.painters]),
            Conversation(SYSTEM.content, self.history_tokens),
            self.limits,
        )

    async def ask(
        self, number: int = 1, prompt: str = "a question", *, private: bool = False, **place: int
    ) -> list[Delta | Answer | Refusal]:
        """Ask as interaction `number`, and give everything that is answered."""
        question = Question(origin(number, **place), prompt, private)
        async with aclosing(self.assistant.ask(question)) as events:
            return [event async for event in events]

    async def imagine(self, number: int = 1, seed: int | None = None, **place: int) -> Any:
        return await self.assistant.imagine(PictureOrder(origin(number, **place), "a picture", seed=seed))

    async def server_usage(self, guild_id: int = 10) -> UsageReport:
        return await self.assistant.server_usage(guild_id, "today")

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

    async def turns(self, channel_id: int = 20) -> list[Turn]:
        return await self.database.run(lambda connection: read_turns(connection, channel_id))

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


def origin(number: int, guild_id: int = 10, channel_id: int = 20, user_id: int = 30) -> Origin:
    return Origin(number, guild_id, channel_id, user_id)
