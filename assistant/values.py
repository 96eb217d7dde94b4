"""What the assistant is asked and what it answers with: plain data, which the cogs draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from db.usage import Totals, UsageRow
from providers.base import AttachedPicture, Delta, FinishReason, Picture, Usage

Period = Literal["today", "7 days", "30 days"]
PERIODS: tuple[Period, ...] = ("today", "7 days", "30 days")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from. All ids are Discord's; `guild_id` is 0 in direct messages."""

    interaction_id: int
    guild_id: int
    channel_id: int
    user_id: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be used in one day (UTC) by the whole bot and by each member. None: no limit."""

    tokens_per_day: int | None = None
    pictures_per_day: int | None = None
    member_tokens_per_day: int | None = None
    member_pictures_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a chat model. A private one neither reads nor enters the channel's history."""

    origin: Origin
    prompt: str
    private: bool = False
    model: str | None = None  # "provider/model"; None: the chain's own choice
    speaker: str = ""  # the member's display name
    channel_name: str = ""
    server_name: str = ""
    attached: str = ""  # text that goes along with the prompt
    pictures: tuple[AttachedPicture, ...] = ()  # scaled down already


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """A picture to be made. `seed` None: one is drawn. `steps` None: the model's default."""

    origin: Origin
    prompt: str
    width: int = 1024
    height: int = 1024
    seed: int | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of an answer: its whole text, how it ended, what it used.

    `turn_id` is its place in the history; None: it is not kept there.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    model: str
    turn_id: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No answer, and why: one sentence for the member."""

    sentence: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What was used: totals for each period, and the heaviest members and models of one of them."""

    totals: dict[Period, Totals]
    period: Period
    by_member: list[UsageRow]
    by_model: list[UsageRow]


__all__ = [
    "PERIODS",
    "Answer",
    "AttachedPicture",
    "Delta",
    "Limits",
    "Origin",
    "Period",
    "Picture",
    "PictureOrder",
    "Question",
    "Refusal",
    "Totals",
    "UsageReport",
    "UsageRow",
]
