"""Draw a flat poster-like landscape from the words of a prompt, with shapes alone and no model."""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFont

from providers.sketch import landscape as land
from providers.sketch import scenes
from providers.sketch.figures import FIGURES
from providers.sketch.scenes import Colour, Line, Painter, mix, rgb, swell
from providers.sketch.subjects import flowers, plant, subject, tufts, woods


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


def draw(prompt: str, *, width: int, height: int, seed: int) -> Image.Image:
    """Draw `prompt` as an RGB picture of `width` x `height` pixels, 256 to 1536 a side.

    The same prompt, size and seed give the same picture everywhere.
    """
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode("utf-8", "replace")).digest()
    rng = random.Random(int.from_bytes(digest[:8], "big"))
    plan = read(prompt, rng)
    scale = 3 if max(width, height) <= 640 else 2  # painted larger and shrunk, for smooth edges
    painter = Painter(width * scale, height * scale, plan.time, plan.land, rng)
    if plan.accent:
        painter.tinge(plan.accent)
    background(painter, plan)
    foreground(painter, plan)
    return label(grain(painter.image.reduce(scale), rng), seed)


def read(prompt: str, rng: random.Random) -> Plan:
    """Plan a picture from the words of `prompt`; `rng` decides what the words leave open."""
    # A pictograph is read as its Unicode name, such as "fox face".
    named = "".join(f" {unicodedata.name(c, '')} " if unicodedata.category(c) == "So" else c for c in prompt)
    words = re.findall(r"[^\W_]+", named.lower())
    times, lands, features = tagged(words, TIMES), tagged(words, LANDS), set(tagged(words, FEATURES))
    figures, accent = cast(words)
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
        features.add(rng.choice(("mountain", "water", "forest", "hills")))
    return Plan(times[0], place, features, accent, figures[:3])


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


def background(p: Painter, plan: Plan) -> None:
    """Paint everything from the sky down to the hills or the water in the middle of the picture."""
    has, night = plan.features, plan.time == "night"
    scenes.sky(p, stars=night or "stars" in has, moon=night or "moon" in has, planet="planet" in has)
    if "aurora" in has:
        scenes.lights(p)
    if not night or "clouds" in has:
        scenes.clouds(p, p.rng.randint(2, 4) + 5 * ("clouds" in has or plan.time == "storm"))
    horizon = p.height * p.rng.uniform(0.58, 0.63)
    open_sea = "sea" in has and not has & {"mountain", "city"}
    if plan.land == "desert":
        land.dunes(p, horizon)
    elif "city" in has:
        land.skyline(p, horizon)
    elif open_sea:
        land.islands(p, horizon)
    else:
        land.ranges(p, horizon)
    if "mountain" in has:
        land.summits(p, horizon, plan.land not in ("desert", "coast", "space", "mars"))
    if "rainbow" in has:
        scenes.rainbow(p, horizon)
    if "birds" in has or (plan.time in ("dawn", "day", "sunset") and p.rng.random() < 0.4):
        scenes.birds(p)
    if "water" in has:
        bank = swell(p.rng, p.width, horizon - p.height * 0.005, p.height * 0.018, 1.2)
        if "city" not in has and (
            not open_sea or any(FIGURES[name].place == "far" for name, _ in plan.figures)
        ):
            far = p.lit(p.hill, 0.35)
            p.land(bank, (far, far), horizon)
            woods(p, bank, p.unit * 0.06, 1.0 if "forest" in has else 0.5, 0.4)
        stand(p, plan, "far", bank)
        land.water(p, horizon, p.height)
    else:
        hills(p, plan, horizon)
    stand(p, plan, "sky", lambda x: p.height * 0.4)
    if "fog" in has:
        scenes.fog_bank(p, horizon - p.height * 0.25, p.height * 0.35, 0.85)
    stand(p, plan, "water", lambda x: horizon + (p.height * 0.84 - horizon) * 0.62)


def hills(p: Painter, plan: Plan, horizon: float) -> None:
    """Two wooded hills, the nearer one lower, with what stands far off between them."""
    density = 0.0 if plan.land in ("space", "mars") else 1.0 if "forest" in plan.features else 0.45
    for step in range(2):
        distance = 0.36 - 0.22 * step
        top = horizon + p.height * (0.015 + 0.07 * step)
        hill = swell(p.rng, p.width, top, p.height * 0.035, 1.3)
        colour = mix(p.hill, p.ground, 0.45 * step)
        p.land(hill, (p.lit(colour, distance), p.lit(mix(colour, p.ground, 0.4), distance * 0.7)))
        if "city" not in plan.features and density:
            woods(p, hill, p.unit * (0.085 + 0.05 * step), density, distance)
        if step == 0:
            stand(p, plan, "far", hill)


def foreground(p: Painter, plan: Plan) -> None:
    """Paint the near ground with its trees, flowers and figures, and the weather over it."""
    has = plan.features
    line = swell(p.rng, p.width, p.height * (0.84 if "water" in has else 0.76), p.height * 0.035, 0.8)
    near = p.lit(p.ground)
    p.land(line, (p.lit(mix(p.ground, p.hill, 0.35)), near, mix(near, p.lit(p.top), 0.3)))
    tufts(p, line, 46 * p.width // p.unit)
    afloat = any(FIGURES[name].place == "water" for name, _ in plan.figures)  # no tree may hide these
    if plan.land not in ("space", "mars") and not afloat and ("forest" in has or p.rng.random() < 0.6):
        for side in p.rng.choice(((0.05,), (0.95,), (0.04, 0.96))):
            for step in range(2):
                x = p.width * (side + p.rng.uniform(-0.09, 0.09))
                y = line(x) + p.height * (0.03 + 0.05 * step)
                plant(p, x, y, p.unit * p.rng.uniform(0.3, 0.42) * (1 + 0.35 * step))
    if "flowers" in has or (plan.land == "spring" and p.rng.random() < 0.7):
        flowers(p, line, 110 * p.width // p.unit)
    stand(p, plan, "ground", lambda x: max(line(x) + p.height * 0.035, p.height * 0.9))
    for kind in ("snow", "rain", "leaves", "fireflies"):
        if kind in has:
            scenes.falling(p, kind)


def stand(p: Painter, plan: Plan, place: str, line: Line) -> None:
    """Paint the figures that belong at `place`, spread out along `line`."""
    here = [(name, colour) for name, colour in plan.figures if FIGURES[name].place == place]
    for number, (name, colour) in enumerate(here):
        alone = p.rng.choice((0.36, 0.5, 0.62))
        x = p.width * (alone if len(here) == 1 else 0.14 + 0.72 * (number + 0.5) / len(here))
        subject(p, name, (x, line(x)), colour, len(here))


def grain(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Lay a faint even paper grain over `picture`."""
    noise = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    faint = noise.point([124 + value * 9 // 256 for value in range(256)])
    return ImageChops.add(picture, Image.merge("RGB", (faint,) * 3), offset=-128)


def label(picture: Image.Image, seed: int) -> Image.Image:
    """Say in the lower left corner that this is no model's work, on a plate that keeps it legible."""
    number = str(seed) if len(str(seed)) <= 24 else f"{str(seed)[:20]}..."
    text, size = f"sketch, not a model · seed {number}", max(11, min(picture.size) // 54)
    font = ImageFont.load_default(size)
    if font.getlength(text) > picture.width - 3 * size:
        text = text.replace(" · ", "\n")
    pen = ImageDraw.Draw(picture, "RGBA")
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
    x, y = size, picture.height - size - (bottom - top)
    plate = (x - size * 0.5, y - size * 0.4, x + right - left + size * 0.5, y + bottom - top + size * 0.4)
    pen.rounded_rectangle(plate, size * 0.45, fill=(18, 22, 38, 150))
    pen.multiline_text((x - left, y - top), text, font=font, fill=(255, 255, 255, 235))
    return picture
