"""A picture on its way: what is asked for, what the member gets, and what is booked."""

import asyncio

import pytest

from assistant.imagine import LARGEST_SEED
from assistant.values import PictureOrder, Pictures, Refusal
from db.engine import Database
from db.rollup import Totals
from providers.base import (
    BadRequest,
    ContentRefused,
    ImageRequest,
    NotEntitled,
    ProviderError,
    RateLimited,
    Unavailable,
)
from providers.walk import NoneAnswered, NothingConfigured
from tests.assistant.scene import GatedImages, Scene, origin
from tests.fakes import ScriptedImages


async def test_picture_is_ordered_as_it_was_asked_for(database: Database) -> None:
    """Prompt, size, seed and steps reach the vendor unchanged; the picture comes back as it was made."""
    painter = ScriptedImages()
    scene = Scene(database, painters=[painter])
    order = PictureOrder(origin(1), "a lighthouse", 1344, 768, seed=7, steps=4)

    *_, end = await scene.draw(order)

    assert painter.calls[0][0] == ImageRequest("a lighthouse", 1344, 768, 7, 4)
    assert isinstance(end, Pictures)
    [picture] = end.pictures
    assert (picture.seed, picture.model) == (7, "scripted-image-model")
    assert picture.png.startswith(b"\x89PNG")


async def test_picture_is_booked(database: Database) -> None:
    """A finished picture has one settled attempt with one picture and no tokens."""
    scene = Scene(database, painters=[ScriptedImages()])
    await scene.imagine()

    [row] = await scene.attempts()
    assert (row.state, row.usage_source, row.command) == ("settled", "provider", "imagine")
    assert (row.pictures, row.prompt_tokens, row.completion_tokens) == (1, 0, 0)
    assert await scene.outcomes() == {1: "answered"}
    assert (await scene.server_usage()).totals == Totals(1, pictures=1, pixels=64)
    assert await scene.turns() == []


async def test_empty_seed_is_drawn(database: Database) -> None:
    """Without a seed one is drawn that every vendor takes, another one each time, and it is told."""
    painter = ScriptedImages()
    scene = Scene(database, painters=[painter])
    pictures = [await scene.imagine(number) for number in range(20)]

    seeds = [request.seed for request, _ in painter.calls]
    assert all(seed is not None and 0 <= seed <= LARGEST_SEED for seed in seeds)
    assert len(set(seeds)) > 15
    assert [end.pictures[0].seed for end in pictures] == seeds


async def test_seed_of_nothing_is_a_seed(database: Database) -> None:
    """A seed of 0 is used, and not taken for an empty one."""
    painter = ScriptedImages()
    scene = Scene(database, painters=[painter])
    await scene.imagine(seed=0)

    assert painter.calls[0][0].seed == 0


async def test_picture_is_booked_before_it_is_made(database: Database) -> None:
    """While the vendor draws, the attempt stands in the ledger with one picture at most."""
    painter = GatedImages()
    scene = Scene(database, painters=[painter])
    drawing = asyncio.create_task(scene.imagine())
    await painter.asked.wait()

    [row] = await scene.attempts()
    assert (row.state, row.pictures) == ("sent", 1)
    assert await scene.outcomes() == {1: "open"}
    painter.gate.set()
    await drawing


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        (
            [BadRequest("what?"), NotEntitled("no")],
            f"{NoneAnswered.sentence} Please try again in a minute.",
        ),
        (
            [RateLimited("slow", retry_after=300), RateLimited("slow too", retry_after=600)],
            "All of the bot's models are busy or used up. Please try again in 5 minutes.",
        ),
        ([ContentRefused("no")], ContentRefused.sentence),
    ],
)
async def test_failure_gives_the_reservation_back(
    database: Database, errors: list[ProviderError], sentence: str
) -> None:
    """A picture that nobody makes costs nothing, leaves nothing reserved, and has its sentence."""
    painters = [ScriptedImages(error, name=f"painter {number}") for number, error in enumerate(errors)]
    scene = Scene(database, painters=painters)

    assert await scene.imagine() == Refusal(sentence)

    assert [row.state for row in await scene.attempts()] == ["unbilled"] * len(errors)
    assert await scene.outcomes() == {1: "failed"}
    assert (await scene.server_usage()).totals == Totals(0, len(errors), 0, 0, 0, 0)


async def test_picture_that_may_have_been_made_counts(database: Database) -> None:
    """A vendor that broke off after it had the order is booked with one picture, as an estimate."""
    scene = Scene(
        database,
        painters=[ScriptedImages(Unavailable("too late", maybe_billed=True)), ScriptedImages(name="second")],
    )

    assert isinstance(await scene.imagine(), Pictures)

    assert [(row.state, row.pictures) for row in await scene.attempts()] == [("estimated", 1), ("settled", 1)]


async def test_interaction_that_comes_twice_is_drawn_once(database: Database) -> None:
    """The second arrival of an interaction gives nothing and asks nobody."""
    painter = ScriptedImages()
    scene = Scene(database, painters=[painter])
    results = await asyncio.gather(*(scene.imagine(1) for _ in range(5)))

    assert [isinstance(result, Pictures) for result in results].count(True) == 1
    assert results.count(None) == 4
    assert len(painter.calls) == 1


async def test_bot_without_painters_says_so(database: Database) -> None:
    """With nobody to ask, the member is told that the host has to set a key, and nothing is booked."""
    scene = Scene(database)

    assert await scene.imagine() == Refusal(NothingConfigured.sentence)
    assert await scene.outcomes() == {}
