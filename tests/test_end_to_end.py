"""The whole way of `/ask` and `/imagine`: discord.py's own client, real sockets, a real database file."""

from __future__ import annotations

import asyncio
import base64
import io
from itertools import pairwise

from PIL import Image
from sqlalchemy import text

from assistant.booking import BOOKS_CLOSED
from db.engine import open_database
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor, broken, json_reply, openai_stream, slowly, usage
from tests.fakes import small_png
from tests.living_bot import answered, living_bot, rows, until_done


async def test_an_answer_grows_and_is_booked_with_the_vendors_figures(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """`/ask`: deferred at once, text by edits of the original response, one settled attempt, one turn."""
    words = [f"word{number} " for number in range(10)]
    vendor.reply(slowly(openai_stream(*words, used=usage(321, 45)), 0.25))
    async with living_bot(fake, database_url, vendor.url) as bot:
        interaction = await fake.slash("ask", {"prompt": "Count."})
        await until_done(bot, interaction)

    assert interaction.original is not None
    contents = [version.content for version in interaction.original.versions]
    assert contents[0] == ""
    assert len(contents) >= 4
    assert all(later.startswith(earlier) for earlier, later in pairwise(contents))
    footer = "-# gpt-6-luna · 321 prompt + 45 completion tokens"
    assert contents[-1] == f"> Count.\n{''.join(words).strip()}\n{footer}"
    acknowledged = interaction.acknowledged_at
    assert acknowledged is not None
    assert acknowledged - interaction.dispatched_at < 1
    [request] = vendor.requests
    assert request.path == "/v1/chat/completions"
    assert request.key == "value-of-OPENAI_API_KEY"
    async with open_database(database_url) as database:
        [attempt] = await rows(database, "attempts")
        [closed] = await rows(database, "requests")
        history = await rows(database, "history")
    assert (attempt["state"], attempt["usage_source"]) == ("settled", "provider")
    assert (attempt["prompt_tokens"], attempt["completion_tokens"]) == (321, 45)
    assert (closed["outcome"], closed["reserved_tokens"]) == ("answered", 0)
    assert [(entry["role"], entry["content"]) for entry in history] == [
        ("user", "Count."),
        ("assistant", "".join(words)),
    ]


async def test_edits_keep_their_pace(fake: FakeDiscord, vendor: FakeVendor, database_url: str) -> None:
    """However fast text comes, edits while it comes are at least 1.2 s apart, one at a time."""
    vendor.reply(slowly(openai_stream(*["x "] * 60), 0.05))
    async with living_bot(fake, database_url, vendor.url) as bot:
        interaction = await fake.slash("ask", {"prompt": "Go."})
        await until_done(bot, interaction)

    edits = [request.at for request in fake.requests if request.method == "PATCH"]
    gaps = [later - earlier for earlier, later in pairwise(edits[:-1])]  # the last edit waits for nothing
    assert len(gaps) >= 1
    assert min(gaps) > 1.1


async def test_a_picture_arrives_as_a_file_and_is_booked(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """`/imagine`: the vendor's picture, decoded and sent as PNG with its seed; one picture in the books."""
    encoded = base64.b64encode(small_png(64, 32)).decode()
    vendor.reply(json_reply({"data": [{"b64_json": encoded}]}))
    async with living_bot(fake, database_url, vendor.url):
        interaction = await fake.slash("imagine", {"prompt": "a fox", "size": "1344x768", "seed": 7})
        await interaction.until(lambda it: it.original is not None and bool(it.original.attachments))

    [request] = vendor.requests
    assert request.path == "/v1/images/generations"
    assert request.body["size"] == "1344x768"
    assert request.body["seed"] == 7
    [upload] = [sent for sent in fake.requests if sent.files]
    [file] = upload.files
    assert file.filename == "picture-7.png"
    assert Image.open(io.BytesIO(file.data)).size == (64, 32)
    assert interaction.original is not None
    assert "seed 7" in interaction.original.content
    async with open_database(database_url) as database:
        [attempt] = await rows(database, "attempts")
    assert (attempt["state"], attempt["pictures"]) == ("settled", 1)


async def test_the_conversation_survives_a_restart(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """After a restart the next question carries the turns from before."""
    vendor.reply(openai_stream("Blue."), openai_stream("You said blue."))
    for prompt in ("My colour is blue.", "Which is it?"):
        async with living_bot(fake, database_url, vendor.url) as bot:
            interaction = await fake.slash("ask", {"prompt": prompt})
            await until_done(bot, interaction)

    asked = [message["content"].removeprefix("Ada: ") for message in vendor.requests[1].body["messages"]]
    assert asked[1:] == ["My colour is blue.", "Blue.", "Which is it?"]


async def test_an_interaction_that_comes_twice_is_answered_once(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """A replayed interaction asks no vendor and books nothing."""
    vendor.reply(openai_stream("Once."))
    async with living_bot(fake, database_url, vendor.url):
        interaction = await fake.slash("ask", {"prompt": "How often?"})
        await fake.send_again(interaction)
        await interaction.until(lambda it: answered(it, "Once."))
        await asyncio.sleep(0.3)

    assert len(vendor.requests) == 1
    async with open_database(database_url) as database:
        assert len(await rows(database, "requests")) == 1


async def test_a_deferral_that_comes_too_late_asks_nobody(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """When Discord no longer takes the acknowledgement, no vendor is asked and nothing is booked."""
    fake.acknowledge_within = -1.0
    async with living_bot(fake, database_url, vendor.url):
        await fake.slash("ask", {"prompt": "Too late?"})
        await fake.until(lambda: any("callback" in sent.path for sent in fake.requests))
        await asyncio.sleep(0.3)

    assert vendor.requests == []
    async with open_database(database_url) as database:
        assert await rows(database, "requests") == []


async def test_the_last_edit_is_tried_again_when_the_connection_breaks(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Connections reset under two edits cost the member nothing."""
    vendor.reply(openai_stream("All of it."))
    fake.fail("PATCH", "*/messages/@original", times=2, reset=True)
    async with living_bot(fake, database_url, vendor.url):
        interaction = await fake.slash("ask", {"prompt": "Is it there?"})
        await interaction.until(lambda it: answered(it, "All of it."), timeout=10)


async def test_a_message_deleted_in_mid_answer_ends_the_vendors_stream(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Nobody reads on, so nobody writes on; what had come is booked as an estimate."""
    vendor.reply(slowly(openai_stream(*["more "] * 100), 0.1))
    fake.fail("PATCH", "*/messages/@original", status=404, body={"message": "Unknown Message", "code": 10008})
    async with living_bot(fake, database_url, vendor.url):
        await fake.slash("ask", {"prompt": "Go on."})
        await vendor.client_left()
        await asyncio.sleep(0.3)

    async with open_database(database_url) as database:
        [attempt] = await rows(database, "attempts")
    assert (attempt["state"], attempt["usage_source"]) == ("estimated", "tokenizer")
    assert 0 < attempt["completion_tokens"] < 100


async def test_stopping_in_mid_answer_tells_the_member_and_books_what_came(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """SIGTERM's way: the text so far stays, with a line that says why it ends; the attempt is estimated."""
    vendor.reply(slowly(openai_stream(*["more "] * 100), 0.1))
    async with living_bot(fake, database_url, vendor.url):
        interaction = await fake.slash("ask", {"prompt": "Go on."})
        await interaction.until(lambda it: answered(it, "more"))

    assert interaction.original is not None
    assert "more" in interaction.original.content
    assert "The bot is restarting" in interaction.original.content
    async with open_database(database_url) as database:
        [attempt] = await rows(database, "attempts")
        [request] = await rows(database, "requests")
    assert attempt["state"] == "estimated"
    assert (request["open"], request["outcome"]) == (0, "failed")


async def test_stop_ends_the_vendors_stream_and_keeps_and_books_what_came(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """The button below an answer that is being written: the vendor is left, the text stays and says why."""
    vendor.reply(slowly(openai_stream(*["more "] * 100), 0.1))
    async with living_bot(fake, database_url, vendor.url) as bot:
        interaction = await fake.slash("ask", {"prompt": "Go on."})
        await interaction.until(lambda it: answered(it, "more"))
        assert interaction.original is not None
        [row] = interaction.original.latest.components
        press = await fake.component(interaction.original, row["components"][0]["custom_id"])
        await vendor.client_left()
        await until_done(bot, interaction)

    assert press.response_type == 6
    assert "more\n-# The answer was stopped here." in interaction.original.content
    async with open_database(database_url) as database:
        [attempt] = await rows(database, "attempts")
    assert (attempt["state"], attempt["usage_source"]) == ("estimated", "tokenizer")
    assert 0 < attempt["completion_tokens"] < 100


async def test_when_every_vendor_is_down_the_member_reads_it(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Two vendors, both failing: one sentence, unbilled attempts, no vendor's words."""
    vendor.reply(*[json_reply({"error": {"message": "overloaded: org-42"}}, 503)] * 3)
    async with living_bot(fake, database_url, vendor.url, chat_chain=("openai", "mistral")):
        interaction = await fake.slash("ask", {"prompt": "Anyone?"})
        await interaction.until(lambda it: answered(it, "in a minute."))

    assert interaction.original is not None
    assert "org-42" not in interaction.original.content
    async with open_database(database_url) as database:
        attempts = await rows(database, "attempts")
    assert [(attempt["provider"], attempt["state"]) for attempt in attempts] == [
        ("openai", "unbilled"),
        ("mistral", "unbilled"),
        ("mistral", "unbilled"),  # the last in the chain is tried once more
    ]


async def test_an_answer_that_breaks_off_can_be_tried_again_after_a_restart(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """The part is kept and marked, nobody else is asked; its button asks the same question once more."""
    whole = openai_stream("Once upon ", "a time.")
    vendor.reply(broken(whole, after=whole.body.index(b"a time") - 40), openai_stream("The whole tale."))
    async with living_bot(fake, database_url, vendor.url, chat_chain=("openai", "mistral")) as bot:
        first = await fake.slash("ask", {"prompt": "Tell me a tale."})
        await until_done(bot, first)

    assert first.original is not None
    assert first.original.content.startswith("> Tell me a tale.\nOnce upon")
    assert "The answer broke off here." in first.original.content
    assert len(vendor.requests) == 1
    button = first.original.latest.components[0]["components"][0]
    assert button["label"] == "Try again"
    async with living_bot(fake, database_url, vendor.url) as bot:
        second = await fake.component(first.original, button["custom_id"])
        await until_done(bot, second)

    assert answered(second, "The whole tale.")
    asked = [message["content"].removeprefix("Ada: ") for message in vendor.requests[1].body["messages"]]
    assert asked[-1] == "Tell me a tale."
    async with open_database(database_url) as database:
        attempts = await rows(database, "attempts")
    assert [attempt["state"] for attempt in attempts] == ["estimated", "settled"]


async def test_a_button_that_fails_leaves_the_member_with_a_sentence(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """A fault behind a button is told like one behind a command, and not as endless thinking."""
    whole = openai_stream("Once upon ", "a time.")
    vendor.reply(broken(whole, after=whole.body.index(b"a time") - 40))
    async with living_bot(fake, database_url, vendor.url) as bot:
        first = await fake.slash("ask", {"prompt": "Tell me a tale."})
        await until_done(bot, first)
        assert first.original is not None
        custom_id = first.original.latest.components[0]["components"][0]["custom_id"]
        async with bot.assistant.database.transaction() as connection:
            await connection.execute(text("ALTER TABLE history RENAME TO stolen"))
        second = await fake.component(first.original, custom_id)
        await second.until(lambda it: answered(it, BOOKS_CLOSED))
        async with bot.assistant.database.transaction() as connection:
            await connection.execute(text("ALTER TABLE stolen RENAME TO history"))
