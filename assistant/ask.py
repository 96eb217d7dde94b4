"""A question to a chat model, from admission to the booked answer."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from assistant.booking import BOOKS_CLOSED, Booking, LimitReached
from assistant.values import Answer, Limits, Question, Refusal
from db.engine import Database, DatabaseError
from db.history import Turn, read_turns
from providers.base import (
    ChatRequest,
    Completion,
    ContentRefused,
    Delta,
    Message,
    ProviderError,
    estimate_prompt,
    estimate_tokens,
)
from providers.router import ChatRouter
from providers.walk import NothingConfigured

log = logging.getLogger(__name__)

EMPTY_ANSWER = "The model gave an empty answer. Try again, or put the question in other words."


@dataclass(frozen=True, slots=True)
class Conversation:
    """How conversations are led: what the model is told first, and how many tokens of history go along."""

    system_prompt: str
    history_tokens: int


async def ask(
    database: Database, router: ChatRouter, conversation: Conversation, limits: Limits, question: Question
) -> AsyncGenerator[Delta | Answer | Refusal]:
    """Yield the answer's pieces, then one Answer or Refusal; nothing for an interaction seen before.

    The answer is booked, and in the history unless private, before its Answer is yielded. Whoever stops
    listening early stops the vendor too: what had come by then is booked.
    """
    if not router.routes:
        yield Refusal(NothingConfigured.sentence)
        return
    origin = question.origin
    turns: list[Turn] = []
    if not question.private:
        try:
            turns = await database.run(lambda connection: read_turns(connection, origin.channel_id))
        except DatabaseError as error:
            log.error("the history cannot be read, so nothing is sent: %s", error.__cause__ or error)
            yield Refusal(BOOKS_CLOSED)
            return
    asked = f"{question.prompt}\n\n{question.attached}" if question.attached else question.prompt
    messages = build_messages(conversation, turns, asked)
    messages = (*messages[:-1], replace(messages[-1], pictures=question.pictures))
    most = estimate_prompt(messages) + router.max_tokens
    booking = Booking(database, origin, "ask", tokens=most)
    parts: list[str] = []
    end: Answer | Refusal | None = None
    try:
        if not await booking.admit(limits):
            return
        async with aclosing(router.stream(ChatRequest(messages, question.model), booking)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    parts.append(event.text)
                    yield event
                else:
                    end = await _settle(booking, question, event)
    except LimitReached as refusal:
        end = Refusal(str(refusal))
    except DatabaseError as error:
        log.error("the books cannot be written, so nothing is sent: %s", error.__cause__ or error)
        end = Refusal(BOOKS_CLOSED)
    except ProviderError as error:
        log.warning("no answer for interaction %d: %s", origin.interaction_id, error.detail)
        end = Refusal(str(error))
    finally:
        if booking.open:  # nobody answered, the listener left, or the bot is stopping
            await booking.abandon(estimate_tokens("".join(parts)))
    if end is not None:
        yield end


async def _settle(booking: Booking, question: Question, completion: Completion) -> Answer | Refusal:
    text = completion.text
    # An empty answer is booked, since it is billed, but there is nothing to remember.
    remembered = not question.private and text.strip()
    turn = Turn(question.prompt, text) if remembered else None
    await booking.settle(
        completion.usage, "partial" if completion.finish_reason == "interrupted" else "answered", turn
    )
    if text.strip():
        kept = booking.request_id if turn else None
        return Answer(text, completion.finish_reason, completion.usage, completion.model, kept)
    refused = completion.finish_reason == "content_filter"
    return Refusal(ContentRefused.sentence if refused else EMPTY_ANSWER)


def build_messages(conversation: Conversation, turns: Sequence[Turn], prompt: str) -> tuple[Message, ...]:
    """System prompt, as many of the last turns as the budget holds, whole, and the question."""
    chosen: list[Message] = []
    left = conversation.history_tokens
    for turn in reversed(turns):
        pair = (Message("user", turn.question), Message("assistant", turn.answer))
        left -= estimate_prompt(pair)
        if left < 0:
            break
        chosen[:0] = pair
    system = [Message("system", conversation.system_prompt)] if conversation.system_prompt else []
    return (*system, *chosen, Message("user", prompt))
