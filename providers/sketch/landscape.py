"""The land of a sketch, back to front: mountains, islands, dunes, towns and water."""

from __future__ import annotations

import math
import random

from PIL import Image

from providers.sketch.scenes import SNOW, Painter, Point, crags, fog_bank, mix, swell


def ranges(p: Painter, horizon: float) -> None:
    """Two or three pale ridges, each nearer one lower and stronger in colour."""
    count = p.rng.choice((2, 3))
    for index in range(count):
        far = 0.78 - 0.3 * index / (count - 1)
        height = p.height * (0.17 - 0.035 * index)
        base = horizon - p.height * 0.015 * (count - 1 - index)
        line = crags(p.rng, p.width, base, height, 3 + index)
        top = p.lit(p.ridge, far)
        p.land(line, (top, mix(top, p.horizon, 0.35), mix(top, p.horizon, 0.75)), horizon + p.height * 0.06)


def summits(p: Painter, horizon: float, snowy: bool) -> None:
    """A few great peaks, each with a bright side, a shaded side and a cap of snow."""
    rng, wide = p.rng, p.width
    places = [
        0.5 + rng.uniform(-0.12, 0.12),
        0.14 + rng.uniform(-0.08, 0.08),
        0.86 + rng.uniform(-0.08, 0.08),
    ]
    lit_left = p.body_at[0] < wide / 2
    for rank in (2, 1, 0):
        tall = p.height * (0.4, 0.27, 0.24)[rank] * rng.uniform(0.9, 1.05)
        half = max(tall * rng.uniform(0.95, 1.2), wide * 0.26)
        x, far = places[rank] * wide, 0.28 + 0.12 * bool(rank)
        peak = (x, horizon - tall)
        left = slope(rng, peak, (x - half, horizon), tall * 0.035)
        right = slope(rng, peak, (x + half, horizon), tall * 0.035)
        spine = slope(rng, peak, (x + rng.uniform(-0.25, 0.25) * half, horizon), tall * 0.09)
        light, dark = p.lit(mix(p.ridge, p.body, 0.25), far), p.lit(mix(p.ridge, p.top, 0.45), far)
        if not lit_left:
            light, dark = dark, light
        p.pen.polygon([*left, *reversed(spine)], fill=light)
        p.pen.polygon([*right, *reversed(spine)], fill=dark)
        if snowy:
            deep = rng.randint(3, 4)
            white = p.lit(SNOW, far * 0.35)
            shade = mix(white, dark if lit_left else light, 0.45)
            for side, colour in ((left, white if lit_left else shade), (right, shade if lit_left else white)):
                p.pen.polygon(snow_cap(rng, side, spine, deep), fill=colour)
        mist = p.height * 0.12
        fog_bank(p, horizon - mist, mist, 0.55)


def slope(rng: random.Random, top: Point, foot: Point, rough: float) -> list[Point]:
    """A broken line of twelve steps from `top` down to `foot`."""
    points = [top]
    for step in range(1, 12):
        share = step / 12
        points.append(
            (
                top[0] + (foot[0] - top[0]) * share + rng.uniform(-rough, rough),
                top[1] + (foot[1] - top[1]) * share + rng.uniform(-rough, rough) * 0.5,
            )
        )
    return [*points, foot]


def snow_cap(rng: random.Random, side: list[Point], spine: list[Point], deep: int) -> list[Point]:
    """The top `deep` steps of a mountain face, closed by a zigzag lower edge."""
    (ax, ay), (bx, by) = side[deep], spine[deep + 1]
    drop = (side[deep][1] - side[0][1]) * 0.3
    edge = [
        (
            ax + (bx - ax) * k / 6,
            ay + (by - ay) * k / 6 + (drop * rng.uniform(0.5, 1) if k % 2 else -drop * 0.3),
        )
        for k in range(1, 6)
    ]
    return [*side[: deep + 1], *edge, *reversed(spine[: deep + 2])]


def islands(p: Painter, horizon: float) -> None:
    """One to three faint islands on the line of the open sea."""
    for _ in range(p.rng.randint(1, 3)):
        x, half, tall = (
            p.rng.uniform(0, p.width),
            p.unit * p.rng.uniform(0.1, 0.25),
            p.height * p.rng.uniform(0.02, 0.07),
        )
        rough = crags(p.rng, round(half * 2), 0, tall, 2)
        shore = [
            (x - half + half * k / 20, horizon + rough(half * k / 20) * math.sin(math.pi * k / 40))
            for k in range(41)
        ]
        p.pen.polygon(
            [*shore, (x + half, horizon), (x - half, horizon)], fill=p.lit(p.ridge, p.rng.uniform(0.35, 0.6))
        )


def dunes(p: Painter, horizon: float) -> None:
    """Mesas on the horizon and overlapping dunes with a shaded lee side."""
    rng = p.rng
    for _ in range(rng.randint(2, 3)):
        x, half, tall = (
            rng.uniform(0, p.width),
            p.unit * rng.uniform(0.08, 0.2),
            p.height * rng.uniform(0.08, 0.2),
        )
        outline = [
            (x - half * 1.5, horizon),
            (x - half, horizon - tall * 0.45),
            (x - half * 0.92, horizon - tall),
            (x + half * 0.8, horizon - tall),
            (x + half * 0.9, horizon - tall * 0.45),
            (x + half * 1.5, horizon),
        ]
        p.pen.polygon(outline, fill=p.lit(p.ridge, 0.5))
        p.pen.polygon(
            [(x + half * 0.3, horizon - tall), *outline[3:], (x + half * 0.5, horizon)],
            fill=p.lit(mix(p.ridge, p.top, 0.25), 0.5),
        )
    for index in range(3):
        far = 0.45 - 0.2 * index
        base = horizon + p.height * (0.005 + 0.06 * index)
        line = swell(rng, p.width, base, p.height * 0.05, 0.9)
        colour = p.lit(p.hill, far)
        p.land(line, (colour, p.lit(p.ground, far)))
        crest = rng.uniform(0.15, 0.85) * p.width
        span = p.width * 0.34
        top = [(crest + span * k / 12, line(crest + span * k / 12)) for k in range(13)]
        low = [
            (
                crest + span * k / 12 - span * 0.2 * (1 - k / 12),
                line(crest + span * k / 12)
                + p.height * 0.07 * math.sin(math.pi * (k / 12) ** 0.7)
                + p.height * 0.05 * (1 - k / 12),
            )
            for k in range(12, 0, -1)
        ]
        p.pen.polygon([*top, *low], fill=p.lit(mix(p.ground, p.ridge, 0.45), far))


def skyline(p: Painter, horizon: float) -> None:
    """Three rows of towers, the nearer ones darker and with more lit windows."""
    rng, dark = p.rng, p.time in ("night", "dusk", "sunset", "storm")
    for row in range(3):
        far = 0.7 - 0.25 * row
        x = -p.unit * 0.03
        while x < p.width:
            wide = p.unit * rng.uniform(0.05, 0.11)
            tall = p.height * rng.uniform(0.12, 0.4 - 0.07 * row) * (1.15 - abs(x / p.width - 0.5))
            wall = p.lit(mix(p.ridge, p.top, 0.25 + 0.2 * row + rng.uniform(0, 0.15)), far)
            p.pen.rectangle((x, horizon - tall, x + wide, horizon), fill=wall)
            roof = rng.random()
            if roof < 0.25:
                p.pen.polygon(
                    [
                        (x, horizon - tall),
                        (x + wide, horizon - tall),
                        (x + wide, horizon - tall - wide * 0.5),
                    ],
                    fill=wall,
                )
            elif roof < 0.45:
                p.pen.rectangle(
                    (x + wide * 0.25, horizon - tall - wide * 0.3, x + wide * 0.75, horizon - tall), fill=wall
                )
                p.pen.rectangle(
                    (x + wide * 0.48, horizon - tall - wide, x + wide * 0.53, horizon - tall), fill=wall
                )
            cell = p.unit * 0.0125
            glow = (255, 217, 140) if dark else mix(wall, p.horizon, 0.5)
            for across in range(int(wide / cell) - 1):
                for down in range(int(tall / cell / 1.5) - 1):
                    if rng.random() < 0.16 + 0.17 * row:
                        wx, wy = x + cell * (across + 0.75), horizon - tall + cell * 1.5 * (down + 0.7)
                        p.pen.rectangle(
                            (wx, wy, wx + cell * 0.5, wy + cell * 0.75), fill=mix(glow, wall, far * 0.6)
                        )
            x += wide + p.unit * rng.uniform(-0.01, 0.02)


def water(p: Painter, shore: float, bottom: float) -> None:
    """Still water from row `shore` down to `bottom`, mirroring what stands above it in broken strips."""
    top, deep = round(shore), round(min(p.height, bottom)) - round(shore)
    high = min(top, round(deep * 1.35))
    mirror = p.image.crop((0, top - high, p.width, top)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirror = mirror.resize((p.width, deep), Image.Resampling.BILINEAR)
    tone = mix(mix(p.middle, p.top, 0.5), p.tint, 0.08)
    mirror = Image.blend(mirror, Image.new("RGB", mirror.size, tone), 0.28)
    strip, y = p.unit * 0.004, 0.0
    while y < deep:
        tall = max(1, round(strip))
        shift = round(p.rng.uniform(-1, 1) * strip * 0.9)
        piece = mirror.crop((0, round(y), p.width, min(deep, round(y) + tall)))
        p.image.paste(piece, (0, top + round(y)))
        p.image.paste(piece, (shift, top + round(y)))
        y, strip = y + tall, strip * 1.035
    for _ in range(55 * p.width // p.unit):
        near = p.rng.random() ** 0.8
        y, long = top + deep * near, p.unit * (0.012 + 0.07 * near) * p.rng.uniform(0.5, 1.2)
        x = (
            p.rng.gauss(p.body_at[0], p.width * (0.03 + 0.05 * near))
            if p.rng.random() < 0.45
            else p.rng.uniform(0, p.width)
        )
        thick = p.unit * (0.0011 + 0.0025 * near)
        p.pen.rounded_rectangle(
            (x - long, y - thick, x + long, y + thick),
            thick,
            fill=(*mix(p.body, p.horizon, 0.5), round(60 + 60 * near)),
        )
