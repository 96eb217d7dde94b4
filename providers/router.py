"""The chain: providers in order, each with its keys in turn. To its callers it is one provider."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from providers.base import (
    NO_KEY,
    ChatProvider,
    ChatRequest,
    Completion,
    Delta,
    ImageProvider,
    ImageRequest,
    Key,
    Picture,
    ProviderError,
    Unavailable,
    Usage,
    estimate_prompt,
    estimate_tokens,
)

log = logging.getLogger(__name__)

P = TypeVar("P", ChatProvider, ImageProvider)

# What stands with the key or its account: another key may do better. Legacy hosts hold six of them.
NEXT_KEY = frozenset({"auth", "not_entitled", "exhausted", "rate"})
# What stands with the request: nobody else is asked.
STOP = frozenset({"content", "too_long"})


@dataclass(frozen=True, slots=True)
class Target:
    """What one attempt is made on: provider, model and key."""

    provider: str
    model: str
    key: Key


class Ledger(Protocol):
    """Where the router books its attempts; the caller ends the one that answered, with its own rows."""

    async def begin(self, target: Target, reserved: Usage) -> None:
        """Commit an open attempt before its request leaves; `reserved` is the most it may use."""
        ...

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        """End the open attempt. `usage` is an estimate of what it may have cost; None: nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Route(Generic[P]):
    """One provider of a chain, with its keys and its times in seconds."""

    provider: P
    label: str
    keys: Sequence[Key] = (NO_KEY,)
    first_text_seconds: float = 60
    idle_seconds: float = 30
    total_seconds: float = 600
    max_tokens: int = 1024


class NothingConfigured(ProviderError):
    """The chain is empty: no provider that this bot could ask has a key."""

    sentence = "No model is set up for this yet. The bot's host has to set a key."


class NoneAnswered(ProviderError):
    """Every provider of the chain has failed; `causes` are their errors in order."""

    sentence = "None of the bot's models could answer just now. Please try again in a few minutes."

    def __init__(self, causes: Sequence[ProviderError]) -> None:
        detail = "; ".join(f"{cause.kind}: {cause.detail}" for cause in causes)
        kinds = {cause.kind for cause in causes}
        # One common reason is worth saying, where it is no secret between the bot and its host.
        shared = causes[0].sentence if kinds in ({"exhausted"}, {"rate"}) else ""
        super().__init__(detail, sentence=shared)
        self.causes = tuple(causes)


class Router(Generic[P]):
    """Walks the chain until one target answers."""

    def __init__(self, routes: Sequence[Route[P]]) -> None:
        self.routes: tuple[Route[P], ...] = tuple(routes)

    @property
    def label(self) -> str:
        """The provider and model that are asked first, for people."""
        return self.routes[0].label if self.routes else "nothing"

    def _targets(self, causes: list[ProviderError]) -> Iterator[tuple[Route[P], Target]]:
        """Yield targets in order; what was appended to `causes` since decides where to go on."""
        for route in self.routes:
            for key in route.keys:
                yield route, Target(route.provider.name, route.provider.model, key)
                error = causes[-1]
                log.warning(
                    "%s %s failed: %s: %s",
                    route.provider.name,
                    key.variable or "without key",
                    error.kind,
                    error.detail,
                )
                if error.kind in STOP:
                    raise error
                if error.kind not in NEXT_KEY:
                    break
        raise NoneAnswered(causes) if causes else NothingConfigured()


class ChatRouter(Router[ChatProvider]):
    """Continues conversations on the first target of the chain that can."""

    @property
    def max_tokens(self) -> int:
        """The most tokens that any answer may have."""
        return max((route.max_tokens for route in self.routes), default=0)

    async def stream(self, request: ChatRequest, ledger: Ledger) -> AsyncGenerator[Delta | Completion]:
        """Yield the answer's pieces, then one Completion; the open attempt is then the caller's to end.

        Once text has come no other target is asked: an answer that breaks off ends with a Completion whose
        `finish_reason` is "interrupted". Raises ProviderError when nobody answered.
        """
        causes: list[ProviderError] = []
        prompt_tokens = estimate_prompt(request.messages)
        for route, target in self._targets(causes):
            reserved = Usage(prompt_tokens, request.max_tokens or route.max_tokens, estimated=True)
            await ledger.begin(target, reserved)
            parts: list[str] = []
            try:
                async with aclosing(in_time(route, request, target.key)) as events:
                    async for event in events:
                        if isinstance(event, Delta):
                            parts.append(event.text)
                        yield event
                return
            except ProviderError as error:
                text = "".join(parts)
                spent = Usage(prompt_tokens, estimate_tokens(text), estimated=True)
                if parts:
                    log.warning("%s broke off in the middle of an answer: %s", target.provider, error.detail)
                    yield Completion(text, spent, "interrupted", target.model)
                    return
                await ledger.fail(error, spent if error.maybe_billed else None)
                causes.append(error)


class ImageRouter(Router[ImageProvider]):
    """Makes pictures on the first target of the chain that can."""

    async def generate(self, request: ImageRequest, ledger: Ledger) -> Picture:
        """Make one picture; the open attempt is then the caller's to end. Raises ProviderError."""
        causes: list[ProviderError] = []
        one_picture = Usage(pictures=1, estimated=True)
        for route, target in self._targets(causes):
            await ledger.begin(target, one_picture)
            try:
                async with asyncio.timeout(route.total_seconds):
                    return await route.provider.generate(request, target.key)
            except Exception as reason:
                error = as_provider_error(reason)
                await ledger.fail(error, one_picture if error.maybe_billed else None)
                causes.append(error)
        raise AssertionError("the chain ends by raising")


async def in_time(
    route: Route[ChatProvider], request: ChatRequest, key: Key
) -> AsyncGenerator[Delta | Completion]:
    """The provider's answer, held to the route's deadlines; whatever goes wrong is a ProviderError."""
    clock = asyncio.get_running_loop().time
    ends_at = clock() + route.total_seconds
    patience = route.first_text_seconds
    try:
        async with aclosing(route.provider.stream(request, key)) as events:
            while True:
                async with asyncio.timeout(min(patience, ends_at - clock())):
                    event = await anext(events, None)
                if event is None:
                    return
                yield event
                patience = route.idle_seconds
    except Exception as reason:
        raise as_provider_error(reason) from None


def as_provider_error(reason: Exception) -> ProviderError:
    """A deadline, or a fault in our own reading, as the ProviderError that it means for the chain."""
    if isinstance(reason, ProviderError):
        return reason
    if isinstance(reason, TimeoutError):
        return Unavailable("no answer in time", maybe_billed=True)
    log.error("a provider failed in a way it should not", exc_info=reason)
    return Unavailable(f"unexpected {type(reason).__name__}", maybe_billed=True)
