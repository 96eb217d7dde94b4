"""Long and strange texts on their whole way: through the prompt, the books, the vendor and back."""

from __future__ import annotations

import json
import re

import pytest

from tests.fake_discord import FakeDiscord, FakeUser
from tests.fake_vendors import FakeVendor, chunk, events, openai_stream, usage
from tests.faults.books import read_books
from tests.living_bot import answered, living_bot, until_done, without_footer


async def test_prompts_of_six_thousand_characters_fit_with_their_history(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 48: each arrives whole, shown cut; of the turns before go along as many as fit, none in part."""
    prompts = [f"{number} {'word ' * 1199}"[:6000].strip() for number in range(5)]
    vendor.reply(*[openai_stream(f"Answer {number}.") for number in range(5)])
    async with living_bot(fake, database_url, vendor.url) as bot:
        for prompt in prompts:
            interaction = await fake.slash("ask", {"prompt": prompt})
            await until_done(bot, interaction)
            assert interaction.original is not None
            assert len(interaction.original.content) < 400

    sent = [[message["content"] for message in request.body["messages"]] for request in vendor.requests]
    for number, contents in enumerate(sent):
        _, *history, question = contents
        assert question == f"Ada: {prompts[number]}"
        whole = [text for n in range(number) for text in (f"Ada: {prompts[n]}", f"Answer {n}.")]
        assert history == whole[len(whole) - len(history) :]
        assert len(history) % 2 == 0
    assert len(sent[-1]) < len(prompts) * 2  # not everything fits
    books = await read_books(database_url)
    assert (books.outcomes, books.states) == (["answered"] * 5, ["settled"] * 5)


MASKED = r"(?<!\\)\[[^\]]*\]\("
STRANGE = {
    "right to left": "\u202egnp.exe\u202c \u0645\u0631\u062d\u0628\u0627",
    "zero width": "a\u200bb\u200dc\ufeffd\u2060e",
    "combining flood": "a" + "\u0301" * 1500,
    "families": "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 100,
    "quotes and braces": "'; DROP TABLE history; -- {} %s \\ \t|",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=list(STRANGE))
async def test_strange_text_comes_back_as_it_was(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, text: str
) -> None:
    """Fault 49: byte for byte to the vendor, into the history, to the next question and to the member."""
    vendor.reply(openai_stream(text), openai_stream("Yes."))
    async with living_bot(fake, database_url, vendor.url) as bot:
        first = await fake.slash("ask", {"prompt": text})
        await until_done(bot, first)
        await until_done(bot, await fake.slash("ask", {"prompt": "Again?"}))

    contents = [message["content"] for message in vendor.requests[1].body["messages"]]
    assert contents[1:] == [f"Ada: {text}", text, "Ada: Again?"]
    assert (await read_books(database_url)).history == [text, text, "Again?", "Yes."]
    assert first.original is not None
    shown = "".join(without_footer(message.content) for message in (first.original, *first.followups))
    assert shown.endswith(text)


async def test_nul_and_half_characters_are_left_out(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 49: what no database and no message takes goes, and the rest is answered."""
    end = chunk(finish_reason="stop", usage=usage())
    vendor.reply(events(json.dumps(chunk("a\0b \ud83d c")), json.dumps(end)))
    async with living_bot(fake, database_url, vendor.url) as bot:
        interaction = await fake.slash("ask", {"prompt": "x\0y \ude00 z"})
        await until_done(bot, interaction)

    assert answered(interaction, "ab \ufffd c")
    books = await read_books(database_url)
    assert books.history == ["xy  z", "ab  c"]
    assert books.outcomes == ["answered"]


async def test_nothing_that_anyone_writes_pings_or_hides_where_it_leads(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Fault 50: mentions in name, prompt and answer ping nobody in any version; links show their target."""
    attack = "@everyone <@&1> <@200000000000000001> </ask:1> [bank](https://evil.example)"
    eve = FakeUser(200_000_000_000_000_009, "eve", "@everyone: Ada")
    vendor.reply(openai_stream(*[f"{attack} "] * 40))
    async with living_bot(fake, database_url, vendor.url) as bot:
        interaction = await fake.slash("ask", {"prompt": attack}, user=eve)
        await until_done(bot, interaction)

    assert interaction.original is not None
    messages = [interaction.original, *interaction.followups]
    assert len(messages) > 1
    for message in messages:
        for version in message.versions:
            if version.content:
                assert version.allowed_mentions == {"parse": []}
                assert not re.search(MASKED, version.content)
    assert "bank (<https://evil.example>)" in messages[-1].content
    # A name cannot pretend to be another member's.
    assert vendor.requests[0].body["messages"][-1]["content"] == f"@everyone Ada: {attack}"
