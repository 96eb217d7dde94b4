"""Chat Completions, streaming and not: the wire that nearly every vendor and local server speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from providers.base import (
    ChatEvent,
    ChatRequest,
    Completion,
    Delta,
    FinishReason,
    Key,
    Message,
    ProviderError,
    Rest,
    Thought,
    Unavailable,
    Usage,
)
from providers.catalog import Entry
from providers.thinking import ThinkingFilter
from providers.transport import Transport, broken_reply, read_object

# How long a stream may stay silent after its finish reason. Usage and [DONE] leave the vendor along with
# it; a packet that is lost on the way is sent again after 1 s (RFC 6298), and has as long again to arrive.
GRACE_SECONDS = 2.0
# A few broken frames are passed over; more mean that the stream is no stream.
BROKEN_FRAMES = 3

FINISH_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "model_length": "length",  # Mistral: the context is full
    "content_filter": "content_filter",
}


class ChatCompletions:
    """A provider that speaks POST {base_url}/chat/completions."""

    def __init__(self, entry: Entry, transport: Transport) -> None:
        self.name = entry.name
        self.model = entry.model
        self._entry = entry
        self._transport = transport
        self._url = entry.base_url.rstrip("/") + "/chat/completions"

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[ChatEvent]:
        """Yield the answer's pieces, then one Completion. Raises ProviderError."""
        body = build_body(self._entry, request)
        reading = Reading()
        counted: Usage | None = None  # what was last handed on
        try:
            if self._entry.stream:
                streamed = self._transport.events(
                    self._url, body, key, lambda: reading.is_under_way, auth=self._entry.auth
                )
                async with aclosing(streamed) as groups:
                    while not reading.is_done:
                        group = await (self._soon(groups) if reading.is_over else anext(groups, None))
                        if isinstance(group, Rest):
                            yield group
                            continue
                        if group is None:
                            break
                        taken, failure = reading.take_events(group, key)
                        for event in taken:
                            counted = event if isinstance(event, Usage) else counted
                            yield event
                        if failure is not None:
                            raise failure
                if not reading.is_done and not reading.is_whole and reading.finish_reason is None:
                    raise broken_reply("the vendor's stream broke off")
            else:
                reply = await self._transport.post(
                    self._url, body, key, accept="application/json", auth=self._entry.auth
                )
                if reply.rest_seconds is not None:
                    yield Rest(reply.rest_seconds)
                text = reading.take(reply.read_object(key))
                if (thoughts := reading.take_thoughts()) != "":
                    yield Thought(thoughts)
                if text:
                    yield Delta(text)
                if reading.usage is not None:
                    yield reading.usage
        except ProviderError as error:
            # A connection lost after the answer's end has lost nothing of the answer.
            lost = isinstance(error, Unavailable) and error.status is None
            if not lost or reading.finish_reason is None:
                if (usage := reading.usage) is not counted and usage is not None:  # it came with the error
                    yield usage
                if isinstance(error, Unavailable) and reading.has_message:  # the model had been at work
                    error.maybe_billed = True
                raise
        if (text := reading.finish()) != "":
            yield Delta(text)
        yield reading.completion(self.model)

    async def _soon(self, groups: AsyncGenerator[list[str] | Rest]) -> list[str] | Rest | None:
        """The next events after the answer's end; None when there are none, or none in time."""
        try:
            # Before the router's limit for silence, which would take the answer for one that broke off.
            async with asyncio.timeout(min(GRACE_SECONDS, self._entry.idle_seconds / 2)):
                return await anext(groups, None)
        except TimeoutError:
            return None


def build_body(entry: Entry, request: ChatRequest) -> dict[str, Any]:
    """The request's JSON, in the vendor's own field names."""
    body: dict[str, Any] = {
        "messages": [
            {"role": message.role, "content": build_content(message)} for message in request.messages
        ],
        "temperature": request.temperature if request.temperature is not None else entry.temperature,
        "top_p": request.top_p if request.top_p is not None else entry.top_p,
        entry.max_tokens_field: request.max_tokens or entry.max_tokens,
        entry.seed_field: request.seed,
        "model": entry.model,
    }
    if entry.stream:
        body["stream"] = True
        if entry.stream_options:
            body["stream_options"] = {"include_usage": True}
    body |= entry.extra_body
    return {name: value for name, value in body.items() if value is not None and name not in entry.drop}


def build_content(message: Message) -> str | list[dict[str, Any]]:
    """A message's text or, when pictures go along, a list of parts: the text first."""
    if not message.pictures:
        return message.content
    pictures = [{"type": "image_url", "image_url": {"url": each.data_uri}} for each in message.pictures]
    return [{"type": "text", "text": message.content}, *pictures]


class Reading:
    """What the frames of one answer have said so far. A whole, unstreamed answer is one frame."""

    def __init__(self) -> None:
        self.usage: Usage | None = None  # the vendor's figures, so far
        self.finish_reason: FinishReason | None = None
        self.is_whole = False  # it came as one frame
        self.is_over = False  # nothing but usage can follow
        self.is_done = False  # nothing follows
        self._has_begun = False  # a frame has come that was not the last
        self.has_message = False
        self._thinking = ThinkingFilter()
        self._parts: list[str] = []
        self._thoughts: list[str] = []  # that came beside the text
        self._broken = 0

    def take_events(
        self, events: Sequence[str], key: Key
    ) -> tuple[list[Delta | Thought | Usage], ProviderError | None]:
        """Take events that came together: their text as one piece, and the error they end in, if any.

        First come their thoughts. The last figures among them stand between the text that they count and the
        text that came later.
        """
        counted, later = "", ""
        figures = self.usage
        failure: ProviderError | None = None
        for event in events:
            if event == "[DONE]":
                self.is_done = True
                break
            known = self.usage
            try:
                later += self._take_event(event, key)
            except ProviderError as error:
                failure = error
            if self.usage is not known:
                counted, later = counted + later, ""
            if failure is not None:
                break
        taken: list[Delta | Thought | Usage] = []
        if (thoughts := self.take_thoughts()) != "":
            taken.append(Thought(thoughts))
        if counted:
            taken.append(Delta(counted))
        if self.usage is not None and self.usage is not figures:
            taken.append(self.usage)
        return [*taken, Delta(later)] if later else taken, failure

    def _take_event(self, event: str, key: Key) -> str:
        """Take one event, as `take` does its frame. Raises ProviderError."""
        try:
            frame = read_object(event, "an event", key)
        except Unavailable as error:
            self._broken += 1
            if error.status is not None or self._broken > BROKEN_FRAMES:
                raise
            return ""
        return self.take(frame)

    def take(self, frame: Mapping[str, Any]) -> str:
        """Take the next frame and return the text it adds, which may be none. Raises Unavailable."""
        self.usage = read_usage(frame.get("usage")) or self.usage
        choices = frame.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return ""  # usage at the end, or a vendor's notes at the start
        choice = choices[0]
        self.is_whole = self.is_whole or "message" in choice
        delta = choice.get("delta")
        message = delta or choice.get("message")
        if isinstance(message, dict):
            self.has_message = True
        else:
            self.has_message = self.has_message or isinstance(delta, dict)
            message = {}
        text = read_content(message.get("content")) or read_content(message.get("refusal"))
        thoughts = read_thoughts(message)
        if thoughts:
            self._thoughts.append(thoughts)
        reason = choice.get("finish_reason")
        if reason == "error":
            raise broken_reply("the vendor reported an error in the middle of its answer")
        if isinstance(reason, str) and reason:  # some servers send "" until the end
            self.finish_reason = FINISH_REASONS.get(reason, "stop")
            # Some gateways send "stop" with every frame, or with those that hold thoughts.
            self.is_over = self._has_begun and not thoughts
        else:
            self._has_begun, self.is_over = True, False
        return self._keep(self._thinking.feed(text))

    def take_thoughts(self) -> str:
        """What the model has thought since this was last called."""
        thoughts = "".join([*self._thoughts, *self._thinking.thoughts])
        self._thoughts.clear()
        self._thinking.thoughts.clear()
        return thoughts

    @property
    def is_under_way(self) -> bool:
        """Whether the answer's text has begun and not ended."""
        return bool(self._parts) and self.finish_reason is None

    def finish(self) -> str:
        """The text that was held back to the end of the answer, which is mostly none."""
        return self._keep(self._thinking.finish())

    def _keep(self, text: str) -> str:
        if text:
            self._parts.append(text)
        return text

    def completion(self, model: str) -> Completion:
        """The whole answer. Where the vendor has not counted, its usage is only marked as to be estimated.

        Raises Unavailable when the vendor sent no answer at all; an empty one is an answer, and billed.
        """
        if not self.has_message:
            raise broken_reply("the vendor's answer has no choices")
        usage = self.usage or Usage(estimated=True)
        return Completion("".join(self._parts), usage, self.finish_reason or "stop", model)


def read_content(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts of which only text counts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    return ""


def read_thoughts(message: Mapping[str, Any]) -> str:
    """What a model thinks beside its text: in a field of its own or, at Mistral, as parts of the content."""
    beside = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(beside, str):
        return beside
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    thoughts = [part.get("thinking") for part in parts if isinstance(part, dict)]
    return "".join(map(read_content, thoughts))


def read_usage(usage: Any) -> Usage | None:
    """The vendor's figures; None when they are missing or are no counts."""
    if not isinstance(usage, dict):
        return None

    def count(table: Any, name: str) -> int | None:
        value = table.get(name) if isinstance(table, dict) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    prompt_tokens = count(usage, "prompt_tokens")
    completion_tokens = count(usage, "completion_tokens")
    if not prompt_tokens or completion_tokens is None:
        return None  # no prompt has no tokens: such figures are placeholders
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cached_tokens=min(prompt_tokens, count(usage.get("prompt_tokens_details"), "cached_tokens") or 0),
        reasoning_tokens=min(
            completion_tokens, count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
        ),
    )
