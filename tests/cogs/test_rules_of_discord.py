"""The real cogs inside simcord, which enforces Discord's rules: permissions, deferral, lengths, visibility.

Only scripted providers here: while a real socket is pending, simcord's clock stands still.
"""

from __future__ import annotations

import pytest
from discord import app_commands
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from assistant.values import Origin, Question
from cogs.errors import SORRY
from cogs.surfaces import ReplySurface
from providers.base import RateLimited
from tests.cogs.world import OpenWorld, allow
from tests.fakes import ScriptedImages, answer
from tests.living_bot import without_footer


async def test_an_answer_is_deferred_in_time_and_ends_in_the_original_response(open_world: OpenWorld) -> None:
    """`/ask` acknowledges first, then its answer stands in the original response, for everyone."""
    world = await open_world(answer("Hello", ", Ada."))
    result = await world.member.slash(world.channel, "ask", prompt="Who am I?")

    requests = [request.path for request in world.env.http_requests]
    assert next(path for path in requests if "interactions" in path).endswith("/callback")
    assert not result.ephemeral
    assert result.response is not None
    footer = "-# scripted-model · 10 prompt + 5 completion tokens"
    assert result.response.content == f"> Who am I?\nHello, Ada.\n{footer}"
    assert result.followups == []


async def test_a_private_answer_is_seen_by_its_member_alone(open_world: OpenWorld) -> None:
    """`private` makes the response ephemeral from the deferral on."""
    world = await open_world()
    result = await world.member.slash(world.channel, "ask", prompt="hush", private=True)

    assert result.ephemeral
    assert world.channel.history(viewer=world.admin) == []


async def test_a_long_private_answer_is_seen_by_its_member_alone_in_all_its_messages(
    open_world: OpenWorld,
) -> None:
    """What follows the original response is as private as that is."""
    world = await open_world(answer("word " * 600))
    result = await world.member.slash(world.channel, "ask", prompt="hush", private=True)

    assert len(result.followups) == 1
    assert world.channel.history(viewer=world.admin) == []


async def test_a_long_answer_comes_in_as_few_messages_as_needed(open_world: OpenWorld) -> None:
    """What does not fit into the original response follows in order, each part within Discord's limit."""
    text = " ".join(f"word{number}" for number in range(600))
    world = await open_world(answer(text))
    result = await world.member.slash(world.channel, "ask", prompt="count")

    assert result.response is not None
    parts = [result.response.content, *(message.content for message in result.followups)]
    parts[-1] = without_footer(parts[-1])
    assert len(parts) == 3
    assert all(len(part) <= 2000 for part in parts)
    assert " ".join(parts).split() == [">", "count", *text.split()]


async def test_a_picture_comes_as_a_file_with_its_seed(open_world: OpenWorld) -> None:
    """`/imagine` sends the picture and says which seed it was made from."""
    world = await open_world()
    result = await world.member.slash(world.channel, "imagine", prompt="a fox", seed=42)

    assert result.response is not None
    assert [file.filename for file in result.response.attachments] == ["picture-42.png"]
    assert "seed 42" in result.response.content


async def test_refusals_are_one_sentence_of_plain_words(open_world: OpenWorld) -> None:
    """When no provider answers, the member reads why, and never a vendor's words."""
    world = await open_world(
        [RateLimited("HTTP 429: org_123 over quota", retry_after=110)],
        images=ScriptedImages(RateLimited("secret", retry_after=110)),
    )
    busy = "All of the bot's models are busy or used up. Please try again in 2 minutes."
    asked = await world.member.slash(world.channel, "ask", prompt="hi")
    drawn = await world.member.slash(world.channel, "imagine", prompt="a fox")

    assert asked.response is not None
    assert drawn.response is not None
    assert asked.response.content == f"> hi\n{busy}"
    assert drawn.response.content == f"**a fox**\n{busy}"


async def test_usage_is_for_people_who_manage_the_server(open_world: OpenWorld) -> None:
    """Discord hides `/usage` from members; one whom an overwrite lets through is refused by the bot."""
    world = await open_world()
    assert "usage" not in world.member.available_commands(world.channel)
    assert "usage" in world.admin.available_commands(world.channel)

    allow(world, "usage")
    world.expected_errors = [app_commands.MissingPermissions]
    result = await world.member.slash(world.channel, "usage")

    assert result.ephemeral
    assert result.response is not None
    assert result.response.content == "You need the permission to manage server for this."


async def test_usage_shows_the_very_tokens_that_the_vendor_reported(open_world: OpenWorld) -> None:
    """The admin's report and the member's own hold the vendor's figures, and only they see them."""
    world = await open_world(answer("x", prompt_tokens=1234, completion_tokens=567))
    await world.member.slash(world.channel, "ask", prompt="hi")
    await world.member.slash(world.channel, "imagine", prompt="a fox")
    report = await world.admin.slash(world.channel, "usage")
    own = await world.member.slash(world.channel, "mine usage")
    nothing = await world.admin.slash(world.channel, "mine usage")

    assert own.ephemeral
    assert own.response is not None
    fields = {field.name: field.value for field in own.response.embeds[0].fields}
    assert fields["Today"] == "1,234 prompt\n567 completion\n1 picture\n2 requests"
    assert "scripted-model: 1,234 + 567 tokens, 1 request" in (fields["By model, 30 days"] or "")
    assert report.ephemeral
    assert report.response is not None
    assert f"<@{world.member.id}>: 1,234 + 567 tokens" in str(report.response.embeds[0].to_dict())
    assert nothing.response is not None
    assert nothing.response.embeds[0].fields[0].value == "0 prompt\n0 completion\n0 pictures\n0 requests"


async def test_forget_clears_the_conversation_and_keeps_the_books(open_world: OpenWorld) -> None:
    """After `/forget` the model is told nothing of before, and the usage is what it was."""
    world = await open_world(answer("Blue."), answer("Yes."), answer("No."))
    await world.member.slash(world.channel, "ask", prompt="My favourite colour is blue.")
    await world.member.slash(world.channel, "ask", prompt="Do you know it?")
    forgotten = await world.admin.slash(world.channel, "forget channel")
    await world.member.slash(world.channel, "ask", prompt="And now?")
    report = await world.admin.slash(world.channel, "usage")

    asked = [
        [message.content.removeprefix("ada: ") for message in request.messages[1:]]
        for request, _ in world.chat.calls
    ]
    assert asked[1] == ["My favourite colour is blue.", "Blue.", "Do you know it?"]
    assert asked[2] == ["And now?"]
    assert forgotten.response is not None
    assert forgotten.response.content == (
        "Forgotten: 2 turns of this channel's conversation. The usage records stay."
    )
    assert report.response is not None
    assert "3 requests" in str(report.response.embeds[0].to_dict())


async def test_forget_is_for_people_who_manage_messages(open_world: OpenWorld) -> None:
    """A member cannot wipe a conversation that is everybody's."""
    world = await open_world()
    world.expected_errors = [app_commands.MissingPermissions]
    result = await world.member.slash(world.channel, "forget channel")

    assert result.response is not None
    assert "permission to manage messages" in result.response.content


async def test_nothing_that_a_model_writes_pings_anyone(open_world: OpenWorld) -> None:
    """Mentions in prompts and answers ping nobody, in no message and no edit."""
    world = await open_world(answer("@everyone ", f"<@{1}> ", "x " * 1500))
    await world.member.slash(world.channel, "ask", prompt="@everyone @here")
    sent = [
        entry.json
        for entry in world.env.http_requests
        if isinstance(entry.json, dict) and entry.json.get("content")
    ]

    assert len(sent) >= 2
    assert all(body.get("allowed_mentions") == {"parse": []} for body in sent)


async def test_forget_mine_is_for_everyone_and_seen_by_nobody_else(open_world: OpenWorld) -> None:
    """A member deletes what they said everywhere, and reads how much that was; others' turns stay."""
    world = await open_world(answer("Blue."), answer("Red."), answer("Who knows."))
    await world.member.slash(world.channel, "ask", prompt="Blue?")
    await world.admin.slash(world.channel, "ask", prompt="Red?")
    nothing = await world.env.guild.add_member(world.env.create_user("mary")).slash(
        world.channel, "forget mine"
    )
    forgotten = await world.member.slash(world.channel, "forget mine")
    await world.member.slash(world.channel, "ask", prompt="And now?")

    assert forgotten.ephemeral
    assert forgotten.response is not None
    assert forgotten.response.content == ("Forgotten: 1 turn of yours in 1 channel. The usage records stay.")
    assert nothing.response is not None
    assert nothing.response.content == "There was nothing of yours to forget."
    heard = " ".join(message.content for message in world.chat.calls[2][0].messages[1:])
    assert "Red." in heard
    assert "Blue." not in heard


async def test_a_reply_in_a_channel_works_like_a_response(open_world: OpenWorld) -> None:
    """The same answer on another surface: a reply to a message, edited as it grows, pinging nobody."""
    text = "@everyone " * 250
    world = await open_world(["@everyone ", 0.5, *answer(text)])
    asked = await world.member.send(world.channel, "What?")
    message = world.bot.get_partial_messageable(world.channel.id).get_partial_message(asked.id)
    surface = ReplySurface(message, world.bot.calls)
    origin = Origin(asked.id, world.env.guild.id, world.channel.id, world.member.id)
    await world.bot.answers.answer_question(Question(origin, "What?"), surface)

    _, first, second = world.channel.history()
    assert surface.shown.is_set()
    assert first.reference is not None
    assert first.reference.message_id == asked.id
    assert first.content.startswith("@everyone @everyone")
    assert without_footer(second.content).endswith("@everyone")
    assert "Regenerate" in str([row.to_dict() for row in second.components])
    assert first.components == []
    sent = [
        entry.json
        for entry in world.env.http_requests
        if isinstance(entry.json, dict) and entry.json.get("content") and "/channels/" in entry.path
    ]
    assert len(sent) >= 3
    # Whom the reply would ping is one more thing that has to be said.
    assert all(body["allowed_mentions"]["parse"] == [] for body in sent)
    assert not any(body["allowed_mentions"].get("replied_user") for body in sent)


async def test_a_fault_of_ours_is_told_in_one_sentence(
    open_world: OpenWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error leaves the member with a sentence and the host with a log line."""
    world = await open_world()
    async with world.bot.assistant.database.transaction() as connection:
        await connection.execute(text("ALTER TABLE history RENAME TO stolen"))
        on_sqlite = connection.dialect.name == "sqlite"
    world.expected_errors = [OperationalError if on_sqlite else ProgrammingError]
    result = await world.admin.slash(world.channel, "forget channel")

    assert result.response is not None
    assert result.response.content == SORRY
    assert "the command forget channel failed" in caplog.text
    async with world.bot.assistant.database.transaction() as connection:
        await connection.execute(text("ALTER TABLE stolen RENAME TO history"))
