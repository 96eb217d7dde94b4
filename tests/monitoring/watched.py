"""A living bot and the server that watches it, asked over a real socket."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bot import Colloquy
from monitoring.server import Watch
from tests.fake_discord import FakeDiscord
from tests.living_bot import living_bot


class Clock:
    """The time, and what a test adds to it."""

    def __init__(self) -> None:
        self.added = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.added


class Watcher:
    """Whoever asks how the bot is."""

    def __init__(self, watch: Watch, clock: Clock) -> None:
        self.watch = watch
        self.clock = clock
        self.url = f"http://127.0.0.1:{watch.port}"

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and text."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path, headers=headers) as reply:
            return reply.status, await reply.text()

    async def ready(self) -> tuple[int, Any]:
        """Status of /readyz, and the problems that it names."""
        status, text = await self.get("/readyz")
        body = json.loads(text)
        assert body["ready"] is (status == 200)
        return status, body["problems"]


@asynccontextmanager
async def open_watcher() -> AsyncIterator[Watcher]:
    """Nothing to watch yet."""
    clock = Clock()
    watch = Watch(clock)
    await watch.open("127.0.0.1", 0)
    try:
        yield Watcher(watch, clock)
    finally:
        await watch.close()


@asynccontextmanager
async def watched_bot(
    fake: FakeDiscord, database_url: str, vendor_url: str, **settings: Any
) -> AsyncIterator[tuple[Colloquy, Watcher]]:
    """A bot that is connected, and watched."""
    async with open_watcher() as watcher, living_bot(fake, database_url, vendor_url, **settings) as bot:
        watcher.watch.bot = bot
        await bot.wait_until_ready()
        yield bot, watcher


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def read_metrics(watcher: Watcher) -> Samples:
    """Everything that /metrics shows: the value by name and labels."""
    status, text = await watcher.get("/metrics")
    assert status == 200
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    samples = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}
    assert len(samples) == len(found)  # none stands twice
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    """One of them."""
    return samples[f"colloquy_{name}", frozenset(labels.items())]
