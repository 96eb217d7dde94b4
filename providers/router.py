"""The chain: providers in order, each with its keys. To its callers it is one provider."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Generic

from providers.base import (
    ChatProvider,
    ChatRequest,
    Completion,
    Delta,
    ImageProvider,
    ImageRequest,
    Key,
    Message,
    Picture,
    PromptTooLong,
    ProviderError,
    Rest,
    Thought,
    Unavailable,
    Usage,
)
from providers.deadline import BEGUN, NONE, Deadline
from providers.errors import without_quotes
from providers.estimates import measure
from providers.healths import Health, Status
from providers.prices import dearest
from providers.route import Budget, Ending, Ledger, P, Route, State
from providers.walk import NoAnswerInTime, Walk

log = logging.getLogger(__name__)

# How many models an error names, so that it stays one sentence.
NAMED_MODELS = 5
# After so many seconds in queues and with vendors nobody waits for a picture: Discord does for 15 minutes.
LONGEST_ORDER = 720.0


class NoSuchModel(ProviderError):
    """A request named a model that nobody on the chain offers."""

    kind = "bad_request"
    sentence = "There is no such model here. Leave the choice out, or pick one from the list."


class CannotSee(ProviderError):
    """A request has pictures, and no model that may be asked takes any."""

    kind = "bad_request"
    sentence = "None of the bot's models can look at pictures. Ask without the picture."


class Router(Generic[P]):
    """Walks the chain until one target answers. Routers of one bot share their `state`.

    `others` are models that the providers offer besides those of the chain: asked only by name. `endings`
    says which models have a last day, by every name that a request may give them.
    """

    def __init__(
        self,
        routes: Sequence[Route[P]],
        state: State | None = None,
        budget: Budget | None = None,
        others: Sequence[Route[P]] = (),
        endings: Mapping[str, Ending] | None = None,
    ) -> None:
        self.routes: tuple[Route[P], ...] = tuple(routes)
        self.others: tuple[Route[P], ...] = tuple(others)
        self.state = state or State()
        self.budget = budget or Budget()
        self._endings = endings or {}
        self._as_of = date.min

    def _keep_up(self) -> None:
        """On the day a model ends put its successor in its place, without a new start."""
        if not self._endings:
            return
        today = datetime.fromtimestamp(self.state.clock(), UTC).date()
        if today == self._as_of:
            return
        self._as_of = today
        known = {route.full_name: route for route in self.others + self.routes}
        self.routes = tuple(known.get(self._successor(r.full_name), r) for r in self.routes)
        living = (route for route in self.others if self._successor(route.full_name) == route.full_name)
        self.others = tuple(route for route in living if route not in self.routes)

    def _successor(self, model: str) -> str:
        """The name of the model that is asked today when this one is meant."""
        while (ending := self._endings.get(model)) and ending.day <= self._as_of:
            model = ending.successor
        return model

    def offering(self, model: str | None) -> tuple[Route[P], ...]:
        """The routes of a model, named as `model` or `provider/model`; without a name, the chain.

        A model that was retired stands for its successor. Raises NoSuchModel.
        """
        self._keep_up()
        if not model:
            return self.routes
        every = self.routes + self.others
        for name in (model, self._successor(model)):
            if found := tuple(r for r in every if name in (r.provider.model, r.full_name)):
                break
        else:
            raise NoSuchModel(f"nobody offers {model!r}")
        return found

    def offers(self, model: str | None) -> bool:
        """Whether there is such a model, or whether none is named."""
        try:
            self.offering(model)
        except NoSuchModel:
            return False
        return True

    def healths(self) -> Iterator[tuple[Route[P], Key, Health]]:
        """Every provider and key of the chain, with what keeps it from being asked, if anything does."""
        self._keep_up()
        for route in self.routes:
            breaker = self.state.breaker(route.name)
            for key in route.keys:
                health = self.state.pool.worst(route.ring, key)
                if health.status is Status.READY and (rest := breaker.wait_seconds()) > 0:
                    health = Health(Status.RESTING, self.state.clock() + rest, "transient")
                yield route, key, health

    def dearest(self, usage: Usage, model: str | None = None) -> int:
        """What that use costs at most, whoever answers, in millionths of a dollar; the unpriced left out.

        Raises NoSuchModel.
        """
        return dearest((route.price for route in self.offering(model)), usage)

    def is_ready(self, route: Route[P]) -> bool:
        """Whether this provider may be asked now."""
        worst = self.state.pool.worst
        return self.state.breaker(route.name).wait_seconds() == 0 and any(
            worst(route.ring, key).status is Status.READY for key in route.keys
        )

    def next_route(self) -> Route[P] | None:
        """The provider that would be asked now; None: nobody."""
        self._keep_up()
        return next(filter(self.is_ready, self.routes), None)


class ChatRouter(Router[ChatProvider]):
    """Continues conversations on the first target of the chain that can."""

    def _choose(self, request: ChatRequest) -> tuple[Sequence[Route[ChatProvider]], str]:
        """The routes that a request may go, and what the host is told it is for.

        Pictures of earlier turns are left out for a model that does not see; those that are needed are not.
        Raises NoSuchModel, and CannotSee when there are some and all routes are blind.
        """
        routes = self.offering(request.model)
        purpose = f"answers of {request.model}" if request.model else "answers"
        if routes and any(message.pictures for message in request.messages[-request.needed :]):
            seeing, purpose = tuple(route for route in routes if route.sees), f"{purpose} about pictures"
            if not seeing:
                able = [route.label for route in (*self.routes, *self.others) if route.sees]
                choice = ", ".join(list(dict.fromkeys(able))[:NAMED_MODELS])
                sentence = (
                    f"That needs a model that can look at pictures. Choose one: {choice}." if able else ""
                )
                raise CannotSee("no model that may be asked takes pictures", sentence=sentence)
            routes = seeing
        return routes, purpose

    def expected(self, model: str | None, needed: Sequence[Message] = ()) -> Route[ChatProvider]:
        """The route that would be asked first for this, of a chain that is not empty. Raises NoSuchModel."""
        offered = self.offering(model)
        if any(message.pictures for message in needed):
            offered = tuple(route for route in offered if route.sees) or offered
        return next(filter(self.is_ready, offered), offered[0])

    async def stream(
        self, request: ChatRequest, ledger: Ledger
    ) -> AsyncGenerator[Delta | Thought | Usage | Completion]:
        """Yield the answer's pieces, then one Completion; the open attempt is then the caller's to end.

        A Usage in between is what the vendor has counted so far. A Thought is for counting too.

        Once text has come no other target is asked: an answer that breaks off ends with a Completion whose
        `finish_reason` is "interrupted". Raises ProviderError when nobody answered.
        """
        routes, purpose = self._choose(request)
        estimates = self.state.estimates
        seconds = max((route.first_text_seconds for route in routes), default=0)
        walk = Walk(routes, self.state, self.budget, purpose, seconds, longest=2 * seconds)
        whole = request
        while True:
            features = measure(request.messages)
            async with walk.next_target() as (route, lease):
                prompt_tokens = estimates.prompt(route.full_name, features)
                reserved = Usage(prompt_tokens, request.max_tokens or route.max_tokens, estimated=True)
                if not await walk.book(ledger, route, lease, reserved):
                    continue
                parts: list[str] = []
                thoughts: list[str] = []
                seen: Usage | None = None  # the vendor's last figures
                is_all = False  # whether they are of all that has come
                ended = False
                check = partial(
                    estimates.checked,
                    route.full_name,
                    reserved=reserved,
                    context_tokens=route.context_tokens,
                )
                try:
                    # For the first text the walk's patience, then the route's idle time; in all, its total.
                    with Deadline(route.total_seconds, route.idle_seconds) as deadline:
                        sent = request if route.sees else without_pictures(request)
                        async with aclosing(route.provider.stream(sent, lease.key)) as events:
                            deadline.begin(walk.limit(route, route.first_text_seconds))
                            async for event in events:
                                if isinstance(event, Delta):
                                    deadline.wait = NONE
                                    if not parts:
                                        walk.confirm(route, lease)
                                    parts.append(event.text)
                                    is_all = False
                                    yield event
                                elif isinstance(event, Completion):
                                    deadline.wait = NONE
                                    if not parts:
                                        walk.confirm(route, lease)
                                    ended = True
                                    if event.usage.estimated:  # nobody has counted
                                        name, text = route.full_name, event.text
                                        thought = "".join(thoughts)
                                        spent = estimates.interrupted(
                                            name, prompt_tokens, text, None, thought
                                        )
                                    else:
                                        spent = check(event.usage, parts=[*thoughts, event.text])
                                        if not spent.estimated:
                                            estimates.learn(route.full_name, features, spent.prompt_tokens)
                                    yield event if spent is event.usage else replace(event, usage=spent)
                                else:  # nothing for the member, whose wait goes on
                                    if isinstance(event, Rest):
                                        lease.rest(event.seconds)
                                        continue
                                    if isinstance(event, Thought):
                                        thoughts.append(event.text)
                                        is_all = False
                                    else:
                                        seen, is_all = check(event, parts=[*thoughts, *parts]), True
                                        event = seen
                                    yield event
                                    continue
                                deadline.wait = BEGUN
                    if not ended:
                        raise Unavailable("the answer had no end", maybe_billed=True)
                    return
                except Exception as reason:
                    text = "".join(parts)
                    said = [message.content for message in request.messages]
                    error = as_provider_error(reason, *said, text)
                    spent = (seen if is_all else None) or estimates.interrupted(
                        route.full_name, prompt_tokens, text, seen, "".join(thoughts)
                    )
                    if parts:
                        walk.broke_off(route, error)
                        yield Completion(text, spent, "interrupted", route.provider.model)
                        return
                    lease.fail(error)  # at once: other questions must not ask this key while it is booked
                    await ledger.fail(error, spent if error.maybe_billed or seen else None)
                    too_long = isinstance(error, PromptTooLong)
                    if too_long and request is whole and len(request.messages) > 1 + request.needed:
                        request = replace(request, messages=shorten(request.messages, request.needed))
                        walk.again(route, lease)
                    else:
                        await walk.failed(route, lease, error)
                        if too_long:  # who comes now has more room
                            request = whole


class ImageRouter(Router[ImageProvider]):
    """Makes pictures on the first target of the chain that can."""

    def dearest_picture(self, width: int, height: int, model: str | None = None) -> int:
        """What a picture of this size costs at most, whoever makes it; otherwise as `dearest`."""
        routes = self.offering(model)
        return max((dearest([route.price], route.one_picture(width, height)) for route in routes), default=0)

    async def generate(self, request: ImageRequest, ledger: Ledger) -> Picture:
        """Make one picture; the open attempt is then the caller's to end. Raises ProviderError."""
        routes = self.offering(request.model)
        seconds = max((route.total_seconds for route in routes), default=0)
        purpose = f"pictures of {request.model}" if request.model else "pictures"
        walk = Walk(routes, self.state, self.budget, purpose, seconds, LONGEST_ORDER)
        while True:
            async with walk.next_target() as (route, lease):
                one_picture = route.one_picture(request.width, request.height)
                if not await walk.book(ledger, route, lease, one_picture):
                    continue
                try:
                    async with asyncio.timeout(walk.limit(route, route.total_seconds)):
                        picture = await route.provider.generate(request, lease.key)
                    walk.confirm(route, lease)
                    if picture.rest_seconds is not None:
                        lease.rest(picture.rest_seconds)
                    return picture
                except Exception as reason:
                    error = as_provider_error(reason, request.prompt, request.negative)
                    lease.fail(error)
                    await ledger.fail(error, one_picture if error.maybe_billed else None)
                    await walk.failed(route, lease, error)


def without_pictures(request: ChatRequest) -> ChatRequest:
    """The request for a model that does not see."""
    if not any(message.pictures for message in request.messages):
        return request
    return replace(request, messages=tuple(replace(message, pictures=()) for message in request.messages))


def shorten(messages: tuple[Message, ...], needed: int = 1) -> tuple[Message, ...]:
    """The conversation without the older half of its history: system prompt and what is needed stay."""
    first = 1 if messages[0].role == "system" else 0
    history, last = messages[first:-needed], messages[-needed:]
    kept = history[(len(history) // 2 + 1) // 2 * 2 :]  # whole turns
    return (*messages[:first], *kept, *last)


def as_provider_error(reason: Exception, *said: str) -> ProviderError:
    """A deadline, or a fault in our own reading, as the ProviderError that it means for the chain.

    `said` is what must not be quoted in its detail.
    """
    if isinstance(reason, ProviderError):
        reason.detail = without_quotes(reason.detail, said)
        return reason
    if isinstance(reason, TimeoutError):
        return NoAnswerInTime("no answer in time", maybe_billed=True)
    log.error("a provider failed in a way it should not", exc_info=reason)
    return Unavailable(f"unexpected {type(reason).__name__}", maybe_billed=True)
