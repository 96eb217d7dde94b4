"""The smallest bot that delivers an answer as the real one does, over the fake Discord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import discord

from cogs.buttons import stop_view
from cogs.delivery import Delivery, LiveReply
from cogs.discord_calls import DiscordCalls
from cogs.surfaces import ResponseSurface
from tests.fake_discord import FakeDiscord, FakeInteraction, FakeMessage, SentRequest
from tests.parrot import Interaction, connected

Step = Any  # text, or seconds to wait

EDIT = "/webhooks/*/messages/*"
FOLLOW_UP = "/webhooks/*"


@dataclass
class Courier:
    """What `/ask` does here: it shows the pieces of its script, waits where one is a number, and finishes."""

    fake: FakeDiscord
    calls: DiscordCalls
    script: Sequence[Step] = ()
    heading: str = ""
    note: str = ""
    footer: str = ""
    private: bool = False
    expires_in: float | None = None
    gone: bool = False
    delivered: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)

    async def answer(self, interaction: Interaction, prompt: str) -> None:
        surface = ResponseSurface(interaction, private=self.private)
        if self.expires_in is not None:
            surface.expires_at = asyncio.get_running_loop().time() + self.expires_in
        await interaction.response.defer(thinking=True, ephemeral=self.private)
        text = ""
        view = stop_view(interaction.id)
        async with LiveReply(surface, self.heading, view=view, waiting="-# Waiting.") as reply:
            for step in self.script:
                if isinstance(step, str):
                    text += step
                    reply.show(text)
                else:
                    await asyncio.sleep(step)
            delivery = await reply.finish_text(text, note=self.note, footer=self.footer)
        self.gone = reply.gone
        self.delivered.put_nowait(delivery)

    async def deliver(self, *script: Step, seconds: float = 10) -> tuple[FakeInteraction, Delivery]:
        """Have a script answered; the interaction, and what the bot believes of it."""
        self.script = script
        interaction = await self.fake.slash("ask", {"prompt": "hi"})
        async with asyncio.timeout(seconds):
            return interaction, await self.delivered.get()

    def edits(self) -> list[SentRequest]:
        return [request for request in self.fake.requests if request.method == "PATCH"]

    def calls_about_messages(self) -> list[SentRequest]:
        """Every request about messages but the deferral."""
        return [request for request in self.fake.requests if request.path.startswith("/webhooks/")]


@asynccontextmanager
async def courier(**times: float) -> AsyncIterator[Courier]:
    """The bot, connected to a fake Discord. It is more hasty than the real one, so that tests are short."""
    calls = DiscordCalls(
        call_seconds=times.get("call", 0.6),
        pace_seconds=times.get("pace", 0.15),
        retry_seconds=(0.0, 0.1, 0.2, 0.3),
    )
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(calls.before_request)
    trace.on_request_end.append(calls.after_reply)
    async with FakeDiscord() as fake:
        made = Courier(fake, calls)
        options = {"http_trace": trace, "allowed_mentions": discord.AllowedMentions.none()}
        async with connected(fake, made.answer, **options) as bot:
            bot.calls = calls  # type: ignore[attr-defined]  # where surfaces look for it
            yield made


def messages(interaction: FakeInteraction) -> list[FakeMessage]:
    """The original response and what followed, in order."""
    assert interaction.original is not None
    return [interaction.original, *interaction.followups]


def contents(interaction: FakeInteraction) -> list[str]:
    return [message.content for message in messages(interaction)]
