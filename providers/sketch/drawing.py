"""Draw a flat poster-like landscape from the words of a prompt, with shapes alone and no model."""

from __future__ import annotations

import hashlib
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from providers.sketch import landscape as land
from providers.sketch import scenes
from providers.sketch.figures import FIGURES
from providers.sketch.plan import Plan, read
from providers.sketch.scenes import Line, Painter, mix, swell
from providers.sketch.subjects import flowers, plant, subject, tufts, woods


def draw(
    prompt: str, *, width: int, height: int, seed: int, negative: str = "", finished: float = 1.0
) -> Image.Image:
    """Draw `prompt` as an RGB picture of `width` x `height` pixels, 64 to 1536 a side.

    The same arguments give the same picture everywhere. What `negative` names is left out; `finished` below 1
    leaves the picture blurred, as a model's is that has only begun.
    """
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode("utf-8", "replace")).digest()
    rng = random.Random(int.from_bytes(digest[:8], "big"))
    plan = read(prompt, negative, rng)
    scale = 3 if max(width, height) <= 640 else 2  # painted larger and shrunk, for smooth edges
    painter = Painter(width * scale, height * scale, plan.time, plan.land, rng)
    if plan.accent:
        painter.tinge(plan.accent)
    background(painter, plan)
    foreground(painter, plan)
    picture = painter.image.reduce(scale)
    if finished < 1:
        picture = picture.filter(ImageFilter.GaussianBlur(min(picture.size) * (1 - finished) / 60))
    return label(grain(picture, rng), seed)


def background(p: Painter, plan: Plan) -> None:
    """Paint everything from the sky down to the hills or the water in the middle of the picture."""
    has, night = plan.features, plan.time == "night"
    scenes.sky(p, stars=night or "stars" in has, moon=night or "moon" in has, planet="planet" in has)
    if "aurora" in has:
        scenes.lights(p)
    if (not night or "clouds" in has) and "clouds" not in plan.unwanted:
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
    bright = plan.time in ("dawn", "day", "sunset") and "birds" not in plan.unwanted
    if "birds" in has or (bright and p.rng.random() < 0.4):
        scenes.birds(p)
    if "water" in has:
        bank = swell(p.rng, p.width, horizon - p.height * 0.005, p.height * 0.018, 1.2)
        if "city" not in has and (
            not open_sea or any(FIGURES[name].place == "far" for name, _ in plan.figures)
        ):
            far = p.lit(p.hill, 0.35)
            p.land(bank, (far, far), horizon)
            if "forest" not in plan.unwanted:
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
    density = 1.0 if "forest" in plan.features else 0.45
    if plan.land in ("space", "mars") or "forest" in plan.unwanted:
        density = 0.0
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
    treeless = plan.land in ("space", "mars") or afloat or "forest" in plan.unwanted
    if not treeless and ("forest" in has or p.rng.random() < 0.6):
        for side in p.rng.choice(((0.05,), (0.95,), (0.04, 0.96))):
            for step in range(2):
                x = p.width * (side + p.rng.uniform(-0.09, 0.09))
                y = line(x) + p.height * (0.03 + 0.05 * step)
                plant(p, x, y, p.unit * p.rng.uniform(0.3, 0.42) * (1 + 0.35 * step))
    in_bloom = plan.land == "spring" and "flowers" not in plan.unwanted
    if "flowers" in has or (in_bloom and p.rng.random() < 0.7):
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
