"""An answer while it is written, and its buttons: the queue, Stop, the end of time, Regenerate, Continue."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest

from assistant.turns import NOT_YOURS as NOT_THEIRS
from assistant.values import (
    Again,
    Begun,
    More,
    Question,
    Waiting,
)
from cogs.answering import NOTES, TIME_OVER, Answers
from cogs.origin import origin_of
from cogs.stopping import NOT_RUNNING, NOT_YOURS, RESERVE_SECONDS
from cogs.surfaces import ResponseSurface
from tests.cogs.scripted import (
    ANOTHER,
    MANAGER,
    ScriptedAssistant,
    ask,
    buttons,
    content,
    done,
    ended,
    scripted_bot,
)
from tests.fake_discord import CHANNEL_ID, MEMBER, FakeDiscord, FakeUser

FOOTER = "-# model · 1,234 prompt + 567 completion tokens"


# ---- While it is being written ---------------------------------------------------------------------


async def test_who_waits_in_the_queue_sees_the_place(fake: FakeDiscord) -> None:
    """Each change of place is shown, with the button to give up."""
    script = [Waiting(3), 0.6, Waiting(1), 0.6, "Hi.", ended("Hi.")]
    async with scripted_bot(fake, ScriptedAssistant(script), footer=False) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: "number 3" in content(it))
        assert list(buttons(interaction.original)) == ["Stop"]
        await done(bot, interaction)

    assert interaction.original is not None
    shown = [version.content for version in interaction.original.versions]
    assert "> hi\n-# In the queue: you are number 3." in shown
    assert "> hi\n-# In the queue: you are next." in shown
    assert shown[-1] == "> hi\nHi."


@pytest.mark.parametrize(("user", "permissions"), [(MEMBER, 0), (ANOTHER, MANAGER)])
async def test_stop_ends_the_answer_and_keeps_what_came(
    fake: FakeDiscord, user: FakeUser, permissions: int
) -> None:
    """The asker and whoever may manage messages can stop; the press is acknowledged at once, silently."""
    assistant = ScriptedAssistant(["Once ", "upon ", 30.0, "a time"])
    async with scripted_bot(fake, assistant) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: "upon" in content(it))
        assert interaction.original is not None
        custom_id = buttons(interaction.original)["Stop"]
        assert custom_id == f"ask:stop:{interaction.id}"
        press = await fake.component(interaction.original, custom_id, user=user, permissions=permissions)
        await done(bot, press)

    assert press.response_type == 6
    usage = "-# model · about 7 prompt + 3 completion tokens"
    assert content(interaction) == f"> hi\nOnce upon\n{NOTES['stopped']}\n{usage}"
    assert list(buttons(interaction.original)) == ["Regenerate"]


async def test_nobody_else_can_stop_an_answer(fake: FakeDiscord) -> None:
    """Another member is told so, and the answer goes on."""
    async with scripted_bot(fake, ScriptedAssistant(["Once ", 1.0, ended("Once upon.")])) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: "Once" in content(it))
        assert interaction.original is not None
        custom_id = buttons(interaction.original)["Stop"]
        press = await fake.component(interaction.original, custom_id, user=ANOTHER)
        await press.until(lambda it: it.original is not None)
        await done(bot, interaction)

    assert content(press) == NOT_YOURS
    assert press.ephemeral
    assert "Once upon." in content(interaction)


async def test_a_stop_button_from_before_a_restart_says_so_and_goes(fake: FakeDiscord) -> None:
    """Nothing is being written any more: the button is removed, and the member told alone."""
    async with scripted_bot(fake, ScriptedAssistant(["Once ", 0.5, ended("Once.")])) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: "Once" in content(it))
        assert interaction.original is not None
        message = interaction.original
        stale = message.latest
        custom_id = buttons(message)["Stop"]
        await done(bot, interaction)
        message.versions.append(stale)  # as a killed bot would have left it
    async with scripted_bot(fake, ScriptedAssistant()) as bot:
        press = await fake.component(message, custom_id)
        await press.until(lambda it: it.followups)

    assert press.followups[0].content == NOT_RUNNING
    assert press.followups[0].ephemeral
    assert buttons(message) == {}
    assert message.content == stale.content


async def test_an_answer_ends_before_discord_takes_no_more_of_it(fake: FakeDiscord) -> None:
    """90 s before the interaction's time is over the answer is stopped, and says why."""
    assistant = ScriptedAssistant(["Once ", 30.0])
    async with scripted_bot(fake, assistant, footer=False) as bot:
        answers = Answers(assistant, footer=False)  # type: ignore[arg-type]  # its interface is the same
        asked: asyncio.Queue[None] = asyncio.Queue()

        @bot.tree.command(name="late", description="Ask with half a second left.")
        async def late(interaction: discord.Interaction[Any]) -> None:
            surface = ResponseSurface(interaction)
            surface.expires_at = asyncio.get_running_loop().time() + RESERVE_SECONDS + 0.5
            await interaction.response.defer(thinking=True)
            await answers.answer_question(Question(origin_of(interaction), "hi"), surface)
            asked.put_nowait(None)

        interaction = await fake.slash("late")
        await asyncio.wait_for(asked.get(), 5)

    assert content(interaction) == f"Once\n{TIME_OVER}"


async def test_a_message_deleted_in_mid_answer_ends_the_stream(fake: FakeDiscord) -> None:
    """Nobody reads on, so nobody is listened to; and nothing is lost that anyone wanted."""
    assistant = ScriptedAssistant(["Once ", 0.2, *["more ", 0.1] * 50])
    async with scripted_bot(fake, assistant) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: "Once" in content(it))
        assert interaction.original is not None
        interaction.original.deleted = True
        await done(bot, interaction)
        assert bot.answers.lost(CHANNEL_ID, MEMBER.id) is None

    assert assistant.left == 1


# ---- The buttons below an answer -------------------------------------------------------------------


async def test_regenerate_and_continue_name_the_turn_and_who_presses(fake: FakeDiscord) -> None:
    """Each answers in a new reply, below the question that the assistant tells, after a restart too."""
    first = ScriptedAssistant([ended("Once", "length", turn_id=77)])
    async with scripted_bot(fake, first) as bot:
        interaction = await ask(fake, bot)
    second = ScriptedAssistant(
        [Begun("hi *there*"), "Anew.", ended("Anew.", turn_id=78)],
        [Begun("hi"), " upon.", ended(" upon.", turn_id=77)],
    )
    async with scripted_bot(fake, second, footer=False) as bot:
        custom_ids = buttons(interaction.original)
        assert interaction.original is not None
        again = await fake.component(interaction.original, custom_ids["Regenerate"])
        await done(bot, again)
        more = await fake.component(
            interaction.original, custom_ids["Continue"], user=ANOTHER, permissions=MANAGER
        )
        await done(bot, more)

    one, two = second.asked
    assert isinstance(one, Again)
    assert (one.turn_id, one.speaker, one.may_manage) == (77, "Ada", False)
    assert one.origin.interaction_id == again.id
    assert isinstance(two, More)
    assert (two.turn_id, two.speaker, two.may_manage) == (77, "Grace", True)
    assert content(again) == "> hi \\*there\\*\nAnew."
    assert content(more) == "> hi (continued)\n upon."
    assert again.original is not interaction.original


async def test_what_goes_on_in_a_code_block_is_code(fake: FakeDiscord) -> None:
    """The block that the answer broke off in is opened again, and what follows it is text."""
    assistant = ScriptedAssistant(
        [ended("Look:\n```python\nx = 1\ny", "length", turn_id=77)],
        [Begun("hi", "Look:\n```python\nx = 1\ny"), " = 2\n``", 0.3, ended(" = 2\n```\nDone.", turn_id=77)],
    )
    async with scripted_bot(fake, assistant, footer=False) as bot:
        interaction = await ask(fake, bot)
        assert interaction.original is not None
        more = await fake.component(interaction.original, buttons(interaction.original)["Continue"])
        await done(bot, more)

    assert more.original is not None
    assert [version.content for version in more.original.versions][1:] == [
        "> hi (continued)\n```python\n = 2\n```",
        "> hi (continued)\n```python\n = 2\n```\nDone.",
    ]


async def test_somebody_elses_button_is_refused_to_the_one_who_pressed_it(fake: FakeDiscord) -> None:
    """Nobody else reads that, and nothing is asked; buttons of before, which name no member, still work."""
    assistant = ScriptedAssistant([ended("Once", turn_id=77)], [Begun("hi"), ended("Twice", turn_id=77)])
    async with scripted_bot(fake, assistant) as bot:
        interaction = await ask(fake, bot)
        assert interaction.original is not None
        [custom_id] = buttons(interaction.original).values()
        press = await fake.component(interaction.original, custom_id, user=ANOTHER)
        await press.until(lambda it: it.original is not None)
        interaction.original.latest.components[0]["components"][0]["custom_id"] = "ask:again:77"
        old = await fake.component(interaction.original, "ask:again:77", user=ANOTHER)
        await done(bot, old)

    assert custom_id == f"ask:again:77:{MEMBER.id}"
    assert content(press) == NOT_THEIRS
    assert press.ephemeral
    assert len(assistant.asked) == 2
    assert "Twice" in content(old)


async def test_a_private_answer_is_regenerated_in_private(fake: FakeDiscord) -> None:
    """What only one member saw is not shown to all by a press."""
    assistant = ScriptedAssistant([ended("Once")], [Begun("hi"), ended("Twice")])
    async with scripted_bot(fake, assistant) as bot:
        interaction = await ask(fake, bot, private=True)
        assert interaction.original is not None
        press = await fake.component(interaction.original, buttons(interaction.original)["Regenerate"])
        await done(bot, press)

    assert press.ephemeral
