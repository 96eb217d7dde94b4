"""Questions in ordinary messages: discord.py's own client, real sockets, a real database file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from bot import SORRY, Colloquy
from cogs.mention import HINT
from db.engine import open_database
from db.verify import find_discrepancies
from tests.assistant.files import empty_png
from tests.fake_discord import CHANNEL_ID, GUILD_ID, MEMBER, FakeDiscord, FakeMessage, FakeUser
from tests.fake_discord_messages import DIRECT_MESSAGES, GUILD_MESSAGES, deliver, say
from tests.fake_vendors import FakeVendor, Reply, openai_stream, usage
from tests.fakes import small_png
from tests.living_bot import living_bot, rows

ON = {"chat": {"answer_mentions": True}}
BOT_MENTION = "<@100000000000000001>"
ANOTHER = FakeUser(200_000_000_000_000_002, "grace", "Grace")


@pytest.fixture
async def fake(database_url: str) -> AsyncIterator[FakeDiscord]:
    """A fake Discord. After the test the bot has stopped and its books must agree."""
    async with FakeDiscord() as fake:
        yield fake
    async with open_database(database_url) as database, database.transaction() as connection:
        assert await find_discrepancies(connection) == []


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as vendor:
        yield vendor


async def write(fake: FakeDiscord, content: str, **fields: Any) -> FakeMessage:
    """A member's message in the usual channel, which mentions the bot where its text does."""
    if BOT_MENTION in content:
        fields["mentions"] = [*fields.get("mentions", ()), fake.bot_user]
    place: dict[str, Any] = {"user": MEMBER, "channel_id": CHANNEL_ID, "guild_id": GUILD_ID}
    return await say(fake, content, **(place | fields))


def replies(fake: FakeDiscord) -> list[FakeMessage]:
    return [message for message in fake.messages if message.author == fake.bot_user]


async def until_replied(fake: FakeDiscord, ending: str, timeout: float = 5) -> FakeMessage:
    await fake.until(lambda: any(reply.content.endswith(ending) for reply in replies(fake)), timeout)
    return replies(fake)[-1]


async def until_done(bot: Colloquy) -> None:
    """Wait until everything is answered and delivered."""
    if bot.tree.running:
        await asyncio.wait(set(bot.tree.running), timeout=10)


def slowly(reply: Reply, pause: float) -> Reply:
    pieces = [part for piece in reply.pieces for part in (piece, pause)]
    return Reply(tuple(pieces), reply.status, reply.headers, reply.ending)


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
        reply = await until_replied(fake, "word9")
        await until_done(bot)

    assert reply.reply_to == question.id
    assert reply.channel_id == CHANNEL_ID
    assert len(replies(fake)) == 1
    contents = [version.content for version in reply.versions]
    assert len(contents) >= 3
    assert contents[-1] == "".join(words).strip()
    assert all(version.allowed_mentions == {"parse": []} for version in reply.versions)
    edits = [sent.at for sent in fake.requests if sent.method == "PATCH"]
    assert all(later - earlier > 1.1 for earlier, later in pairwise(edits[:-1]))  # the last waits for nothing
    assert any(sent.path == f"/channels/{CHANNEL_ID}/typing" for sent in fake.requests)
    [request] = vendor.requests
    assert request.body["messages"][-1]["content"] == "What does @Grace do?"
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
    assert asked == ["Which colour has the sky?", "Blue.", "Why?"]


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
    assert text["text"] == 'What are these?\n\nFile "note.txt":\n```\nremember the milk\n```'
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"sky.png": empty_png(13_000, 13_000)}, "which is too large. Attach another picture."),
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


async def test_a_bare_mention_gets_a_hint(fake: FakeDiscord, vendor: FakeVendor, database_url: str) -> None:
    """Also a reply to an answer of `/ask`, whose text Discord does not deliver."""
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, BOT_MENTION)
        reply = await until_replied(fake, HINT)

    assert len(reply.versions) == 1
    assert vendor.requests == []


# ---- What is not meant for the bot -----------------------------------------------------------------


async def test_what_is_not_meant_for_the_bot_is_left_alone(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Bots, webhooks, itself, system messages, @everyone, roles and talk among people: no answer at all."""
    robot = FakeUser(200_000_000_000_000_009, "robot", bot=True)
    question = f"{BOT_MENTION} Are you there?"
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, question, user=robot)
        await write(fake, question, user=fake.bot_user)
        await write(fake, "Direct?", user=robot, channel_id=77, guild_id=None)
        await write(fake, question, webhook_id="5")
        await write(fake, question, type=6)
        await write(fake, "@everyone Hello!", mention_everyone=True)
        await write(fake, "<@&42> Hello!", mention_roles=["42"])
        await write(fake, f"<@{ANOTHER.id}> Hello!", mentions=[ANOTHER])
        await write(fake, "Just talking.")
        await asyncio.sleep(0.3)

    assert [sent for sent in fake.requests if sent.path.startswith("/channels/")] == []
    assert vendor.requests == []


async def test_a_message_that_is_delivered_twice_is_answered_once(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """After a break the gateway may repeat events: the message's id decides, in the books."""
    vendor.reply(openai_stream("Once."))
    async with living_bot(fake, database_url, vendor.url, **ON):
        message = await write(fake, f"{BOT_MENTION} How often?")
        await until_replied(fake, "Once.")
        event = message.payload() | {
            "guild_id": str(GUILD_ID),
            "member": {"roles": [], "joined_at": None, "flags": 0},
            "mentions": [fake.bot_user.payload()],
        }
        await deliver(fake, event)
        await asyncio.sleep(0.3)

    assert len(vendor.requests) == len(replies(fake)) == 1


# ---- When Discord refuses --------------------------------------------------------------------------


@pytest.mark.parametrize("code", [50001, 50013])
async def test_where_the_bot_may_not_write_nobody_is_asked(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """A refused sign of typing shows it before anything can cost; the log has a quiet line."""
    caplog.set_level("INFO")
    fake.fail("POST", "/channels/*/typing", status=403, body={"message": "Missing Access", "code": code})
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Hello?")
        await fake.until(lambda: any(sent.path.endswith("/typing") for sent in fake.requests))
        await asyncio.sleep(0.2)

    assert vendor.requests == []
    assert f"the bot may not write in channel {CHANNEL_ID}" in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_answer_that_may_not_be_sent_is_booked_and_ends_in_the_log(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Permissions that vanish in mid-answer: one try, no error, and the vendor's figures are kept."""
    vendor.reply(openai_stream("Nobody reads this."))
    fake.fail("POST", "/channels/*/messages", times=9, status=403, body={"message": "Missing", "code": 50013})
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Hello?")
        await fake.until(lambda: any(sent.path.endswith("/messages") for sent in fake.requests))
        await asyncio.sleep(0.5)

    assert len([sent for sent in fake.requests if sent.path.endswith("/messages")]) == 1
    assert [record.levelname for record in caplog.records if record.levelname == "ERROR"] == []
    async with open_database(database_url) as database:
        [booked] = await rows(database, "requests")
    assert booked["open"] == 0


async def test_without_the_permission_to_reply_the_answer_is_sent_plainly(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """A bot that may write but not read older messages answers without the reference."""
    vendor.reply(openai_stream("Here."))
    refusal = {"message": "Cannot reply without permission to read message history", "code": 160002}
    fake.fail("POST", "/channels/*/messages", status=400, body=refusal)
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Where?")
        reply = await until_replied(fake, "Here.")

    assert reply.reply_to is None


async def test_a_reply_whose_sending_seemed_to_fail_is_there_once(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """The connection breaks after Discord took the reply: the next try finds it instead of a second one."""
    vendor.reply(slowly(openai_stream("All ", "of it."), 0.3))
    fake.fail("POST", "/channels/*/messages", reset=True, after_handling=True)
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Is it there?")
        reply = await until_replied(fake, "All of it.", timeout=10)

    assert replies(fake) == [reply]


async def test_a_fault_of_ours_is_told_in_one_sentence(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As with commands, the member reads a sentence and the host the log."""

    class BrokenAssistant:
        async def ask(self, question: object) -> AsyncGenerator[object]:
            raise RuntimeError("not expected")
            yield

    async with living_bot(fake, database_url, vendor.url, **ON) as bot:
        whole, bot.assistant = bot.assistant, BrokenAssistant()  # type: ignore[assignment]  # that is the point
        await write(fake, f"{BOT_MENTION} Hello?")
        await until_replied(fake, SORRY)
        bot.assistant = whole

    assert "a message could not be answered" in caplog.text


async def test_stopping_in_mid_answer_tells_the_member(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """SIGTERM's way is that of `/ask`: the text so far stays, with the reason why it ends."""
    vendor.reply(slowly(openai_stream(*["more "] * 100), 0.1))
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Go on.")
        await until_replied(fake, "more")

    assert "The bot is restarting" in replies(fake)[0].content
    assert "more" in replies(fake)[0].content
