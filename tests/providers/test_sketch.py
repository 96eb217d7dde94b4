"""The sketch provider's pictures: repeatable, led by the prompt, labelled, and of any size."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat

from providers.base import NO_KEY, ImageRequest
from providers.catalog import load_catalog
from providers.sketch import Sketch
from providers.sketch.drawing import draw, label
from providers.sketch.figures import DRAWINGS, FIGURES, PAINTS
from providers.sketch.plan import FEATURES, LANDS, SUBJECTS, TIMES, read
from providers.sketch.scenes import LANDS as LAND_COLOURS
from providers.sketch.scenes import LIGHTS

SIDE = 256


def small(prompt: str, seed: int = 1) -> Image.Image:
    """A picture of `prompt`, 256 pixels a side."""
    return draw(prompt, width=SIDE, height=SIDE, seed=seed)


def difference(first: Image.Image, second: Image.Image) -> float:
    """How far two pictures are apart on average, 0 to 255."""
    return float(sum(ImageStat.Stat(ImageChops.difference(first, second)).mean) / 3)


def brightness(picture: Image.Image) -> float:
    """The mean grey value of a picture, 0 to 255."""
    return float(ImageStat.Stat(picture.convert("L")).mean[0])


def count(picture: Image.Image, strong: int, weak: tuple[int, int]) -> int:
    """How many pixels have far more of channel `strong` than of either channel in `weak`."""
    bands = picture.split()
    marks = [
        ImageChops.subtract(bands[strong], bands[channel]).point([0] * 90 + [255] * 166) for channel in weak
    ]
    return ImageChops.darker(*marks).histogram()[255]


def test_the_same_request_gives_the_same_pixels() -> None:
    """Prompt, size and seed decide every pixel."""
    assert small("a red fox in the snow").tobytes() == small("a red fox in the snow").tobytes()


def test_another_process_gives_the_same_pixels() -> None:
    """Nothing depends on the hash seed or the state of one process."""
    code = (
        "import hashlib; from providers.sketch.drawing import draw;"
        "picture = draw('a cat by a lake at dusk', width=256, height=256, seed=3);"
        "print(hashlib.sha256(picture.tobytes()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    here = hashlib.sha256(small("a cat by a lake at dusk", 3).tobytes()).hexdigest()
    assert done.stdout.strip() == here


def test_a_picture_keeps_its_composition() -> None:
    """A coarse thumbnail of one known picture stays as it was: no upgrade quietly redraws the demo."""
    thumbnail = small("a red fox in the snow", 42).convert("L").resize((8, 8), Image.Resampling.BOX)
    levels = "".join(f"{value // 16:x}" for value in thumbnail.tobytes())
    expected = "99aaa988bbedcbaabcdccbbbcddddddd8acbbccb7adcaabbcdfdacffbaaa8cee"
    apart = [abs(int(a, 16) - int(b, 16)) for a, b in zip(levels, expected, strict=True)]
    assert max(apart) <= 1, levels


@pytest.mark.parametrize("other", [("a red fox in snow", 2), ("a red fox in snow!", 1), ("a city", 1)])
def test_another_seed_or_prompt_gives_another_picture(other: tuple[str, int]) -> None:
    """The seed and every character of the prompt change the scene, far beyond its paper grain."""
    assert difference(small("a red fox in snow"), small(*other)) > 8


def test_time_of_day_follows_the_prompt() -> None:
    """Snow by day is brighter than a night, and so is a forest at noon."""
    for seed in range(4):
        night = brightness(small("a forest at night", seed))
        assert brightness(small("snow", seed)) > night + 60
        assert brightness(small("a forest at noon", seed)) > night + 40


def test_season_follows_the_prompt() -> None:
    """The ground is white in winter, green in summer and rust in autumn."""
    ground = (0, SIDE * 4 // 5, SIDE, SIDE - 26)
    for seed in range(4):
        looks = {
            season: ImageStat.Stat(small(f"{season} at noon", seed).crop(ground)).mean
            for season in ("winter", "summer", "autumn")
        }
        assert min(looks["winter"]) > 180
        assert looks["summer"][1] > max(looks["summer"][0], looks["summer"][2])
        assert looks["autumn"][0] > looks["autumn"][1] + 30


def test_the_colour_before_a_figure_paints_it() -> None:
    """A red fox is red, a blue one blue, and only the figure is."""
    red, blue = small("a red fox in the snow", 42), small("a blue fox in the snow", 42)
    assert count(red, 0, (1, 2)) > 1200
    assert count(blue, 0, (1, 2)) < 100
    assert count(red, 0, (1, 2)) > 20 * count(small("snow", 42), 0, (1, 2))


def test_a_number_word_repeats_the_figure() -> None:
    """Two red foxes show about twice the red of one, less what shrinking takes."""
    one, two = (count(small(f"{words} in the snow", 7), 0, (1, 2)) for words in ("red fox", "two red foxes"))
    assert one * 1.2 < two < one * 2.2


def test_what_the_negative_prompt_names_is_left_out() -> None:
    """No fox, no trees: what would have been drawn is not, and the rest of the words still count."""
    fox = count(small("a red fox in the snow", 42), 0, (1, 2))
    for negative in ("fox", "a FOX, please", "vixen"):
        picture = draw("a red fox in the snow", width=SIDE, height=SIDE, seed=42, negative=negative)
        assert count(picture, 0, (1, 2)) < fox / 20
        assert brightness(picture) > 150
    for seed in range(4):
        plan = read("a spring forest with birds and clouds", "trees, birds, clouds, a flower", Random(seed))
        assert not plan.features & {"forest", "birds", "clouds", "flowers"}
        assert plan.land == "spring"


def test_with_nothing_unwanted_the_picture_is_the_same() -> None:
    """An empty negative prompt, or one that names nothing it knows, changes no pixel."""
    plain = small("a red fox in the snow").tobytes()
    for negative in ("", "blurry, extra fingers"):
        assert (
            draw("a red fox in the snow", width=SIDE, height=SIDE, seed=1, negative=negative).tobytes()
            == plain
        )


async def test_fewer_steps_leave_a_picture_unfinished() -> None:
    """Each of the four steps is sharper than the one before; the last is the default and the most."""
    sketch = Sketch(load_catalog()["sketch"])
    edges = []
    for steps in (1, 2, 3, 4):
        picture = await sketch.generate(ImageRequest("a city at night", SIDE, SIDE, 3, steps), NO_KEY)
        image = Image.open(io.BytesIO(picture.png)).convert("L").crop((0, 0, SIDE, SIDE - 40))
        edges.append(ImageStat.Stat(image.filter(ImageFilter.FIND_EDGES)).mean[0])
        assert picture.steps == steps
    assert edges == sorted(edges)
    assert edges[3] > 1.3 * edges[0]

    default = await sketch.generate(ImageRequest("a city at night", SIDE, SIDE, 3), NO_KEY)
    most = await sketch.generate(ImageRequest("a city at night", SIDE, SIDE, 3, 50), NO_KEY)
    assert default.png == picture.png == most.png
    assert most.adjustments == ("This model takes 1 to 4 steps: it took 4, not 50.",)


async def test_a_sketch_says_how_it_was_made() -> None:
    """Its PNG holds the parameters and nothing else; guidance it has none, and says so."""
    request = ImageRequest("a fox", 300, 256, 9, guidance=7, negative="snow")

    picture = await Sketch(load_catalog()["sketch"]).generate(request, NO_KEY)

    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.info == {
            "parameters": "a fox\nNegative prompt: snow\nSteps: 4, Seed: 9, Size: 300x256, Model: sketch"
        }
    assert (picture.seed, picture.steps, picture.negative, picture.guidance) == (9, 4, "snow", None)
    assert picture.adjustments == ("This model takes no guidance.",)


def test_a_pictograph_counts_as_its_name() -> None:
    """A fox face brings an orange fox into a snowy picture."""
    assert count(small("\N{FOX FACE} in the snow"), 0, (2, 2)) > 2 * count(small("snow"), 0, (2, 2))


@pytest.mark.parametrize("name", sorted(name for name, figure in FIGURES.items() if figure.place))
def test_every_figure_is_named_by_a_word_and_can_be_drawn(name: str) -> None:
    """Each figure has words that ask for it and shapes that leave a mark on the picture."""
    words = [word for word, names in SUBJECTS.items() if name in names]
    assert words
    picture = small(f"a magenta {words[0]} at noon", 5)
    magenta = ImageChops.subtract(picture.getchannel("R"), picture.getchannel("G")).point(
        [0] * 60 + [255] * 196
    )
    assert magenta.histogram()[255] > 60


def test_every_word_leads_to_something_that_exists() -> None:
    """The tables of words, colours and drawings fit each other."""
    assert {tag for tags in TIMES.values() for tag in tags} == set(LIGHTS)
    assert {tag for tags in LANDS.values() for tag in tags} == set(LAND_COLOURS)
    assert {tag for tags in SUBJECTS.values() for tag in tags} == {n for n, f in FIGURES.items() if f.place}
    known = {*PAINTS.split()[::2], "main", "shade", "light", "pale", "eye"}
    assert {shape.paint for figure in FIGURES.values() for shape in figure.shapes} <= known
    assert len(FIGURES) == sum(not line.startswith(" ") for line in DRAWINGS.strip().splitlines())


@pytest.mark.parametrize("feature", sorted({tag for tags in FEATURES.values() for tag in tags}))
def test_every_feature_can_be_drawn(feature: str) -> None:
    """Each feature works in a landscape and a portrait picture."""
    word = next(word for word, tags in FEATURES.items() if feature in tags)
    for width, height in ((400, 256), (256, 400)):
        assert draw(f"{word} evening", width=width, height=height, seed=2).size == (width, height)


@pytest.mark.parametrize("size", [(256, 256), (1024, 1024), (1536, 256), (256, 1536)])
@pytest.mark.parametrize("seed", [42, 10**30])
def test_the_label_stands_in_the_lower_left_corner(size: tuple[int, int], seed: int) -> None:
    """White letters on a dark plate say what the picture is, and fit in at every size and seed."""
    width, height = size
    picture = draw("a bright snowy day", width=width, height=height, seed=seed).convert("L")
    corner = picture.crop((0, height - max(30, min(size) // 20), width * 3 // 4, height))
    darkest, lightest = corner.getextrema()
    assert isinstance(darkest, float | int)
    assert isinstance(lightest, float | int)
    assert lightest - darkest > 110
    edge = picture.crop((width - 3, height - 40, width, height))
    low, _ = edge.getextrema()
    assert isinstance(low, float | int)
    assert low > 120


def test_the_label_names_the_seed() -> None:
    """On plain paper two seeds give the same words and differ in the number after them alone."""
    one, eight = (label(Image.new("RGB", (SIDE, SIDE), "white"), seed) for seed in (1, 8))
    changed = ImageChops.difference(one, eight).getbbox()
    assert changed is not None
    left, top, right, bottom = changed
    assert 90 < left < right < 180
    assert SIDE - 30 < top < bottom < SIDE


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " \n\t",
        "a fox and a cat " * 375,
        "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} \N{ARABIC LETTER ALEF}\N{ARABIC LETTER BEH}",
        "\N{ROCKET}\N{SNOWFLAKE}\N{VARIATION SELECTOR-16}\N{FAMILY}",
        "\ud800 \x00 %s {}",
    ],
)
def test_any_text_is_a_prompt(prompt: str) -> None:
    """Empty, long, right-to-left, pictograph and broken text all give a picture with something in it."""
    picture = small(prompt)
    assert picture.mode == "RGB"
    assert picture.size == (SIDE, SIDE)
    assert max(ImageStat.Stat(picture).stddev) > 15


@pytest.mark.parametrize("size", [(256, 256), (1536, 256), (256, 1536), (777, 513)])
def test_any_size_is_drawn_exactly(size: tuple[int, int]) -> None:
    """The picture has exactly the size asked for, without an empty border."""
    width, height = size
    picture = draw("mountains and a lake with a boat", width=width, height=height, seed=5)
    assert picture.size == size
    for edge in ((0, 0, width, 1), (0, 0, 1, height), (width - 1, 0, width, height)):
        assert brightness(picture.crop(edge)) > 20
