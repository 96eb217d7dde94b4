"""One question's way through the chain: whom it may ask next, for how long, and when it gives up.

error                          and then
auth, not_entitled,            the next key; the pool remembers (see `providers.pool`)
  exhausted, rate
retired                        the next provider
transient, connection broken   the same key once more, then the next key, then the next provider
transient, otherwise           the next provider; with none behind, once more after half a second
bad_request                    the next provider, once
too_long                       once more with a shorter history, then the end
content                        the end: nobody else is asked
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
from providers.pool import KEYLESS_REST, NEVER, Lease, Status
from providers.route import Budget, Ledger, NotAffordable, P, Route, State, Target

log = logging.getLogger(__name__)

NEXT_KEY = frozenset({"auth", "not_entitled", "exhausted", "rate"})
STOP = frozenset({"content", "too_long"})


class NothingConfigured(ProviderError):
    """The chain is empty: no provider that this bot could ask has a key."""

    sentence = "No model is set up for this yet. The bot's host has to set a key."


class NotSent(ProviderError):
    """An attempt whose target came to rest before its request had left: another refusal was faster."""

    kind = "not_sent"


class NoneAnswered(ProviderError):
    """Nobody on the chain has answered, or may be asked now; `causes` are the errors of those asked."""

    sentence = "None of the bot's models could answer just now."

    def __init__(self, causes: Sequence[ProviderError], sentence: str) -> None:
        detail = "; ".join(f"{cause.kind}: {cause.detail}" for cause in causes) or "nobody may be asked now"
        super().__init__(detail, sentence=sentence)
        self.causes = tuple(causes)


class Walk(Generic[P]):
    """Hands out targets for one question until one answers, or until `seconds` have passed without text."""

    def __init__(
        self, routes: Sequence[Route[P]], state: State, budget: Budget, purpose: str, seconds: float
    ) -> None:
        self._routes: Sequence[Route[P]] = routes
        self._state = state
        self._budget = budget
        self._purpose = purpose
        self._ends_at = asyncio.get_running_loop().time() + seconds
        self._causes: list[ProviderError] = []
        self._left_out: NotAffordable | None = None
        self._asked = 0
        self._closed: set[str] = set()
        self._broken: defaultdict[str, int] = defaultdict(int)
        self._again: tuple[Route[P], Key] | None = None
        self._waited = 0.0
        self._trial = False  # whether the request that is out tries a provider whose breaker is open

    @asynccontextmanager
    async def next_target(self) -> AsyncIterator[tuple[Route[P], Lease]]:
        """The next provider and key to ask, for as long as the block lasts. Raises when there is none."""
        route, lease = await self._next()
        self._asked += 1
        breaker = self._state.breaker(route.name)
        trial = self._trial = breaker.begin()
        try:
            yield route, lease
        finally:
            lease.release()
            breaker.end(trial)
            await self._state.pool.save()

    async def book(self, ledger: Ledger, route: Route[P], lease: Lease, reserved: Usage) -> bool:
        """Book the attempt; False when the ledger does not take it, or its target has come to rest meanwhile.

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
        if resting or (self._state.breaker(route.name).is_open and not self._trial):
            self._asked -= 1
            lease.withdraw()
            await ledger.fail(NotSent(), None)
            return False
        return True

    def target(self, route: Route[P], lease: Lease) -> Target:
        """What the attempt is made on, for the ledger."""
        return route.target(lease.key, fallback=route is not self._routes[0])

    def leave_out(self, route: Route[P], error: NotAffordable) -> None:
        """The ledger does not take an attempt on this route: it is not asked."""
        self._asked -= 1
        self._closed.add(route.name)
        self._left_out = error

    def patience(self, route: Route[P]) -> float:
        """How long the first text may take: half of what is left while somebody else could still be asked."""
        left = self._ends_at - asyncio.get_running_loop().time()
        return left / 2 if self._others(route) else left

    def confirm(self, route: Route[P], lease: Lease) -> None:
        """The vendor has begun to answer."""
        lease.confirm()
        notices = self._state.notices
        self._state.breaker(route.name).succeed()
        first = self._routes[0]
        if notices.any_open:
            notices.end(("provider", route.name), f"{route.label} answers again.")
            notices.end(("model", route.name, route.provider.model), f"{route.label} is offered again.")
            key = lease.key
            notices.end(
                ("key", route.name, key.fingerprint), f"{key.variable or route.label} is accepted again."
            )
            account = route.ring.account(key)
            if self._state.pool.health(account).status is Status.READY:  # not so: another was refused
                notices.end(("account", account), f"{key.variable} works again.")
            notices.end(("nobody", self._purpose), f"Somebody can be asked for {self._purpose} again.")
            if route is first:
                notices.end(("fallback", self._purpose), f"{first.label} is asked for {self._purpose} again.")
        if route is not first:
            notices.begin(
                ("fallback", self._purpose),
                f"Fallback in use: {self._purpose} now come from {route.label}, not from {first.label}.",
            )

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
        self._tell(route, lease.key, error)
        breaker = self._state.breaker(route.name)
        if error.kind == "transient":
            if breaker.fail(self._trial):
                reason = error.detail or "no answer"
                self._state.notices.begin(
                    ("provider", route.name), f"{route.label} fails and is left alone for a while: {reason}."
                )
            await self._after_transient(route, lease.key, error)
            return
        breaker.succeed()
        if error.kind in STOP:
            raise error
        if error.kind == "bad_request" and sum(cause.kind == "bad_request" for cause in self._causes) > 1:
            raise error
        if error.kind not in NEXT_KEY:
            self._closed.add(route.name)

    async def _after_transient(self, route: Route[P], key: Key, error: ProviderError) -> None:
        self._broken[route.name] += 1
        times = self._broken[route.name]
        broke_early = error.never_sent or isinstance(error, ConnectionBroken)
        if broke_early and times == 1:
            self._again = (route, key)
            await self._sleep(random.uniform(0.1, 0.3))
        elif broke_early and times == 2 and len(route.keys) > 1:
            pass  # the key that was used least recently is another one
        elif times == 1 and not error.maybe_billed and not self._others(route):
            await self._sleep(random.uniform(0.4, 0.6))
        else:
            self._closed.add(route.name)

    async def _next(self) -> tuple[Route[P], Lease]:
        if not self._routes:
            raise NothingConfigured()
        pool = self._state.pool
        while True:
            if self._asked >= self._budget.requests:
                raise self._give_up()
            again, self._again = self._again, None
            if again and self._state.breaker(again[0].name).wait_seconds() > 0:
                again = None
            if again and (lease := pool.acquire(again[0].ring, only=again[1])):
                return again[0], lease
            for route in self._open_routes():
                breaker = self._state.breaker(route.name)
                if breaker.wait_seconds() == 0 and (lease := pool.acquire(route.ring)):
                    return route, lease
            wait = min((self._wait_for(route) for route in self._open_routes()), default=NEVER)
            loop = asyncio.get_running_loop()
            if self._waited + wait > min(self._budget.patience_seconds, self._ends_at - loop.time()):
                raise self._give_up()
            started = loop.time()
            await pool.wait(max(wait, 0.01))
            self._waited += loop.time() - started

    def _open_routes(self) -> list[Route[P]]:
        return [route for route in self._routes if route.name not in self._closed]

    def _others(self, route: Route[P]) -> bool:
        """Whether somebody else could be asked right now."""
        return any(self._wait_for(other) == 0 for other in self._open_routes() if other is not route)

    def _wait_for(self, route: Route[P]) -> float:
        breaker, pool = self._state.breaker(route.name), self._state.pool
        return max(breaker.wait_seconds(), pool.wait_seconds(route.ring))

    async def _sleep(self, seconds: float) -> None:
        left = self._ends_at - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, min(seconds, left)))

    def _give_up(self) -> ProviderError:
        """The error for the member, and a notice for the host when nobody could be asked at all."""
        if self._left_out and not self._causes:
            return self._left_out
        wait = min(self._wait_for(route) for route in self._routes)
        if self._causes:  # who has just failed is not well a moment later
            wait = max(wait, 60.0)
        reasons = {cause.kind for cause in self._causes} | self._reasons()
        if reasons and reasons <= {"auth", "not_entitled", "retired"}:
            sentence = f"{NoneAnswered.sentence} The bot's host has been told."
        else:
            busy = reasons and reasons <= {"rate", "exhausted", "auth", "not_entitled", "retired"}
            why = "All of the bot's models are busy or used up." if busy else self._broken_replies()
            sentence = f"{why} Please try again {in_words(wait)}."
        if not self._causes:
            self._state.notices.begin(
                ("nobody", self._purpose), f"Nobody can be asked for {self._purpose}; again {in_words(wait)}."
            )
        return NoneAnswered(self._causes, sentence)

    def _broken_replies(self) -> str:
        """What is said of faults on the way: their own sentence, when all have the same."""
        told = {(cause.kind, str(cause)) for cause in self._causes}
        kind, sentence = told.pop() if len(told) == 1 else ("", "")
        own = kind == "transient" and sentence != Unavailable.sentence
        return sentence if own else NoneAnswered.sentence

    def _reasons(self) -> set[str]:
        pool = self._state.pool
        healths = [pool.worst(route.ring, key) for route in self._routes for key in route.keys]
        return {health.reason for health in healths if health.status is not Status.READY}

    def _tell(self, route: Route[P], key: Key, error: ProviderError) -> None:
        notices = self._state.notices
        name = key.variable or "the provider"
        if error.kind == "auth":
            sentence = (
                f"{name} was refused by {route.label}. It is left out until its value changes or the "
                "settings are read again."
                if key.variable
                else f"{route.label} wants a key, and none is set. Asked again {in_words(KEYLESS_REST)}."
            )
            notices.begin(("key", route.name, key.fingerprint), sentence)
        elif error.kind in ("exhausted", "not_entitled"):
            until = self._state.pool.worst(route.ring, key).until - self._state.clock()
            notices.begin(
                ("account", route.ring.account(key)),
                f"{name} is used up at {route.label} ({error.kind}); asked again {in_words(until)}.",
            )
        elif error.kind == "retired":
            notices.begin(
                ("model", route.name, route.provider.model),
                f"{route.label} is gone: {error.detail}. It is left out for a day.",
            )


def in_words(seconds: float) -> str:
    """A wait for people: "in a few seconds", "in 12 minutes"."""
    if seconds < 10:
        return "in a few seconds"
    if seconds < 45:
        return f"in {round(seconds, -1):.0f} seconds"
    if seconds < 90:
        return "in a minute"
    if seconds < 90 * 60:
        return f"in {seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        return f"in {seconds / 3600:.0f} hours"
    return f"in {seconds / 86400:.0f} days" if seconds < NEVER else "later"
