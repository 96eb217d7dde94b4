"""What a model is sent: who it is and who speaks, as much of the conversation as fits, and the question."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from assistant.values import AttachedPicture, Refused
from db.history import Turn
from providers.base import ChatProvider, Message
from providers.estimates import Estimates, measure
from providers.route import Route

QUESTION_TOO_LONG = (
    "Your question, with what goes along with it, is too long for the model. Please shorten it."
)
NAMES_STAND_FIRST = (
    "Several people talk to you here, so each of their messages begins with the writer's name and a colon; "
    "your own answers do not."
)
GO_ON = (
    "Go on exactly where your last answer stopped. Repeat nothing, and begin in the middle of the word if "
    "need be."
)

# Where nobody said more, as in direct messages.
UNKNOWN_CHANNEL = "this channel"
UNKNOWN_SERVER = "Discord"

LONGEST_NAME = 32
LONGEST_PLACE_NAME = 100
# Whatever could be read as the colon behind a name.
COLONS = re.compile("[:\u02d0\u02f8\u05c3\u0703\u0704\u1804\u205a\u2236\ua789\ufe13\ufe30\ufe55\uff1a]")


@dataclass(frozen=True, slots=True)
class Conversation:
    """How conversations are led: what the model is told first, how many tokens of history go along, how many
    answers are written at a time in a channel, and how long a member waits between two questions.
    """

    system_prompt: str
    history_tokens: int
    answers_per_channel: int = 3
    cooldown_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """Who speaks, and where. `shared`: several people may speak, so each is named."""

    user: str
    channel: str
    server: str
    shared: bool


def system_messages(conversation: Conversation, setting: Setting) -> list[Message]:
    """What the model is told first: at most one message."""
    values = {
        "{date}": datetime.now(UTC).date().isoformat(),
        "{channel}": clean_name(setting.channel, LONGEST_PLACE_NAME) or UNKNOWN_CHANNEL,
        "{server}": clean_name(setting.server, LONGEST_PLACE_NAME) or UNKNOWN_SERVER,
        "{user}": clean_name(setting.user),
    }
    # In one go: what is put in is not searched again.
    prompt = re.sub(
        "|".join(map(re.escape, values)), lambda found: values[found[0]], conversation.system_prompt
    )
    sentences = [prompt, NAMES_STAND_FIRST if setting.shared else ""]
    content = "\n\n".join(sentence for sentence in sentences if sentence)
    return [Message("system", content)] if content else []


def question_message(
    prompt: str, attached: str, pictures: tuple[AttachedPicture, ...], speaker: str, setting: Setting
) -> Message:
    """A question as the model reads it: with who asks it, where that matters, and what goes along."""
    named = f"{clean_name(speaker) or 'Member'}: {prompt}" if setting.shared and speaker else prompt
    return Message("user", f"{named}\n\n{attached}" if attached else named, pictures)


def turn_messages(
    turn: Turn, setting: Setting, pictures: tuple[AttachedPicture, ...] = ()
) -> tuple[Message, Message]:
    """A turn as the model reads it."""
    question = question_message(turn.question, turn.attached, pictures, turn.speaker, setting)
    return question, Message("assistant", turn.answer)


def find_room(
    conversation: Conversation, needed: Sequence[Message], route: Route[ChatProvider], estimates: Estimates
) -> int:
    """How many tokens of history may go along with the messages that have to.

    Raises Refused when those do not fit by themselves.
    """
    context = route.context_tokens
    if context is None:
        return conversation.history_tokens
    # The answer keeps its room, though never more than half of all.
    room = context - min(route.max_tokens, context // 2) - estimates.prompt(route.full_name, measure(needed))
    if room < 0:
        raise Refused(QUESTION_TOO_LONG)
    return min(conversation.history_tokens, room)


def choose_turns(
    turns: Sequence[Turn], room: int, setting: Setting, route: Route[ChatProvider], estimates: Estimates
) -> list[Turn]:
    """The last turns, whole, that have room together; oldest first, as they are given."""
    chosen: list[Turn] = []
    for turn in reversed(turns):
        room -= estimates.prompt(route.full_name, measure(turn_messages(turn, setting), turn.pictures))
        if room < 0:
            break
        chosen.append(turn)
    return chosen[::-1]


def history_messages(
    turns: Sequence[Turn], setting: Setting, pictures: Mapping[int, tuple[AttachedPicture, ...]]
) -> list[Message]:
    """Turns as the model reads them, with the pictures of each turn that has some."""
    return [
        message for turn in turns for message in turn_messages(turn, setting, pictures.get(turn.turn_id, ()))
    ]


def with_history(needed: Sequence[Message], history: Sequence[Message]) -> tuple[Message, ...]:
    """The whole prompt: what was said before stands behind the system message."""
    first = 1 if needed[0].role == "system" else 0
    return (*needed[:first], *history, *needed[first:])


@lru_cache(maxsize=512)  # of each turn, at each question
def clean_name(name: str, longest: int = LONGEST_NAME) -> str:
    """A name in one line that can be taken for nothing else: no colon, nothing invisible, not too long."""
    visible = "".join(
        " " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in COLONS.sub(" ", name)
        if unicodedata.category(letter) not in ("Cf", "Cs", "Co", "Cn")
    )
    return " ".join(visible.split())[:longest].rstrip()
