"""Questions in ordinary messages: discord.py's own client, real sockets, a real database file."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from cogs.attachments import FILES_AT_ONCE
from cogs.mention import HINT
from db.engine import open_database
from tests.assistant.files import empty_png
from tests.fake_discord import CHANNEL_ID, GUILD_ID, MEMBER, FakeDiscord, FakeUser
from tests.fake_discord_messages import DIRECT_MESSAGES, GUILD_MESSAGES
from tests.fake_vendors import FakeVendor, openai_stream, slowly, usage
from tests.fakes import small_png
from tests.living_bot import living_bot, rows, without_footer
from tests.mentioning import ANOTHER, BOT_MENTION, ON, replies, until_done, until_replied, write

PLACED = {"chat": {"answer_mentions": True, "system_prompt": "You are in #{channel} of {server}."}}

# ---- Off and on ------------------------------------------------------------------------------------


async def test_by_default_the_bot_asks_for_no_message_at_all(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Without the setting the gateway is told of no intent, and a mention is nobody's affair."""
    async with living_bot(fake, database_url, vendor.url):
        assert fake.gateway.identifies[0]["intents"] == 0
        await write(fake, f"{BOT_MENTION} Hello?")
        await asyncio.sleep(0.2)

    assert replies(fake) == []
    assert vendor.requests == []


async def test_with_the_setting_two_intents_are_asked_for_and_none_is_privileged(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages of servers and direct ones; and the invitation brings the bot in as a member."""
    caplog.set_level("INFO")
    async with living_bot(fake, database_url, vendor.url, **ON):
        assert fake.gateway.identifies[0]["intents"] == GUILD_MESSAGES | DIRECT_MESSAGES

    assert f"client_id={fake.application_id}&scope=bot+applications.commands&permissions=" in caplog.text


# ---- Answers ---------------------------------------------------------------------------------------


async def test_a_mention_is_answered_by_a_reply_that_grows(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """One reply that pings nobody, edited as text comes, booked and remembered like `/ask`."""
    words = [f"word{number} " for number in range(10)]
    vendor.reply(slowly(openai_stream(*words, used=usage(321, 45)), 0.25))
    async with living_bot(fake, database_url, vendor.url, **ON) as bot:
        question = await write(fake, f"{BOT_MENTION} What does <@{ANOTHER.id}> do?", mentions=[ANOTHER])
        reply = await until_replied(fake, "completion tokens")
        await until_done(bot)

    assert reply.reply_to == question.id
    assert reply.channel_id == CHANNEL_ID
    assert len(replies(fake)) == 1
    contents = [version.content for version in reply.versions]
    assert len(contents) >= 3
    assert without_footer(contents[-1]) == "".join(words).strip()
    assert all(version.allowed_mentions == {"parse": []} for version in reply.versions)
    edits = [sent.at for sent in fake.requests if sent.method == "PATCH"]
    assert all(later - earlier > 1.1 for earlier, later in pairwise(edits[:-1]))  # the last waits for nothing
    assert any(sent.path == f"/channels/{CHANNEL_ID}/typing" for sent in fake.requests)
    [request] = vendor.requests
    assert request.body["messages"][-1]["content"] == "Ada: What does @Grace do?"
    async with open_database(database_url) as database:
        [booked] = await rows(database, "requests")
        [attempt] = await rows(database, "attempts")
        history = await rows(database, "history")
    assert (booked["interaction_id"], booked["guild_id"], booked["channel_id"], booked["user_id"]) == (
        question.id,
        GUILD_ID,
        CHANNEL_ID,
        MEMBER.id,
    )
    assert (attempt["state"], attempt["prompt_tokens"], attempt["completion_tokens"]) == ("settled", 321, 45)
    assert [entry["content"] for entry in history] == ["What does @Grace do?", "".join(words)]


async def test_a_reply_to_the_bot_goes_on_with_the_conversation(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """No mention is written, the ping of the reply is enough; the turns before go along."""
    vendor.reply(openai_stream("Blue."), openai_stream("Because of the air."))
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Which colour has the sky?")
        first = await until_replied(fake, "Blue.")
        second = await write(fake, "Why?", reply_to=first)
        reply = await until_replied(fake, "Because of the air.")

    assert reply.reply_to == second.id
    asked = [message["content"] for message in vendor.requests[1].body["messages"][1:]]
    assert asked == ["Ada: Which colour has the sky?", "Blue.", "Ada: Why?"]


async def test_the_model_is_told_where_a_mention_was_written(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """A thread counts to its channel; what Discord is asked for that is asked once, for a while."""
    vendor.reply(openai_stream("Here."), openai_stream("Here again."))
    thread = CHANNEL_ID + 1
    fake.channels[thread] = {
        "type": 11,
        "name": "a-thread",
        "parent_id": str(CHANNEL_ID),
        "owner_id": str(MEMBER.id),
        "message_count": 1,
        "member_count": 1,
        "thread_metadata": {
            "archived": False,
            "auto_archive_duration": 60,
            "archive_timestamp": "2026-01-01T00:00:00+00:00",
        },
    }
    async with living_bot(fake, database_url, vendor.url, **PLACED):
        for answer in ("Here.", "Here again."):
            await write(fake, f"{BOT_MENTION} Where are we?", channel_id=thread)
            await until_replied(fake, answer)

    assert "in #a-thread of The server." in vendor.requests[0].body["messages"][0]["content"]
    assert len([sent for sent in fake.requests if sent.method == "GET" and str(thread) in sent.path]) == 1
    async with open_database(database_url) as database:
        booked = await rows(database, "requests")
        kept = await rows(database, "history")
    assert {row["channel_id"] for row in booked} == {CHANNEL_ID}
    assert {row["channel_id"] for row in kept} == {thread}


@pytest.mark.parametrize("status", [403, 500])
async def test_where_discord_does_not_tell_of_a_place_the_answer_comes_all_the_same(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, status: int
) -> None:
    """The prompt has other words for it; a refusal is not asked for again and again."""
    vendor.reply(openai_stream("Here."), openai_stream("Here again."))
    fake.fail("GET", f"/channels/{CHANNEL_ID}", times=99, status=status)
    fake.fail("GET", f"/guilds/{GUILD_ID}", times=99, status=status)
    async with living_bot(fake, database_url, vendor.url, **PLACED):
        for answer in ("Here.", "Here again."):
            await write(fake, f"{BOT_MENTION} Where are we?")
            await until_replied(fake, answer, timeout=10)

    assert "in #this channel of Discord." in vendor.requests[1].body["messages"][0]["content"]
    asked = [sent for sent in fake.requests if sent.path == f"/channels/{CHANNEL_ID}"]
    assert len(asked) == (1 if status == 403 else 2)


async def test_direct_messages_need_no_mention(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """In a direct message everything is meant for the bot; it is booked under no server."""
    vendor.reply(openai_stream("Hello, Ada."))
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, "Hello?", channel_id=77, guild_id=None)
        reply = await until_replied(fake, "Hello, Ada.")

    assert reply.channel_id == 77
    async with open_database(database_url) as database:
        [booked] = await rows(database, "requests")
    assert (booked["guild_id"], booked["channel_id"]) == (0, 77)


async def test_files_go_along_with_a_mention(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Pictures as parts of the question, texts below it, fetched from Discord's own address."""
    vendor.reply(openai_stream("A note and a square."))
    files = {"note.txt": b"remember the milk", "square.png": small_png()}
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} What are these?", files=files)
        await until_replied(fake, "A note and a square.")

    text, picture = vendor.requests[0].body["messages"][-1]["content"]
    assert text["text"] == 'Ada: What are these?\n\nFile "note.txt":\n```\nremember the milk\n```'
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"sky.png": empty_png(13_000, 13_000)}, "where 13 million are the most. Attach another picture."),
        ({f"{n}.txt": b"text" for n in range(5)}, "At most 4 files go along with a question. Attach fewer."),
    ],
    ids=["bomb", "many"],
)
async def test_files_that_cannot_go_along_are_told_and_cost_nothing(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, files: dict[str, bytes], sentence: str
) -> None:
    """The member reads why in a reply; no vendor is asked and nothing is booked."""
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} What is this?", files=files)
        await until_replied(fake, sentence)

    assert vendor.requests == []
    async with open_database(database_url) as database:
        assert await rows(database, "requests") == []


@pytest.mark.parametrize("fault", [{"status": 404, "body": "gone"}, {"reset": True}], ids=["gone", "reset"])
async def test_a_file_that_cannot_be_fetched_is_told(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, fault: dict[str, Any]
) -> None:
    """Whatever breaks on the way to a file, the member reads to attach it again."""
    fake.fail("GET", "/attachments/*", times=9, **fault)
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} What is this?", files={"note.txt": b"text"})
        await until_replied(fake, "note.txt could not be fetched from Discord. Attach it again.")

    assert vendor.requests == []


async def test_only_a_few_files_are_fetched_at_a_time(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """However many members attach something, no more than a few files are in memory; all are answered."""

    def fetched() -> list[str]:
        return [sent.path for sent in fake.requests if sent.path.startswith("/attachments/")]

    vendor.reply(*[openai_stream("Read.")] * 12)
    fake.fail("GET", "/attachments/*", times=FILES_AT_ONCE, delay=2.0)
    async with living_bot(fake, database_url, vendor.url, **ON):
        for number in range(12):
            user = FakeUser(ANOTHER.id + number, "member")
            await write(fake, f"{BOT_MENTION} What is this?", files={"note.txt": b"text"}, user=user)
        await fake.until(lambda: len(fetched()) == FILES_AT_ONCE)
        await asyncio.sleep(0.3)
        at_a_time = len(fetched())
        await fake.until(lambda: len([one for one in replies(fake) if "completion" in one.content]) == 12, 20)

    assert (at_a_time, len(fetched())) == (FILES_AT_ONCE, 12)


async def test_of_each_member_one_file_is_read_at_a_time(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Whoever sends many slow files waits for them alone; another member's is read meanwhile."""

    def fetched() -> list[str]:
        return [sent.path for sent in fake.requests if sent.path.startswith("/attachments/")]

    vendor.reply(*[openai_stream("Read.")] * 4)
    fake.fail("GET", "/attachments/*", times=1, delay=2.0)
    async with living_bot(fake, database_url, vendor.url, **ON):
        for _ in range(3):
            await write(fake, f"{BOT_MENTION} What is this?", files={"note.txt": b"text"})
        await fake.until(lambda: len(fetched()) == 1)
        await write(fake, f"{BOT_MENTION} What is this?", files={"note.txt": b"text"}, user=ANOTHER)
        await fake.until(lambda: any("completion" in one.content for one in replies(fake)))
        while_slow = len(fetched())
        await fake.until(lambda: len([one for one in replies(fake) if "completion" in one.content]) == 4, 20)

    assert while_slow == 2


async def test_a_bare_mention_gets_a_hint(fake: FakeDiscord, vendor: FakeVendor, database_url: str) -> None:
    """Also a reply to an answer of `/ask`, whose text Discord does not deliver."""
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, BOT_MENTION)
        reply = await until_replied(fake, HINT)

    assert len(reply.versions) == 1
    assert vendor.requests == []
