"""A report as a picture, made to be read on a phone, on Discord's dark background."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from assistant.usage import Report
from db.rollup import Totals
from db.usage import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BACKGROUND, TEXT, FAINT = "#1e1f22", "#f2f3f5", "#4e5058"
# Apart in lightness too, for people who do not see colours apart.
PROMPT, COMPLETION, PICTURES = "#8c9eff", "#f9b44d", "#3ddc97"
TEXT_SIZE = 21
WIDTH = 9.0  # inches of 100 pixels
LABEL_LENGTH = 22
SIGN_WIDTH = 15.0  # pixels, of a sign of this size as they are in names and figures
PIXELS_BESIDE_NAMES = 840.0  # of the width, for names and bars
# More days than this are drawn as weeks: on a phone the bars would be thinner than its dots.
MOST_BARS = 62
LEAST_BARS = 7  # that there is room for, so that one day alone is no wall
# Whose lines have ids for keys: the chart numbers them, and the list beside it says who they are.
NUMBERED = ("member", "channel", "server")
UNITS = (("B", 10**9), ("M", 10**6), ("k", 10**3))

# matplotlib's text engine is not made for several threads.
_alone = threading.Lock()


async def chart(report: Report) -> bytes | None:
    """A PNG of the report: bars by day, or one for each line; None when there is nothing to show.

    Lines of members, channels and servers are numbered in their order, and named nowhere in the picture.
    """
    if not (report.totals.tokens or report.totals.pictures):
        return None
    return await asyncio.to_thread(_draw, report)


def _draw(report: Report) -> bytes:
    with _alone:
        picture = _draw_alone(report)
        _keep_what_was_loaded()
    return picture


def _draw_alone(report: Report) -> bytes:
    # Loaded at first use: it takes a good part of a second and tens of megabytes.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    by_day = report.by == "day"
    rows = _rows(report)
    height = 5.2 if by_day else 1.7 + 0.58 * len(rows)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(WIDTH, height), dpi=100, facecolor=BACKGROUND, layout=layout)
    axes = figure.subplots()
    axes.set_facecolor(BACKGROUND)
    if by_day:
        _draw_days(axes, report)
    else:
        _draw_lines(axes, rows)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=TEXT, labelsize=TEXT_SIZE, length=0, pad=10)
    axes.set_axisbelow(True)
    _add_legend(figure, axes)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]  # it has no type hints
    return file.getvalue()


@cache
def _keep_what_was_loaded() -> None:
    # Once: else the garbage collector would look through matplotlib again and again, with everybody waiting.
    gc.collect()  # the figure, which refers to itself, shall not stay
    gc.freeze()


def _rows(report: Report) -> list[tuple[str, Totals]]:
    rows = [(_label(report, line, place), line.totals) for place, line in enumerate(report.lines, 1)]
    if report.others:
        rows.append((f"{short(report.others)} more", report.rest))
    return rows


def _label(report: Report, line: Line, place: int) -> str:
    if report.by in NUMBERED:
        return str(place)
    # The fonts that come along have no other scripts, and no emoji.
    text = "".join(sign if sign.isprintable() and ord(sign) < 0x250 else "?" for sign in str(line.key))
    text = text.rpartition("/")[2] or text  # of a model, without its maker
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


def _draw_days(axes: Axes, report: Report) -> None:
    bars = report.daily
    if len(bars) > MOST_BARS:
        # The last one is whole: a part of a week there would look like a decline.
        ends = range(len(bars) % 7 or 7, len(bars) + 1, 7)
        bars = [_sum(bars[max(0, end - 7) : end]) for end in ends]
        axes.set_xlabel("One bar for each week", color=TEXT, fontsize=TEXT_SIZE, labelpad=10)
    _stack(axes, list(range(len(bars))), [totals for _, totals in bars], upright=True)
    places = list(range(0, len(bars), -(-len(bars) // 5)))
    axes.set_xticks(places, [f"{bars[place][0].day} {bars[place][0]:%b}" for place in places])
    room = max(0, LEAST_BARS - len(bars)) / 2
    axes.set_xlim(-0.7 - room, len(bars) - 0.3 + room)
    axes.yaxis.set_major_formatter(lambda value, _: short(round(value)))
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.grid(axis="y", color=FAINT, linewidth=1)


def _sum(days: Sequence[tuple[date, Totals]]) -> tuple[date, Totals]:
    """Some days as one, with the date of the first."""
    return days[0][0], Totals(*map(sum, zip(*(totals for _, totals in days), strict=True)))


def _draw_lines(axes: Axes, rows: Sequence[tuple[str, Totals]]) -> None:
    places = list(range(len(rows)))
    ends = _stack(axes, places, [totals for _, totals in rows], upright=False)
    axes.set_yticks(places, [label for label, _ in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    room = PIXELS_BESIDE_NAMES - SIGN_WIDTH * max(len(label) for label, _ in rows)
    limit = 1.0
    for place, (end, (_, totals)) in enumerate(zip(ends, rows, strict=True)):
        text = _figures(totals)
        label = axes.annotate(
            text,
            (end, place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=TEXT_SIZE,
            color=TEXT,
        )
        # The bars are as long as the figures behind them leave room for.
        label.set_in_layout(False)
        limit = max(limit, end / (1 - (SIGN_WIDTH * len(text) + 20) / room))
    axes.set_xlim(0, limit)


def _stack(axes: Axes, places: list[int], rows: Sequence[Totals], *, upright: bool) -> list[int]:
    """Bars of tokens, or of pictures where there are no tokens at all; give their lengths."""
    parts = [
        ("Prompt tokens", PROMPT, [totals.prompt_tokens for totals in rows]),
        ("Completion tokens", COMPLETION, [totals.completion_tokens for totals in rows]),
    ]
    if not any(totals.tokens for totals in rows):
        parts = [("Pictures", PICTURES, [totals.pictures for totals in rows])]
    ends = [0] * len(places)
    for label, colour, lengths in parts:
        if upright:
            axes.bar(places, lengths, 0.8, ends, color=colour, label=label)
        else:
            axes.barh(places, lengths, 0.72, ends, color=colour, label=label)
        ends = [end + length for end, length in zip(ends, lengths, strict=True)]
    return ends


def _figures(totals: Totals) -> str:
    pictures = f"{short(totals.pictures)} {'picture' if totals.pictures == 1 else 'pictures'}"
    if not totals.tokens:
        return pictures if totals.pictures else "0"
    return f"{short(totals.tokens)}, {pictures}" if totals.pictures else short(totals.tokens)


def _add_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=2,
        frameon=False,
        fontsize=TEXT_SIZE,
        labelcolor=TEXT,
        handlelength=0.9,
        handleheight=0.9,
    )


def short(number: int) -> str:
    """A number in few characters: 999, 1.2k, 34k, 5.6M."""
    for place, (sign, size) in enumerate(UNITS):
        if number >= size * 0.9995:
            scaled = number / size
            if scaled >= 999.5 and place:
                return f"1{UNITS[place - 1][0]}"
            return f"{scaled:.1f}{sign}".replace(".0", "") if scaled < 9.95 else f"{scaled:.0f}{sign}"
    return str(number)
