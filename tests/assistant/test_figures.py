"""What is counted for whoever watches agrees with the books, whatever happens."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from db.engine import Database
from providers.base import ContentRefused, RateLimited, Unavailable
from providers.prices import Price
from tests.assistant.scene import Scene
from tests.assistant.test_interruptions import cut_off, moments, script
from tests.fakes import ScriptedChat, ScriptedImages, answer


async def check(scene: Scene) -> None:
    """Every attempt of the ledger is counted once, with all that it used, and so is every request."""
    figures, rows = scene.assistant.figures, await scene.attempts()
    place = [(row.provider, row.model) for row in rows]

    assert figures.attempts == Counter(
        (*where, row.error_class or "answered") for where, row in zip(place, rows, strict=True)
    )
    for name, counted in (
        ("prompt_tokens", figures.prompt_tokens),
        ("completion_tokens", figures.completion_tokens),
        ("pictures", figures.pictures),
        ("cost_micros", figures.micros),
    ):
        used: Counter[tuple[str, str]] = Counter()
        for where, row in zip(place, rows, strict=True):
            used[where] += getattr(row, name) or 0
        assert counted == used, name
    outcomes = await scene.outcomes()
    assert "open" not in outcomes.values()
    assert figures.answers.total() == len(outcomes)
    assert sum(sum(histogram.counts) for histogram in figures.total.values()) == len(outcomes)
    assert sum(sum(histogram.counts) for histogram in figures.attempt_total.values()) == len(rows)


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
async def test_questions_cut_off_at_any_moment_are_counted_as_they_are_booked(
    database: Database, again: bool
) -> None:
    """An end that is written while its task is cancelled counts once."""
    refusing = ScriptedChat(*([RateLimited("slow down")] for _ in range(121)), name="first")
    answering = ScriptedChat(*(script() for _ in range(121)), name="second")
    scene = Scene(
        database,
        [refusing, answering],
        route={"price": Price(date=date(2026, 11, 1), prompt=1, completion=2)},
    )
    for number, moment in enumerate(moments(), 1):
        await cut_off(scene.ask(number, private=True), moment, again=again)

    await check(scene)
    assert scene.assistant.figures.answers["ask", "abandoned"] > 10
    assert scene.assistant.figures.answers["ask", "answered"] >= 1


async def test_orders_cut_off_at_any_moment_are_counted_as_they_are_booked(database: Database) -> None:
    """The same for pictures, several of which are made at once."""
    scene = Scene(database, painters=[ScriptedImages(*[0.003] * 400)])
    for number, moment in enumerate(moments(), 1):
        await cut_off(scene.imagine(number, count=3), moment, again=False)

    await check(scene)
    assert scene.assistant.figures.answers["imagine", "abandoned"] > 10


async def test_every_kind_of_end_is_counted_as_it_is_booked(database: Database) -> None:
    """Answered, broken off, empty, refused by a filter, out of providers, and a replayed interaction."""
    chat = ScriptedChat(
        answer("Yes."),
        ["Half", Unavailable("gone", maybe_billed=True)],
        answer(),
        [ContentRefused("no")],
        [Unavailable("down", status=503)],
        [Unavailable("down", status=503)],
    )
    scene = Scene(database, [chat])
    for number in (1, 2, 3, 4, 5, 1):
        await scene.ask(number)

    await check(scene)
    assert scene.assistant.figures.answers == {
        ("ask", "answered"): 1,
        ("ask", "partial"): 1,
        ("ask", "failed"): 2,
        ("ask", "refused"): 1,
    }
    assert sum(scene.assistant.figures.first_text.counts) == 2
