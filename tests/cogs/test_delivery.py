"""An answer on its way to Discord when all goes well, over real sockets."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace

from yarl import URL

from cogs.delivery import IN_FILE, MOST_MESSAGES, NO_FILE, STILL_WRITING, TOO_LARGE, Delivery
from cogs.discord_calls import DiscordCalls, Outcome
from tests.cogs.courier import contents, courier, messages
from tests.fake_discord import FakeMessage

PARAGRAPHS = [
    f"{name} " * (1700 // len(f"{name} ")) for name in ("one", "two", "three", "four", "five", "six")
]


def labels(message: FakeMessage) -> list[str]:
    return [button["label"] for row in message.latest.components for button in row["components"]]


async def receive(calls: DiscordCalls, times: int, status: int, **headers: str) -> None:
    """Have replies of this status seen."""
    response = SimpleNamespace(status=status, headers=headers | {"Via": "1.1 google"})
    received = SimpleNamespace(method="PATCH", url=URL("/api/v10/users/@me"), response=response)
    for _ in range(times):
        await calls.after_reply(None, None, received)


async def test_the_first_text_is_shown_at_once_and_the_rest_at_its_pace() -> None:
    """No pace is waited for before the first text; after it, edits are apart, and the latest text wins."""
    async with courier(pace=0.4) as bot:
        interaction, delivery = await bot.deliver(*["x ", 0.02] * 60)

    first, *others = bot.edits()
    assert interaction.acknowledged_at is not None
    assert first.at - interaction.acknowledged_at < 0.2
    assert first.json["content"] == "x"
    gaps = [later.at - earlier.at for earlier, later in pairwise([first, *others][:-1])]
    assert min(gaps) > 0.39
    assert 3 <= len(others) <= 5
    assert delivery is Delivery.FULL
    assert contents(interaction) == [("x " * 60).strip()]


async def test_an_answer_that_is_ready_at_once_is_one_edit() -> None:
    """Nothing is shown twice."""
    async with courier() as bot:
        await bot.deliver("All of it.")

    assert [request.json["content"] for request in bot.edits()] == ["All of it."]


async def test_a_long_answer_grows_from_message_to_message() -> None:
    """A full message is left as it is, the next grows; below the last alone stands the button."""
    async with courier() as bot:
        script = [step for paragraph in PARAGRAPHS[:3] for step in (paragraph, 0.4, "\n\n", 0.2)]
        interaction, delivery = await bot.deliver(*script)

    assert delivery is Delivery.FULL
    assert contents(interaction) == [paragraph.strip() for paragraph in PARAGRAPHS[:3]]
    first, second, third = messages(interaction)
    assert first.versions[-1].at < second.versions[0].at + 0.1
    assert second.versions[-1].at < third.versions[0].at + 0.1
    assert [labels(message) for message in (first, second, third)] == [[], [], []]
    for message in (first, second, third):
        with_button = [bool(version.components) for version in message.versions if version.content]
        assert with_button == sorted(with_button, reverse=True)
        assert any(with_button)


async def test_mentions_ping_in_no_message_and_no_edit() -> None:
    """Original response, follow-ups, files, and every edit of them say that nobody is pinged."""
    text = "@everyone <@1> <@&2> "
    async with courier() as bot:
        interaction, _ = await bot.deliver(*[text * 60, 0.3, "\n\n"] * 7)

    sent = [
        version.allowed_mentions
        for message in messages(interaction)
        for version in message.versions
        if version.content
    ]
    assert len(messages(interaction)) == 4
    assert len(sent) >= 8
    assert all(allowed == {"parse": []} for allowed in sent)


async def test_past_four_messages_the_answer_comes_as_a_file_with_what_was_shown_before_it() -> None:
    """What has grown stays, no fifth message comes, and the last one says where the rest is."""
    text = "\n\n".join(PARAGRAPHS)
    async with courier() as bot:
        script = [step for paragraph in PARAGRAPHS for step in (paragraph, 0.5, "\n\n")][:-1]
        bot.note, bot.footer = "-# a note", "-# a footer"
        interaction, delivery = await bot.deliver(*script)

    assert delivery is Delivery.FULL
    assert len(messages(interaction)) == MOST_MESSAGES
    assert contents(interaction)[:3] == [paragraph.strip() for paragraph in PARAGRAPHS[:3]]
    last = messages(interaction)[-1]
    assert any(version.content.endswith(STILL_WRITING) for version in last.versions)
    assert last.content.startswith("four four")
    assert last.content.endswith(f"\n{IN_FILE}\n-# a note\n-# a footer")
    [file] = last.attachments
    assert (file.filename, file.data.decode()) == ("answer.md", text)


async def test_a_very_long_answer_that_comes_at_once_is_one_message_and_a_file() -> None:
    """Where nothing was shown before, no further messages are made for what the file holds anyway."""
    async with courier() as bot:
        interaction, delivery = await bot.deliver("\n\n".join(PARAGRAPHS))

    assert delivery is Delivery.FULL
    [message] = messages(interaction)
    assert message.content.startswith("one one")
    assert message.content.endswith(IN_FILE)
    assert [file.filename for file in message.attachments] == ["answer.md"]


async def test_a_file_that_is_too_large_for_the_server_is_told_of() -> None:
    """The beginning stays, with a line that says what to do."""
    async with courier() as bot:
        bot.fake.attachment_size_limit = 1000
        interaction, delivery = await bot.deliver("\n\n".join(PARAGRAPHS))

    assert delivery is Delivery.FULL
    [message] = messages(interaction)
    assert message.content.endswith(TOO_LARGE)
    assert message.attachments == []


async def test_where_no_file_is_taken_the_answer_comes_as_four_messages() -> None:
    """What fits is delivered without it, with a line that says so and without the button to stop."""
    async with courier() as bot:
        bot.note = "-# a note"
        delivering = asyncio.create_task(bot.deliver("one ", 0.5, "one " * 424 + "\n\n".join(PARAGRAPHS)))
        await bot.fake.until(bot.edits)
        bot.fake.attachment_size_limit = 10  # less than the interaction said
        interaction, delivery = await delivering

    assert delivery is Delivery.PARTIAL
    assert len(messages(interaction)) == MOST_MESSAGES
    assert [content.split()[0] for content in contents(interaction)] == ["one", "one", "two", "three"]
    last = messages(interaction)[-1]
    assert last.content.endswith(f"\n{NO_FILE}\n-# a note")
    assert all(labels(message) == [] for message in messages(interaction))


async def test_an_answer_that_begins_with_what_is_held_back_is_shown_as_soon_as_it_can_be() -> None:
    """Nothing is sent for the beginning of a block or a link, and no pace is waited for after it."""
    async with courier(pace=2.0) as bot:
        bot.heading = "> hi\n"
        await bot.deliver("```", 0.1, "python", 0.1, "\n", 0.1, "x = 1", 0.5, "\n```")
        code = [request.json["content"] for request in bot.edits()]
        await bot.deliver("[", 0.1, "here", 0.1, "](https://x.example)", 0.5, " it is")
        link = [request.json["content"] for request in bot.edits()[len(code) :]]

    assert code == ["> hi\n```python\nx = 1\n```"] * 2
    assert link == ["> hi\nhere (<https://x.example>)", "> hi\nhere (<https://x.example>) it is"]


async def test_a_footer_takes_no_message_of_its_own_but_a_note_does() -> None:
    """A last line that is only nice to have is left out where there is no room for it."""
    async with courier() as bot:
        bot.footer = "-# a footer"
        short, _ = await bot.deliver("text")
        full, _ = await bot.deliver("x" * 2000)
        bot.note = "-# a note"
        noted, _ = await bot.deliver("x" * 2000)

    assert contents(short) == ["text\n-# a footer"]
    assert contents(full) == ["x" * 2000]
    assert contents(noted) == ["x" * 2000, "-# a note\n-# a footer"]


async def test_a_private_answer_is_private_in_all_its_messages() -> None:
    """Follow-ups of a response that only the member sees are seen by the member alone too."""
    async with courier() as bot:
        bot.private = True
        interaction, _ = await bot.deliver("\n\n".join(PARAGRAPHS[:2]))

    assert [message.ephemeral for message in messages(interaction)] == [True, True]


async def test_a_member_who_waits_is_told_so_after_a_while() -> None:
    """Without text a line says that something is going on; the first text takes its place at once."""
    async with courier(pace=2.0) as bot:
        interaction, _ = await bot.deliver(4.2, "Here.", 0.3)

    assert interaction.original is not None
    shown = [version.content for version in interaction.original.versions]
    assert shown == ["", "-# Waiting.", "Here.", "Here."]
    assert labels(interaction.original) == []


async def test_links_are_shown_with_their_targets_while_they_are_written_and_after() -> None:
    """No version of a message masks where a link leads."""
    link = "See [the bank](https://evil.example/login) now."
    async with courier(pace=0.05) as bot:
        interaction, _ = await bot.deliver(*[step for letter in link for step in (letter, 0.02)])

    assert interaction.original is not None
    shown = [version.content for version in interaction.original.versions]
    assert len(shown) > 5
    assert not any("[" in content for content in shown)
    assert shown[-1] == "See the bank (<https://evil.example/login>) now."


async def test_every_request_of_discord_py_is_seen() -> None:
    """The hooks see the responses to interactions too, which discord.py sends without its own client."""
    async with courier() as bot:
        bot.fake.fail("PATCH", "*/messages/@original", status=403, body={"message": "no", "code": 50013})
        await bot.deliver("text")

    assert bot.calls.invalid_requests == 1


async def test_too_many_invalid_requests_stop_what_is_not_needed() -> None:
    """5,000 in ten minutes hold back the edits in mid-answer; those that others share are not counted."""
    now = 1000.0
    calls = DiscordCalls(clock=lambda: now)
    await receive(calls, 6000, 429, **{"X-RateLimit-Scope": "shared"})
    await receive(calls, 6000, 404)
    assert calls.invalid_requests == 0
    await receive(calls, 4000, 403)
    await receive(calls, 999, 401)
    assert not calls.only_needed
    await receive(calls, 1, 429, **{"X-RateLimit-Scope": "user"})
    assert calls.only_needed
    now += 601
    assert not calls.only_needed


async def test_what_is_not_needed_is_not_sent_then() -> None:
    """It fails at once, and what is needed goes its way."""
    calls = DiscordCalls()
    sent: list[str] = []

    async def send(name: str) -> None:
        sent.append(name)

    await receive(calls, 5000, 403)
    optional = await calls.attempt(send("typing"), needed=False)
    await calls.attempt(send("the last edit"))

    assert (optional.outcome, sent) == (Outcome.FAILED, ["the last edit"])


async def test_while_edits_are_held_back_the_answer_still_arrives() -> None:
    """Only the last edit is sent."""
    async with courier() as bot:
        await receive(bot.calls, 5000, 403)
        interaction, delivery = await bot.deliver("one ", 0.4, "two ", 0.4, "three")

    assert delivery is Delivery.FULL
    assert contents(interaction) == ["one two three"]
    assert len(bot.edits()) == 1


async def test_many_answers_at_once_keep_apart() -> None:
    """Each reply learns of its own requests alone."""
    async with courier() as bot:
        bot.script = ["a ", 0.2, "b ", 0.2, "c"]
        sent = [await bot.fake.slash("ask", {"prompt": str(number)}) for number in range(20)]
        delivered = await asyncio.wait_for(asyncio.gather(*[bot.delivered.get() for _ in sent]), 10)

    assert set(delivered) == {Delivery.FULL}
    assert {contents(interaction)[0] for interaction in sent} == {"a b c"}
