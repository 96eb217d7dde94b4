"""Reading a prompt: which light, land, features and figures its words ask for."""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import dataclass

from providers.sketch.figures import FIGURES
from providers.sketch.scenes import Colour, rgb


def index(table: str) -> dict[str, list[str]]:
    """Turn lines of "tag: word word" into the tags of each word."""
    tags: dict[str, list[str]] = {}
    for line in table.strip().splitlines():
        tag, words = line.split(": ")
        for word in words.split():
            tags.setdefault(word, []).append(tag)
    return tags


# Each line is what to paint, then the words that ask for it; the first word of a prompt that fits wins.
TIMES = index("""
night: night midnight moon moonlit moonlight star starry nighttime aurora galaxy nebula space planet astronaut
night: mars martian alien dark firefly fireflies ufo milky
storm: storm stormy rain rainy raining thunder overcast cloudy drizzle gloomy fog foggy mist misty
sunset: sunset sundown
dusk: dusk evening twilight neon cyberpunk
dawn: dawn sunrise morning
day: day noon sunny sunshine daylight afternoon
""")
LANDS = index("""
winter: snow snowy snowing winter ice icy frozen christmas arctic snowfall snowflake snowman penguin blizzard
winter: frost cold
autumn: autumn fall autumnal october harvest pumpkin maple
spring: spring blossom blossoming cherry sakura april
summer: summer meadow grass field forest wood woodland jungle garden park
desert: desert dune cactus cacti camel canyon sahara sand mesa pyramid
mars: mars martian
coast: beach tropical palm island surf
space: space planet moonscape lunar galaxy nebula astronaut alien ufo
""")
# From here on every word counts.
FEATURES = index("""
mountain: mountain peak alp alps summit everest volcano highland fuji
forest: forest wood woodland jungle pine fir grove evergreen
water: sea ocean lake water river pond bay fjord harbour harbor beach wave island coast sail reflection surf
water: lighthouse seagull
sea: sea ocean beach wave island coast surf whale orca seagull lighthouse
city: city skyline town street skyscraper cityscape urban metropolis tokyo york london paris building neon
city: cyberpunk
stars: mars star starry galaxy nebula space milky astronaut planet
moon: moon moonlit moonlight lunar
planet: planet alien saturn astronaut ufo
aurora: aurora borealis northern
flowers: flower meadow garden blossom bloom rose tulip daisy poppy sunflower lavender field
clouds: cloud cloudy overcast
birds: birds flock geese seagull gull
fog: fog foggy mist misty haze
rain: rain rainy raining storm stormy thunder drizzle
snow: snow snowy snowing snowfall blizzard snowflake christmas
leaves: leaf leaves autumn autumnal
fireflies: firefly fireflies magic magical enchanted fairy
rainbow: rainbow
""")
SUBJECTS = index("""
fox: fox vixen
cat: cat kitten kitty tabby
dog: dog puppy hound corgi wolf husky
bear: bear panda cub
rabbit: rabbit bunny hare
owl: owl
penguin: penguin
bird: bird robin sparrow raven crow parrot eagle hawk dove seagull
fish: fish goldfish koi salmon shark
whale: whale orca
duck: duck duckling swan goose
deer: deer stag moose reindeer elk
horse: horse pony unicorn
boat: boat sailboat ship yacht
house: house cottage cabin home hut village farm barn
castle: castle fortress palace tower
lighthouse: lighthouse
windmill: windmill
tree: tree oak
flower: flower rose tulip daisy poppy sunflower
mushroom: mushroom toadstool
robot: robot android droid bot
person: person man woman girl boy hiker traveller traveler wanderer child human explorer
astronaut: astronaut cosmonaut spaceman
snowman: snowman
rocket: rocket spaceship spacecraft shuttle
balloon: balloon
ufo: ufo saucer
tent: tent camp camping campsite
car: car van truck automobile
""")
COLOURS = """
red #d03a33 crimson #b3202f scarlet #dd3424 pink #f08cae magenta #cf3f8f orange #e8812f amber #eda52c
yellow #f3c93f gold #dfae3a golden #e5b23d green #4e9a57 emerald #1f9a6c lime #9bcb46 teal #23908f
turquoise #38b8b0 cyan #45bfd6 blue #3a6fc4 navy #263c77 indigo #4a459f purple #7d4aa8 violet #8f63c9
lavender #ab94da brown #855638 tan #c49a6c beige #dcc7a0 black #2c2d35 grey #8b9199 gray #8b9199
silver #b9c2cb white #f4f2ec ginger #dd7f35 copper #b5683c maroon #7a2535 cream #f2e5c4
"""
COLOUR_WORDS = dict(zip(COLOURS.split()[::2], map(rgb, COLOURS.split()[1::2]), strict=True))
# Figures that are also drawn many times in the distance.
SCENERY = {"tree": "forest", "flower": "flowers", "bird": "birds"}
NUMBER_WORDS = {"two": 2, "couple": 2, "pair": 2, "three": 3, "several": 3, "many": 3}
Cast = list[tuple[str, Colour | None]]  # figures, each with its own colour if it was given one


@dataclass(frozen=True)
class Plan:
    """What a prompt asks for: light, land, features, a colour for the whole, and up to three figures."""

    time: str
    land: str
    features: set[str]
    accent: Colour | None
    figures: Cast
    unwanted: set[str]  # features to do without


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; a pictograph is read as its Unicode name, such as "fox face"."""
    named = "".join(f" {unicodedata.name(c, '')} " if unicodedata.category(c) == "So" else c for c in text)
    return re.findall(r"[^\W_]+", named.lower())


def read(prompt: str, negative: str, rng: random.Random) -> Plan:
    """Plan a picture from the words of `prompt`; `rng` decides what the words leave open.

    Features and figures that a word of `negative` would ask for are left out, and so is the word itself.
    """
    avoid = words_of(negative)
    unwanted, absent = set(tagged(avoid, FEATURES)), set(tagged(avoid, SUBJECTS))
    unwanted |= {SCENERY[name] for name in absent if name in SCENERY}
    words = [word for word in words_of(prompt) if word not in avoid]
    times, lands, features = (
        tagged(words, TIMES),
        tagged(words, LANDS),
        set(tagged(words, FEATURES)) - unwanted,
    )
    figures, accent = cast(words)
    figures = [figure for figure in figures if figure[0] not in absent]
    if any(FIGURES[name].place == "water" for name, _ in figures):
        features.add("water")
    if not lands and "city" in features:
        lands = ["summer"]
        features.add("water")
    if not lands:
        kinds = ["summer", "spring", "autumn", "coast", "winter", "desert"]
        lands = [rng.choice(kinds[:4] if "sea" in features else kinds[:3] if words else kinds)]
    # The last word of place wins ("a penguin in the desert"), though any season beats mere grass and trees.
    place = ([name for name in lands if name != "summer"] or lands)[-1]
    if not times:
        lively = ["dawn", "day", "day"]
        bright = place == "winter" or figures
        times = [rng.choice(lively if bright else [*lively, "sunset", "sunset", "dusk", "night"])]
    if place not in ("desert", "space", "mars") and not features & {"mountain", "water", "city", "forest"}:
        kinds = [name for name in ("mountain", "water", "forest", "hills") if name not in unwanted]
        features.add(rng.choice(kinds))
    return Plan(times[0], place, features, accent, figures[:3], unwanted)


def tagged(words: list[str], tags: dict[str, list[str]]) -> list[str]:
    """What `words`, in order, ask for; a plural counts as its singular."""
    forms = [(word, word.removesuffix("s"), word.removesuffix("es")) for word in words]
    return [tag for form in forms for tag in next((tags[word] for word in form if word in tags), [])]


def cast(words: list[str]) -> tuple[Cast, Colour | None]:
    """The figures named, each in a colour from the three words before it, and the first colour left over."""
    figures: Cast = []
    colours = {at: COLOUR_WORDS[word] for at, word in enumerate(words) if word in COLOUR_WORDS}
    for at, word in enumerate(words):
        for name in tagged([word], SUBJECTS):
            near = range(max(0, at - 3), at)
            own = [colours.pop(spot) for spot in near if spot in colours]
            number = max((NUMBER_WORDS.get(words[spot], 1) for spot in near), default=1)
            figures += [(name, own[-1] if own else None)] * number
    if len({name for name, _ in figures}) > 1:  # beside something else, trees and flowers are scenery
        figures = [figure for figure in figures if figure[0] not in ("tree", "flower")]
    return figures, next(iter(colours.values()), None)
