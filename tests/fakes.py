"""Fakes of our own interfaces: providers that answer from a script and record what they were asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from PIL import Image
from pydantic import SecretStr

from providers.base import (
    NO_KEY,
    ChatEvent,
    ChatProvider,
    ChatRequest,
    Completion,
    Delta,
    ImageProvider,
    ImageRequest,
    Key,
    Picture,
    ProviderError,
    Rest,
    Thought,
    Usage,
)
from providers.pixels import encode_png
from providers.prices import FREE, Price
from providers.route import Route, Target

Step = str | float | BaseException | Completion | Rest | Thought | Usage


def key(name: str = "SOME_KEY", value: str = "secret-of-some-key") -> Key:
    return Key(name, SecretStr(value))


def answer(*pieces: str, prompt_tokens: int = 10, completion_tokens: int = 5) -> list[Step]:
    """A script: these pieces, then a completion with the vendor's figures."""
    usage = Usage(prompt_tokens, completion_tokens)
    return [*pieces, Completion("".join(pieces), usage, "stop", "scripted-model")]


class ScriptedChat:
    """A chat provider. Each question takes the next script: text or events, seconds to wait, errors."""

    def __init__(
        self, *scripts: Sequence[Step], name: str = "scripted", model: str = "scripted-model"
    ) -> None:
        self.name = name
        self.model = model
        self.scripts = deque(scripts)
        self.calls: list[tuple[ChatRequest, Key]] = []
        self.closed = 0

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[ChatEvent]:
        self.calls.append((request, key))
        script = self.scripts.popleft() if self.scripts else answer("an answer")
        try:
            for step in script:
                if isinstance(step, str):
                    yield Delta(step)
                elif isinstance(step, (Completion, Rest, Thought, Usage)):
                    yield step
                elif isinstance(step, BaseException):
                    raise step
                else:
                    await asyncio.sleep(step)
        finally:
            self.closed += 1


class ScriptedImages:
    """An image provider. Each order takes the next outcome: a picture's seconds to draw, or an error."""

    def __init__(
        self,
        *outcomes: float | ProviderError,
        name: str = "scripted-images",
        model: str = "scripted-image-model",
    ) -> None:
        self.name = name
        self.model = model
        self.outcomes = deque(outcomes)
        self.calls: list[tuple[ImageRequest, Key]] = []

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        self.calls.append((request, key))
        outcome = self.outcomes.popleft() if self.outcomes else 0.0
        if isinstance(outcome, ProviderError):
            raise outcome
        await asyncio.sleep(outcome)
        return Picture(small_png(), 8, 8, self.model, request.seed, request.steps)


def small_picture(width: int = 8, height: int = 8) -> Image.Image:
    """Teal, with a white pixel: one of a single colour would be taken for one that a filter has blanked."""
    picture = Image.new("RGB", (width, height), "teal")
    picture.putpixel((0, 0), (255, 255, 255))
    return picture


def small_png(width: int = 8, height: int = 8) -> bytes:
    return encode_png(small_picture(width, height))


def chat_route(
    provider: ChatProvider, *keys: Key, price: Price | None = FREE, **fields: Any
) -> Route[ChatProvider]:
    return Route(provider, provider.name, keys or (NO_KEY,), price=price, **fields)


def image_route(
    provider: ImageProvider, *keys: Key, price: Price | None = FREE, **fields: Any
) -> Route[ImageProvider]:
    return Route(provider, provider.name, keys or (NO_KEY,), price=price, **fields)


class RecordedLedger:
    """A ledger in memory: a list of targets begun, and one of failures."""

    def __init__(self) -> None:
        self.begun: list[tuple[Target, Usage]] = []
        self.failed: list[tuple[ProviderError, Usage | None]] = []

    async def begin(self, target: Target, reserved: Usage) -> None:
        self.begun.append((target, reserved))

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        self.failed.append((error, usage))
