"""*Picture info*: what any posted picture was made with."""

from __future__ import annotations

import io

from PIL import Image

from cogs.picture_info import NO_PICTURE, NOTHING_TOLD
from tests.cogs.drawn import imagine, info_on, post
from tests.cogs.scripted import content
from tests.fake_discord import FakeDiscord


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
    posted = await post(fake, "plain.png", plain.getvalue())
    silent = await info_on(fake, database_url, posted)
    assert silent.original is not None
    assert silent.original.latest.embeds[0]["description"] == NOTHING_TOLD
    nothing = await info_on(fake, database_url, await post(fake, "notes.txt", b"hello"))
    assert content(nothing) == NO_PICTURE
