"""What the ledger is told of how much of an answer its member was shown."""

from __future__ import annotations

from collections.abc import Callable

from tests.cogs.courier import EDIT, FOLLOW_UP
from tests.cogs.scripted import ScriptedAssistant, ask, content, done, ended, scripted_bot
from tests.fake_discord import FakeDiscord, FakeInteraction


def has_followups(number: int) -> Callable[[FakeInteraction], bool]:
    return lambda interaction: len(interaction.followups) == number


async def test_an_answer_that_arrived_is_noted_as_delivered(fake: FakeDiscord) -> None:
    """With the id of the interaction that asked, once."""
    assistant = ScriptedAssistant(["Hi.", ended("Hi.")])
    async with scripted_bot(fake, assistant) as bot:
        interaction = await ask(fake, bot)

    assert assistant.deliveries.noted == [(int(interaction.id), "full")]


async def test_an_answer_that_broke_off_on_its_way_is_noted_as_partial(fake: FakeDiscord) -> None:
    """What was shown while it grew counts for that."""
    text = "word " * 10
    assistant = ScriptedAssistant([text, 0.4, "more", ended(text + "more")])
    async with scripted_bot(fake, assistant) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: "word" in content(it))
        fake.fail("PATCH", EDIT, times=99, status=403)
        fake.fail("POST", FOLLOW_UP, times=99, status=403)
        await done(bot, interaction)

    assert assistant.deliveries.noted == [(int(interaction.id), "partial")]


async def test_an_answer_whose_message_was_deleted_is_noted_as_not_delivered(fake: FakeDiscord) -> None:
    """Fault 36: nothing is left of it, in mid-stream or at its end; of two messages the first still is."""
    text, long = "word " * 10, "word " * 395
    assistant = ScriptedAssistant(
        [text, 0.4, *["more ", 0.2] * 20],
        [text, 0.4, ended(text + "more")],
        [long, 0.5, text, 0.4, *["more ", 0.2] * 20],
    )
    async with scripted_bot(fake, assistant) as bot:
        for messages in (1, 1, 2):
            interaction = await fake.slash("ask", {"prompt": "hi"})
            await interaction.until(lambda it: "word" in content(it))
            await interaction.until(has_followups(messages - 1))
            assert interaction.original is not None
            [interaction.original, *interaction.followups][-1].deleted = True
            await done(bot, interaction)

    assert [noted for _, noted in assistant.deliveries.noted] == ["none", "none", "partial"]


async def test_an_answer_of_which_nothing_arrived_is_noted_as_such(fake: FakeDiscord) -> None:
    """Discord took no message of it at all."""
    assistant = ScriptedAssistant(["Hi.", ended("Hi.")])
    async with scripted_bot(fake, assistant) as bot:
        fake.fail("PATCH", EDIT, times=99, status=403)
        fake.fail("POST", FOLLOW_UP, times=99, status=403)
        interaction = await ask(fake, bot)

    assert assistant.deliveries.noted == [(int(interaction.id), "none")]
