"""What members see after a kill: the next start brings every response to an end."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text

from cogs.surfaces import INTERACTION_SECONDS
from cogs.tokens import Seal
from cogs.unfinished import CUT_OFF, NO_PICTURES, NOT_SHOWN
from db.engine import open_database
from db.reading import open_reader
from tests.bot_process import bot_process
from tests.fake_discord import MEMBER, FakeDiscord, FakeInteraction, FakeUser
from tests.fake_vendors import FakeVendor, Reply, json_reply, openai_stream, usage
from tests.fakes import small_png
from tests.hosted_bot import Host
from tests.living_bot import answered, living_bot, rows, until_done
from tests.mentioning import BOT_MENTION, until_replied, write

STREAM = {"Content-Type": "text/event-stream"}


def endless(*words: str) -> Reply:
    """An answer that stops coming after these words, and never ends."""
    return Reply((*openai_stream(*words).pieces[: len(words) + 1], 60.0), headers=STREAM)


def ends_with(interaction: FakeInteraction, line: str) -> bool:
    return interaction.original is not None and interaction.original.content.endswith(line)


def sealed_then(secret: str, token: str, at: float) -> str:
    """A token as the bot sealed it at that time."""
    return Seal(secret)._cipher().encrypt_at_time(token.encode(), int(at)).decode()


def stop_buttons(interaction: FakeInteraction) -> list[str]:
    shown = [interaction.original, *interaction.followups]
    return [
        str(message.latest.components)
        for message in shown
        if message and "ask:stop" in str(message.latest.components)
    ]


async def responses(database_url: str) -> list[str]:
    async with open_database(database_url) as database:
        return [row["response"] for row in await rows(database, "responses")]


async def kill_while(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, seen: Any, *asked: Any
) -> FakeInteraction:
    """Ask, kill the bot once `seen` holds of the interaction, and give it."""
    async with bot_process(fake, vendor, database_url) as process:
        interaction = await fake.slash(*asked)
        await interaction.until(seen, timeout=15)
        process.kill()
        await process.wait()
    return interaction


async def test_whoever_still_waited_is_told(fake: FakeDiscord, vendor: FakeVendor, database_url: str) -> None:
    """A member who saw nothing but "thinking" reads that the bot was restarted, and to ask again."""
    vendor.reply(endless())
    async with bot_process(fake, vendor, database_url) as process:
        asked = await fake.slash("ask", {"prompt": "Hello?"})
        while not vendor.requests:  # noqa: ASYNC110 (pytest's own limit ends it)
            await asyncio.sleep(0.02)
        process.kill()
        await process.wait()
    assert asked.original is not None
    assert asked.original.loading

    async with bot_process(fake, vendor, database_url):
        await asked.until(lambda it: ends_with(it, CUT_OFF), timeout=15)

    assert not asked.original.loading
    assert len(vendor.requests) == 1
    assert await responses(database_url) == []


async def test_who_waited_in_a_queue_is_told(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """A member whose turn had not come is told as well, though nothing of theirs is in the books."""
    vendor.reply(*[endless("One")] * 3)
    async with bot_process(fake, vendor, database_url) as process:
        for number in range(3):  # as many as are answered at a time in a channel
            user = FakeUser(MEMBER.id + 10 + number, f"member{number}")
            first = await fake.slash("ask", {"prompt": "Count."}, user=user)
            await first.until(lambda it: answered(it, "One"), timeout=15)
        waiting = await fake.slash("ask", {"prompt": "And mine?"})
        await waiting.until(lambda it: ends_with(it, "you are next."), timeout=15)
        while len(await seen_responses(database_url)) < 4:  # noqa: ASYNC110 (what another process writes)
            await asyncio.sleep(0.05)
        process.kill()
        await process.wait()

    async with bot_process(fake, vendor, database_url):
        await waiting.until(lambda it: ends_with(it, CUT_OFF), timeout=15)

    assert waiting.original is not None
    assert waiting.original.content == f"> And mine?\n{CUT_OFF}"


async def seen_responses(database_url: str) -> list[str]:
    """The same, of a database that a bot is using."""
    async with open_reader(database_url) as connection:
        return list(await connection.scalars(text("SELECT response FROM responses")))


async def test_what_was_shown_stays_and_is_marked(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Of an answer that was being written what had come stays, with a mark, and without its Stop button."""
    vendor.reply(endless("One, ", "two, "))
    asked = await kill_while(
        fake, vendor, database_url, lambda it: answered(it, "two,"), "ask", {"prompt": "Count."}
    )
    assert stop_buttons(asked)

    async with bot_process(fake, vendor, database_url):
        await asked.until(lambda it: ends_with(it, CUT_OFF), timeout=15)

    assert asked.original is not None
    assert asked.original.content == f"> Count.\nOne, two,\n{CUT_OFF}"
    assert not stop_buttons(asked)
    assert asked.followups == []


async def test_answer_that_was_booked_and_not_shown_is_shown(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Killed between the commit and the last edit, the bot shows the whole answer at its next start."""
    vendor.reply(openai_stream("One, ", "two, ", "three.", used=usage(10, 5)))
    fake.fail("PATCH", "/webhooks/*/messages/@original", times=100, hang=60)
    async with bot_process(fake, vendor, database_url) as process:
        asked = await fake.slash("ask", {"prompt": "Count.", "private": True})
        await until_booked(database_url)
        process.kill()
        await process.wait()
    fake.rest.faults.clear()

    async with bot_process(fake, vendor, database_url):
        await asked.until(lambda it: answered(it, "three."), timeout=15)
        await asyncio.sleep(1.5)  # what was delivered is noted once a second

    assert asked.original is not None
    assert asked.original.content == "> Count.\nOne, two, three."
    assert asked.original.ephemeral
    assert "ask:again" in str(asked.original.latest.components)
    async with open_database(database_url) as database:
        [attempt] = await rows(database, "attempts")
    assert attempt["delivered"] == "full"


async def until_booked(database_url: str, number: int = 1) -> None:
    """Wait until so many requests of another process are booked as answered; a look changes nothing."""
    async with asyncio.timeout(15):
        while True:
            async with open_reader(database_url) as connection:
                outcomes = await connection.scalars(text("SELECT outcome FROM requests"))
                if list(outcomes).count("answered") == number:
                    return
            await asyncio.sleep(0.05)


async def test_long_answer_comes_as_a_file(fake: FakeDiscord, vendor: FakeVendor, database_url: str) -> None:
    """What stands in messages that follow is not known after a kill, so the file has all of it."""
    long = " ".join(f"word{number}" for number in range(900))
    vendor.reply(openai_stream(long, used=usage(10, 900)))
    fake.fail("POST", "/webhooks/*", times=100, hang=60)
    async with bot_process(fake, vendor, database_url) as process:
        asked = await fake.slash("ask", {"prompt": "Tell me all."})
        await until_booked(database_url)
        await asked.until(lambda it: it.original is not None and "word1" in it.original.content, timeout=15)
        process.kill()
        await process.wait()
    fake.rest.faults.clear()

    async with bot_process(fake, vendor, database_url):
        await asked.until(lambda it: it.original is not None and it.original.attachments, timeout=15)

    assert asked.original is not None
    [file] = asked.original.attachments
    assert (file.filename, file.data.decode()) == ("answer.md", long)
    assert asked.original.content.startswith("> Tell me all.\nword0 word1")


async def test_pictures_that_were_not_shown_can_be_made_anew(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """They are lost with the process; the message says so, and its buttons know what they were made with."""
    vendor.reply(json_reply({"data": [{"b64_json": base64.b64encode(small_png(64, 64)).decode()}]}))
    fake.fail("PATCH", "/webhooks/*/messages/@original", times=100, hang=60)
    async with bot_process(fake, vendor, database_url) as process:
        asked = await fake.slash("imagine", {"prompt": "a fox"})
        await until_booked(database_url)
        process.kill()
        await process.wait()
    fake.rest.faults.clear()

    async with bot_process(fake, vendor, database_url):
        await asked.until(lambda it: ends_with(it, NO_PICTURES), timeout=15)

    assert asked.original is not None
    assert "picture:again:1" in str(asked.original.latest.components)


async def test_another_answer_that_was_not_shown_can_be_looked_up(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Regenerated and booked, an answer stands in the history of its question: /last has it."""
    vendor.reply(openai_stream("Yes.", used=usage(10, 1)), openai_stream("No.", used=usage(10, 1)))
    async with bot_process(fake, vendor, database_url) as process:
        asked = await fake.slash("ask", {"prompt": "Well?"})
        await asked.until(lambda it: "ask:again:1" in str(it.original and it.original.latest.components))
        assert asked.original is not None
        fake.fail("PATCH", "/webhooks/*/messages/@original", times=100, hang=60)
        again = await fake.component(asked.original, f"ask:again:1:{MEMBER.id}")
        await until_booked(database_url, 2)
        process.kill()
        await process.wait()
    fake.rest.faults.clear()

    async with bot_process(fake, vendor, database_url):
        await again.until(lambda it: ends_with(it, NOT_SHOWN), timeout=15)
        last = await fake.slash("last")
        await last.until(lambda it: answered(it, "No."), timeout=15)


async def test_who_asked_in_a_message_gets_a_reply(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, tmp_path: Path
) -> None:
    """Where mentions are answered, the question that was cut off is replied to after a kill."""
    vendor.reply(endless("One"))
    host = Host(tmp_path, fake, vendor.url, database_url)
    host.write(toml=host.read("colloquy.toml") + "[chat]\nanswer_mentions = true\n")
    async with host.start() as process:
        await fake.ready()
        question = await write(fake, f"{BOT_MENTION} Count.")
        await until_replied(fake, "One", timeout=15)
        process.kill()
        await process.wait()

    async with host.start():
        reply = await until_replied(fake, CUT_OFF, timeout=20)

    assert reply.reply_to == question.id


async def test_what_had_been_shown_is_left_alone(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Killed in the second in which it would have noted that an answer arrived, the bot changes nothing."""
    vendor.reply(openai_stream("Yes.", used=usage(10, 1)))
    asked = await kill_while(
        fake,
        vendor,
        database_url,
        lambda it: answered(it, "Yes.") and "ask:again" in str(it.original.latest.components),
        *("ask", {"prompt": "Well?"}),
    )
    assert asked.original is not None
    versions = len(asked.original.versions)

    async with bot_process(fake, vendor, database_url):
        await asyncio.sleep(1)

    assert len(asked.original.versions) == versions
    assert await responses(database_url) == []


async def test_a_graceful_stop_leaves_nothing_to_tell(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Answers that are done with, refused or cut off by a stop are noted as such; no token stays."""
    vendor.reply(openai_stream("Yes.", used=usage(10, 1)), endless("No"))
    async with living_bot(fake, database_url, vendor.url) as bot:
        done = await fake.slash("ask", {"prompt": "Well?"})
        await done.until(lambda it: answered(it, "Yes."))
        await until_done(bot, done)
        growing = await fake.slash("ask", {"prompt": "And now?"}, channel_id=999)
        await growing.until(lambda it: answered(it, "No"))

    assert "restarting" in growing.original.content  # type: ignore[union-attr]
    assert await responses(database_url) == []


async def test_tokens_do_not_stand_in_the_database(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Interaction tokens are sealed: of no use to whoever reads the file, or a backup of it."""
    vendor.reply(endless("One"))
    asked = await kill_while(
        fake, vendor, database_url, lambda it: answered(it, "One"), "ask", {"prompt": "Count."}
    )

    [sealed] = await responses(database_url)
    assert sealed
    assert asked.token not in sealed
    assert Seal("another token").open(sealed) is None
    assert Seal(fake.token).open(sealed) == asked.token
    async with bot_process(fake, vendor, database_url):  # which ends what is still open
        await asked.until(lambda it: ends_with(it, CUT_OFF), timeout=15)


async def test_what_was_left_too_long_ago_is_forgotten(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """After a quarter of an hour Discord takes nothing more for an interaction, so it is not asked."""
    vendor.reply(endless("One"))
    asked = await kill_while(
        fake, vendor, database_url, lambda it: answered(it, "One"), "ask", {"prompt": "Count."}
    )
    async with open_database(database_url) as database, database.transaction() as connection:
        old = sealed_then(fake.token, asked.token, time.time() - INTERACTION_SECONDS - 1)
        await connection.execute(text("UPDATE responses SET response = :old"), {"old": old})
    before = len(fake.requests)
    async with living_bot(fake, database_url, vendor.url):
        await asyncio.sleep(0.5)

    assert not [it for it in fake.requests[before:] if it.path.startswith("/webhooks/")]
    assert await responses(database_url) == []
