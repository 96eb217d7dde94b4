"""The real bot over the fake Discord, with an assistant that answers from a script."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import discord

from assistant.stopping import StopSignal
from assistant.values import (
    AboutTurn,
    Answer,
    Begun,
    Delta,
    Forgotten,
    LastAnswer,
    ModelChoice,
    Question,
    Refusal,
    Waiting,
)
from bot import Colloquy
from providers.base import Usage
from settings import Settings
from tests.fake_discord import FakeDiscord, FakeInteraction, FakeMessage, FakeUser, point_discord_py_at

ANOTHER = FakeUser(200_000_000_000_000_002, "grace", "Grace")
MANAGER = discord.Permissions(view_channel=True, manage_messages=True).value

Event = Begun | Waiting | Delta | Answer | Refusal
Step = Any  # an event, text, seconds to wait, or an error


def ended(text: str, finish_reason: Any = "stop", **fields: Any) -> Answer:
    given: dict[str, Any] = {"usage": Usage(1234, 567), "model": "model", "turn_id": 9}
    return Answer(text, finish_reason, **given | fields)


class NotedDeliveries:
    """What was noted, in order."""

    def __init__(self) -> None:
        self.noted: list[tuple[int, str]] = []

    def note(self, interaction_id: int, delivered: str) -> None:
        self.noted.append((interaction_id, delivered))


class NoWeeklyReports:
    """Nobody has asked for one."""

    async def due(self) -> tuple[list[Any], float]:
        return [], math.inf


class ScriptedAssistant:
    """Each question takes the next script: text, events, seconds to wait (which a stop ends), errors."""

    def __init__(self, *scripts: list[Step]) -> None:
        self.scripts = list(scripts)
        self.asked: list[Question | AboutTurn] = []
        self.choices: list[ModelChoice] = []
        self.last: LastAnswer | None = None
        self.forgotten = Forgotten(0, 0)
        self.deliveries = NotedDeliveries()
        self.budget_listeners: list[Any] = []
        self.weekly = NoWeeklyReports()
        self.left = 0  # how many of its listeners have left early

    async def ask(
        self, question: Question | AboutTurn, stop: StopSignal | None = None
    ) -> AsyncGenerator[Event]:
        self.asked.append(question)
        text = ""
        try:
            for step in self.scripts.pop(0):
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, str):
                    text += step
                    yield Delta(step)
                elif not isinstance(step, float):
                    yield step
                elif await self._stopped(step, stop):
                    yield ended(text, "stopped", usage=Usage(7, 3, estimated=True))
                    return
        except GeneratorExit:
            self.left += 1
            raise

    async def _stopped(self, seconds: float, stop: StopSignal | None) -> bool:
        for _ in range(max(round(seconds / 0.02), 1)):
            await asyncio.sleep(0.02)
            if stop is not None and stop.requested:
                return True
        return False

    def models(self) -> list[ModelChoice]:
        return self.choices

    async def last_answer(self, channel_id: int, user_id: int) -> LastAnswer | None:
        return self.last

    async def forget_member(self, user_id: int) -> Forgotten:
        return self.forgotten


@asynccontextmanager
async def scripted_bot(
    fake: FakeDiscord, assistant: ScriptedAssistant, **chat: Any
) -> AsyncIterator[Colloquy]:
    """The bot, connected. Its calls are more hasty than usual, so that tests are short."""
    settings = Settings(discord_token=fake.token, chat=chat)
    with point_discord_py_at(fake.url):
        # The assistant's interface is the same; settings are not read anew.
        async with Colloquy(assistant, settings, None) as bot:  # type: ignore[arg-type]
            bot.calls.pace_seconds = 0.1
            bot.calls.retry_seconds = (0.0, 0.1, 0.1)
            running = asyncio.create_task(bot.start(fake.token))
            try:
                await fake.ready()
                yield bot
            finally:
                if bot.tree.running:
                    await asyncio.wait(set(bot.tree.running), timeout=5)
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running


async def ask(fake: FakeDiscord, bot: Colloquy, prompt: str = "hi", **options: Any) -> FakeInteraction:
    """Ask, and wait for the end of the answer."""
    interaction = await fake.slash("ask", {"prompt": prompt, **options})
    await done(bot, interaction)
    return interaction


async def done(bot: Colloquy, interaction: FakeInteraction) -> None:
    await interaction.until(lambda it: it.acknowledged_at is not None)
    if bot.tree.running:
        await asyncio.wait(set(bot.tree.running), timeout=10)


def buttons(message: FakeMessage | None) -> dict[str, str]:
    """The buttons below a message: custom ids by label."""
    assert message is not None
    rows = message.latest.components
    return {button["label"]: button["custom_id"] for row in rows for button in row["components"]}


def content(interaction: FakeInteraction) -> str:
    """What the original response shows."""
    return interaction.original.content if interaction.original is not None else ""
