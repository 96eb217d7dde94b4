"""`/imagine` and its buttons: the real bot on real sockets, with a restart before each press."""

from __future__ import annotations

import asyncio

import pytest
from PIL import Image

from assistant.imagine import FORGOTTEN, NEAR_SEEDS, NOT_YOURS
from cogs.drawing import NOT_DELIVERED
from db.engine import open_database
from db.verify import find_discrepancies
from providers.base import ContentRefused, ImageRequest, Key, Picture
from providers.pixels import encode_png
from tests.cogs.drawn import NO_VENDOR, SKETCH, drawing_bot, imagine, press, seeds, texts, uploads
from tests.cogs.scripted import ANOTHER, MANAGER, buttons, content
from tests.fake_discord import FakeDiscord
from tests.fakes import ScriptedImages
from tests.living_bot import living_bot, rows, until_done


async def test_pictures_come_with_their_parameters_and_buttons(fake: FakeDiscord, database_url: str) -> None:
    """Two PNGs in one message, each with its parameters in the text chunk alone, read out as the prompt."""
    drawn = await imagine(fake, database_url, count=2, seed=7, negative="snow", steps=4)

    assert drawn.original is not None
    assert [one.filename for one in drawn.original.attachments] == ["picture-7.png", "picture-8.png"]
    for info, seed in zip(texts(drawn), (7, 8), strict=True):
        assert info == {
            "parameters": "a red fox\nNegative prompt: snow\n"
            f"Steps: 4, Seed: {seed}, Size: 1024x1024, Model: sketch"
        }
    assert content(drawn).startswith("**a red fox**\n-# 1024 x 1024 · seeds 7, 8 · 4 steps · sketch · ")
    assert list(buttons(drawn.original)) == ["Re-roll", "Vary", "Edit", "Info", "Delete"]
    assert [one["description"] for one in uploads(fake)] == ["a red fox"] * 2
    assert not drawn.ephemeral


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("\N{FOX FACE}" * 1500, "\N{FOX FACE}" * 511 + "…"),
        ("a \0fox \ud83e and half a letter", "a fox \ufffd and half a letter"),
    ],
    ids=["long", "no text"],
)
async def test_any_prompt_can_be_read_out(
    fake: FakeDiscord, database_url: str, prompt: str, told: str
) -> None:
    """What stands in for the picture is within Discord's limit as Discord counts, and text."""
    await imagine(fake, database_url, prompt=prompt)

    assert [one["description"] for one in uploads(fake)] == [told]


async def test_spoiler_and_private(fake: FakeDiscord, database_url: str) -> None:
    """A spoiler is hidden by its file's name; a private picture and its re-roll are for one member alone."""
    drawn = await imagine(fake, database_url, spoiler=True, private=True)
    assert drawn.original is not None
    assert drawn.original.attachments[0].filename.startswith("SPOILER_picture-")
    assert drawn.ephemeral

    again = await press(fake, database_url, drawn.original, "Re-roll")
    assert again.ephemeral
    assert again.original.attachments[0].filename.startswith("SPOILER_")


async def test_what_the_model_cannot_do_is_said(fake: FakeDiscord, database_url: str) -> None:
    """Steps beyond the model's most and a guidance that it does not take are adjusted, and told."""
    drawn = await imagine(fake, database_url, steps=50, guidance=7.5)
    assert "-# This model takes 1 to 4 steps: it took 4, not 50." in content(drawn)
    assert "-# This model takes no guidance." in content(drawn)


async def test_reroll_takes_a_new_seed(fake: FakeDiscord, database_url: str) -> None:
    """Everything else stays; a re-roll by another member is that member's own request."""
    drawn = await imagine(fake, database_url, seed=7, size="768x1344")
    again = await press(fake, database_url, drawn.original, "Re-roll", user=ANOTHER)

    assert seeds(again) != [7]
    assert "Size: 768x1344" in texts(again)[0]["parameters"]
    async with open_database(database_url) as database:
        kept = await rows(database, "pictures")
        assert [row["user_id"] for row in kept] == [drawn.user.id, ANOTHER.id]
        assert await database.run(find_discrepancies) == []


async def test_vary_takes_near_seeds(fake: FakeDiscord, database_url: str) -> None:
    """Same prompt, seeds behind those that were used."""
    drawn = await imagine(fake, database_url, seed=7, count=2)
    first, second = seeds(await press(fake, database_url, drawn.original, "Vary"))
    assert 9 <= first < 9 + NEAR_SEEDS
    assert second == first + 1


async def test_info_tells_everything_to_who_asked_for_it(fake: FakeDiscord, database_url: str) -> None:
    """All parameters stand in the report, which only the presser sees."""
    drawn = await imagine(fake, database_url, seed=7, count=2, negative="snow")
    info = await press(fake, database_url, drawn.original, "Info", user=ANOTHER)

    assert info.ephemeral
    [report] = info.original.latest.embeds
    fields = {one["name"]: one["value"] for one in report["fields"]}
    assert report["description"] == "a red fox"
    assert fields["Seed"] == "7, 8"
    assert (fields["Size"], fields["Steps"], fields["Model"]) == ("1024 x 1024", "4", "sketch")
    assert fields["Negative prompt"] == "snow"
    assert fields["Asked by"].startswith(f"<@{drawn.user.id}>")


async def test_info_has_no_links_that_hide_where_they_lead_to(fake: FakeDiscord, database_url: str) -> None:
    """Else a member could put one into the bot's own words; however its label is written."""
    prompt = "`[a\nfox](https://elsewhere.example)` [and](https://elsewhere.example)"
    drawn = await imagine(fake, database_url, prompt=prompt, negative=prompt)
    info = await press(fake, database_url, drawn.original, "Info", user=ANOTHER)

    [report] = info.original.latest.embeds
    assert "](" not in str(report)
    assert str(report).count("(https://elsewhere.example)") == 4


async def test_delete_is_for_the_author_and_for_moderators(fake: FakeDiscord, database_url: str) -> None:
    """Another member is told so; the author's press removes message and parameters, as does a moderator's."""
    drawn = await imagine(fake, database_url)
    refused = await press(fake, database_url, drawn.original, "Delete", user=ANOTHER)
    assert refused.followups[0].content == NOT_YOURS
    assert refused.followups[0].ephemeral
    assert drawn.original is not None
    assert not drawn.original.deleted

    await press(fake, database_url, drawn.original, "Delete")
    other = await imagine(fake, database_url)
    assert other.original is not None
    await press(fake, database_url, other.original, "Delete", user=ANOTHER, permissions=MANAGER)
    assert (drawn.original.deleted, other.original.deleted) == (True, True)
    async with open_database(database_url) as database:
        assert await rows(database, "pictures") == []


@pytest.mark.parametrize("label", ["Re-roll", "Vary", "Edit", "Info", "Delete"])
async def test_buttons_of_what_was_forgotten_say_so(fake: FakeDiscord, database_url: str, label: str) -> None:
    """After the member's /forget mine nobody can draw from the prompt again; the message can be deleted."""
    drawn = await imagine(fake, database_url)
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        forgotten = await fake.slash("forget", subcommand="mine")
        await until_done(bot, forgotten)
    assert "the settings of 1 request for pictures" in content(forgotten)

    pressed = await press(fake, database_url, drawn.original, label)
    if label == "Delete":
        assert drawn.original is not None
        assert drawn.original.deleted
    else:
        assert content(pressed) == FORGOTTEN


async def test_progress_is_shown_and_stop_keeps_what_came(fake: FakeDiscord, database_url: str) -> None:
    """While it draws, the member reads how far it is and how long; Stop delivers the one that is there."""

    class Slow(ScriptedImages):
        async def generate(self, request: ImageRequest, key: Key) -> Picture:
            if request.seed != 7:
                await asyncio.sleep(60)
            return await super().generate(request, key)

    painter = Slow()
    async with drawing_bot(fake, database_url, painter) as bot:
        bot.calls.pace_seconds = 0.1
        interaction = await fake.slash("imagine", {"prompt": "a fox", "seed": 7, "count": 3})
        await interaction.until(lambda it: "Drawing 2 of 3, " in content(it))
        await interaction.until(lambda it: content(it).endswith((", 3 s", ", 4 s")), 8)
        assert list(buttons(interaction.original)) == ["Stop"]
        assert interaction.original is not None
        await fake.component(interaction.original, buttons(interaction.original)["Stop"])
        await until_done(bot, interaction)

    assert interaction.original.attachments[0].filename == "picture-7.png"
    assert "-# 1 of 3 was made. It was stopped." in content(interaction)


async def test_three_of_four_are_shown_and_the_reason_said(fake: FakeDiscord, database_url: str) -> None:
    """What the filter did not let through is told below the others."""
    painter = ScriptedImages(0.0, ContentRefused("no"))
    async with drawing_bot(fake, database_url, painter) as bot:
        interaction = await fake.slash("imagine", {"prompt": "a fox", "count": 4})
        await until_done(bot, interaction)
    assert interaction.original is not None
    assert len(interaction.original.attachments) == 3
    assert f"-# 3 of 4 were made. {ContentRefused.sentence}" in content(interaction)


class NoisePainter(ScriptedImages):
    """Draws what no PNG makes small."""

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        noise = Image.effect_noise((request.width, request.height), 90).convert("RGB")
        return Picture(encode_png(noise, "parameters here"), *noise.size, self.model, request.seed)


async def test_pictures_above_the_servers_limit_come_smaller(fake: FakeDiscord, database_url: str) -> None:
    """What is too large as PNG comes as WebP with the same parameters, and that is said."""
    fake.attachment_size_limit = 900_000
    async with drawing_bot(fake, database_url, NoisePainter()) as bot:
        interaction = await fake.slash("imagine", {"prompt": "noise", "seed": 3})
        await until_done(bot, interaction)
    assert interaction.original is not None
    [file] = interaction.original.attachments
    assert file.filename == "picture-3.webp"
    assert len(file.data) <= 900_000
    assert "-# As PNG larger than this server takes, so sent as WebP." in content(interaction)


async def test_files_that_discord_refuses_are_told(fake: FakeDiscord, database_url: str) -> None:
    """A server that takes no files at all gets a sentence in the picture's place, and no silence."""
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        interaction = await fake.slash("imagine", {"prompt": "a fox"})
        fake.attachment_size_limit = 1000  # less than it had told with the interaction
        await until_done(bot, interaction)
    assert content(interaction) == f"**a fox**\n{NOT_DELIVERED}"


async def test_models_are_offered_without_a_network(fake: FakeDiscord, database_url: str) -> None:
    """Typing into the option gives the models that are ready."""
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH):
        options = [{"name": "model", "type": 3, "value": "sk", "focused": True}]
        data = {"id": "0", "name": "imagine", "type": 1, "options": options}
        typed = await fake.interact(4, data)
        await typed.until(lambda it: it.choices is not None)
    assert typed.choices == [{"name": "Sketch (sketch) (default)", "value": "sketch/sketch"}]
