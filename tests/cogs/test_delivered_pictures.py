"""What the ledger is told of whether pictures reached their member."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from cogs.drawing import BLOCKED, NOT_DELIVERED
from db.engine import open_database
from providers.base import ContentRefused, ImageRequest, Key, Picture, Unavailable
from providers.pixels import encode_png
from providers.router import ImageRouter
from tests.cogs.courier import EDIT, FOLLOW_UP
from tests.cogs.scripted import content
from tests.fake_discord import FakeDiscord, FakeInteraction
from tests.fakes import ScriptedImages, image_route, small_png
from tests.living_bot import living_bot, rows, until_done

NO_VENDOR = "http://127.0.0.1:9"  # nobody listens there, and nobody is asked


async def draw(
    fake: FakeDiscord, database_url: str, painter: ScriptedImages, count: int = 1, **fault: Any
) -> FakeInteraction:
    """Order pictures of a bot that is gone afterwards; `fault` befalls every edit and follow-up."""
    router = ImageRouter([image_route(painter)])
    async with living_bot(fake, database_url, NO_VENDOR, image_router=router) as bot:
        bot.calls.retry_seconds = (0.0, 0.05)
        if fault:
            fake.fail("PATCH", EDIT, times=99, **fault)
            fake.fail("POST", FOLLOW_UP, times=99, **fault)
        interaction = await fake.slash("imagine", {"prompt": "a fox", "count": count})
        await until_done(bot, interaction)
    return interaction


async def delivered(database_url: str) -> list[tuple[str, int, str]]:
    """Of each attempt its state, how many pictures it was booked with, and what was delivered of it."""
    async with open_database(database_url) as database:
        found = await rows(database, "attempts")
    return sorted((row["state"], row["pictures"], row["delivered"]) for row in found)


async def test_pictures_that_arrived_are_noted_as_delivered(fake: FakeDiscord, database_url: str) -> None:
    """Each of them; one that the filter refused was none."""
    await draw(fake, database_url, ScriptedImages(0.0, ContentRefused("no")), count=4)

    assert await delivered(database_url) == [("settled", 1, "full")] * 3 + [("unbilled", 0, "none")]


async def test_a_picture_that_nobody_got_stays_undelivered_beside_one_that_arrived(
    fake: FakeDiscord, database_url: str
) -> None:
    """Its vendor may have made it, so it counts; it was not delivered, though it was the last to be begun."""
    painter = ScriptedImages(0.3, Unavailable("broke off", maybe_billed=True))
    interaction = await draw(fake, database_url, painter, count=2)

    assert "1 of 2 was made." in content(interaction)
    assert await delivered(database_url) == [("estimated", 1, "none"), ("settled", 1, "full")]


@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 403}, {"reset": True}])
async def test_pictures_that_discord_did_not_take_are_noted_as_such(
    fake: FakeDiscord, database_url: str, fault: dict[str, Any]
) -> None:
    """They were made and count all the same."""
    await draw(fake, database_url, ScriptedImages(), count=2, **fault)

    assert await delivered(database_url) == [("settled", 1, "none")] * 2


async def test_a_sentence_in_place_of_a_picture_is_no_delivery(fake: FakeDiscord, database_url: str) -> None:
    """Where the server takes no file of this size, the member reads so, and the picture was not delivered."""
    router = ImageRouter([image_route(ScriptedImages(0.2))])
    async with living_bot(fake, database_url, NO_VENDOR, image_router=router) as bot:
        interaction = await fake.slash("imagine", {"prompt": "a fox"})
        fake.attachment_size_limit = 10  # less than it had told with the interaction
        await until_done(bot, interaction)

    assert content(interaction).endswith(NOT_DELIVERED)
    assert await delivered(database_url) == [("settled", 1, "none")]


async def test_pictures_whose_message_was_deleted_are_noted_as_undelivered(
    fake: FakeDiscord, database_url: str
) -> None:
    """They were made and count, and nobody saw them."""
    router = ImageRouter([image_route(ScriptedImages(0.0, 4.0))])
    async with living_bot(fake, database_url, NO_VENDOR, image_router=router) as bot:
        bot.calls.pace_seconds = 0.1
        interaction = await fake.slash("imagine", {"prompt": "a fox", "count": 2})
        await interaction.until(lambda it: "Drawing 2 of 2" in content(it))
        fake.fail("PATCH", EDIT, times=99, status=404, body={"message": "Unknown Message", "code": 10008})
        await until_done(bot, interaction)

    assert await delivered(database_url) == [("settled", 1, "none")] * 2


class LargePainter(ScriptedImages):
    """Makes noise that no encoding makes small, but for one seed; and takes no seed."""

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        noise = Image.effect_noise((400, 400), 90).convert("RGB")
        png = small_png() if request.seed == 8 else encode_png(noise)
        return Picture(png, 400, 400, self.model, None)


@pytest.mark.parametrize(
    ("count", "files", "sentence", "booked"),
    [
        (1, [], "The picture cannot be made small enough for this server. Choose a smaller size.", "none"),
        (2, ["picture-2.png"], "1 of the 2 pictures cannot be made small enough for this server.", "partial"),
    ],
)
async def test_a_picture_that_nothing_makes_small_enough_was_not_delivered(
    fake: FakeDiscord, database_url: str, count: int, files: list[str], sentence: str, booked: str
) -> None:
    """The member reads so, and the ledger says what did not arrive; the pictures count all the same."""
    fake.attachment_size_limit = 2_000
    router = ImageRouter([image_route(LargePainter())])
    async with living_bot(fake, database_url, NO_VENDOR, image_router=router) as bot:
        interaction = await fake.slash("imagine", {"prompt": "noise", "seed": 7, "count": count})
        await until_done(bot, interaction)

    assert interaction.original is not None
    assert [file.filename for file in interaction.original.attachments] == files
    assert f"-# {sentence}" in content(interaction)
    assert content(interaction).count("seed") == 1
    assert await delivered(database_url) == [("settled", 1, booked)] * count


async def test_pictures_that_a_filter_stops_are_told_of_as_such(fake: FakeDiscord, database_url: str) -> None:
    """The sentence does not send the member to /last, which knows of no pictures."""
    body = {"message": "blocked", "code": 200000}
    router = ImageRouter([image_route(ScriptedImages(0.3))])
    async with living_bot(fake, database_url, NO_VENDOR, image_router=router) as bot:
        interaction = await fake.slash("imagine", {"prompt": "a fox"})
        await interaction.until(lambda it: "Drawing" in content(it))
        fake.fail("PATCH", EDIT, status=400, body=body)
        await until_done(bot, interaction)

    assert content(interaction) == BLOCKED
    assert await delivered(database_url) == [("settled", 1, "none")]
