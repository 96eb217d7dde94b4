"""`/ask` and what belongs to it: its options, how answers end, and `/last`."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.values import (
    Forgotten,
    LastAnswer,
    ModelChoice,
    Question,
    Refusal,
    Waiting,
)
from cogs.answering import NOTES
from cogs.last import NOTHING
from providers.base import Usage
from tests.cogs.scripted import (
    ANOTHER,
    ScriptedAssistant,
    ask,
    buttons,
    content,
    done,
    ended,
    scripted_bot,
)
from tests.fake_discord import CHANNEL_ID, MEMBER, FakeDiscord

FOOTER = "-# model · 1,234 prompt + 567 completion tokens"


# ---- The question ----------------------------------------------------------------------------------


async def test_the_assistant_is_told_who_asks_and_where(fake: FakeDiscord) -> None:
    """Names, ids and options arrive as the member and Discord gave them."""
    assistant = ScriptedAssistant(["Hello.", ended("Hello.")])
    async with scripted_bot(fake, assistant) as bot:
        interaction = await ask(fake, bot, "Who am I?", model="a/b", private=True)

    [question] = assistant.asked
    assert isinstance(question, Question)
    assert (question.prompt, question.model, question.private) == ("Who am I?", "a/b", True)
    assert (question.speaker, question.channel_name) == ("Ada", "general")
    assert question.origin.interaction_id == interaction.id
    assert (question.origin.channel_id, question.origin.user_id) == (CHANNEL_ID, MEMBER.id)
    assert interaction.ephemeral


async def test_a_prompt_of_six_thousand_characters_is_answered(fake: FakeDiscord) -> None:
    """The longest that Discord lets through arrives whole; above the answer stands its beginning."""
    assistant = ScriptedAssistant([ended("Read.")])
    async with scripted_bot(fake, assistant, footer=False) as bot:
        interaction = await ask(fake, bot, "word " * 1200)

    assert assistant.asked[0].prompt == "word " * 1200  # type: ignore[union-attr]  # a Question
    assert content(interaction).endswith("…\nRead.")
    assert len(content(interaction)) < 250


async def test_models_are_offered_as_they_are_typed(fake: FakeDiscord) -> None:
    """At most 25 of those that are ready and fit; the default is marked."""
    assistant = ScriptedAssistant()
    assistant.choices = [ModelChoice(f"p/m{n}", f"Model {n}", n == 0) for n in range(40)]
    assistant.choices.append(ModelChoice("x" * 101, "Too long for Discord", False))
    assistant.choices.append(ModelChoice("p/long", "y" * 120, False))

    async def complete(typed: str) -> list[dict[str, str]]:
        options = [{"name": "model", "type": 3, "value": typed, "focused": True}]
        data = {"id": "0", "name": "ask", "type": 1, "options": options}
        interaction = await fake.interact(4, data)
        await interaction.until(lambda it: it.choices is not None)
        assert interaction.choices is not None
        return [{key: choice[key] for key in ("name", "value")} for choice in interaction.choices]

    async with scripted_bot(fake, assistant):
        every, some, none = await complete(""), await complete("MODEL 3"), await complete("too long")
        long = await complete("p/lo")

    assert len(every) == 25
    assert every[0] == {"name": "Model 0 (default)", "value": "p/m0"}
    assert [choice["value"] for choice in some] == ["p/m3", *[f"p/m3{n}" for n in range(10)]]
    assert none == []
    assert [len(choice["name"]) for choice in long] == [100]


# ---- The answer's end ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, FOOTER),
        ({"fallback": True}, FOOTER + " · answered by a fallback"),
        (
            {"usage": Usage(12, 3, estimated=True)},
            "-# model · about 12 prompt + 3 completion tokens",
        ),
        ({"model": "a_b_c"}, "-# a\\_b\\_c · 1,234 prompt + 567 completion tokens"),
    ],
)
async def test_a_small_last_line_says_who_answered_and_what_it_used(
    fake: FakeDiscord, fields: dict[str, Any], line: str
) -> None:
    """Model, prompt and completion tokens, and whether a fallback answered; guesses are marked."""
    async with scripted_bot(fake, ScriptedAssistant(["Hi.", ended("Hi.", **fields)])) as bot:
        interaction = await ask(fake, bot)

    assert content(interaction) == f"> hi\nHi.\n{line}"


async def test_the_last_line_can_be_turned_off(fake: FakeDiscord) -> None:
    """`footer = false` leaves the answer alone."""
    async with scripted_bot(fake, ScriptedAssistant(["Hi.", ended("Hi.")]), footer=False) as bot:
        assert content(await ask(fake, bot)) == "> hi\nHi."


@pytest.mark.parametrize(
    ("reason", "labels"),
    [
        ("stop", ["Regenerate"]),
        ("length", ["Regenerate", "Continue"]),
        ("content_filter", ["Regenerate"]),
        ("interrupted", ["Try again"]),
        ("stopped", ["Regenerate"]),
    ],
)
async def test_each_end_has_its_line_and_its_buttons(
    fake: FakeDiscord, reason: str, labels: list[str]
) -> None:
    """An answer that did not end by itself says so in one line; what can be done stands below it."""
    async with scripted_bot(fake, ScriptedAssistant(["Hi.", ended("Hi.", reason)]), footer=False) as bot:
        interaction = await ask(fake, bot)

    note = f"\n{NOTES[reason]}" if reason in NOTES else ""
    assert content(interaction) == f"> hi\nHi.{note}"
    assert list(buttons(interaction.original)) == labels
    assert (reason == "stop") == (note == "")


async def test_an_answer_that_is_not_kept_has_no_buttons(fake: FakeDiscord) -> None:
    """There is nothing to regenerate where nothing is remembered."""
    async with scripted_bot(fake, ScriptedAssistant([0.1, ended("Hi.", turn_id=None)])) as bot:
        assert buttons((await ask(fake, bot)).original) == {}


async def test_the_buttons_stand_below_the_last_of_several_messages(fake: FakeDiscord) -> None:
    """A long answer has them where its reader ends."""
    text = "one " * 400 + "\n\n" + "two " * 400
    async with scripted_bot(fake, ScriptedAssistant([text, 0.3, ended(text)])) as bot:
        interaction = await ask(fake, bot)

    [last] = interaction.followups
    assert buttons(interaction.original) == {}
    assert list(buttons(last)) == ["Regenerate"]


async def test_a_refusal_is_one_sentence_without_buttons(fake: FakeDiscord) -> None:
    """The button that stood there while the bot was waiting is gone."""
    async with scripted_bot(fake, ScriptedAssistant([Waiting(1), 0.2, Refusal("No.")])) as bot:
        interaction = await ask(fake, bot)

    assert content(interaction) == "> hi\nNo."
    assert buttons(interaction.original) == {}


# ---- What did not arrive ---------------------------------------------------------------------------


async def test_an_answer_that_was_lost_is_told_of_once_and_shown_by_last(fake: FakeDiscord) -> None:
    """The member's next question begins with a line about it; /last shows it to the member alone, once."""
    assistant = ScriptedAssistant([ended("Precious.")], [ended("Second.")], [ended("Third.")])
    async with scripted_bot(fake, assistant, footer=False) as bot:
        fake.fail("PATCH", "/webhooks/*", times=3, status=500)
        fake.fail("POST", "/webhooks/*", times=3, status=500)
        await ask(fake, bot, "What is it?")
        second = await ask(fake, bot)
        third = await ask(fake, bot)
        last = await fake.slash("last")
        await done(bot, last)
        assistant.last = LastAnswer("hi", "Third.")
        newest = await fake.slash("last")
        await done(bot, newest)

    line = f"-# Your last answer in <#{CHANNEL_ID}> could not be delivered. /last shows it to you there."
    assert content(second) == f"{line}\n> hi\nSecond."
    assert content(third) == "> hi\nThird."
    assert content(last) == "> What is it?\nPrecious."
    assert last.ephemeral
    assert content(newest) == "> hi\nThird."


@pytest.mark.parametrize(("private", "channel_id"), [(True, CHANNEL_ID), (False, CHANNEL_ID + 1)])
async def test_others_do_not_read_of_an_answer_that_they_did_not_see(
    fake: FakeDiscord, private: bool, channel_id: int
) -> None:
    """Of a private answer, or one in another channel, its member is told in the next private reply."""
    assistant = ScriptedAssistant([ended("Precious.")], [ended("Second.")], [ended("Third.")])
    async with scripted_bot(fake, assistant, footer=False) as bot:
        fake.fail("PATCH", "/webhooks/*", times=3, status=500)
        fake.fail("POST", "/webhooks/*", times=3, status=500)
        await ask(fake, bot, "What is it?", private=private)
        second = await fake.slash("ask", {"prompt": "hi"}, channel_id=channel_id)
        await done(bot, second)
        third = await ask(fake, bot, private=True)

    assert content(second) == "> hi\nSecond."
    assert content(third).startswith("-# Your last answer in")


async def test_last_shows_nothing_of_others(fake: FakeDiscord) -> None:
    """A lost answer is its member's; whoever has none is told how to get one."""
    assistant = ScriptedAssistant([ended("Precious.")])
    async with scripted_bot(fake, assistant) as bot:
        fake.fail("PATCH", "/webhooks/*", times=3, status=500)
        fake.fail("POST", "/webhooks/*", times=3, status=500)
        await ask(fake, bot)
        other = await fake.slash("last", user=ANOTHER)
        await done(bot, other)
        elsewhere = await fake.slash("last", channel_id=CHANNEL_ID + 1)
        await done(bot, elsewhere)

    assert content(other) == content(elsewhere) == NOTHING
    assert other.ephemeral


async def test_a_member_who_wants_to_be_forgotten_has_nothing_lost(fake: FakeDiscord) -> None:
    """`/forget mine` says what it removed, and takes what did not arrive with it."""
    assistant = ScriptedAssistant([ended("Precious.")])
    assistant.forgotten = Forgotten(3, 1)
    async with scripted_bot(fake, assistant) as bot:
        fake.fail("PATCH", "/webhooks/*", times=3, status=500)
        fake.fail("POST", "/webhooks/*", times=3, status=500)
        await ask(fake, bot)
        forget = await fake.slash("forget", subcommand="mine")
        await done(bot, forget)
        last = await fake.slash("last")
        await done(bot, last)

    assert content(forget) == "Forgotten: 3 turns of yours in 1 channel. The usage records stay."
    assert forget.ephemeral
    assert content(last) == NOTHING
