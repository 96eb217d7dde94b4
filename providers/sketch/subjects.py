"""Put the drawings of sketch_figures.py into a landscape: its subject, its trees, grass and flowers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from providers.sketch.figures import FIGURES, PAINTS, Shape
from providers.sketch.scenes import SNOW, Colour, Line, Painter, Point, mix, rgb, swell

FIXED = {name: rgb(code) for name, code in zip(PAINTS.split()[::2], PAINTS.split()[1::2], strict=True)}
PLANTS = {"desert": "cactus", "coast": "palm", "winter": "snowy-pine", "autumn": "leafy"}
SPARKLING = ("glow", "flame")  # these shine by themselves, whatever the light


def subject(p: Painter, name: str, spot: Point, colour: Colour | None, crowd: int) -> None:
    """Paint figure `name` standing on `spot`; `crowd` is how many share the place, which shrinks them."""
    figure = FIGURES[name]
    main = colour or rgb(p.rng.choice(figure.colours))
    size = p.unit * figure.size * (1.0, 1.0, 0.85, 0.72)[crowd] / 100
    across = p.rng.choice((-1, 1)) * size
    paints = figure_paints(p, main)
    x, y = spot
    if figure.place == "ground":
        for wide, strength in ((40, 34), (32, 40)):
            shadow = (x - wide * size, y - 4 * size, x + wide * size, y + 5 * size)
            p.pen.ellipse(shadow, fill=(15, 18, 45, strength))
    if figure.place == "water":
        dim = {paint: (*shade, 90) for paint, shade in paints.items()}
        shapes(p, figure.shapes, spot, (across, -0.5 * size), dim)
    shapes(p, figure.shapes, spot, (across, size), paints)
    if figure.place == "water":
        for share in (0.0, 0.5, 1.0):
            half, drop = (52 - 12 * share) * size, (1 + 9 * share) * size
            ripple = (x - half, y + drop, x + half, y + drop + 1.3 * size)
            p.pen.rounded_rectangle(ripple, size, fill=(*p.horizon, 150))
    if name in ("lighthouse", "ufo"):
        p.glow(x, y - size * (86 if name == "lighthouse" else 50), size * 40, (255, 236, 170), 0.7)


def figure_paints(p: Painter, main: Colour) -> dict[str, Colour]:
    """The colour of every paint in this light; a figure stays a little brighter than the land."""
    dark = sum(main) < 240
    paints = FIXED | {
        "main": main,
        "shade": mix(main, (30, 22, 50), 0.26),
        "light": mix(main, (255, 250, 240), 0.3),
        "pale": mix(main, (255, 251, 244), 0.22 if dark else 0.78),
        "eye": rgb("#f2cf4a" if dark or sum(main) > 330 else "#cfe08a"),
    }
    dimmed = {name: mix(colour, p.lit(colour), 0.5) for name, colour in paints.items()}
    return dimmed | {name: FIXED[name] for name in SPARKLING}


def shapes(
    p: Painter, drawing: Iterable[Shape], spot: Point, scale: Point, paints: dict[str, Colour]
) -> None:
    """Paint `drawing` at `spot` with `scale` pixels per unit to the right and upward, in `paints`."""
    for shape in drawing:
        fill, numbers, width = paints[shape.paint], shape.numbers, 0
        if shape.kind == "line":
            width, numbers = max(1, round(numbers[0] * abs(scale[0]))), numbers[1:]
        elif shape.kind == "oval":
            x, y, rx, ry = numbers
            numbers = (x - rx, y - ry, x + rx, y + ry)
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if shape.kind == "curve":
            points = smooth(points)
        placed = [(spot[0] + x * scale[0], spot[1] - y * scale[1]) for x, y in points]
        if shape.kind in ("curve", "poly"):
            p.pen.polygon(placed, fill=fill)
        elif shape.kind == "line":
            p.pen.line(placed, fill=fill, width=width, joint="curve")
            for x, y in (placed[0], placed[-1]):
                p.disc(x, y, width / 2, fill)
        else:
            (ax, ay), (bx, by) = placed
            box = (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
            if shape.kind == "oval":
                p.pen.ellipse(box, fill=fill)
            else:
                round_off = 0.35 if shape.kind == "pill" else 0.0
                p.pen.rounded_rectangle(box, round_off * min(box[2] - box[0], box[3] - box[1]), fill=fill)


def smooth(points: list[Point]) -> list[Point]:
    """A closed Catmull-Rom outline through `points`; a point given twice stays a corner."""
    outline: list[Point] = []
    for at in range(len(points)):
        four = [points[(at + step) % len(points)] for step in (-1, 0, 1, 2)]
        for step in range(8):
            t = step / 8
            weights = (
                t * (t * (2 - t) - 1) / 2,
                (t * t * (3 * t - 5) + 2) / 2,
                t * (t * (4 - 3 * t) + 1) / 2,
                t * t * (t - 1) / 2,
            )
            x = sum(weight * point[0] for weight, point in zip(weights, four, strict=True))
            y = sum(weight * point[1] for weight, point in zip(weights, four, strict=True))
            outline.append((x, y))
    return outline


def plant(p: Painter, x: float, y: float, tall: float, far: float = 0.0) -> None:
    """One tree of the kind that grows in this land, `tall` pixels high, faded by distance `far` (0 to 1)."""
    mixed = p.rng.random() < {"spring": 0.6, "summer": 0.25}.get(p.land_name, 0.0)
    name = PLANTS.get(p.land_name, "leafy" if mixed else "pine")
    first, second = (p.bush, p.tree) if name == "leafy" else (p.tree, p.bush)
    if p.rng.random() < 0.3 and name == "leafy":
        first, second = second, first
    main = p.lit(mix(first, second, p.rng.uniform(0, 0.3)), far)
    paints = {
        "main": main,
        "shade": mix(main, (10, 14, 40), 0.2),
        "light": mix(main, p.lit(p.body), 0.2),
        "white": mix(p.lit(SNOW, far), main, 0.08),
        "wood": mix(p.lit(FIXED["wood"], far), main, 0.3),
    }
    lit_left, leafy = p.body_at[0] < x, name == "leafy"
    side = p.rng.choice((-1, 1)) if name in ("palm", "cactus") else -1 if lit_left == leafy else 1
    shapes(p, FIGURES[name].shapes, (x, y), (side * tall / 100, tall / 100), paints)


def woods(p: Painter, line: Line, tall: float, density: float, far: float) -> None:
    """Trees along a hill in loose groups; `density` 1 is a closed forest, 0 none."""
    groups, x = swell(p.rng, p.width, 0.5, 0.8, 2.5), -tall * 0.2
    while x < p.width + tall * 0.2:
        if density >= 1 or groups(x) < density:
            plant(p, x, line(x) + tall * 0.08, tall * p.rng.uniform(0.6, 1.1), far)
        x += tall * p.rng.uniform(0.16, 0.42)


def flowers(p: Painter, line: Line, count: int) -> None:
    """Small round blooms on thin stems, larger towards the viewer, back row first."""
    for near in sorted(p.rng.random() for _ in range(count)):
        x = p.rng.uniform(0, p.width)
        y = line(x) + (p.height - line(x)) * (0.1 + 0.95 * near)
        tall, size = p.unit * (0.02 + 0.045 * near), p.unit * (0.005 + 0.009 * near)
        bloom = p.lit(mix(p.detail, p.rng.choice((SNOW, p.detail, p.detail)), 0.4))
        stem = p.lit(mix(p.tree, p.ground, 0.5))
        p.pen.line((x, y, x, y - tall), fill=stem, width=max(1, round(size * 0.28)))
        for turn in range(5):
            angle = math.tau * turn / 5
            p.disc(
                x + math.cos(angle) * size * 0.75,
                y - tall + math.sin(angle) * size * 0.75,
                size * 0.62,
                bloom,
            )
        p.disc(x, y - tall, size * 0.45, p.lit(rgb("#f7d774")))


def tufts(p: Painter, line: Line, count: int) -> None:
    """Small fans of grass over the foreground, or flat stones or craters where no grass grows."""
    bare = p.land_name in ("desert", "coast", "winter")
    for near in sorted(p.rng.random() for _ in range(count)):
        x = p.rng.uniform(0, p.width)
        y, size = line(x) + (p.height - line(x)) * (0.08 + near), p.unit * (0.008 + 0.02 * near)
        if bare:
            stone = p.lit(mix(p.ground, p.ridge, 0.18 if p.land_name == "winter" else 0.35))
            p.pen.ellipse((x - size, y - size * 0.32, x + size, y + size * 0.32), fill=stone)
            continue
        if p.land_name in ("space", "mars"):
            size *= 1.8
            for lift, share in ((0.0, 0.12), (size * 0.09, 0.4)):
                rim = p.lit(mix(p.ground, p.ridge, share * 1.6))
                p.pen.ellipse((x - size, y - size * 0.3 + lift, x + size, y + size * 0.3), fill=rim)
            continue
        blade = p.lit(mix(p.ground, p.rng.choice((p.hill, p.tree)), 0.45))
        for lean in (-0.7, -0.3, 0.1, 0.5):
            root = x + lean * size * 0.3
            tip = (x + lean * size, y - size * (1.5 - abs(lean)))
            p.pen.polygon([(root, y), tip, (root + size * 0.22, y)], fill=blade)
