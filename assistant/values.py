"""What the assistant is asked and what it answers with: plain data, which the cogs draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from db.budgets import BudgetPeriod, Limit, StoredBudget, Unit
from db.history import Forgotten
from db.pictures import StoredPictures
from db.responses import Left
from db.rollup import Totals
from db.usage import Grouping, Line, View
from providers.base import AttachedPicture, Delta, FinishReason, Picture, Usage

Period = Literal["today", "7 days", "30 days"]
PERIODS: tuple[Period, ...] = ("today", "7 days", "30 days")

# Of the 15 minutes that an interaction has, the last five are for writing the answer.
LONGEST_WAIT_SECONDS = 600.0

# How an answer ended: as the vendor says, or because somebody stopped it.
EndReason = FinishReason | Literal["stopped"]

# Why there is no answer: it was not allowed, or a vendor's filter had something against it; its member
# stopped it; something does not work.
Reason = Literal["refused", "stopped", "failed"]


class Refused(Exception):
    """A request that is not answered, and costs nothing; the text is one sentence for the member."""


def reason_of(error: Exception) -> Reason:
    """Whether somebody refused, or something does not work."""
    refused = isinstance(error, Refused) or getattr(error, "kind", "") in ("content", "not_affordable")
    return "refused" if refused else "failed"


class PictureRefused(Refused):
    """A button below pictures that cannot do what it says for this member."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from. All ids are Discord's; `guild_id` is 0 in direct messages.

    A thread is a conversation of its own, but in reports and budgets it counts to its channel: else a
    channel's budget would end where a thread begins.
    """

    interaction_id: int
    guild_id: int
    channel_id: int
    user_id: int
    role_ids: tuple[int, ...] = ()  # the member's
    parent_channel_id: int | None = None  # of a thread
    response: str = ""  # how to reach the member later on, sealed; "": it cannot be done


@dataclass(frozen=True, slots=True)
class BudgetNotice:
    """That 50, 80 or 100 % of a budget are used, or that it refuses requests; once each in a day or month."""

    limit: Limit
    spent: int  # in the limit's unit; of dollars millionths
    percent: int | None  # None: what is left was too little for a request


@dataclass(frozen=True, slots=True)
class Limits:
    """What the host allows in a day and in a month (UTC) to the whole bot, each server and each member.

    None: no limit. `listeners` are told of notices about these and about the servers' own budgets.
    """

    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    pictures_per_day: int | None = None
    pictures_per_month: int | None = None
    dollars_per_day: float | None = None
    dollars_per_month: float | None = None
    server_tokens_per_day: int | None = None
    server_tokens_per_month: int | None = None
    server_pictures_per_day: int | None = None
    server_pictures_per_month: int | None = None
    server_dollars_per_day: float | None = None
    server_dollars_per_month: float | None = None
    member_tokens_per_day: int | None = None
    member_tokens_per_month: int | None = None
    member_pictures_per_day: int | None = None
    member_pictures_per_month: int | None = None
    member_dollars_per_day: float | None = None
    member_dollars_per_month: float | None = None
    listeners: list[Callable[[BudgetNotice], None]] = field(default_factory=list, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a chat model. A private one belongs to a conversation of its own: this member's, here."""

    origin: Origin
    prompt: str
    private: bool = False
    model: str | None = None  # "provider/model"; None: the chain's own choice
    speaker: str = ""  # the member's display name
    channel_name: str = ""
    server_name: str = ""
    attached: str = ""  # text that goes along with the prompt
    pictures: tuple[AttachedPicture, ...] = ()  # scaled down already
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS  # in the queue


@dataclass(frozen=True, slots=True)
class AboutTurn:
    """Something wished of a turn that is kept."""

    origin: Origin
    turn_id: int
    speaker: str = ""
    channel_name: str = ""
    server_name: str = ""
    may_manage: bool = False  # whether the member may manage messages here


@dataclass(frozen=True, slots=True)
class Again(AboutTurn):
    """The question of a turn once more; its answer takes the place of the turn's."""


@dataclass(frozen=True, slots=True)
class More(AboutTurn):
    """Going on with an answer that did not come to its end; what comes is added to the turn's."""


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """Pictures to be made. `seed` None: one is drawn; the first has it, each of the others the next.

    `steps` and `guidance` None: the model's default. `model` as in Question. What a model cannot do is
    adjusted to the nearest that it can, and told.
    """

    origin: Origin
    prompt: str
    width: int = 1024
    height: int = 1024
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    negative: str = ""
    count: int = 1  # up to 4
    model: str | None = None
    spoiler: bool = False
    private: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """How many of the pictures are there while the others are being made."""

    done: int
    count: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """The end of an order: the pictures that were made, out of `count`, and why others were not."""

    pictures: tuple[Picture, ...]
    count: int
    stopped: bool = False  # somebody ended it early
    missed: tuple[str, ...] = ()  # a sentence for each reason
    row_id: int | None = None  # what the buttons name; None: what it was made with is not kept


@dataclass(frozen=True, slots=True)
class Begun:
    """The question whose answer follows; first of all for Again and More, which only name a turn."""

    prompt: str
    answer: str = ""  # of More: as far as it has come


@dataclass(frozen=True, slots=True)
class Waiting:
    """The member's place among those who wait in this channel, whenever it changes; 1: the next."""

    place: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of an answer: its whole text (of More: what was added), how it ended, what it used.

    `turn_id` is its place in the history; None: it is not kept there.
    """

    text: str
    finish_reason: EndReason
    usage: Usage
    model: str
    provider: str = ""  # with its model, for people
    fallback: bool = False  # whether the chain's first choice did not answer
    turn_id: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No answer, and why: one sentence for the member."""

    sentence: str
    reason: Reason = field(default="refused", compare=False)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that may be asked by name now. `value` goes into Question.model, `label` is for people."""

    value: str
    label: str
    default: bool  # whether it is asked when none is named


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """A member's newest turn in a channel."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class MemberUsage:
    """What a member used: totals for each period in a zone's days, and the heaviest models of one of them."""

    totals: dict[Period, Totals]
    by_model: list[Line]
    time_zone: str


__all__ = [
    "PERIODS",
    "AboutTurn",
    "Again",
    "Answer",
    "AttachedPicture",
    "Begun",
    "BudgetNotice",
    "BudgetPeriod",
    "Delta",
    "Drawing",
    "EndReason",
    "Forgotten",
    "Grouping",
    "LastAnswer",
    "Left",
    "Limit",
    "Limits",
    "Line",
    "MemberUsage",
    "ModelChoice",
    "More",
    "Origin",
    "Period",
    "Picture",
    "PictureOrder",
    "PictureRefused",
    "Pictures",
    "Question",
    "Refusal",
    "Refused",
    "StoredBudget",
    "StoredPictures",
    "Totals",
    "Unit",
    "View",
    "Waiting",
]
