"""What every provider speaks: the values that go in and come out, and the errors.

Errors, each with its class (``kind``) and a text that is safe to show to a member:

    ProviderError
    ├── KeyRejected        auth          this key is refused: the next key
    ├── NotEntitled        not_entitled  this account may not use this model: the next key
    ├── QuotaExhausted     exhausted     this account is out of credit or quota: the next key
    ├── RateLimited        rate          too many requests for now: the next key
    ├── ModelRetired       retired       the model or endpoint is gone: the next provider
    ├── PromptTooLong      too_long      the prompt does not fit the model
    ├── ContentRefused     content       the vendor's filter refused: asking elsewhere is no answer
    ├── BadRequest         bad_request   the vendor did not understand us: the next provider
    └── Unavailable        transient     network, overload or a broken reply: the next provider
        └── ConnectionBroken                 before the reply had begun: once more
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from pydantic import SecretStr

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "content_filter", "interrupted"]


@dataclass(frozen=True, slots=True)
class AttachedPicture:
    """A picture that goes along with a message, encoded as its media type says, such as "image/jpeg"."""

    media_type: str
    data: bytes = field(repr=False)

    @property
    def data_uri(self) -> str:
        """The whole picture as an address."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. Pictures go to models that see."""

    role: Role
    content: str
    pictures: tuple[AttachedPicture, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation to be continued. What is None is left to the provider's own default."""

    messages: tuple[Message, ...]
    model: str | None = None  # one that a provider of the chain offers; None: the chain's own choice
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    needed: int = 1  # how many messages at the end are no history, and have to be sent


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request used. `estimated` marks figures that are ours and not the vendor's.

    With nothing but that mark a provider says that its vendor has not counted: the router estimates.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    pictures: int = 0
    estimated: bool = False
    pixels: int = 0  # of all its pictures
    steps: int = 0  # of a picture


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer's text; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The next piece of what a model thinks: nobody is shown it, and it is billed like text; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an answer: its whole text and what it used.

    `finish_reason` is "interrupted" when the vendor broke off after some text had come.
    """

    text: str
    usage: Usage
    finish_reason: FinishReason
    model: str


@dataclass(frozen=True, slots=True)
class Rest:
    """The vendor's word, along with its answer, that nothing is left to this account for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A picture to be made. Sizes in pixels, `seed` from 0 to 2^31-1; None is the provider's own default.

    What a model cannot do is changed to the nearest that it can: the picture's `adjustments` say so.
    """

    prompt: str
    width: int = 1024
    height: int = 1024
    seed: int | None = 0
    steps: int | None = None
    guidance: float | None = None  # how closely the prompt is followed; 1 is not at all
    negative: str = ""  # what the picture shall not show
    model: str | None = None  # one that a provider of the chain offers; None: the chain's own choice


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture, checked and encoded as PNG, and what it was really made with.

    The same stands in the PNG, in its text chunk `parameters`. `seed`, `steps` and `guidance` are None for a
    model that has none. `adjustments` has a sentence for each wish that could not be met as it was.
    """

    png: bytes = field(repr=False)
    width: int
    height: int
    model: str
    seed: int | None
    steps: int | None = None
    usage: Usage = Usage(pictures=1)
    rest_seconds: float | None = None  # as in Rest
    guidance: float | None = None
    negative: str = ""
    adjustments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """One credential of one provider. `variable` is the setting it came from, and safe to show.

    Keys with the same `account` label share what the vendor allows that account. Left empty, a key is
    taken to be its own account.

    `fingerprint` tells keys apart without telling them: it is kept in the key's place.
    """

    variable: str
    value: SecretStr
    account: str = ""
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        secret = self.value.get_secret_value().encode()
        fingerprint = hashlib.sha256(b"colloquy key " + secret).hexdigest()[:16]
        object.__setattr__(self, "fingerprint", fingerprint)  # once: it is asked for at every turn


# What providers that need no credential are asked with.
NO_KEY = Key("", SecretStr(""))


# What a chat provider yields. A Usage is the vendor's count of what has come so far.
ChatEvent = Delta | Thought | Completion | Rest | Usage


class ChatProvider(Protocol):
    """A vendor that continues conversations."""

    name: str
    model: str

    def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[ChatEvent]:
        """Yield the answer's pieces, then one Completion; the others at any time. Raises ProviderError."""
        ...


class ImageProvider(Protocol):
    """A vendor that makes pictures."""

    name: str
    model: str

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Make one picture. Raises ProviderError."""
        ...


class ProviderError(Exception):
    """A provider could not answer. `str(error)` is one sentence, safe to show to anyone.

    `detail` is the vendor's own words for the log, cut short and free of credentials; `status` is the
    HTTP status, if there was one; `retry_after` is in seconds, if the vendor named a time.
    `maybe_billed` says that the request had reached the vendor and may cost although no answer came.
    """

    kind: ClassVar[str] = "transient"
    sentence: ClassVar[str] = "The model could not answer."

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        maybe_billed: bool = False,
        sentence: str = "",
    ) -> None:
        super().__init__(sentence or self.sentence)
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.maybe_billed = maybe_billed

    @property
    def never_sent(self) -> bool:
        """Whether the connection failed before the request had left: the vendor knows nothing of it."""
        return self.kind == "transient" and self.status is None and not self.maybe_billed


class KeyRejected(ProviderError):
    """401, or a 403 that names a missing permission."""

    kind = "auth"
    sentence = "The bot's key for this model was refused."


class NotEntitled(ProviderError):
    """The account may not use this model at all."""

    kind = "not_entitled"
    sentence = "The bot's account may not use this model."


class QuotaExhausted(ProviderError):
    """Out of credit, or out of today's or this month's allowance."""

    kind = "exhausted"
    sentence = "The bot's allowance for this model is used up."


class RateLimited(ProviderError):
    """Too many requests in a short time."""

    kind = "rate"
    sentence = "The model is busy: too many questions at once."


class ModelRetired(ProviderError):
    """The vendor no longer serves this model, or this endpoint."""

    kind = "retired"
    sentence = "The model is no longer offered."


class PromptTooLong(ProviderError):
    """The prompt with its history does not fit."""

    kind = "too_long"
    sentence = "That is too long for the model. Please shorten it."


class ContentRefused(ProviderError):
    """The vendor's content filter refused the prompt or the answer."""

    kind = "content"
    sentence = "The model's content filter refused this. Try other words."


class BadRequest(ProviderError):
    """The vendor refused the request's form: our mistake or a setting's."""

    kind = "bad_request"
    sentence = "The model did not accept the request."


class Unavailable(ProviderError):
    """Connection failed, timed out or broke; the vendor is overloaded or sent nonsense."""

    kind = "transient"
    sentence = "The model cannot be reached at the moment."


class ConnectionBroken(Unavailable):
    """The connection broke before the vendor had begun to answer; worth a new try, though both may cost."""
