"""What is told of a question's way: to the host what is wrong, once each; to the member why, until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from providers.base import Key, ProviderError, Unavailable
from providers.healths import NEVER, Status
from providers.pool import KEYLESS_REST
from providers.route import P, Route, State

NONE = "None of the bot's models could answer just now."
# What the host alone can mend.
HOSTS_AFFAIR = frozenset({"auth", "not_entitled", "retired"})
BUSY = HOSTS_AFFAIR | {"rate", "exhausted"}


class News(Generic[P]):
    """The news of one question's way along `routes`; `purpose` says what it is for."""

    def __init__(self, routes: Sequence[Route[P]], state: State, purpose: str) -> None:
        self._routes: Sequence[Route[P]] = routes
        self._state = state
        self._purpose = purpose

    def answers(self, route: Route[P], key: Key, *, fallback: bool) -> None:
        """This one has begun to answer; is it in place of one that should have?"""
        notices, first = self._state.notices, self._routes[0]
        if notices.any_open:
            notices.end(("provider", route.name), f"{route.label} answers again.")
            notices.end(("model", route.name, route.provider.model), f"{route.label} is offered again.")
            notices.end(
                ("key", route.name, key.fingerprint), f"{key.variable or route.label} is accepted again."
            )
            account = route.ring.account(key)
            if self._state.pool.health(account).status is Status.READY:  # not so: another was refused
                notices.end(("account", account), f"{key.variable or route.label} works again.")
            notices.end(("nobody", self._purpose), f"Somebody can be asked for {self._purpose} again.")
            if route is first:
                notices.end(("fallback", self._purpose), f"{first.label} is asked for {self._purpose} again.")
        if fallback:
            notices.begin(
                ("fallback", self._purpose),
                f"Fallback in use: {self._purpose} now come from {route.label}, not from {first.label}.",
            )

    def fails(self, route: Route[P], error: ProviderError) -> None:
        """The provider has failed too often."""
        reason = error.detail or "no answer"
        self._state.notices.begin(
            ("provider", route.name), f"{route.label} fails and is left alone for a while: {reason}."
        )

    def refuses(self, route: Route[P], key: Key, error: ProviderError) -> None:
        """The provider has refused; the pool has learned so."""
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

    def nobody(self, causes: Sequence[ProviderError]) -> str:
        """The sentence for the member, and a notice for the host when nobody could be asked at all."""
        wait = min(self._state.wait_seconds(route) for route in self._routes)
        somebody_ready = wait == 0
        if causes:  # who has just failed is not well a moment later
            wait = max(wait, 60.0)
        else:
            self._state.notices.begin(
                ("nobody", self._purpose), f"Nobody can be asked for {self._purpose}; again {in_words(wait)}."
            )
        reasons = {cause.kind for cause in causes} | self._reasons()
        if reasons and reasons <= HOSTS_AFFAIR and not somebody_ready:
            return f"{NONE} The bot's host has been told."
        busy = reasons and reasons <= BUSY
        why = "All of the bot's models are busy or used up." if busy else _broken_replies(causes)
        return f"{why} Please try again {in_words(wait)}."

    def _reasons(self) -> set[str]:
        """Why providers and keys may not be asked now, as classes of errors."""
        pool, reasons = self._state.pool, set()
        for route in self._routes:
            if self._state.breaker(route.name).wait_seconds() > 0:
                reasons.add("transient")
            for key in route.keys:
                health = pool.worst(route.ring, key)
                if health.status is not Status.READY:
                    reasons.add(health.reason)
                elif pool.is_busy(route.ring, key):
                    reasons.add("rate")
        return reasons


def _broken_replies(causes: Sequence[ProviderError]) -> str:
    """What is said of faults on the way: their own sentence, when all have the same."""
    told = {(cause.kind, str(cause)) for cause in causes}
    kind, sentence = told.pop() if len(told) == 1 else ("", "")
    own = kind == "transient" and sentence != Unavailable.sentence
    return sentence if own else NONE


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
