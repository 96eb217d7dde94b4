"""Messages that are not meant for the bot, and Discord's refusals: over real sockets, as in test_mentions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from assistant.ask import EMPTY_ANSWER
from assistant.values import Delta
from cogs.answering import Answers
from cogs.errors import SORRY
from db.engine import open_database
from tests.fake_discord import CHANNEL_ID, GUILD_ID, FakeDiscord, FakeUser
from tests.fake_discord_messages import deliver
from tests.fake_vendors import FakeVendor, openai_stream, slowly
from tests.living_bot import living_bot, rows
from tests.mentioning import ANOTHER, BOT_MENTION, ON, replies, until_replied, write

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
    """Permissions that vanish in mid-answer: one try while it grows and one at the end."""
    vendor.reply(openai_stream("Nobody reads this."))
    fake.fail("POST", "/channels/*/messages", times=9, status=403, body={"message": "Missing", "code": 50013})
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Hello?")
        await fake.until(lambda: any(sent.path.endswith("/messages") for sent in fake.requests))
        await asyncio.sleep(0.5)

    assert len([sent for sent in fake.requests if sent.path.endswith("/messages")]) == 2
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
        reply = await until_replied(fake, "completion tokens", timeout=10)

    assert replies(fake) == [reply]


async def test_what_seemed_not_to_be_sent_is_brought_up_to_date(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """The answer ends before another edit: what was there shows all of it, and its last buttons."""
    vendor.reply(slowly(openai_stream("All ", "of ", "it."), 0.2))
    fake.fail("POST", "/channels/*/messages", reset=True, after_handling=True)
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Is it there?")
        reply = await until_replied(fake, "completion tokens", timeout=10)

    assert replies(fake) == [reply]
    assert reply.versions[0].content == "All"
    assert reply.content.startswith("All of it.\n")
    assert [button["label"] for row in reply.latest.components for button in row["components"]] == [
        "Regenerate"
    ]


async def test_an_answer_of_nothing_that_can_be_shown_is_told_as_empty(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """NUL is no text: whoever gets nothing else reads a sentence."""
    vendor.reply(openai_stream("\0"))
    async with living_bot(fake, database_url, vendor.url, **ON):
        await write(fake, f"{BOT_MENTION} Hello?")
        await until_replied(fake, EMPTY_ANSWER)


async def test_a_fault_of_ours_is_told_in_one_sentence(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As with commands, the member reads a sentence and the host the log."""

    class BrokenAssistant:
        async def ask(self, question: object, stop: object) -> AsyncGenerator[object]:
            yield Delta("Well")
            await asyncio.sleep(0.3)
            raise RuntimeError("not expected")

    async with living_bot(fake, database_url, vendor.url, **ON) as bot:
        bot.answers = Answers(BrokenAssistant(), footer=False)  # type: ignore[arg-type]  # that is the point
        await write(fake, f"{BOT_MENTION} Hello?")
        reply = await until_replied(fake, SORRY)

    assert reply.latest.components == []  # nothing is left to be stopped
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
