"""A question to a chat model, from its arrival to the booked answer."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from weakref import WeakValueDictionary

from assistant.attempt import Attempt
from assistant.booking import BOOKS_CLOSED, Booking
from assistant.conversation import (
    Conversation,
    choose_turns,
    find_room,
    history_messages,
    system_messages,
    with_history,
)
from assistant.figures import Figures
from assistant.queue import Cooldown, Queue
from assistant.running import Running
from assistant.stopping import Stopped, StopSignal
from assistant.turns import (
    AnotherAnswer,
    Continuation,
    NewQuestion,
    Work,
    attached_pictures,
    find_turn,
)
from assistant.values import (
    LONGEST_WAIT_SECONDS,
    AboutTurn,
    Answer,
    Begun,
    EndReason,
    Limits,
    More,
    Question,
    Refusal,
    Refused,
    Waiting,
    reason_of,
)
from db.engine import Connection, Database, DatabaseError
from db.history import MOST_TURNS, ConversationKey, read_turns, storable, wait_for_conversation
from providers.base import ChatRequest, Completion, ContentRefused, Delta, ProviderError, Usage
from providers.estimates import measure
from providers.router import ChatRouter
from providers.walk import NothingConfigured

log = logging.getLogger(__name__)

EMPTY_ANSWER = "The model gave an empty answer. Try again, or put the question in other words."
STOPPED = "Stopped."

# As many turns as mostly have room; only if they have are more read.
FEW_TURNS = 16

Event = Begun | Waiting | Delta | Answer | Refusal


@dataclass
class Asked:
    """One question on its way."""

    user_id: int
    booking: Booking
    work: Work | None = None  # once it is admitted
    forgotten: bool = False  # it was asked before its conversation was forgotten
    end: Answer | Refusal | None = None


class Asking:
    """Answers questions: one at a time for each member, and a few for each channel."""

    def __init__(
        self,
        database: Database,
        router: ChatRouter,
        conversation: Conversation,
        limits: Limits,
        running: Running,
        figures: Figures,
    ) -> None:
        self._database = database
        self._router = router
        self._conversation = conversation
        self._limits = limits
        self._running = running
        self._figures = figures
        self.queue = Queue(conversation.answers_per_channel)
        self._cooldown = Cooldown(conversation.cooldown_seconds)
        self._asked: dict[int, Asked] = {}  # by interaction
        self._admissions: WeakValueDictionary[ConversationKey, asyncio.Lock] = WeakValueDictionary()

    def adopting(self, router: ChatRouter, conversation: Conversation, limits: Limits) -> Asking:
        """The same, with other settings for questions to come; what is being answered keeps its own."""
        other = copy.copy(self)
        other._router, other._conversation, other._limits = router, conversation, limits
        self.queue.per_channel = conversation.answers_per_channel
        self._cooldown.seconds = conversation.cooldown_seconds
        return other

    async def ask(self, question: Question | AboutTurn, stop: StopSignal) -> AsyncGenerator[Event]:
        """Yield what becomes of the question; last comes one Answer or Refusal.

        Nothing comes for an interaction that was seen before. The answer is booked and in the history before
        its Answer is yielded. Whoever stops listening early stops the vendor too: what had come by then is
        booked, and not remembered.
        """
        origin = question.origin
        if origin.interaction_id in self._asked:
            return
        asked = Asked(origin.user_id, Booking(self._database, origin, "ask", self._figures))
        self._asked[origin.interaction_id] = asked
        try:
            with self._running.counted(), self._cooldown.question(origin.user_id):
                async with aclosing(self._answer(asked, question, stop)) as events:
                    async for event in events:
                        yield event
        except Stopped:
            asked.end = Refusal(STOPPED, "stopped")
        except Refused as refusal:
            asked.end = Refusal(str(refusal))
        except DatabaseError as error:
            log.error("the books cannot be written, so nothing is sent: %s", error.__cause__ or error)
            asked.end = Refusal(BOOKS_CLOSED, "failed")
        except ProviderError as error:
            log.warning("no answer: %s", error.detail)
            asked.end = Refusal(str(error), reason_of(error))
        finally:
            booking = asked.booking
            if asked.end is not None or booking.request_id:  # else it was seen before
                self._figures.count_end("ask", asked.end, booking.seconds, booking.first_text_seconds)
            if booking.open:  # nobody answered, the listener left, or the bot is stopping
                await booking.abandon(self._spent(booking.attempt) if booking.attempt else None)
            del self._asked[origin.interaction_id]
        if asked.end is not None:
            yield asked.end

    def forget(self, concerns: Callable[[ConversationKey, int], bool]) -> None:
        """Keep out of the history what is being answered now, by its conversation and member.

        Such an answer may tell what is to be forgotten.
        """
        for asked in self._asked.values():
            if asked.work is not None and concerns(asked.work.key, asked.user_id):
                asked.forgotten = True

    async def _answer(
        self, asked: Asked, question: Question | AboutTurn, stop: StopSignal
    ) -> AsyncGenerator[Event]:
        """Yield everything but the end, which is noted; raise what prevents it."""
        if not self._router.routes:
            raise NothingConfigured
        if isinstance(question, Question):
            work: Work = NewQuestion(question)
            longest_wait = question.longest_wait_seconds
        else:
            turn = await self._database.run(lambda connection: find_turn(connection, question))
            work = (Continuation if isinstance(question, More) else AnotherAnswer)(question, turn)
            if not self._router.offers(work.model):  # not any more
                work.model = None
            longest_wait = LONGEST_WAIT_SECONDS
            yield Begun(turn.question, turn.answer if isinstance(question, More) else "")
        with self.queue.place(question.origin.channel_id, asked.user_id, longest_wait) as place:
            try:
                with stop.stoppable():
                    stop.begin()
                    while (number := await place.next_number()) > 0:
                        stop.end()
                        yield Waiting(number)
                        await asked.booking.wait()
                        stop.begin()
                    stop.end()
                    if (request := await self._admit(asked, work)) is None:
                        return
                    async with aclosing(self._router.stream(request, asked.booking)) as events:
                        stop.begin()
                        async for event in events:
                            stop.end()
                            if not isinstance(event, Completion):
                                assert asked.booking.attempt is not None
                                asked.booking.attempt.take(event)
                                if isinstance(event, Delta):
                                    yield event
                            else:
                                end = event.text, event.finish_reason, event.usage, event.model
                                await self._settle(asked, *end)
                                continue  # to the stream's end: there is nothing left to stop
                            stop.begin()
            except Stopped:
                attempt = asked.booking.attempt
                if attempt is None or not storable(attempt.text).strip():
                    raise
                await self._settle(asked, attempt.text, "stopped", self._spent(attempt))

    async def _admit(self, asked: Asked, work: Work) -> ChatRequest | None:
        """Open the request and say what is to be sent; None for an interaction that was seen before."""
        router, conversation = self._router, self._conversation
        request: ChatRequest | None = None

        async def prepare(connection: Connection) -> tuple[int, int]:
            nonlocal request
            await wait_for_conversation(connection, work.key)
            needed = [*system_messages(conversation, work.setting), *await work.read(connection)]
            route, estimates = router.expected(work.model, needed), router.state.estimates
            room = find_room(conversation, needed, route, estimates)
            for limit in (FEW_TURNS, MOST_TURNS):
                turns = await read_turns(connection, work.key, before=work.before, limit=limit)
                chosen = choose_turns(turns, room, work.setting, route, estimates)
                if len(chosen) < limit:
                    break
            pictures = await attached_pictures(connection, chosen)
            messages = with_history(needed, history_messages(chosen, work.setting, pictures))
            request = ChatRequest(messages, work.model, needed=work.needed)
            longest = max(offered.max_tokens for offered in router.offering(work.model))
            most = Usage(estimates.prompt(route.full_name, measure(messages)), longest)
            return most.prompt_tokens + longest, router.dearest(most, work.model)

        asked.work = work
        # One after the other, so that turns stand in the order in which their questions came.
        async with self._admissions.setdefault(work.key, asyncio.Lock()):
            admitted = await asked.booking.admit(self._limits, prepare)
        return request if admitted else None

    async def _settle(
        self, asked: Asked, text: str, reason: EndReason, usage: Usage, model: str = ""
    ) -> None:
        """Book an answer, keep it, and make it the end."""
        booking, work = asked.booking, asked.work
        assert work is not None
        assert booking.attempt is not None
        turn_id: int | None = None

        async def keep(connection: Connection) -> None:
            nonlocal turn_id
            if not asked.forgotten:
                turn_id = await work.keep(connection, booking.request_id, text, reason)

        # An empty answer is booked, since it is billed, but there is nothing to remember.
        outcome = "partial" if reason in ("interrupted", "stopped") else "answered"
        is_empty = not storable(text).strip()
        await booking.settle(usage, outcome, None if is_empty else keep)
        if is_empty:
            filtered = reason == "content_filter"
            asked.end = Refusal(ContentRefused.sentence) if filtered else Refusal(EMPTY_ANSWER, "failed")
            return
        target = booking.attempt.target
        route = self._router.offering(target.full_name)[0]
        model, fallback = model or route.provider.model, target.fallback
        asked.end = Answer(text, reason, usage, model, route.label, fallback, turn_id)

    def _spent(self, attempt: Attempt) -> Usage:
        """What an attempt has used whose answer ends here."""
        return self._router.state.estimates.interrupted(
            attempt.target.full_name,
            attempt.reserved.prompt_tokens,
            attempt.text,
            attempt.counted,
            "".join(attempt.thoughts),
        )
