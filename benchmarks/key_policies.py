"""Three ways to choose a key, each as a function that answers one question or raises ProviderError.

`legacy`: the loop this project descends from. Each question tries the first vendor's keys from the first to
the last, then the second vendor; it remembers nothing and never waits.

`cooldown`: the rules of LiteLLM's router (1.109), with its defaults, as far as these refusals touch them:

- Each vendor is a group of deployments, one a key; the second group is the fallback of the first.
- A random deployment among those that do not cool down ("simple shuffle"); when all of them do, the group
  fails without a request.
- 429, and what is not worth a retry (401, 402), cool a deployment down at once; 503 does when it had at least
  five requests in this minute and more than half of them failed. It lasts for the Retry-After, else 5 s.
  A group's only deployment never cools down.
- Two retries in each group: at once while some deployment of the group does not cool down; else, for the
  group that has a fallback, not after a 429; 401 only with another deployment left; 402 never. Otherwise it
  sleeps for the Retry-After up to 60 s, else 0.5 s doubled up to 8 s, and up to 0.75 s more.

`colloquy`: this project's own router, pool and breakers, on the virtual clock; nothing is stored or booked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from random import Random

from benchmarks.simulated_day import MINUTE, Question, SimulatedDay, Vendor, now
from providers.base import (
    ChatRequest,
    Completion,
    Delta,
    Key,
    Message,
    ProviderError,
    RateLimited,
    Rest,
    Usage,
)
from providers.route import Route, State, Target
from providers.router import ChatRouter

Policy = Callable[[Question], Awaitable[None]]


def legacy(day: SimulatedDay, _random: Random) -> Policy:
    """The loop without memory."""

    async def answer(question: Question) -> None:
        last: ProviderError | None = None
        for vendor in day.vendors:
            for key in vendor.accounts:
                try:
                    await vendor.ask(question, key)
                    return
                except ProviderError as error:
                    last = error
        assert last is not None
        raise last

    return answer


class CooldownGroup:
    """The deployments of one vendor, and which of them cool down."""

    RETRIES = 2
    COOLDOWN_SECONDS = 5.0
    FEWEST_REQUESTS = 5
    TOO_MANY_FAILS = 0.5

    def __init__(self, vendor: Vendor, has_fallback: bool, random: Random) -> None:
        self._vendor = vendor
        self._has_fallback = has_fallback
        self._random = random
        self._cools_until: dict[Key, float] = {}
        self._served: Counter[tuple[Key, int]] = Counter()  # by minute
        self._failed: Counter[tuple[Key, int]] = Counter()

    def _ready(self) -> list[Key]:
        return [key for key in self._vendor.accounts if self._cools_until.get(key, 0.0) <= now()]

    async def answer(self, question: Question) -> None:
        """Ask, and retry as the rules have it."""
        for attempt in range(self.RETRIES + 1):
            try:
                await self._ask(question)
                return
            except ProviderError as error:
                if attempt == self.RETRIES or not self._worth_a_retry(error):
                    raise
                await asyncio.sleep(self._pause(error, attempt))

    async def _ask(self, question: Question) -> None:
        ready = self._ready()
        if not ready:
            raise RateLimited("all deployments cool down")
        key = self._random.choice(ready)
        try:
            await self._vendor.ask(question, key)
            self._served[key, int(now() // MINUTE)] += 1
        except ProviderError as error:
            self._failed[key, int(now() // MINUTE)] += 1
            if self._cools_down(key, error):
                self._cools_until[key] = now() + (error.retry_after or self.COOLDOWN_SECONDS)
            raise

    def _cools_down(self, key: Key, error: ProviderError) -> bool:
        if len(self._vendor.accounts) == 1:
            return False
        if error.status in (401, 402, 429):
            return True
        minute = key, int(now() // MINUTE)
        requests = self._served[minute] + self._failed[minute]
        return requests >= self.FEWEST_REQUESTS and self._failed[minute] / requests > self.TOO_MANY_FAILS

    def _worth_a_retry(self, error: ProviderError) -> bool:
        if self._ready() and len(self._vendor.accounts) > 1:
            return error.status != 402
        if error.status in (401, 402):
            return False
        return not (self._has_fallback and isinstance(error, RateLimited))

    def _pause(self, error: ProviderError, attempt: int) -> float:
        if self._ready() and len(self._vendor.accounts) > 1:
            return 0.0
        jitter = self._random.uniform(0.0, 0.75)
        if error.retry_after and error.retry_after <= 60.0:
            return error.retry_after + jitter
        return min(0.5 * 2.0**attempt, 8.0) + jitter


def cooldown(day: SimulatedDay, random: Random) -> Policy:
    """LiteLLM's rules."""
    last = day.vendors[-1]
    groups = [CooldownGroup(vendor, vendor is not last, random) for vendor in day.vendors]

    async def answer(question: Question) -> None:
        for group in groups[:-1]:
            try:
                await group.answer(question)
                return
            except ProviderError:
                continue
        await groups[-1].answer(question)

    return answer


class SimulatedChat:
    """A simulated vendor as a ChatProvider; the text of a request is its question's number."""

    model = "model"

    def __init__(self, vendor: Vendor, day: SimulatedDay) -> None:
        self.name = vendor.name
        self._vendor = vendor
        self._questions = day.questions

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[Delta | Completion | Rest]:
        """Answer in two pieces."""
        rest = await self._vendor.ask(self._questions[int(request.messages[-1].content)], key)
        if rest is not None:
            yield Rest(rest)
        yield Delta("An ")
        await asyncio.sleep(self._vendor.random.uniform(1.0, 8.0))
        yield Delta("answer.")
        yield Completion("An answer.", Usage(), "stop", self.model)


class NoLedger:
    """Books nothing."""

    async def begin(self, target: Target, reserved: Usage) -> None:
        """Nothing."""

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        """Nothing."""


def colloquy(day: SimulatedDay, _random: Random) -> Policy:
    """This project's router, as it is."""
    loop = asyncio.get_running_loop()
    router = ChatRouter(
        [Route(SimulatedChat(vendor, day), vendor.name, tuple(vendor.accounts)) for vendor in day.vendors],
        State(clock=loop.time),
    )
    ledger = NoLedger()
    numbers = {id(question): number for number, question in enumerate(day.questions)}

    async def answer(question: Question) -> None:
        request = ChatRequest((Message("user", str(numbers[id(question)])),))
        async with aclosing(router.stream(request, ledger)) as events:
            async for _ in events:
                pass

    return answer


POLICIES: dict[str, Callable[[SimulatedDay, Random], Policy]] = {
    "legacy": legacy,
    "cooldown": cooldown,
    "colloquy": colloquy,
}
