"""Several pictures at once: over different keys, each booked by itself, whatever becomes of the others."""

from __future__ import annotations

import asyncio

import pytest

from assistant.booking import BOOKS_CLOSED
from assistant.imagine import LARGEST_SEED, NEAR_SEEDS, STOPPED, near_seed
from assistant.stopping import StopSignal
from assistant.values import Drawing, Limits, PictureOrder, Pictures, Refusal
from db.engine import Database
from db.pictures import StoredPictures, read_pictures
from providers.base import BadRequest, ContentRefused, ImageRequest, Key, Picture, RateLimited, Unavailable
from providers.walk import NoneAnswered
from tests.assistant.faults import allow, refuse, sqlite_only
from tests.assistant.scene import GatedImages, Scene, origin
from tests.assistant.test_interruptions import cut_off, moments
from tests.fakes import ScriptedImages, key

FOUR = PictureOrder(origin(1), "a fox", seed=7, count=4)


class SeedPainter(ScriptedImages):
    """Draws what it is asked for, but fails for some seeds, and waits for a gate at others."""

    def __init__(self, errors: dict[int, Exception], held: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.errors = errors
        self.held = held
        self.gate = asyncio.Event()

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        assert request.seed is not None
        if request.seed in self.held:
            await self.gate.wait()
        if request.seed in self.errors:
            self.calls.append((request, key))
            raise self.errors[request.seed]
        return await super().generate(request, key)


async def stored(database: Database, row_id: int | None) -> StoredPictures | None:
    assert row_id is not None
    return await database.run(lambda connection: read_pictures(connection, row_id))


async def until(scene: Scene, **counts: int) -> None:
    """Wait until so many attempts have these states."""
    async with asyncio.timeout(10):
        while True:
            states = [row.state for row in await scene.attempts()]
            if all(states.count(state) == count for state, count in counts.items()):
                return
            await asyncio.sleep(0.01)


async def test_four_are_drawn_at_once_over_four_keys(database: Database) -> None:
    """All four are out at the same time, each with a key of its own and the next seed; all are told."""
    painter = GatedImages()
    keys = [key(f"KEY{number}", f"secret {number}") for number in range(4)]
    scene = Scene(database, painters=[painter], image_keys=keys)
    drawing = asyncio.create_task(scene.draw(FOUR))
    await until(scene, sent=4)
    painter.gate.set()
    *events, end = await drawing

    assert events[0] == Drawing(0, 4)
    assert isinstance(end, Pictures)
    assert [picture.seed for picture in end.pictures] == [7, 8, 9, 10]
    assert {used.variable for _, used in painter.calls} == {f"KEY{number}" for number in range(4)}
    rows = await scene.attempts()
    assert [(row.attempt, row.state, row.pictures, row.pixels) for row in rows] == [
        (number, "settled", 1, 64) for number in (1, 2, 3, 4)
    ]
    assert await scene.outcomes() == {1: "answered"}


async def test_seeds_go_round(database: Database) -> None:
    """After the largest seed comes 0, which every vendor takes as well."""
    scene = Scene(database, painters=[ScriptedImages()])
    end = await scene.imagine(seed=LARGEST_SEED, count=3)
    assert [picture.seed for picture in end.pictures] == [LARGEST_SEED, 0, 1]


async def test_near_seeds_are_others_each_time(database: Database) -> None:
    """They lie behind those of the pictures, and go round as all seeds do: nobody pays twice for the same."""
    scene = Scene(database, painters=[ScriptedImages()])
    row = await stored(database, (await scene.imagine(seed=LARGEST_SEED - 5, count=2)).row_id)
    assert row is not None
    near = {near_seed(row) for _ in range(50)}

    assert len(near) > 1
    assert all(seed > LARGEST_SEED - 4 or seed < NEAR_SEEDS for seed in near)


async def test_three_of_four_are_delivered_and_said(database: Database) -> None:
    """One that the filter refuses leaves the others alone; its sentence is told, its share given back."""
    scene = Scene(
        database, painters=[SeedPainter({9: ContentRefused("no")})], limits=Limits(pictures_per_day=4)
    )
    *_, end = await scene.draw(FOUR)

    assert isinstance(end, Pictures)
    assert [picture.seed for picture in end.pictures] == [7, 8, 10]
    assert (end.count, end.missed, end.stopped) == (4, (ContentRefused.sentence,), False)
    assert sorted(row.state for row in await scene.attempts()) == ["settled"] * 3 + ["unbilled"]
    assert await scene.outcomes() == {1: "partial"}
    row = await stored(database, end.row_id)
    assert row is not None
    assert [one.seed for one in row.made] == [7, 8, 10]
    assert isinstance(await scene.imagine(2), Pictures)  # one is left of the limit


async def test_none_of_four_is_one_refusal(database: Database) -> None:
    """What all failed of is told once, and nothing is kept or reserved."""
    scene = Scene(database, painters=[ScriptedImages(*(BadRequest("what?") for _ in range(8)))])
    end = await scene.imagine(count=4)

    assert isinstance(end, Refusal)
    assert end.sentence.startswith(NoneAnswered.sentence)
    assert await scene.outcomes() == {1: "failed"}
    assert {row.state for row in await scene.attempts()} == {"unbilled"}


async def test_each_falls_back_by_itself(database: Database) -> None:
    """A picture that may have been made and was lost is booked, and made anew elsewhere within the limit."""
    first = ScriptedImages(*(Unavailable("broke off", maybe_billed=True) for _ in range(4)), name="first")
    scene = Scene(database, painters=[first, ScriptedImages(name="second")])
    end = await scene.imagine(count=2)

    assert isinstance(end, Pictures)
    assert len(end.pictures) == 2
    states = sorted((row.provider, row.state) for row in await scene.attempts())
    assert states.count(("second", "settled")) == 2
    assert {state for provider, state in states if provider == "first"} == {"estimated"}


async def test_what_may_have_been_spent_counts_before_another_try(database: Database) -> None:
    """A try that may have cost uses up the limit: no other follows where nothing is left."""
    first = ScriptedImages(Unavailable("broke off", maybe_billed=True), name="first")
    second = ScriptedImages(name="second")
    scene = Scene(database, painters=[first, second], limits=Limits(pictures_per_day=1))
    end = await scene.imagine()

    assert isinstance(end, Refusal)
    assert "Today's limit for this bot is 1 picture" in end.sentence
    assert second.calls == []


async def test_settled_pictures_free_their_share_at_once(database: Database) -> None:
    """While the last is drawn, the three that are booked are not reserved as well."""
    painter = SeedPainter({}, held=(10,))
    scene = Scene(database, painters=[painter], limits=Limits(pictures_per_day=5))
    drawing = asyncio.create_task(scene.draw(FOUR))
    await until(scene, settled=3)

    assert isinstance(await scene.imagine(2, user_id=31), Pictures)
    assert isinstance(await scene.imagine(3, user_id=31), Refusal)
    painter.gate.set()
    await drawing


async def test_stop_keeps_what_was_made(database: Database) -> None:
    """The two that are there are delivered; those being drawn are booked as perhaps made."""
    scene, stop = Scene(database, painters=[SeedPainter({}, held=(9, 10))]), StopSignal()
    drawing = asyncio.create_task(scene.draw(FOUR, stop))
    await until(scene, settled=2, sent=2)
    stop.stop()
    *events, end = await drawing
    assert Drawing(2, 4) in events
    assert isinstance(end, Pictures)
    assert ([picture.seed for picture in end.pictures], end.stopped) == ([7, 8], True)
    assert sorted(row.state for row in await scene.attempts()) == ["estimated"] * 2 + ["settled"] * 2
    assert await scene.outcomes() == {1: "partial"}


async def test_stop_before_anything_was_made_says_so(database: Database) -> None:
    """Nothing is delivered then; what was asked of vendors is booked as perhaps made."""
    painter = GatedImages()
    scene, stop = Scene(database, painters=[painter]), StopSignal()
    drawing = asyncio.create_task(scene.draw(FOUR, stop))
    await painter.asked.wait()
    stop.stop()
    *_, end = await drawing
    assert end == Refusal(STOPPED)
    assert await scene.outcomes() == {1: "failed"}


async def test_one_order_of_a_member_at_a_time(database: Database) -> None:
    """The second waits for the first; another member's does not."""
    painter = GatedImages()
    scene = Scene(database, painters=[painter])
    drawing = [asyncio.create_task(scene.imagine(number)) for number in (1, 2)]
    drawing.append(asyncio.create_task(scene.imagine(3, user_id=31)))
    await asyncio.sleep(0.2)
    assert sorted(await scene.outcomes()) == [1, 3]
    painter.gate.set()
    ends = await asyncio.gather(*drawing)
    assert all(isinstance(end, Pictures) for end in ends)


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
async def test_orders_cut_off_at_any_moment(database: Database, again: bool) -> None:
    """Four pictures that are cancelled anywhere are booked once each, and nothing stays open."""
    painter = ScriptedImages(*(step for _ in range(250) for step in (0.002, RateLimited("slow"))))
    scene = Scene(database, painters=[painter, ScriptedImages(name="second")])
    for number, moment in enumerate(moments(), 1):
        await cut_off(scene.imagine(number, count=4), moment, again=again)

    assert await scene.discrepancies() == []
    rows = await scene.attempts()
    assert {row.state for row in rows} <= {"settled", "estimated", "unbilled"}
    assert all(row.pictures == (row.state != "unbilled") for row in rows)
    assert "open" not in (await scene.outcomes()).values()


@sqlite_only
@pytest.mark.parametrize("what", ["INSERT ON attempts", "UPDATE ON attempts", "INSERT ON pictures"])
async def test_books_that_fail_in_the_middle(database: Database, what: str) -> None:
    """A disk that is full for a while loses nothing: what was made is delivered and booked in the end."""
    painter = SeedPainter({}, held=(9, 10))
    scene = Scene(database, painters=[painter])
    drawing = asyncio.create_task(scene.draw(FOUR))
    await until(scene, settled=2, sent=2)
    await refuse(database, what)
    painter.gate.set()
    await asyncio.sleep(0.1)
    await allow(database)
    *_, end = await drawing

    assert isinstance(end, Pictures)
    assert len(end.pictures) == 4
    assert await scene.discrepancies() == []
    assert await stored(database, end.row_id) is not None


@sqlite_only
async def test_books_that_cannot_be_written_stop_everything(database: Database) -> None:
    """Where no attempt can be written down none is sent."""
    painter = ScriptedImages()
    scene = Scene(database, painters=[painter])
    await refuse(database, "INSERT ON attempts")
    end = await scene.imagine(count=4)
    await allow(database)
    assert end == Refusal(BOOKS_CLOSED)
    assert painter.calls == []


async def test_unknown_model_is_refused_before_it_is_booked(database: Database) -> None:
    """A model that nobody offers is told so, with nothing admitted."""
    scene = Scene(database, painters=[ScriptedImages()])
    [end] = await scene.draw(PictureOrder(origin(1), "a fox", model="nobody/nothing"))
    assert isinstance(end, Refusal)
    assert "no such model" in end.sentence
    assert await scene.outcomes() == {}


async def test_everything_that_was_asked_for_is_kept(database: Database) -> None:
    """The row has what the buttons need, and what the picture was really made with."""
    scene = Scene(database, painters=[ScriptedImages()])
    order = PictureOrder(
        *(
            origin(1),
            "a fox",
            1344,
            768,
            7,
            3,
            2.5,
            "people",
            2,
            "scripted-images/scripted-image-model",
            True,
            True,
        )
    )
    *_, end = await scene.draw(order)
    assert isinstance(end, Pictures)
    row = await stored(database, end.row_id)
    assert row is not None
    asked = (row.prompt, row.width, row.height, row.seed, row.steps, row.guidance, row.negative, row.count)
    assert asked == ("a fox", 1344, 768, 7, 3, 2.5, "people", 2)
    assert (row.model, row.spoiler, row.private, row.user_id) == (order.model, True, True, 30)
    assert [(one.width, one.seed, one.model) for one in row.made] == [
        (8, seed, "scripted-image-model") for seed in (7, 8)
    ]


async def test_forgotten_members_leave_no_prompts(database: Database) -> None:
    """What a member's pictures were made with is deleted, also of those being drawn; others' stay."""
    painter = GatedImages()
    scene = Scene(database, painters=[painter])
    painter.gate.set()
    mine, theirs = await scene.imagine(1), await scene.imagine(2, user_id=31)
    painter.gate.clear()
    painter.asked.clear()
    drawing = asyncio.create_task(scene.imagine(3))
    await painter.asked.wait()

    assert (await scene.assistant.forget_member(30)).pictures == 1
    painter.gate.set()
    end = await drawing
    assert end.row_id is None
    assert await stored(database, mine.row_id) is None
    assert await stored(database, theirs.row_id) is not None


async def test_steps_are_in_the_ledger(database: Database) -> None:
    """An attempt says how many steps its picture took."""
    scene = Scene(database, painters=[ScriptedImages()])
    await scene.draw(PictureOrder(origin(1), "a fox", steps=3))
    assert [row.steps for row in await scene.attempts()] == [3]
