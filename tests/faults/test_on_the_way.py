"""Answers that Discord does not take, or not at once: what the member has of them, and what is booked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot import TWIN
from cogs.errors import SORRY
from tests.fake_discord import CHANNEL_ID, GUILD_ID, FakeDiscord
from tests.fake_discord_messages import deliver
from tests.fake_vendors import FakeVendor, openai_stream, slowly
from tests.faults.books import hasten, read_books
from tests.living_bot import answered, living_bot, until_done
from tests.mentioning import BOT_MENTION, ON, replies, write

OWNER_CHANNEL = 500_000_000_000_000_001
LOST = f"-# Your last answer in <#{CHANNEL_ID}> could not be delivered. /last shows it to you there.\n"


async def read_last(fake: FakeDiscord) -> str:
    """What `/last` shows."""
    interaction = await fake.slash("last")
    await interaction.until(lambda it: it.original is not None and not it.original.loading)
    assert interaction.original is not None
    return interaction.original.content


async def test_an_answer_that_never_gets_through_is_booked_kept_and_told_of(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 27: with every edit and follow-up failing, the turn is whole in the books, and `/last` has it."""
    vendor.reply(openai_stream("Precious."), openai_stream("More."))
    fake.fail("PATCH", "/webhooks/*", times=99, status=500)
    fake.fail("POST", "/webhooks/*", times=99, status=503, body="<html>upstream</html>")
    async with living_bot(fake, database_url, vendor.url, chat={"footer": False}) as bot:
        hasten(bot)
        await until_done(bot, await fake.slash("ask", {"prompt": "What?"}))
        fake.rest.faults.clear()
        second = await fake.slash("ask", {"prompt": "And then?"})
        await until_done(bot, second)
        last = await read_last(fake)

    assert second.original is not None
    assert second.original.content == f"{LOST}> And then?\nMore."
    assert last == "> What?\nPrecious."
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"] * 2, ["settled"] * 2)
    assert books.history == ["What?", "Precious.", "And then?", "More."]


async def test_an_answer_that_was_lost_is_there_after_a_restart(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 27: the history, and not the process, is what `/last` relies on."""
    vendor.reply(openai_stream("Precious."))
    fake.fail("PATCH", "/webhooks/*", times=99, status=500)
    fake.fail("POST", "/webhooks/*", times=99, status=500)
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        await until_done(bot, await fake.slash("ask", {"prompt": "What?"}))
        fake.rest.faults.clear()
    async with living_bot(fake, database_url, vendor.url):
        assert await read_last(fake) == "> What?\nPrecious."


async def test_a_token_that_ends_in_mid_answer_costs_neither_the_books_nor_the_answer(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 28: Discord takes no more, so few requests are made; the vendor is heard to its end."""
    vendor.reply(slowly(openai_stream(*["more "] * 10), 0.1))
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        interaction = await fake.slash("ask", {"prompt": "Go on."})
        await interaction.until(lambda it: answered(it, "more"))
        fake.token_life = 0.0
        await until_done(bot, interaction)
        refused = [sent.status for sent in fake.requests if sent.status == 401]
        fake.token_life = 900.0
        last = await read_last(fake)

    assert len(refused) <= 2  # one while it grows, one at the end
    assert last == f"> Go on.\n{'more ' * 10}".strip()
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"], ["settled"])


async def test_during_a_ban_nothing_is_sent_asked_or_booked(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 29: the answer in flight arrives later; who asks meanwhile costs nothing; then all is well."""
    vendor.reply(slowly(openai_stream(*["more "] * 8), 0.1), openai_stream("Back."))
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        first = await fake.slash("ask", {"prompt": "Go on."})
        await first.until(lambda it: answered(it, "more"))
        fake.fail("PATCH", "/webhooks/*", status=429, body="error code: 1015", headers={"Retry-After": "3"})
        await fake.until(lambda: any(sent.status == 429 for sent in fake.requests))
        await asyncio.sleep(0.05)
        during = len(fake.requests)
        banned = await fake.slash("ask", {"prompt": "Is anybody there?"})
        await asyncio.sleep(1)
        assert len(fake.requests) == during
        assert len(vendor.requests) == 1
        await until_done(bot, first)
        second = await fake.slash("ask", {"prompt": "And now?"})
        await until_done(bot, second)

    assert answered(first, "more " * 7 + "more")
    assert banned.acknowledged_at is None  # Discord itself tells its member that the bot did not respond
    assert answered(second, "Back.")
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"] * 2, ["settled"] * 2)


@pytest.mark.parametrize("resumable", [True, False], ids=["resumed", "identified anew"])
async def test_an_answer_goes_on_while_the_gateway_is_away(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, resumable: bool
) -> None:
    """Faults 32 and 33: a connection that breaks in mid-answer, and repeats the question, changes nothing."""
    vendor.reply(slowly(openai_stream(*["more "] * 20), 0.1))
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        interaction = await fake.slash("ask", {"prompt": "Go on."})
        await interaction.until(lambda it: answered(it, "more"))
        await fake.drop_connection(resumable=resumable)
        shown = len(interaction.original.versions) if interaction.original else 0
        await interaction.until(lambda it: it.original is not None and len(it.original.versions) > shown)
        await fake.ready(30)
        await fake.send_again(interaction)
        await until_done(bot, interaction)

    assert answered(interaction, "more " * 19 + "more")
    assert len(vendor.requests) == 1
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"], ["settled"])


async def test_another_process_that_answers_is_noticed_before_anything_costs(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault 31: acknowledged by somebody else, the question is theirs; the host reads why and is told."""
    body = {"message": "Interaction has already been acknowledged.", "code": 40060}
    fake.fail("POST", "/interactions/*/callback", status=400, body=body, times=2)
    async with living_bot(fake, database_url, vendor.url, owner_channel_id=OWNER_CHANNEL):
        for _ in range(2):
            await fake.slash("ask", {"prompt": "Who answers?"})
        await fake.until(lambda: sum(sent.status == 400 for sent in fake.requests) == 2)
        await asyncio.sleep(0.3)
        assert [message.content for message in fake.messages] == [TWIN]

    assert vendor.requests == []
    assert "is it running twice?" in caplog.text
    assert (await read_books(database_url)).outcomes == []


@pytest.mark.parametrize("after_handling", [False, True], ids=["lost", "only its answer lost"])
async def test_a_deferral_that_breaks_off_ends_in_a_sentence(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, after_handling: bool
) -> None:
    """Fault 30: nobody is asked and nothing is booked, and the member does not wait for 15 minutes."""
    fake.fail("POST", "/interactions/*/callback", reset=True, after_handling=after_handling)
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        interaction = await fake.slash("ask", {"prompt": "Is it there?"})
        await interaction.until(lambda it: it.original is not None and it.original.content == SORRY)

    assert vendor.requests == []
    assert (await read_books(database_url)).outcomes == []


async def test_a_message_that_comes_again_in_mid_answer_disturbs_nothing(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 32: the second delivery is nobody's; the answer to the first can still be stopped."""
    vendor.reply(slowly(openai_stream(*["more "] * 100), 0.1))
    async with living_bot(fake, database_url, vendor.url, **ON) as bot:
        hasten(bot)
        message = await write(fake, f"{BOT_MENTION} Go on.")
        await fake.until(lambda: any("more" in reply.content for reply in replies(fake)))
        member: dict[str, Any] = {"roles": [], "joined_at": None, "flags": 0}
        mentions = [fake.bot_user.payload()]
        again = message.payload() | {"guild_id": str(GUILD_ID), "member": member, "mentions": mentions}
        await deliver(fake, again)
        await asyncio.sleep(0.3)
        [reply] = replies(fake)
        [row] = reply.latest.components
        await fake.component(reply, row["components"][0]["custom_id"])
        await fake.until(lambda: "The answer was stopped here." in reply.content)

    assert len(replies(fake)) == len(vendor.requests) == 1
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["partial"], ["estimated"])


# ---- Places and permissions that vanish ------------------------------------------------------------

DELETED = (
    (404, 10008, "the message deleted"),
    (404, 10003, "the channel deleted"),
)
FORBIDDEN = (
    (403, 50001, "access lost"),
    (403, 50013, "permissions lost"),
    (400, 50083, "the thread archived"),
    (403, 160005, "the thread locked"),
    (403, 50007, "the member has blocked the bot"),
)


def refused(fault: tuple[int, int, str]) -> dict[str, Any]:
    status, code, message = fault
    return {"status": status, "body": {"message": message, "code": code}, "times": 99}


@pytest.mark.parametrize("fault", DELETED, ids=[fault[2] for fault in DELETED])
async def test_where_the_answer_was_deleted_the_vendor_is_left(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, fault: tuple[int, int, str]
) -> None:
    """Faults 34 and 36: nobody reads on, so nobody writes on; what came is booked and not remembered."""
    vendor.reply(slowly(openai_stream(*["more "] * 100), 0.1))
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        interaction = await fake.slash("ask", {"prompt": "Go on."})
        await interaction.until(lambda it: answered(it, "more"))
        fake.fail("PATCH", "/webhooks/*", **refused(fault))
        fake.fail("POST", "/webhooks/*", **refused(fault))
        await vendor.client_left()
        await until_done(bot, interaction)

    assert len([sent for sent in fake.requests if sent.status == fault[0]]) == 1
    books = await read_books(database_url)
    assert (books.outcomes, books.states, books.history) == (["failed"], ["estimated"], [])


@pytest.mark.parametrize("fault", FORBIDDEN, ids=[fault[2] for fault in FORBIDDEN])
@pytest.mark.parametrize("guild_id", [400_000_000_000_000_001, None], ids=["in a server", "in private"])
async def test_where_the_bot_may_not_write_any_more_the_answer_is_kept(
    fake: FakeDiscord,
    vendor: FakeVendor,
    database_url: str,
    fault: tuple[int, int, str],
    guild_id: int | None,
) -> None:
    """Faults 34, 35 and 37: one try in mid-answer, one at the end; booked in full, and `/last` has it."""
    vendor.reply(slowly(openai_stream(*["more "] * 8), 0.1))
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        interaction = await fake.slash("ask", {"prompt": "Go on."}, guild_id=guild_id)
        await interaction.until(lambda it: answered(it, "more"))
        fake.fail("PATCH", "/webhooks/*", **refused(fault))
        fake.fail("POST", "/webhooks/*", **refused(fault))
        await until_done(bot, interaction)
        tries = [sent for sent in fake.requests if sent.status == fault[0]]
        fake.rest.faults.clear()
        last = await fake.slash("last", guild_id=guild_id)
        await last.until(lambda it: answered(it, "more " * 7 + "more"))

    assert len(tries) == 2
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"], ["settled"])
    assert books.history == ["Go on.", "more " * 8]


@pytest.mark.parametrize("code", [200000, 240000], ids=["AutoMod", "harmful link"])
async def test_an_answer_that_a_filter_stops_is_booked_and_the_member_told(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, code: int
) -> None:
    """Fault 35: the text is not sent again; a sentence takes its place, and the answer counts once."""
    vendor.reply(openai_stream("Something bad."))
    fake.fail("PATCH", "/webhooks/*", status=400, body={"message": "blocked", "code": code}, times=2)
    async with living_bot(fake, database_url, vendor.url) as bot:
        hasten(bot)
        interaction = await fake.slash("ask", {"prompt": "Say it."})
        await interaction.until(lambda it: answered(it, "/last shows it to you alone."), timeout=10)
        await until_done(bot, interaction)

    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"], ["settled"])
