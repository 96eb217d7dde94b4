"""Charts: every shape of a report becomes a picture, whatever its names are, and off the loop."""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby

import pytest
from PIL import Image

from assistant.charts import BACKGROUND, COMPLETION, PICTURES, PROMPT, chart, short
from assistant.periods import Days
from assistant.usage import Report
from db.rollup import Totals
from db.usage import Grouping, Line, View

ASKED = Totals(5, 1, 9000, 3000, cost_micros=100)
DRAWN = Totals(2, pictures=2)


def report_of(lines: list[Line], by: Grouping = "member", days: int = 30, others: int = 0) -> Report:
    first = date(2026, 10, 25)
    span = Days(first, first + timedelta(days - 1))
    used = lines[0].totals if lines else Totals()
    daily = [(day, used) for day in span]
    return Report(View(10), by, span, "UTC", used, Totals(), lines, used, others, daily)


async def picture_of(report: Report) -> Image.Image:
    content = await chart(report)
    assert content is not None
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG"
        return picture.convert("RGB")


def colours_of(picture: Image.Image) -> set[str]:
    found = picture.getcolors(picture.width * picture.height) or []
    return {f"#{bytes(colour).hex()}" for count, colour in found if count > 300 and isinstance(colour, tuple)}


@pytest.mark.parametrize("days", [1, 7, 30, 366])
async def test_days_are_bars_of_two_colours(days: int) -> None:
    """Prompt and completion tokens stand apart on the dark background, be it one day or a year."""
    picture = await picture_of(report_of([Line(0, ASKED)], "day", days))

    assert colours_of(picture) >= {BACKGROUND, PROMPT, COMPLETION}
    assert PICTURES not in colours_of(picture)


async def test_a_long_time_is_drawn_by_weeks() -> None:
    """A quiet week between busy ones is a gap that can be seen; two days a week are in one bar."""
    report = report_of([Line(0, ASKED)], "day", 364)
    daily = [
        (day, Totals() if 140 <= place < 147 or place % 7 > 1 else ASKED)
        for place, (day, _) in enumerate(report.daily)
    ]
    picture = await picture_of(replace(report, daily=daily))
    wanted = tuple(bytes.fromhex(PROMPT[1:]))
    row = [picture.getpixel((x, 300)) == wanted for x in range(picture.width)]
    gaps = [len(list(run)) for is_bar, run in groupby(row) if not is_bar][1:-1]

    assert len(gaps) == 52 - 2
    assert sorted(gaps)[-1] > 4 * sorted(gaps)[-2]


async def test_one_day_alone_is_a_bar_among_empty_places() -> None:
    """And no wall from one side to the other."""
    picture = await picture_of(report_of([Line(0, ASKED)], "day", 1))
    wanted = tuple(bytes.fromhex(PROMPT[1:]))
    row = [picture.getpixel((x, 300)) == wanted for x in range(picture.width)]

    assert 40 < sum(row) < 200


async def test_lines_make_the_picture_as_high_as_they_need() -> None:
    """Ten lines and the rest are eleven bars; one is one."""
    many = await picture_of(report_of([Line(number, ASKED) for number in range(10)], others=5))
    one = await picture_of(report_of([Line(1, ASKED)]))

    assert many.width == one.width == 900
    assert many.height > 3 * one.height / 2


@pytest.mark.parametrize("share", [0.02, 0.3, 0.45, 0.49, 0.5, 0.52, 0.54, 0.56, 0.6, 0.7, 1.0])
async def test_figures_beside_bars_stay_within_the_picture(share: float) -> None:
    """The longest of them, beside the longest names, wherever the bar ends."""
    longest = Totals(9, prompt_tokens=899_000, pictures=1290)
    line = Line("some-model-of-a-name", longest._replace(prompt_tokens=round(899_000 * share)))
    picture = await picture_of(report_of([Line("A-LONGER-NAME-of-a-model", longest), line], "model"))
    edge = picture.crop((picture.width - 4, 0, picture.width, picture.height))
    begin = picture.crop((0, 0, 4, picture.height))

    assert edge.getcolors() == begin.getcolors() == [(4 * picture.height, (0x1E, 0x1F, 0x22))]


async def test_where_only_pictures_were_made_they_are_what_is_drawn() -> None:
    """A chart without tokens is no empty chart."""
    assert PICTURES in colours_of(await picture_of(report_of([Line(1, DRAWN)])))


@pytest.mark.parametrize("name", ["日本語", "$x$ ^_{", "🦊", "a\nb", "", "/", "x" * 300, "\u202eevil"])
async def test_a_hosts_strange_names_do_no_harm(name: str) -> None:
    """Signs that the font lacks, formulas, line ends and great lengths: the picture is as wide as ever."""
    picture = await picture_of(report_of([Line(name, ASKED)], "model"))

    assert picture.width == 900
    assert PROMPT in colours_of(picture)


async def test_there_is_no_chart_of_nothing() -> None:
    """A report without tokens and pictures has none."""
    assert await chart(report_of([])) is None


async def test_the_loop_goes_on_while_a_chart_is_drawn() -> None:
    """Several at once hold up nothing else for long."""
    await chart(report_of([Line(1, ASKED)]))  # matplotlib is loaded
    drawing = asyncio.gather(*(chart(report_of([Line(1, ASKED)])) for _ in range(3)))
    turns, began = 0, time.monotonic()
    while not drawing.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 1 + 10 * (time.monotonic() - began)
    assert all(await drawing)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1234, "1.2k"),
        (9960, "10k"),
        (34_000, "34k"),
        (999_600, "1M"),
        (5_600_000, "5.6M"),
        (2_000_000_000, "2B"),
    ],
)
def test_numbers_are_short(number: int, text: str) -> None:
    """At most two figures before the sign where that loses nothing that a chart could show."""
    assert short(number) == text
