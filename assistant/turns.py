"""What is asked and where its answer goes: a new turn, another answer to an old one, or more of one."""

from __future__ import annotations

from abc import ABC, abstractmethod

from assistant.conversation import GO_ON, Setting, question_message, turn_messages
from assistant.values import AboutTurn, AttachedPicture, More, Origin, Question, Refused
from db.engine import Connection
from db.history import (
    ConversationKey,
    NewTurn,
    StoredPicture,
    Turn,
    add_turn,
    append_to_answer,
    read_pictures,
    read_turn,
    replace_answer,
)
from providers.base import Message

FORGOTTEN = "This question is no longer in the channel's history. Please ask it again with /ask."
NOT_YOURS = "Only the member who asked this, or somebody who may manage messages here, can do that."
NOTHING_MORE = (
    "This answer has come to its end, so there is nothing to go on with. Please ask a new question."
)

# How an answer has ended that may be gone on with.
UNFINISHED = frozenset({"length", "interrupted", "stopped"})


class Work(ABC):
    """One thing to be answered: in which conversation, by which model, and before which turn."""

    needed = 1  # how many of the messages it reads are the question itself, and are never left out

    def __init__(
        self, key: ConversationKey, setting: Setting, model: str | None = None, before: int | None = None
    ) -> None:
        self.key = key
        self.setting = setting
        self.model = model  # None: the chain's own choice
        self.before = before  # None: everything in the conversation was said before

    @abstractmethod
    async def read(self, connection: Connection) -> list[Message]:
        """The question, and what else has to be sent but was not said before. Raises Refused."""

    @abstractmethod
    async def keep(self, connection: Connection, request_id: int, text: str, reason: str) -> int | None:
        """Write an answer into the history and return its turn; None when it has no place there any more."""


class NewQuestion(Work):
    """A question that was not asked before."""

    def __init__(self, question: Question) -> None:
        origin = question.origin
        super().__init__(
            ConversationKey(origin.channel_id, origin.user_id if question.private else 0),
            _setting(question, question.speaker, question.private),
            question.model,
        )
        self._question = question

    async def read(self, connection: Connection) -> list[Message]:
        """The question."""
        asked = self._question
        return [question_message(asked.prompt, asked.attached, asked.pictures, asked.speaker, self.setting)]

    async def keep(self, connection: Connection, request_id: int, text: str, reason: str) -> int | None:
        """A turn of its own."""
        asked = self._question
        turn = NewTurn(
            request_id,
            asked.origin.guild_id,
            self.key,
            asked.origin.user_id,
            asked.prompt,
            text,
            reason,
            asked.speaker,
            asked.attached,
            tuple(StoredPicture(picture.media_type, picture.data) for picture in asked.pictures),
            asked.model or "",
        )
        await add_turn(connection, turn)
        return request_id


class AnotherAnswer(Work):
    """The question of a turn once more."""

    def __init__(self, request: AboutTurn, turn: Turn) -> None:
        speaker = turn.speaker or request.speaker
        setting = _setting(request, speaker, turn.key.private_to != 0)
        super().__init__(turn.key, setting, turn.model or None, before=turn.turn_id)
        self.turn = turn
        self._request = request

    async def read(self, connection: Connection) -> list[Message]:
        """The question, with all that went along with it."""
        # Anew: it may have been forgotten, or answered anew, while this waited.
        self.turn = turn = await find_turn(connection, self._request)
        pictures = await attached_pictures(connection, [turn])
        return [*turn_messages(turn, self.setting, pictures.get(turn.turn_id, ()))[:1]]

    async def keep(self, connection: Connection, request_id: int, text: str, reason: str) -> int | None:
        """In the place of the turn's answer."""
        kept = await replace_answer(connection, self.turn.turn_id, text, reason)
        return self.turn.turn_id if kept else None


class Continuation(AnotherAnswer):
    """More of a turn's answer."""

    needed = 3

    async def read(self, connection: Connection) -> list[Message]:
        """The question, the answer so far, and the wish that it go on."""
        messages = await super().read(connection)
        return [*messages, Message("assistant", self.turn.answer), Message("user", GO_ON)]

    async def keep(self, connection: Connection, request_id: int, text: str, reason: str) -> int | None:
        """Behind the turn's answer, if that is still the one that was sent."""
        kept = await append_to_answer(connection, self.turn, text, reason)
        return self.turn.turn_id if kept else None


def _setting(asked: Question | AboutTurn, speaker: str, private: bool) -> Setting:
    # In direct messages, and in private, nobody else can speak.
    shared = asked.origin.guild_id != 0 and not private and speaker != ""
    return Setting(speaker, asked.channel_name, asked.server_name, shared)


async def find_turn(connection: Connection, request: AboutTurn) -> Turn:
    """The turn that is meant. Raises Refused when this member may not, or nobody can, have it anew."""
    turn = await read_turn(connection, request.turn_id)
    if turn is None or not _is_in_sight(turn, request.origin):
        raise Refused(FORGOTTEN)
    if turn.user_id != request.origin.user_id and not request.may_manage:
        raise Refused(NOT_YOURS)
    if isinstance(request, More) and turn.finish_reason not in UNFINISHED:
        raise Refused(NOTHING_MORE)
    return turn


def _is_in_sight(turn: Turn, origin: Origin) -> bool:
    return turn.key.channel_id == origin.channel_id and turn.key.private_to in (0, origin.user_id)


async def attached_pictures(
    connection: Connection, turns: list[Turn]
) -> dict[int, tuple[AttachedPicture, ...]]:
    """The pictures of those of the turns that have some, by turn."""
    having = [turn.turn_id for turn in turns if turn.pictures]
    stored = await read_pictures(connection, having) if having else {}
    return {
        turn_id: tuple(AttachedPicture(picture.media_type, picture.data) for picture in pictures)
        for turn_id, pictures in stored.items()
    }
