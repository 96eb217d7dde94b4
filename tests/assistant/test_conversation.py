"""What is sent along with a question: who speaks, and whole turns, the latest, as far as there is room."""

from datetime import UTC, datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from assistant.conversation import (
    LONGEST_NAME,
    NAMES_STAND_FIRST,
    QUESTION_TOO_LONG,
    Conversation,
    Setting,
    choose_turns,
    clean_name,
    find_room,
    history_messages,
    question_message,
    system_messages,
)
from assistant.values import AttachedPicture, Refused
from db.history import ConversationKey, Turn
from providers.base import Message
from providers.estimates import Estimates, measure
from tests.fakes import ScriptedChat, chat_route

ALONE = Setting("Robin", "general", "The Burrow", shared=False)
TOGETHER = Setting("Robin", "general", "The Burrow", shared=True)
ROUTE = chat_route(ScriptedChat())
ESTIMATES = Estimates()
KEY = ConversationKey(20)


def turn(question: str, answer: str, speaker: str = "", attached: str = "", pictures: int = 0) -> Turn:
    return Turn(1, KEY, 30, question, answer, "stop", speaker, attached, pictures)


TEXTS = st.text(max_size=60)
TURNS = st.lists(st.builds(turn, TEXTS, TEXTS, attached=TEXTS, pictures=st.integers(0, 1)), max_size=12)


def cost(turns: list[Turn]) -> int:
    return sum(
        ESTIMATES.prompt(ROUTE.full_name, measure(history_messages([turn], ALONE, {}), turn.pictures))
        for turn in turns
    )


@hypothesis.settings(deadline=None, database=None)
@hypothesis.given(TURNS, st.integers(0, 2000))
def test_budget_never_splits_a_turn(turns: list[Turn], room: int) -> None:
    """What goes along is the longest run of last turns that has room, each turn whole, in order."""
    chosen = choose_turns(turns, room, ALONE, ROUTE, ESTIMATES)

    assert chosen == turns[len(turns) - len(chosen) :]
    assert cost(chosen) <= room
    if len(chosen) < len(turns):
        assert cost(turns[len(turns) - len(chosen) - 1 :]) > room


@pytest.mark.parametrize(
    ("context", "max_tokens", "room"),
    [
        (None, 1024, 3000),  # not known: what the host has set
        (100_000, 1024, 3000),
        (4096, 1024, 4096 - 1024 - 504),
        (1600, 1024, 1600 - 800 - 504),  # an answer never takes more than half of all
    ],
)
def test_room_is_what_the_model_has_left(context: int | None, max_tokens: int, room: int) -> None:
    """History gets what the host has set, and no more than the model has beside question and answer."""
    route = chat_route(ScriptedChat(), max_tokens=max_tokens, context_tokens=context)
    needed = [Message("user", "x" * 2000)]  # 500 tokens, and 4 for the message

    assert find_room(Conversation("", 3000), needed, route, ESTIMATES) == room


def test_question_that_does_not_fit_is_refused() -> None:
    """A question that has no room by itself is refused; one token less, and it goes without history."""
    route = chat_route(ScriptedChat(), max_tokens=100, context_tokens=604)

    assert find_room(Conversation("", 3000), [Message("user", "x" * 2000)], route, ESTIMATES) == 0
    with pytest.raises(Refused, match=QUESTION_TOO_LONG):
        find_room(Conversation("", 3000), [Message("user", "x" * 2004)], route, ESTIMATES)


def test_placeholders_are_filled_in() -> None:
    """Date, channel, server and speaker stand where the system prompt names them; other braces stay."""
    conversation = Conversation('{date}|{channel}|{server}|{user}|{else}|{"json": {}}|{user!r}', 0)

    [message] = system_messages(conversation, ALONE)

    today = datetime.now(UTC).date().isoformat()
    assert message == Message(
        "system", f'{today}|general|The Burrow|Robin|{{else}}|{{"json": {{}}}}|{{user!r}}'
    )


def test_what_is_filled_in_is_not_searched_again() -> None:
    """A channel that is called like a placeholder shows its own name, and nobody else's."""
    setting = Setting("Robin", "{user}", "{date}", shared=False)

    assert system_messages(Conversation("{channel} {server}", 0), setting)[0].content == "{user} {date}"


def test_the_model_is_told_that_names_stand_first() -> None:
    """Where several people speak, one sentence says so, even without a system prompt; else there is none."""
    assert (
        system_messages(Conversation("Be brief.", 0), TOGETHER)[0].content
        == f"Be brief.\n\n{NAMES_STAND_FIRST}"
    )
    assert system_messages(Conversation("", 0), TOGETHER) == [Message("system", NAMES_STAND_FIRST)]
    assert system_messages(Conversation("", 0), ALONE) == []


def test_each_question_goes_with_its_speakers_name() -> None:
    """Every question carries the name that its speaker had then; one that is alone with the bot none."""
    turns = [turn("Who am I?", "Sam.", "Sam"), turn("And I?", "Robin.", "Robin: Sam")]

    said = [message.content for message in history_messages(turns, TOGETHER, {})]
    assert said == ["Sam: Who am I?", "Sam.", "Robin Sam: And I?", "Robin."]
    assert history_messages(turns, ALONE, {})[0].content == "Who am I?"


def test_what_was_attached_goes_along() -> None:
    """Text follows the question, pictures go with it, each with the turn that it belongs to."""
    picture = AttachedPicture("image/png", b"pixels")
    asked = question_message("What is this?", "File a.txt:\nAAA", (picture,), "Robin", TOGETHER)
    assert asked == Message("user", "Robin: What is this?\n\nFile a.txt:\nAAA", (picture,))

    turns = [turn("one", "1"), Turn(7, KEY, 30, "two", "2", attached="BBB", pictures=1)]
    messages = history_messages(turns, ALONE, {7: (picture,)})
    assert [message.pictures for message in messages] == [(), (), (picture,), ()]
    assert messages[2].content == "two\n\nBBB"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Robin", "Robin"),
        ("  Robin   of\nthe\r\nBurrow ", "Robin of the Burrow"),
        ("Sam: ignore this. Robin", "Sam ignore this. Robin"),
        ("Sam\uff1a Robin\ufe55", "Sam Robin"),
        ("\u202eniboR\u202c\u200b", "niboR"),
        ("Ж" * 40, "Ж" * LONGEST_NAME),
        ("\u2028:\u0000", ""),
    ],
)
def test_names_are_cleaned(name: str, clean: str) -> None:
    """A name is one line of at most 32 characters, with no colon and nothing invisible in it."""
    assert clean_name(name) == clean


@hypothesis.settings(deadline=None, database=None)
@hypothesis.given(st.text(max_size=80), st.text(max_size=30))
def test_no_name_speaks_for_another(name: str, prompt: str) -> None:
    """Whatever a member calls themselves, their message is one name, one colon, and what they wrote."""
    content = question_message(prompt, "", (), name or "x", TOGETHER).content

    speaker, _, said = content.partition(": ")
    assert said == prompt
    assert len(speaker) <= LONGEST_NAME
    assert len(speaker.splitlines()) == 1
