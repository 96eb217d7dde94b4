"""One question's way through the chain: whom it may ask next, for how long, and when it gives up.

error                          and then
auth, not_entitled,            the next key; the pool remembers (see `providers.pool`)
  exhausted, rate
retired                        the next provider
transient, connection broken   the same key once more, then the next key, then the next provider
transient, with a time to wait the next provider; with none behind, once more when that time is over
transient, otherwise           the next provider; with none behind, once more after half a second
bad_request                    the next provider, once
too_long                       once more with a shorter history, then a provider with a larger context
content                        the end: nobody else is asked

Nobody waits while another provider is ready, unless the one before it is to be queued for. For what rests a
question waits as long as the budget's patience. Where only other requests of ours are in the way it
queues, and its time to be answered begins after that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Generic

from providers.base import ConnectionBroken, Key, ProviderError, Unavailable, Usage
from providers.healths import NEVER, Status
from providers.news import NONE, News
from providers.pool import Lease
from providers.route import Budget, Ledger, NotAffordable, P, Route, State, Target

log = logging.getLogger(__name__)

NEXT_KEY = frozenset({"auth", "not_entitled", "exhausted", "rate"})
# Nobody is asked with less time than this: the answer would be cut off, and perhaps paid for.
LEAST_SECONDS = 1.0
# A provider that had less than this of its own time when it was cut off is not to be blamed for it.
FAIR_SHARE = 0.45


class NothingConfigured(ProviderError):
    """The chain is empty: no provider that this bot could ask has a key."""

    sentence = "No model is set up for this yet. The bot's host has to set a key."


class NotSent(ProviderError):
    """An attempt that was booked and not sent: its target had come to rest meanwhile, or time was up."""

    kind = "not_sent"


class NoAnswerInTime(Unavailable):
    """The walk's deadline cut off what had not yet begun to answer."""


class NoneAnswered(ProviderError):
    """Nobody on the chain has answered, or may be asked now; `causes` are the errors of those asked."""

    sentence = NONE

    def __init__(self, causes: Sequence[ProviderError], sentence: str) -> None:
        detail = "; ".join(f"{cause.kind}: {cause.detail}" for cause in causes) or "nobody may be asked now"
        super().__init__(detail, sentence=sentence)
        self.causes = tuple(causes)


class Walk(Generic[P]):
    """Hands out targets for one question until one answers, or until `seconds` have passed without text.

    What it spends in queues does not count to them, until `longest` have passed in all.
    """

    def __init__(
        self,
        routes: Sequence[Route[P]],
        state: State,
        budget: Budget,
        purpose: str,
        seconds: float,
        longest: float,
    ) -> None:
        self._routes: Sequence[Route[P]] = routes
        self._state = state
        self._budget = budget
        self._news: News[P] = News(routes, state, purpose)
        now = asyncio.get_running_loop().time()
        self._ends_at = now + seconds
        self._never_after = now + max(seconds, longest)
        self._least = min(LEAST_SECONDS, seconds / 10)
        self._queue_left = max(0.0, longest - seconds / 2)  # whoever gets a turn has half of its time
        self._rested = 0.0
        self._causes: list[ProviderError] = []
        self._left_out: NotAffordable | None = None
        self._asked: list[str] = []  # the providers, a name for each request
        self._closed: set[str] = set()
        self._blamed: set[str] = set()  # for whose failure the breaker knows of this question
        self._broken: defaultdict[str, int] = defaultdict(int)
        self._again: tuple[Route[P], Key] | None = None
        self._trial = False  # whether the request that is out tries a provider whose breaker is open
        self._hurried = False  # whether it has much less time than its provider should have

    @asynccontextmanager
    async def next_target(self) -> AsyncIterator[tuple[Route[P], Lease]]:
        """The next provider and key to ask, for as long as the block lasts. Raises when there is none."""
        route, lease = await self._next()
        self._asked.append(route.name)
        breaker = self._state.breaker(route.name)
        trial = self._trial = breaker.begin()
        try:
            yield route, lease
        finally:
            lease.release()
            breaker.end(trial)
            await self._state.pool.save()

    async def book(self, ledger: Ledger, route: Route[P], lease: Lease, reserved: Usage) -> bool:
        """Book the attempt; False when the ledger does not take it, or it has become of no use meanwhile.

        Nothing is sent then.
        """
        try:
            await ledger.begin(self.target(route, lease), reserved)
        except NotAffordable as refusal:
            lease.withdraw()
            self.leave_out(route, refusal)
            return False
        except BaseException:  # also when it is cancelled: nothing has left
            lease.withdraw()
            raise
        resting = self._state.pool.worst(route.ring, lease.key).status is not Status.READY
        resting = resting or (self._state.breaker(route.name).is_open and not self._trial)
        if resting or self._left() < self._least:
            self._asked.pop()
            lease.withdraw()
            await ledger.fail(NotSent(), None)
            return False
        return True

    def target(self, route: Route[P], lease: Lease) -> Target:
        """What the attempt is made on, for the ledger."""
        return route.target(lease.key, fallback=route is not self._routes[0])

    def leave_out(self, route: Route[P], error: NotAffordable) -> None:
        """The ledger does not take an attempt on this route: it is not asked."""
        self._asked.pop()
        self._closed.add(route.name)
        self._left_out = error

    def limit(self, route: Route[P], own_seconds: float) -> float:
        """How long the first text may take: half of what is left while somebody else could still be asked.

        And no longer than the provider's own time.
        """
        left = self._left() / 2 if self._others(route) else self._left()
        self._hurried = left < own_seconds * FAIR_SHARE
        return min(left, own_seconds)

    def confirm(self, route: Route[P], lease: Lease) -> None:
        """The vendor has begun to answer."""
        lease.confirm()
        self._state.breaker(route.name).succeed()
        self._news.answers(route, lease.key, fallback=self._replaces_the_first(route))

    def _replaces_the_first(self, route: Route[P]) -> bool:
        """Whether this one answers because the first could not, rather than has its hands full."""
        first = self._routes[0]
        return route is not first and (first.name in self._closed or not self._state.is_only_busy(first))

    def broke_off(self, route: Route[P], error: ProviderError) -> None:
        """The vendor broke off after it had begun to answer."""
        log.warning("%s broke off in the middle of an answer: %s", route.name, error.detail)
        self._state.breaker(route.name).fail(self._trial)

    def again(self, route: Route[P], lease: Lease) -> None:
        """Ask the same target once more: it was reached, and only the request was not to its liking."""
        self._state.breaker(route.name).succeed()
        lease.confirm()
        self._again = (route, lease.key)

    async def failed(self, route: Route[P], lease: Lease, error: ProviderError) -> None:
        """What a failure, which the lease has learned, leads to: return when another target may be asked.

        Raises the walk's last error.
        """
        self._causes.append(error)
        log.warning(
            "%s %s: %s: %s", route.name, lease.key.variable or "without key", error.kind, error.detail
        )
        if error.kind == "transient":
            self._blame(route, error)
            await self._after_transient(route, lease.key, error)
            return
        self._news.refuses(route, lease.key, error)
        self._state.breaker(route.name).succeed()
        if error.kind == "content":
            raise error
        if error.kind == "bad_request" and sum(cause.kind == "bad_request" for cause in self._causes) > 1:
            raise error
        if error.kind == "too_long":
            room = route.context_tokens or 0
            self._closed |= {other.name for other in self._routes if (other.context_tokens or 0) <= room}
            if not self._open_routes():
                raise error
        elif error.kind not in NEXT_KEY:
            self._closed.add(route.name)

    def _blame(self, route: Route[P], error: ProviderError) -> None:
        """Let the breaker know of a failure: of one for each question, and of what is the provider's own."""
        breaker = self._state.breaker(route.name)
        hurried = self._hurried and isinstance(error, NoAnswerInTime)
        if not hurried and (self._trial or route.name not in self._blamed):
            self._blamed.add(route.name)
            if breaker.fail(self._trial):
                self._news.fails(route, error)
        if error.retry_after:
            breaker.rest(error.retry_after)

    async def _after_transient(self, route: Route[P], key: Key, error: ProviderError) -> None:
        self._broken[route.name] += 1
        times = self._broken[route.name]
        broke_early = error.never_sent or isinstance(error, ConnectionBroken)
        if broke_early and times == 1:
            self._again = (route, key)
            await self._sleep(random.uniform(0.1, 0.3))
        elif broke_early and times == 2 and len(route.keys) > 1:
            pass  # the key that was used least recently is another one
        elif times == 1 and error.retry_after and not error.maybe_billed:
            pass  # its breaker keeps it from being asked until then
        elif times == 1 and not error.maybe_billed and not self._others(route):
            await self._sleep(random.uniform(0.4, 0.6))
        else:
            self._closed.add(route.name)

    async def _next(self) -> tuple[Route[P], Lease]:
        if not self._routes:
            raise NothingConfigured()
        pool = self._state.pool
        while True:
            if len(self._asked) >= self._budget.requests or self._left() < self._least:
                raise self._give_up()
            again, self._again = self._again, None
            if again and (lease := self._acquire_again(*again)):
                return again[0], lease
            candidates = self._candidates()
            for route in candidates:
                breaker = self._state.breaker(route.name)
                if breaker.wait_seconds() == 0 and (lease := pool.acquire(route.ring)):
                    return route, lease
            await self._wait_for(candidates)

    def _acquire_again(self, route: Route[P], key: Key) -> Lease | None:
        if self._state.breaker(route.name).wait_seconds() > 0 or (self._is_last() and self._others(route)):
            return None
        return self._state.pool.acquire(route.ring, only=key)

    def _is_last(self) -> bool:
        """Whether there is one request left to spend: it is for somebody who has not refused yet, if any."""
        return 0 < len(self._asked) == self._budget.requests - 1

    def _candidates(self) -> list[Route[P]]:
        """Whom to ask, in order: nobody who comes after one that is to be queued for."""
        candidates = []
        for route in self._open_routes():
            candidates.append(route)
            worth_it = route.queue and self._state.wait_seconds(route) <= self._queue_left
            if worth_it and self._state.is_only_busy(route):
                break
        if self._is_last():
            candidates.sort(key=lambda route: route.name in self._asked)
        return candidates

    async def _wait_for(self, candidates: Sequence[Route[P]]) -> None:
        """Wait until one of them may be asked, or something has changed. Raises when that takes too long."""
        queues = any(map(self._state.is_only_busy, candidates))
        wait = min(map(self._state.wait_seconds, candidates), default=NEVER)
        patience = min(self._budget.patience_seconds - self._rested, self._left() - self._least)
        if wait > (self._queue_left if queues else patience):
            raise self._give_up()
        time = asyncio.get_running_loop().time
        started = time()
        await self._state.pool.wait(max(wait, 0.01))
        waited = time() - started
        if queues:
            self._queue_left -= waited
            self._ends_at = min(self._ends_at + waited, self._never_after)
        else:
            self._rested += waited

    def _open_routes(self) -> list[Route[P]]:
        return [route for route in self._routes if route.name not in self._closed]

    def _others(self, route: Route[P]) -> bool:
        """Whether somebody else could be asked right now."""
        return any(
            self._state.wait_seconds(other) == 0 for other in self._open_routes() if other is not route
        )

    def _left(self) -> float:
        return self._ends_at - asyncio.get_running_loop().time()

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, min(seconds, self._left())))

    def _give_up(self) -> ProviderError:
        if self._left_out and not self._causes:
            return self._left_out
        return NoneAnswered(self._causes, self._news.nobody(self._causes))
