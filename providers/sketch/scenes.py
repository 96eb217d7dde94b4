"""The canvas of the sketch provider, its colours and lines, and the sky and weather of a landscape.

Everything is painted from back to front onto one oversized picture which the caller shrinks, so that
plain polygons come out with smooth edges. Coordinates are pixels of the oversized picture, y downward.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

Colour = tuple[int, ...]
Point = tuple[float, float]
Line = Callable[[float], float]  # the height y of a hill or ridge above each x
SNOW: Colour = (250, 252, 255)

# Sky at the top, in the middle and at the horizon; the sun or moon; the tint of the light on the land.
LIGHTS = {
    "dawn": ("#5a74ad #e9aaa6 #fee5c4 #fff6df #ffeae0", "#3f7f99 #f2b8a2 #fff0d2 #fffaf0 #fff0e2"),
    "day": ("#3d8fc6 #93cbe2 #eef6ea #fff7dc #ffffff", "#2b9a9c #9ad6c6 #fbf1d0 #fffbe6 #fffdf2"),
    "sunset": ("#41306b #dd5a5f #fdcb72 #fff0b8 #f2b49a", "#2c4a7c #ee8157 #ffdf8e #fff6d0 #f4bd98"),
    "dusk": ("#1d2b5c #7b5f9f #f6ad92 #ffe3c0 #a795c0", "#233a66 #9a6ba0 #f8bfa6 #fff0da #ac9cc2"),
    "night": ("#090f2c #1a2c60 #4c6ba6 #f8f3dc #5769a6", "#07172b #11405c #4b8f9c #f3f7e6 #4d7796"),
    "storm": ("#43566b #7a90a1 #c3d0cf #e6ecea #b4c1cc", "#4b4f68 #8489a0 #c9c8cc #e9e6e6 #b9bccb"),
}
# Far ridges, hills, foreground, two kinds of tree, and small details such as blossom.
LANDS = {
    "summer": "#5d8aa3 #74a86a #3d7d55 #23553f #3c7b4c #f2c14e",
    "spring": "#86a5bd #a3cb80 #68a95d #3f7f55 #f0b3c4 #f7a8c0",
    "autumn": "#94788c #d9a04f #a5562f #b9472a #e3a02f #e9b44c",
    "winter": "#89a4c6 #d9e6f1 #f3f8fc #2f5268 #4a7084 #ffffff",
    "desert": "#b8806f #e5b070 #d18b4d #4d7a58 #6a8f5a #f06a6a",
    "coast": "#6a93ab #7fae86 #ddc28e #2f6650 #4a8a5c #f28a6a",
    "space": "#77709c #a39cc0 #c9c2d8 #575080 #736a9c #f2c14e",
    "mars": "#b0705c #e08a5c #f0986a #7a4a45 #9a5a4a #f2c14e",
}


def rgb(text: str) -> Colour:
    """The colour named by `text`, such as "#ff8800", as (red, green, blue) from 0 to 255."""
    return ImageColor.getrgb(text)[:3]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` (0 to 1) of the way from `first` to `second`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first[:3], second[:3], strict=True))


class Painter:
    """An RGB picture of width x height pixels in progress, with its light, land and random stream."""

    def __init__(self, width: int, height: int, time: str, land: str, rng: random.Random) -> None:
        self.width, self.height, self.unit = width, height, min(width, height)
        self.time, self.land_name, self.rng = time, land, rng
        sky = rng.choice(LIGHTS[time]).split()
        self.top, self.middle, self.horizon, self.body, self.tint = map(rgb, sky)
        self.ridge, self.hill, self.ground, self.tree, self.bush, self.detail = map(rgb, LANDS[land].split())
        if land in ("space", "mars"):  # without air the ground is brighter than its sky
            self.tint = mix(self.tint, SNOW, 0.5)
        self.body_at = (0.0, 0.0)
        self.image = Image.new("RGB", (width, height))
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def tinge(self, accent: Colour) -> None:
        """Colour the whole scene with `accent`: the land strongly, the sky a little."""
        self.detail = accent
        self.middle, self.horizon = mix(self.middle, accent, 0.4), mix(self.horizon, accent, 0.2)
        self.ridge, self.hill = mix(self.ridge, accent, 0.7), mix(self.hill, accent, 0.4)
        self.tree, self.bush = mix(self.tree, accent, 0.5), mix(self.bush, accent, 0.5)
        self.ground = mix(self.ground, accent, 0.25)

    def lit(self, colour: Colour, distance: float = 0.0) -> Colour:
        """`colour` in this light, faded into the haze of the horizon by `distance` (0 near, 1 far)."""
        tinted = tuple(c * t // 255 for c, t in zip(colour, self.tint, strict=True))
        return mix(tinted, self.horizon, distance)

    def gradient(self, mask: Image.Image, top: float, colours: Sequence[Colour]) -> None:
        """Fill `mask` (L, full width), laid at row `top`, with `colours` from its top row to its bottom."""
        column = Image.new("RGB", (1, len(colours)))
        column.putdata(colours)
        box = (0, 0.5, 1, len(colours) - 0.5)
        paint = column.resize((1, mask.height), Image.Resampling.BILINEAR, box=box).resize(mask.size)
        self.image.paste(paint, (0, round(top)), mask)

    def land(self, line: Line, colours: Sequence[Colour], bottom: float | None = None) -> None:
        """Fill the ground below `line`, down to `bottom` or the lower edge, with a gradient."""
        step = max(2, self.width // 400)
        points = [(float(x), line(x)) for x in range(0, self.width + step, step)]
        top = max(0, math.floor(min(y for _, y in points)))
        low = round(min(self.height, bottom or self.height))
        if low - top < 2:
            return
        mask = Image.new("L", (self.width, low - top))
        outline = [(x, y - top) for x, y in points] + [(self.width, low), (0, low)]
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        self.gradient(mask, top, colours)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """A soft round light of `radius` pixels whose centre covers the picture by `strength` (0 to 1)."""
        # The stock gradient is 0 in the middle and 181 where the circle meets the edge of its square.
        fade = Image.radial_gradient("L").point(
            [round(255 * strength * max(0.0, 1 - value / 180) ** 2) for value in range(256)]
        )
        size = max(2, round(radius * 2))
        mask = fade.resize((size, size), Image.Resampling.BILINEAR)
        self.image.paste(colour, (round(x - size / 2), round(y - size / 2)), mask)

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """A filled circle."""
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def swell(rng: random.Random, width: int, base: float, height: float, waves: float = 1.5) -> Line:
    """Smooth rolling ground around `base`, up to about `height` pixels higher or lower."""
    parts = [
        (waves * m * rng.uniform(0.8, 1.2), rng.uniform(0, math.tau), height / m**1.3) for m in (1, 2, 3.3)
    ]
    return lambda x: base - sum(a * math.sin(p + f * math.tau * x / width) for f, p, a in parts) * 0.55


def crags(rng: random.Random, width: int, base: float, height: float, peaks: int) -> Line:
    """A jagged range whose summits reach about `height` pixels above `base`."""
    knots: list[float] = []
    for index in range(2 * peaks + 1):
        knots.append(height * (rng.uniform(0.65, 1.0) if index % 2 else rng.uniform(0.1, 0.4)))
    rough = height * 0.16
    while len(knots) < 160:  # halve each span and shake the new middle, less each time
        middles = [(a + b) / 2 + rng.uniform(-rough, rough) for a, b in itertools.pairwise(knots)]
        knots = [k for pair in zip(knots, middles, strict=False) for k in pair] + knots[-1:]
        rough *= 0.5
    scale = (len(knots) - 1) / (width * 1.02)

    def line(x: float) -> float:
        at = min(max(x * scale, 0.0), len(knots) - 1.001)
        left = int(at)
        return base - knots[left] - (knots[left + 1] - knots[left]) * (at - left)

    return line


def sky(p: Painter, *, stars: bool, moon: bool, planet: bool) -> None:
    """The sky with its sun, moon or ringed planet, and stars."""
    p.gradient(
        Image.new("L", (p.width, p.height), 255),
        0,
        (
            p.top,
            mix(p.top, p.middle, 0.6),
            p.middle,
            mix(p.middle, p.horizon, 0.75),
            p.horizon,
            p.horizon,
            p.horizon,
        ),
    )
    rng, u = p.rng, p.unit
    if stars:
        for _ in range(170 * p.width // u):
            x, y, size = rng.uniform(0, p.width), p.height * 0.62 * rng.random() ** 1.3, rng.random() ** 5
            p.disc(x, y, u * (0.0009 + 0.0022 * size), (255, 255, 240, rng.randint(110, 255)))
    x = p.width * rng.choice((rng.uniform(0.2, 0.4), rng.uniform(0.6, 0.8)))
    low = {"dawn": 0.42, "sunset": 0.47, "dusk": 0.44}.get(p.time, 0.2)
    y = p.height * (low + rng.uniform(-0.03, 0.03))
    p.body_at = (x, y)
    radius = u * (0.065 if moon else rng.uniform(0.07, 0.1))
    if p.time == "storm" and not moon:
        p.glow(x, y, u * 0.4, p.body, 0.35)
        return
    p.glow(x, y, radius * 7, p.body, 0.4)
    p.glow(x, y, radius * 3, p.body, 0.45)
    if planet:
        ringed_planet(p, x, y, radius * 1.3)
    elif moon and rng.random() < 0.45:
        crescent(p, x, y, radius)
    else:
        p.disc(x, y, radius, p.body)
        if moon:
            for dx, dy, size in (
                (-0.3, -0.2, 0.22),
                (0.3, 0.25, 0.3),
                (0.25, -0.45, 0.12),
                (-0.35, 0.45, 0.14),
            ):
                p.disc(x + dx * radius, y + dy * radius, size * radius, (*mix(p.body, p.middle, 0.35), 120))


def crescent(p: Painter, x: float, y: float, radius: float) -> None:
    """A new moon: one disc with another bitten out of it."""
    size = round(radius * 2)
    mask = Image.new("L", (size, size))
    cut = ImageDraw.Draw(mask)
    cut.ellipse((0, 0, size - 1, size - 1), fill=255)
    cut.ellipse((size * 0.3, -size * 0.12, size * 1.2, size * 0.78), fill=0)
    p.image.paste(p.body, (round(x - radius), round(y - radius)), mask)


def ringed_planet(p: Painter, x: float, y: float, radius: float) -> None:
    """A banded planet inside a thin ring."""
    warm = rgb(p.rng.choice(("#e8a15a", "#d98fa8", "#8fb8d9")))
    ring = (x - radius * 1.9, y - radius * 0.45, x + radius * 1.9, y + radius * 0.45)
    width = max(2, round(radius * 0.13))
    p.pen.arc(ring, 180, 360, fill=mix(warm, p.body, 0.6), width=width)
    p.disc(x, y, radius, warm)
    for dy, share in ((-0.35, 0.3), (0.1, 0.18), (0.5, 0.35)):
        half = math.sqrt(1 - dy * dy) * radius
        p.pen.rounded_rectangle(
            (x - half, y + (dy - 0.09) * radius, x + half * 0.9, y + (dy + 0.09) * radius),
            radius * 0.09,
            fill=mix(warm, p.body, share),
        )
    p.pen.arc(ring, 0, 180, fill=mix(warm, p.body, 0.6), width=width)


def lights(p: Painter) -> None:
    """Northern lights: curtains of upright strokes along a wandering line, painted small and enlarged."""
    small = Image.new("RGB", (p.width // 10, p.height // 10))
    brush = ImageDraw.Draw(small)
    for _ in range(2):
        line = swell(p.rng, small.width, small.height * p.rng.uniform(0.32, 0.44), small.height * 0.08, 0.8)
        tall = swell(p.rng, small.width, small.height * 0.2, small.height * 0.12, 3.0)
        for x in range(small.width):
            for part in range(12):
                y, height = line(x), abs(tall(x)) / 12
                strength = 0.75 * (1 - part / 12) * min(1.0, part / 2 + 0.2)
                colour = mix((0, 0, 0), mix((70, 225, 150), (130, 70, 190), part / 12), strength)
                brush.line((x, y - height * (part + 1), x, y - height * part), fill=colour)
    soft = small.filter(ImageFilter.GaussianBlur(small.height / 90)).resize(p.image.size)
    p.image.paste(ImageChops.screen(p.image, soft))


def clouds(p: Painter, count: int) -> None:
    """Flat clouds: stacked pills that catch the light of the horizon."""
    for _ in range(count):
        x, y = p.rng.uniform(0, p.width), p.height * p.rng.uniform(0.07, 0.36)
        long, thick = p.unit * p.rng.uniform(0.14, 0.3), p.unit * 0.026
        colour = mix(mix(p.middle, p.horizon, 0.6), p.body, p.rng.uniform(0.1, 0.6))
        if p.time in ("night", "storm"):
            colour = mix(p.middle, p.horizon, p.rng.uniform(0.1, 0.5))
        left, right = x - long / 2, x + long / 2
        for row in range(p.rng.choice((2, 3))):
            box = (left, y - thick * (row + 1), right, y - thick * (row - 0.02))
            p.pen.rounded_rectangle(box, thick / 2, fill=colour)
            left, right = left + long * p.rng.uniform(0.08, 0.25), right - long * p.rng.uniform(0.08, 0.25)


def fog_bank(p: Painter, top: float, height: float, strength: float) -> None:
    """A band of mist across the picture, thickest at its lower edge."""
    fade = Image.linear_gradient("L").point([round(v * strength) for v in range(256)])
    p.image.paste(p.horizon, (0, round(top)), fade.resize((p.width, max(1, round(height)))))


def rainbow(p: Painter, horizon: float) -> None:
    """Six soft bands over the land, opposite the sun."""
    x, radius = p.width * (0.7 if p.body_at[0] < p.width / 2 else 0.3), min(p.width, p.height) * 0.48
    band, foot = radius * 0.035, horizon + p.height * 0.06  # the hills or the water hide its ends
    for number, code in enumerate(("#e4572e", "#f3a33a", "#f4d35e", "#6bbf6b", "#4a90c9", "#8b6bb1")):
        size = radius - number * band
        p.pen.arc(
            (x - size, foot - size, x + size, foot + size),
            180,
            360,
            fill=(*rgb(code), 105),
            width=round(band),
        )


def birds(p: Painter) -> None:
    """A loose flock far off, each bird two strokes."""
    cx, cy = p.width * p.rng.uniform(0.25, 0.75), p.height * p.rng.uniform(0.2, 0.38)
    for _ in range(p.rng.randint(4, 8)):
        x, y = cx + p.unit * p.rng.gauss(0, 0.07), cy + p.unit * p.rng.gauss(0, 0.035)
        span, thick = p.unit * p.rng.uniform(0.008, 0.017), max(1, round(p.unit * 0.0026))
        ink = mix(p.lit(p.ridge), p.top, 0.6)
        wings = [
            (x - span, y - span * 0.35),
            (x - span * 0.45, y - span * 0.5),
            (x, y),
            (x + span * 0.45, y - span * 0.5),
            (x + span, y - span * 0.35),
        ]
        p.pen.line(wings, fill=ink, width=thick, joint="curve")


def falling(p: Painter, kind: str) -> None:
    """Weather in front of everything: "snow", "rain", "leaves" or "fireflies"."""
    rng, u = p.rng, p.unit
    count = {"snow": 260, "rain": 230, "leaves": 34, "fireflies": 46}[kind] * p.width * p.height // (u * u)
    for _ in range(count):
        x, y, near = rng.uniform(0, p.width), rng.uniform(0, p.height), rng.random() ** 3
        if kind == "snow":
            p.disc(x, y, u * (0.0018 + 0.0055 * near), (255, 255, 255, round(235 - 90 * near)))
        elif kind == "rain":
            long = u * (0.02 + 0.035 * near)
            p.pen.line(
                (x, y, x - long * 0.22, y + long),
                fill=(*mix(p.horizon, SNOW, 0.5), 110),
                width=max(1, round(u * 0.0016)),
            )
        elif kind == "leaves":
            size, turn = u * (0.006 + 0.01 * near), rng.uniform(0, math.tau)
            tips = [
                (x + size * r * math.cos(turn + a), y + size * r * math.sin(turn + a))
                for a, r in ((0, 1.4), (1.2, 0.6), (math.pi, 1.1), (-1.2, 0.6))
            ]
            p.pen.polygon(tips, fill=p.lit(rng.choice((p.tree, p.bush, p.detail))))
        elif y > p.height * 0.5:
            p.glow(x, y, u * 0.014, (255, 236, 140), 0.8)
            p.disc(x, y, u * 0.0022, (255, 246, 190))
