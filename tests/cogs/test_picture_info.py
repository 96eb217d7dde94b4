"""*Picture info*: what any posted picture was made with."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from cogs.picture_info import NO_PICTURE, NOTHING_TOLD, ONLY_SOME
from cogs.splitting import units
from providers.pixels import encode_png
from tests.cogs.drawn import imagine, info_on
from tests.cogs.scripted import content
from tests.fake_discord import FakeDiscord, FakeInteraction
from tests.fakes import small_picture

LONG = "\N{FOX FACE} " * 5000
FIGURES = "Steps: 4, Seed: 42, Size: 1024x1024, Model: sketch"


def png(parameters: str) -> bytes:
    return encode_png(small_picture(), parameters)


def embeds(told: FakeInteraction) -> list[dict[str, Any]]:
    assert told.original is not None
    return list(told.original.latest.embeds)


async def test_picture_info_reads_any_picture(fake: FakeDiscord, database_url: str) -> None:
    """The menu tells what a posted PNG was made with, one that says nothing, and that there is no picture."""
    drawn = await imagine(fake, database_url, seed=7)
    assert drawn.original is not None
    told = await info_on(fake, database_url, drawn.original)
    assert told.ephemeral
    assert told.original is not None
    [embed] = told.original.latest.embeds
    assert embed["description"].startswith("```\na red fox\nSteps: 4, Seed: 7,")

    plain = io.BytesIO()
    Image.new("RGB", (8, 8)).save(plain, "PNG")
    silent = await info_on(fake, database_url, {"plain.png": plain.getvalue()})
    assert silent.original is not None
    assert silent.original.latest.embeds[0]["description"] == NOTHING_TOLD
    nothing = await info_on(fake, database_url, {"notes.txt": b"hello"})
    assert content(nothing) == NO_PICTURE


async def test_the_figures_of_a_long_prompt_are_shown(fake: FakeDiscord, database_url: str) -> None:
    """A prompt that leaves no room for them is shortened before them; one picture has all the room."""
    [alone] = embeds(await info_on(fake, database_url, {"a.png": png(f"{LONG}\n{FIGURES}")}))

    assert alone["description"].endswith(f"…\n{FIGURES}\n```")
    assert 4090 <= units(alone["description"]) <= 4096


async def test_nothing_in_the_parameters_leaves_their_block(fake: FakeDiscord, database_url: str) -> None:
    """However many backticks stand in a row: else a link could hide where it leads to in the bot's words."""
    files = {
        f"{backticks}.png": png("`" * backticks + "\n[click](https://elsewhere.example)")
        for backticks in (2, 3, 4, 5)
    }
    told = embeds(await info_on(fake, database_url, files))
    assert len(told) == 4
    for embed in told:
        assert embed["description"].count("``") == 2
        assert embed["description"].endswith("\n[click](https://elsewhere.example)\n```")


async def test_of_many_pictures_the_first_four_are_told_within_discords_limit(
    fake: FakeDiscord, database_url: str
) -> None:
    """All embeds together have 6000 units at most; that others were left out is said."""
    files = {f"{number}.png": png("`" * 9000 + f"\n{FIGURES}") for number in range(5)}
    told = await info_on(fake, database_url, files)

    assert content(told) == ONLY_SOME
    assert [embed["title"] for embed in embeds(told)] == ["0.png", "1.png", "2.png", "3.png"]
    assert all(FIGURES in embed["description"] for embed in embeds(told))
    assert 5900 < sum(units(embed["title"] + embed["description"]) for embed in embeds(told)) <= 6000


async def test_a_picture_without_an_extension_is_looked_at(fake: FakeDiscord, database_url: str) -> None:
    """Discord says what kind a file is of."""
    files = {"picture": png(f"a fox\n{FIGURES}")}
    [embed] = embeds(await info_on(fake, database_url, files, content_type="image/png"))

    assert FIGURES in embed["description"]
