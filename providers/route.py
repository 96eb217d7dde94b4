"""What a chain is made of: routes to providers, the ledger of attempts, and what all questions know."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Generic, NamedTuple, Protocol, TypeVar

from providers.base import NO_KEY, ChatProvider, ImageProvider, Key, ProviderError, Usage
from providers.breaker import Breaker, BreakerTimes
from providers.estimates import Estimates
from providers.healths import HealthStore
from providers.limits import PictureLimits, nearest_size
from providers.notices import Notices
from providers.pool import KeyPool, Ring
from providers.prices import Price

P = TypeVar("P", ChatProvider, ImageProvider)


@dataclass(frozen=True, slots=True)
class Target:
    """What one attempt is made on: provider, model and key.

    `price` None: it is not known. `fallback`: others of the chain come before it.
    """

    provider: str
    model: str
    key: Key
    price: Price | None = None
    fallback: bool = False

    @property
    def full_name(self) -> str:
        """The model with its provider, as people name it: `provider/model`."""
        return f"{self.provider}/{self.model}"


class Ending(NamedTuple):
    """From which day on a model is no longer offered, and the one to ask in its place."""

    day: date
    successor: str


class NotAffordable(ProviderError):
    """The ledger does not take an attempt on this target; another one may be asked."""

    kind = "not_affordable"


class Ledger(Protocol):
    """Where the router books its attempts; the caller ends the one that answered, with its own rows."""

    async def begin(self, target: Target, reserved: Usage) -> None:
        """Commit an open attempt before its request leaves; `reserved` is the most it may use.

        Raises NotAffordable.
        """
        ...

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        """End the open attempt. `usage` is an estimate of what it may have cost; None: nothing."""
        ...


@dataclass(frozen=True)
class Route(Generic[P]):
    """One provider of a chain: its keys, its times in seconds, what it allows each account, what it can."""

    provider: P
    label: str
    keys: Sequence[Key] = (NO_KEY,)
    first_text_seconds: float = 60
    idle_seconds: float = 30
    total_seconds: float = 600
    max_tokens: int = 1024
    max_concurrency: int | None = None
    requests_per_minute: int | None = None
    price: Price | None = None
    sees: bool = False  # whether its model takes pictures
    queue: bool = False  # whether who finds it busy with others of ours waits rather than goes elsewhere
    context_tokens: int | None = None  # prompt and answer together; None: not known
    picture_limits: PictureLimits | None = None  # what its picture model can do; None: not known

    @cached_property
    def name(self) -> str:
        """The provider's name."""
        return self.provider.name

    @cached_property
    def full_name(self) -> str:
        """The model with its provider, as people name it: `provider/model`."""
        return f"{self.name}/{self.provider.model}"

    @cached_property
    def ring(self) -> Ring:
        """The keys as the pool knows them."""
        return Ring(self.name, self.provider.model, self.keys, self.max_concurrency, self.requests_per_minute)

    def one_picture(self, width: int, height: int) -> Usage:
        """The most that a picture uses which is ordered in this size: its model may make a larger one."""
        if self.picture_limits is not None:
            width, height = nearest_size(self.picture_limits, width, height)
        return Usage(pictures=1, estimated=True, pixels=width * height)

    def target(self, key: Key, *, fallback: bool = False) -> Target:
        """What an attempt with `key` is made on."""
        return Target(self.name, self.provider.model, key, self.price, fallback)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one question may spend: requests to vendors, and seconds of waiting for a key to be free."""

    requests: int = 8
    patience_seconds: float = 20.0


class State:
    """What all questions know of the providers: the key pool, a breaker each, and what the host was told.

    And how their models count tokens. What is kept through a restart is timed by `clock`, all else by
    `steady`, which nobody sets back; a clock that is given alone does for both.
    """

    def __init__(
        self,
        store: HealthStore | None = None,
        clock: Callable[[], float] | None = None,
        breaker_times: BreakerTimes | None = None,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.clock = clock or time.time
        self._steady = steady or clock or time.monotonic
        self.pool = KeyPool(store, self.clock, self._steady)
        self.notices = Notices()
        self.estimates = Estimates()
        self._breaker_times = breaker_times or BreakerTimes()
        self._breakers: dict[str, Breaker] = {}

    def wait_seconds(self, route: Route[P]) -> float:
        """How long until one of its keys may be asked, as far as anybody knows; 0: now."""
        return max(self.breaker(route.name).wait_seconds(), self.pool.wait_seconds(route.ring))

    def is_only_busy(self, route: Route[P]) -> bool:
        """Whether only other requests of ours keep it from being asked."""
        rest = max(self.breaker(route.name).wait_seconds(), self.pool.rest_seconds(route.ring))
        return rest <= 0 < self.pool.wait_seconds(route.ring)

    def breaker(self, provider: str) -> Breaker:
        """The breaker of a provider."""
        if provider not in self._breakers:
            self._breakers[provider] = Breaker(self._breaker_times, self._steady)
        return self._breakers[provider]
